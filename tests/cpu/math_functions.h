// The functions of kernels/cpu/math.h over arrays, on each instruction set: y[i] = f(x[i]).
#pragma once

#include <cstdint>

namespace aid {

using MathFn = void(float* y, const float* x, int64_t size);
namespace cpu_avx2 {
MathFn exp_of, tanh_of, normal_cdf_of;
}
namespace cpu_avx512 {
MathFn exp_of, tanh_of, normal_cdf_of;
}
namespace cpu_avx512_bf16 {
MathFn exp_of, tanh_of, normal_cdf_of;
}

}  // namespace aid

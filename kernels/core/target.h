// What a stream computes with: one of the instruction sets that the CPU kernels are compiled for, or CUDA. Each
// *_cpu.cpp is compiled once per instruction set into the namespace of that name (the build defines AID_TARGET), each
// *.cu into namespace cuda; the public function of an op picks one by the stream's target.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/core/span.h"

namespace aid {

enum class Target : uint8_t {
  cpu_avx2,         // AVX2, FMA, F16C
  cpu_avx512,       // + AVX-512 F, BW, DQ, VL, CD
  cpu_avx512_bf16,  // + AVX-512 BF16
  cpu_amx,          // + AMX-TILE, AMX-BF16: for matrix products; all else is cpu_avx512_bf16's
  cuda,             // an NVIDIA GPU of compute capability 8.0 or above
};

const char* name_of(Target target);  // "avx2", "avx512", "avx512_bf16", "amx", "cuda"

constexpr Device device_of(Target target) { return target == Target::cuda ? Device::cuda : Device::cpu; }

// Whether this processor (and the operating system's saved state) can run it; for cuda, whether there is a GPU.
bool supported(Target target);

// The best supported instruction set, or the one that the environment variable AID_ISA names (avx2, avx512,
// avx512_bf16, amx). Throws std::invalid_argument for an unknown name, an unsupported target, or a processor without
// AVX2. Limits oneDNN to the same instruction set.
Target default_target();

}  // namespace aid

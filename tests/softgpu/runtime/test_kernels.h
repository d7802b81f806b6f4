#pragma once
// Kernels for the tests of the runtime, and host functions that launch them as programs do.

#include <cuda_runtime_api.h>

namespace test_kernels {

// Addresses of the kernels, for calls that take a function.
extern const void* const add;           // (float* x, float value, int n)
extern const void* const copy;          // (float* y, const float* x, int n)
extern const void* const scale;         // (float* x, int n): by the variable that set_scale() writes
extern const void* const fill_shared;   // (float* x, int floats): through so much dynamic shared memory
extern const void* const narrow;        // (float* x), __launch_bounds__(64)
extern const void* const past_the_end;  // (float* x, int n): writes x[n]
extern const void* const misaligned;    // (float* x): writes eight bytes at x + 1

// <<<>>> in one stream. The error stays for cudaGetLastError.
void launch_add(float* x, float value, int n, cudaStream_t stream);
void launch_narrow(float* x, int threads);
cudaError_t set_scale(float value);

}  // namespace test_kernels

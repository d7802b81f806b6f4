#pragma once
// A product as the descriptors give it, and what the documentation of cublasLtMatmul (tables of types, alignment), of
// cublasLtEpilogue_t and of the descriptors' attributes forbids. Each refusal leaves a report with the reason.

#include <cstring>
#include <string>

#include "tests/softgpu/cublaslt/descriptors.h"
#include "tests/softgpu/cublaslt/gemm.h"

struct cublasLtContext {
  uint32_t mark;
};

namespace softgpu::cublaslt {

constexpr uint32_t kContextMark = 0x43747874;

// Reports why, for the function `name`; returns the status.
cublasStatus_t refuse(const char* name, cublasStatus_t status, std::string why);

template <class Descriptor>
Descriptor copy_of(const void* opaque) {
  Descriptor result;
  std::memcpy(static_cast<void*>(&result), opaque, sizeof result);
  return result;
}

// The compute type whose pedantic form this may be: results are the same here.
cublasComputeType_t without_pedantic(int32_t compute);

// A problem as the descriptors give it, checked.
struct Problem {
  Desc desc;
  Layout a, b, c, d;
  int64_t m = 0, n = 0, k = 0;
  cudaDataType bias_type = CUDA_R_32F;

  cublasLtEpilogue_t epilogue() const { return static_cast<cublasLtEpilogue_t>(desc.epilogue); }

  uint32_t hash() const;  // of what an algorithm is chosen by
};

// Checks everything that descriptors alone show and fills `p`.
cublasStatus_t describe(const char* name, cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, Problem& p);

}  // namespace softgpu::cublaslt

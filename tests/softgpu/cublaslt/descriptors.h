#pragma once
// cuBLASLt's opaque descriptors, as the stand-in fills them. Each begins with a mark, so that a pointer to something
// else, or to what was destroyed, is noticed.

#include <cublasLt.h>

namespace softgpu::cublaslt {

constexpr uint32_t kLayoutMark = 0x4C61794F, kDescMark = 0x44657363, kPreferenceMark = 0x50726566,
                   kAlgoMark = 0x416C676F;

struct Layout {
  uint32_t mark = kLayoutMark;
  uint32_t type = 0;
  int32_t order = CUBLASLT_ORDER_COL;
  int32_t batch = 1;
  uint64_t rows = 0, cols = 0;
  int64_t ld = 0;
  int64_t batch_stride = 0;
  int64_t plane_offset = 0;
  uint32_t batch_mode = CUBLASLT_BATCH_MODE_STRIDED;
};
static_assert(sizeof(Layout) <= sizeof(cublasLtMatrixLayoutOpaque_t));

struct Desc {
  uint32_t mark = kDescMark;
  int32_t compute = CUBLAS_COMPUTE_32F, scale = CUDA_R_32F;
  int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N, transpose_c = CUBLAS_OP_N;
  int32_t fill = CUBLAS_FILL_MODE_FULL;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  int32_t bias_type = -1, aux_type = -1;
  int32_t processors = 0;
  int8_t fast_accumulation = 0;
  void* bias = nullptr;
  int64_t bias_stride = 0;
  void* aux = nullptr;
  int64_t aux_ld = 0, aux_stride = 0;
  const void *a_scale = nullptr, *b_scale = nullptr, *c_scale = nullptr, *d_scale = nullptr;
};
static_assert(sizeof(Desc) <= sizeof(cublasLtMatmulDescOpaque_t));

struct Preference {
  uint32_t mark = kPreferenceMark;
  uint32_t search = CUBLASLT_SEARCH_BEST_FIT;
  uint64_t workspace = 0;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
  float waves = 0;
  uint64_t implementations = ~uint64_t{0};
};
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));

// What the heuristic chose, and the problem that it chose it for.
struct Algo {
  uint32_t mark = kAlgoMark;
  uint32_t problem = 0;  // a hash of types, shapes, transposes and epilogue
  int32_t split_k = 1;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
  uint64_t workspace = 0;
  uint16_t align_a = 16, align_b = 16, align_c = 16, align_d = 16;  // bytes, of pointers and of leading dimensions
  uint16_t align_bias = 1;
  uint16_t compute = 0;
};
static_assert(sizeof(Algo) <= sizeof(cublasLtMatmulAlgo_t));

}  // namespace softgpu::cublaslt

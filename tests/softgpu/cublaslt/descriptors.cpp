#include "tests/softgpu/cublaslt/descriptors.h"

#include <cstring>
#include <new>

namespace softgpu::cublaslt {
namespace {

// One attribute: where it is kept and how many bytes it has.
struct Field {
  int attribute;
  size_t offset, size;
};
#define FIELD(attribute, type, member) \
  { attribute, offsetof(type, member), sizeof(type::member) }

constexpr Field kLayoutFields[] = {
    FIELD(CUBLASLT_MATRIX_LAYOUT_TYPE, Layout, type),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ORDER, Layout, order),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ROWS, Layout, rows),
    FIELD(CUBLASLT_MATRIX_LAYOUT_COLS, Layout, cols),
    FIELD(CUBLASLT_MATRIX_LAYOUT_LD, Layout, ld),
    FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, Layout, batch),
    FIELD(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, Layout, batch_stride),
    FIELD(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, Layout, plane_offset),
    FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, Layout, batch_mode),
};
constexpr Field kDescFields[] = {
    FIELD(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, Desc, compute),
    FIELD(CUBLASLT_MATMUL_DESC_SCALE_TYPE, Desc, scale),
    FIELD(CUBLASLT_MATMUL_DESC_POINTER_MODE, Desc, pointer_mode),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSA, Desc, transpose_a),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSB, Desc, transpose_b),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSC, Desc, transpose_c),
    FIELD(CUBLASLT_MATMUL_DESC_FILL_MODE, Desc, fill),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE, Desc, epilogue),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_POINTER, Desc, bias),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, Desc, bias_stride),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, Desc, bias_type),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, Desc, aux),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, Desc, aux_ld),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, Desc, aux_stride),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, Desc, aux_type),
    FIELD(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, Desc, processors),
    FIELD(CUBLASLT_MATMUL_DESC_FAST_ACCUM, Desc, fast_accumulation),
    FIELD(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, Desc, a_scale),
    FIELD(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, Desc, b_scale),
    FIELD(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, Desc, c_scale),
    FIELD(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, Desc, d_scale),
};
constexpr Field kPreferenceFields[] = {
    FIELD(CUBLASLT_MATMUL_PREF_SEARCH_MODE, Preference, search),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Preference, workspace),
    FIELD(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, Preference, reduction),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Preference, align_a),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Preference, align_b),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Preference, align_c),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Preference, align_d),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, Preference, waves),
    FIELD(CUBLASLT_MATMUL_PREF_IMPL_MASK, Preference, implementations),
};
constexpr Field kAlgoFields[] = {
    FIELD(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, Algo, split_k),
    FIELD(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, Algo, reduction),
};
#undef FIELD

bool marked(const void* object, uint32_t mark) { return object && *static_cast<const uint32_t*>(object) == mark; }

template <size_t N>
cublasStatus_t set(void* object, uint32_t mark, const Field (&fields)[N], int attribute, const void* value,
                   size_t size) {
  if (!marked(object, mark) || !value) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Field& field : fields) {
    if (field.attribute != attribute) continue;
    if (size != field.size) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(static_cast<char*>(object) + field.offset, value, size);
    return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

template <size_t N>
cublasStatus_t get(const void* object, uint32_t mark, const Field (&fields)[N], int attribute, void* value, size_t size,
                   size_t* written) {
  if (!marked(object, mark) || (size == 0 && !written) || (size != 0 && !value)) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Field& field : fields) {
    if (field.attribute != attribute) continue;
    if (size != 0 && size != field.size) return CUBLAS_STATUS_INVALID_VALUE;
    if (size != 0) std::memcpy(value, static_cast<const char*>(object) + field.offset, size);
    if (written) *written = field.size;
    return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

template <class Opaque>
cublasStatus_t destroy(Opaque* object, uint32_t mark) {
  if (!object) return CUBLAS_STATUS_SUCCESS;
  if (!marked(object, mark)) return CUBLAS_STATUS_INVALID_VALUE;
  *reinterpret_cast<uint32_t*>(object) = 0;
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace softgpu::cublaslt

using namespace softgpu::cublaslt;

extern "C" {

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t out, size_t size, cudaDataType type,
                                                 uint64_t rows, uint64_t cols, int64_t ld) {
  if (size < sizeof *out) return CUBLAS_STATUS_ALLOC_FAILED;
  new (out) Layout{.type = static_cast<uint32_t>(type), .rows = rows, .cols = cols, .ld = ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType type, uint64_t rows, uint64_t cols,
                                          int64_t ld) {
  if (!out) return CUBLAS_STATUS_INVALID_VALUE;
  *out = new cublasLtMatrixLayoutOpaque_t;
  return cublasLtMatrixLayoutInit_internal(*out, sizeof **out, type, rows, cols, ld);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(layout, kLayoutMark); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                size_t size) {
  return set(layout, kLayoutMark, kLayoutFields, attribute, value, size);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, void* value, size_t size,
                                                size_t* written) {
  return get(layout, kLayoutMark, kLayoutFields, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t out, size_t size, cublasComputeType_t compute,
                                               cudaDataType_t scale) {
  if (size < sizeof *out) return CUBLAS_STATUS_ALLOC_FAILED;
  new (out) Desc{.compute = compute, .scale = scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t scale) {
  if (!out) return CUBLAS_STATUS_INVALID_VALUE;
  *out = new cublasLtMatmulDescOpaque_t;
  return cublasLtMatmulDescInit_internal(*out, sizeof **out, compute, scale);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { return destroy(desc, kDescMark); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t size) {
  return set(desc, kDescMark, kDescFields, attribute, value, size);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              void* value, size_t size, size_t* written) {
  return get(desc, kDescMark, kDescFields, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t out, size_t size) {
  if (size < sizeof *out) return CUBLAS_STATUS_ALLOC_FAILED;
  new (out) Preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  if (!out) return CUBLAS_STATUS_INVALID_VALUE;
  *out = new cublasLtMatmulPreferenceOpaque_t;
  return cublasLtMatmulPreferenceInit_internal(*out, sizeof **out);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference, kPreferenceMark);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t size) {
  return set(preference, kPreferenceMark, kPreferenceFields, attribute, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, void* value,
                                                    size_t size, size_t* written) {
  return get(preference, kPreferenceMark, kPreferenceFields, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void* value,
                                                    size_t size, size_t* written) {
  return get(algo, kAlgoMark, kAlgoFields, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, const void* value,
                                                    size_t size) {
  return set(algo, kAlgoMark, kAlgoFields, attribute, value, size);
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                 cublasLtMatmulAlgoCapAttributes_t attribute, void* value, size_t size,
                                                 size_t* written) {
  if (!marked(algo, kAlgoMark) || size != sizeof(uint32_t) || !value) return CUBLAS_STATUS_INVALID_VALUE;
  uint32_t result = 0;
  switch (attribute) {
    case CUBLASLT_ALGO_CAP_SPLITK_SUPPORT:
    case CUBLASLT_ALGO_CAP_STRIDED_BATCH_SUPPORT:
    case CUBLASLT_ALGO_CAP_OUT_OF_PLACE_RESULT_SUPPORT:
      result = 1;
      break;
    case CUBLASLT_ALGO_CAP_REDUCTION_SCHEME_MASK:
      result = CUBLASLT_REDUCTION_SCHEME_MASK;
      break;
    case CUBLASLT_ALGO_CAP_POINTER_MODE_MASK:
      result = CUBLASLT_POINTER_MODE_MASK_HOST | CUBLASLT_POINTER_MODE_MASK_DEVICE;
      break;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  std::memcpy(value, &result, sizeof result);
  if (written) *written = sizeof result;
  return CUBLAS_STATUS_SUCCESS;
}
}

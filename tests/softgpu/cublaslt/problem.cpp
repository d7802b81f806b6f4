#include "tests/softgpu/cublaslt/problem.h"

#include "tests/softgpu/runtime/library.h"

namespace softgpu::cublaslt {
namespace {

const char* name_of(int type) {
  switch (type) {
    case CUDA_R_64F:
      return "64F";
    case CUDA_R_32F:
      return "32F";
    case CUDA_R_32I:
      return "32I";
    case CUDA_R_16F:
      return "16F";
    case CUDA_R_16BF:
      return "16BF";
    case CUDA_R_8I:
      return "8I";
    default:
      return "a type that this stand-in does not know";
  }
}

// Supported types for column- and row-major matrices. bias -1: epilogues with a bias are not supported.
struct Types {
  cublasComputeType_t compute;
  cudaDataType scale, ab, cd;
  int bias;
};
constexpr Types kTypes[] = {
    {CUBLAS_COMPUTE_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32I, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I, -1},
    {CUBLAS_COMPUTE_32I, CUDA_R_32F, CUDA_R_8I, CUDA_R_8I, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_8I, CUDA_R_32F, -1},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16BF, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
};

bool known(cublasLtEpilogue_t e) {
  for (cublasLtEpilogue_t x :
       {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_BIAS,
        CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_RELU_AUX_BIAS, CUBLASLT_EPILOGUE_DRELU,
        CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_BIAS,
        CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU, CUBLASLT_EPILOGUE_DGELU_BGRAD,
        CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB}) {
    if (e == x) return true;
  }
  return false;
}

cublasStatus_t check_layout(const char* name, const char* which, const Layout& l) {
  const auto bad = [&](cublasStatus_t status, const std::string& why) {
    return refuse(name, status, std::string(which) + ": " + why);
  };
  if (l.mark != kLayoutMark) return bad(CUBLAS_STATUS_INVALID_VALUE, "the layout is no live descriptor");
  if (l.order != CUBLASLT_ORDER_COL && l.order != CUBLASLT_ORDER_ROW)
    return bad(CUBLAS_STATUS_NOT_SUPPORTED, "this memory order is not modelled");
  if (l.plane_offset != 0 || l.batch_mode != CUBLASLT_BATCH_MODE_STRIDED)
    return bad(CUBLAS_STATUS_NOT_SUPPORTED, "planes and arrays of pointers are not modelled");
  if (l.rows == 0 || l.cols == 0) return bad(CUBLAS_STATUS_INVALID_VALUE, "a matrix without elements");
  const uint64_t least = l.order == CUBLASLT_ORDER_COL ? l.rows : l.cols;
  if (l.ld < 0 || static_cast<uint64_t>(l.ld) < least) {
    return bad(CUBLAS_STATUS_INVALID_VALUE, "leading dimension " + std::to_string(l.ld) + " of a " +
                                                std::to_string(l.rows) + " x " + std::to_string(l.cols) +
                                                " matrix by " + (l.order == CUBLASLT_ORDER_COL ? "columns" : "rows") +
                                                "; at least " + std::to_string(least));
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_epilogue(const char* name, const Problem& p) {
  const cublasLtEpilogue_t e = p.epilogue();
  if (!known(e))
    return refuse(name, CUBLAS_STATUS_INVALID_VALUE,
                  "epilogue " + std::to_string(e) + " is none of cublasLtEpilogue_t");
  if (e != CUBLASLT_EPILOGUE_DEFAULT && p.d.order != CUBLASLT_ORDER_COL) {
    return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED,
                  "epilogues are modelled for D by columns: the bias runs along D's rows");
  }
  if ((has_bias(e) || has_bias_gradient(e)) && !p.desc.bias) {
    return refuse(name, CUBLAS_STATUS_INVALID_VALUE, "this epilogue needs CUBLASLT_MATMUL_DESC_BIAS_POINTER");
  }
  if (uses_aux(e)) {
    const int64_t unit = is_relu(e) ? 128 : 8;
    if (!p.desc.aux)
      return refuse(name, CUBLAS_STATUS_INVALID_VALUE, "this epilogue needs CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER");
    if (p.desc.aux_ld < p.m || p.desc.aux_ld % unit != 0) {
      return refuse(name, CUBLAS_STATUS_INVALID_VALUE,
                    "CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD is " + std::to_string(p.desc.aux_ld) + "; at least D's " +
                        std::to_string(p.m) + " rows and a multiple of " + std::to_string(unit));
    }
    if (p.d.batch > 1 && p.desc.aux_stride % unit != 0) {
      return refuse(name, CUBLAS_STATUS_INVALID_VALUE,
                    "the auxiliary batch stride is no multiple of " + std::to_string(unit));
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t refuse(const char* name, cublasStatus_t status, std::string why) {
  softgpu_library_host()->report(name, std::move(why));
  return status;
}

cublasComputeType_t without_pedantic(int32_t compute) {
  switch (compute) {
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return CUBLAS_COMPUTE_16F;
    case CUBLAS_COMPUTE_32F_PEDANTIC:
      return CUBLAS_COMPUTE_32F;
    case CUBLAS_COMPUTE_64F_PEDANTIC:
      return CUBLAS_COMPUTE_64F;
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      return CUBLAS_COMPUTE_32I;
    default:
      return static_cast<cublasComputeType_t>(compute);
  }
}

uint32_t Problem::hash() const {
  const uint64_t parts[] = {static_cast<uint64_t>(desc.compute),
                            static_cast<uint64_t>(desc.transpose_a),
                            static_cast<uint64_t>(desc.transpose_b),
                            desc.epilogue,
                            a.type,
                            d.type,
                            a.rows,
                            a.cols,
                            b.rows,
                            b.cols,
                            static_cast<uint64_t>(a.ld),
                            static_cast<uint64_t>(b.ld),
                            static_cast<uint64_t>(d.ld),
                            static_cast<uint64_t>(a.batch),
                            static_cast<uint64_t>(a.order),
                            static_cast<uint64_t>(d.order)};
  uint64_t value = 0xCBF29CE484222325u;
  for (uint64_t part : parts) value = (value ^ part) * 0x100000001B3u;
  return static_cast<uint32_t>(value ^ value >> 32);
}

cublasStatus_t describe(const char* name, cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, Problem& p) {
  if (!handle || handle->mark != kContextMark)
    return refuse(name, CUBLAS_STATUS_NOT_INITIALIZED, "the handle is not from cublasLtCreate");
  if (!desc || !a || !b || !c || !d) return refuse(name, CUBLAS_STATUS_INVALID_VALUE, "a descriptor is null");
  p.desc = copy_of<Desc>(desc);
  p.a = copy_of<Layout>(a), p.b = copy_of<Layout>(b), p.c = copy_of<Layout>(c), p.d = copy_of<Layout>(d);
  if (p.desc.mark != kDescMark) return refuse(name, CUBLAS_STATUS_INVALID_VALUE, "the matmul descriptor is not live");
  const struct {
    const char* which;
    const Layout& layout;
  } layouts[] = {{"A", p.a}, {"B", p.b}, {"C", p.c}, {"D", p.d}};
  for (const auto& [which, layout] : layouts) {
    if (cublasStatus_t status = check_layout(name, which, layout); status != CUBLAS_STATUS_SUCCESS) return status;
    if (layout.batch != p.d.batch)
      return refuse(name, CUBLAS_STATUS_INVALID_VALUE, std::string(which) + "'s batch count differs from D's");
  }
  if (p.desc.transpose_c != CUBLAS_OP_N || p.desc.fill != CUBLAS_FILL_MODE_FULL) {
    return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED, "C cannot be transposed, and matrices are full");
  }
  const bool ta = p.desc.transpose_a != CUBLAS_OP_N, tb = p.desc.transpose_b != CUBLAS_OP_N;
  p.m = static_cast<int64_t>(ta ? p.a.cols : p.a.rows);
  p.k = static_cast<int64_t>(ta ? p.a.rows : p.a.cols);
  p.n = static_cast<int64_t>(tb ? p.b.rows : p.b.cols);
  const auto inner = static_cast<int64_t>(tb ? p.b.cols : p.b.rows);
  const auto size = [](int64_t rows, int64_t cols) { return std::to_string(rows) + " x " + std::to_string(cols); };
  if (inner != p.k || static_cast<int64_t>(p.d.rows) != p.m || static_cast<int64_t>(p.d.cols) != p.n ||
      p.c.rows != p.d.rows || p.c.cols != p.d.cols) {
    return refuse(name, CUBLAS_STATUS_INVALID_VALUE,
                  "op(A) is " + size(p.m, p.k) + ", op(B) is " + size(inner, p.n) + ", C is " +
                      size(static_cast<int64_t>(p.c.rows), static_cast<int64_t>(p.c.cols)) + ", D is " +
                      size(static_cast<int64_t>(p.d.rows), static_cast<int64_t>(p.d.cols)) + ": they do not fit");
  }
  const Types* types = nullptr;
  for (const Types& t : kTypes) {
    if (t.compute == without_pedantic(p.desc.compute) && t.scale == p.desc.scale &&
        t.ab == static_cast<cudaDataType>(p.a.type) && p.a.type == p.b.type &&
        t.cd == static_cast<cudaDataType>(p.d.type) && p.c.type == p.d.type) {
      types = &t;
    }
  }
  if (!types) {
    return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED,
                  std::string("types A ") + name_of(static_cast<int>(p.a.type)) + ", B " +
                      name_of(static_cast<int>(p.b.type)) + ", C " + name_of(static_cast<int>(p.c.type)) + ", D " +
                      name_of(static_cast<int>(p.d.type)) + ", scale " + name_of(p.desc.scale) + " with compute type " +
                      std::to_string(p.desc.compute) + " are not in the table of supported combinations");
  }
  if (has_bias(p.epilogue()) || has_bias_gradient(p.epilogue())) {
    const int wanted = p.desc.bias_type < 0 ? static_cast<int>(p.d.type) : p.desc.bias_type;
    if (wanted != types->bias) {
      return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED,
                    std::string("a bias of type ") + name_of(wanted) + "; for these matrices it is " +
                        (types->bias < 0 ? "not supported" : name_of(types->bias)));
    }
    p.bias_type = static_cast<cudaDataType>(types->bias);
  }
  if (types->ab == CUDA_R_8I &&
      (!ta || tb || p.a.order != CUBLASLT_ORDER_COL || p.m % 4 || p.k % 4 || p.a.ld % 4 || p.b.ld % 4 || p.d.ld % 4)) {
    return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED,
                  "8-bit integers: A transposed, B not, m, k and leading dimensions multiples of 4");
  }
  const bool vector =
      p.desc.pointer_mode != CUBLASLT_POINTER_MODE_HOST && p.desc.pointer_mode != CUBLASLT_POINTER_MODE_DEVICE;
  if (vector) return refuse(name, CUBLAS_STATUS_NOT_SUPPORTED, "vectors of alpha are not modelled");
  if (p.desc.a_scale || p.desc.b_scale || p.desc.c_scale || p.desc.d_scale) {
    return refuse(name, CUBLAS_STATUS_INVALID_VALUE, "scaling factors are for 8-bit floats only");
  }
  return check_epilogue(name, p);
}

}  // namespace softgpu::cublaslt

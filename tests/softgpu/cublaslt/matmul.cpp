// cublasLtMatmul, its heuristic, and the library's handles.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/softgpu/cublaslt/problem.h"
#include "tests/softgpu/runtime/library.h"

namespace softgpu::cublaslt {
namespace {

constexpr size_t kWorkspaceAlignment = 256;

uint16_t alignment_of(uint64_t value) { return static_cast<uint16_t>(std::min<uint64_t>(value & (~value + 1), 256)); }

// How far an operand is aligned in all its columns: the promise for its pointer, lowered by the leading dimension.
uint16_t alignment(uint32_t pointer, const Layout& l) {
  const uint64_t ld = static_cast<uint64_t>(l.ld) * size_of(static_cast<cudaDataType>(l.type));
  return std::min<uint16_t>(alignment_of(pointer | uint64_t{256}), alignment_of(ld | 256));
}

// One choice: what is long in k is split where workspace and reduction schemes allow it.
Algo choose(const Problem& p, const Preference& preference) {
  Algo algo;
  algo.problem = p.hash();
  algo.compute = static_cast<uint16_t>(p.desc.compute);
  algo.align_a = alignment(preference.align_a, p.a), algo.align_b = alignment(preference.align_b, p.b);
  algo.align_c = alignment(preference.align_c, p.c), algo.align_d = alignment(preference.align_d, p.d);
  if (has_bias(p.epilogue())) algo.align_bias = alignment_of(reinterpret_cast<uint64_t>(p.desc.bias) | 256);
  const uint64_t workspace = 4 * sizeof(float) * static_cast<uint64_t>(p.m) * static_cast<uint64_t>(p.n);
  if (p.k >= 2 * std::max(p.m, p.n) && p.epilogue() == CUBLASLT_EPILOGUE_DEFAULT && p.d.batch == 1 &&
      workspace <= preference.workspace && preference.reduction & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) {
    algo.split_k = 4;
    algo.reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    algo.workspace = workspace;
  }
  return algo;
}

Matrix matrix(const Layout& l, const void* data, bool transposed, int64_t batch) {
  const auto type = static_cast<cudaDataType>(l.type);
  Matrix m{.data = static_cast<char*>(const_cast<void*>(data)) +
                   batch * l.batch_stride * static_cast<int64_t>(size_of(type)),
           .type = type,
           .rows = static_cast<int64_t>(l.rows),
           .cols = static_cast<int64_t>(l.cols)};
  m.row_step = l.order == CUBLASLT_ORDER_COL ? 1 : l.ld;
  m.col_step = l.order == CUBLASLT_ORDER_COL ? l.ld : 1;
  if (transposed) std::swap(m.rows, m.cols), std::swap(m.row_step, m.col_step);
  return m;
}

// Calls see(p, n) for each stretch of memory that the matrix occupies.
template <class F>
bool each_stretch(const Matrix& m, const F& see) {
  const bool by_columns = m.row_step == 1;
  const auto size = static_cast<int64_t>(size_of(m.type));
  const int64_t length = (by_columns ? m.rows : m.cols) * size, count = by_columns ? m.cols : m.rows;
  const int64_t step = (by_columns ? m.col_step : m.row_step) * size;
  if (step == length) return see(static_cast<char*>(m.data), static_cast<size_t>(length * count));
  for (int64_t i = 0; i < count; ++i) {
    if (!see(static_cast<char*>(m.data) + i * step, static_cast<size_t>(length))) return false;
  }
  return true;
}

bool readable(const char* who, const Matrix& m) {
  return each_stretch(
      m, [&](char* p, size_t n) { return softgpu_library_host()->check_access(p, n, HostAccess::read, who); });
}
bool writable(const char* who, const Matrix& m) {
  return each_stretch(
      m, [&](char* p, size_t n) { return softgpu_library_host()->check_access(p, n, HostAccess::write, who); });
}
void mark_written(const Matrix& m) {
  each_stretch(m, [&](char* p, size_t n) { return softgpu_library_host()->mark_written(p, n), true; });
}

bool overlap(const Matrix& x, const Matrix& y) {
  const auto last = [](const Matrix& m) {
    return static_cast<char*>(m.data) +
           ((m.rows - 1) * m.row_step + (m.cols - 1) * m.col_step + 1) * static_cast<int64_t>(size_of(m.type));
  };
  return static_cast<char*>(x.data) < last(y) && static_cast<char*>(y.data) < last(x);
}

// A call that is queued.
struct Task {
  Problem p;
  const void *alpha, *beta, *a, *b, *c;
  void* d;
  double alpha_value = 0, beta_value = 0;
  void* workspace;
  uint64_t workspace_size;

  bool run_one(int64_t batch) const {
    const auto e = p.epilogue();
    Gemm g{.a = matrix(p.a, a, p.desc.transpose_a != CUBLAS_OP_N, batch),
           .b = matrix(p.b, b, p.desc.transpose_b != CUBLAS_OP_N, batch),
           .c = matrix(p.c, c, false, batch),
           .d = matrix(p.d, d, false, batch),
           .compute = without_pedantic(p.desc.compute),
           .alpha = alpha_value,
           .beta = beta_value,
           .epilogue = e,
           .bias_type = p.bias_type};
    bool ok =
        readable("cublasLtMatmul: A", g.a) && readable("cublasLtMatmul: B", g.b) && writable("cublasLtMatmul: D", g.d);
    if (beta_value != 0) ok = ok && readable("cublasLtMatmul: C, which beta != 0 reads", g.c);
    if (!ok) return false;
    if (overlap(g.d, g.a) || overlap(g.d, g.b)) {
      softgpu_library_host()->report("cublasLtMatmul", "D overlaps A or B, which are read while it is written");
      return false;
    }
    Matrix bias, aux;
    if (has_bias(e) || has_bias_gradient(e)) {
      const auto size = static_cast<int64_t>(size_of(p.bias_type));
      const int64_t length = e == CUBLASLT_EPILOGUE_BGRADB ? p.n : p.m;
      g.bias = static_cast<char*>(p.desc.bias) + batch * p.desc.bias_stride * size;
      bias = {.data = g.bias, .type = p.bias_type, .rows = length, .cols = 1, .row_step = 1, .col_step = length};
      ok = has_bias(e) ? readable("cublasLtMatmul: bias", bias) : writable("cublasLtMatmul: bias gradient", bias);
    }
    if (uses_aux(e)) {
      const bool bits = is_relu(e);
      const auto type =
          bits ? CUDA_R_8I
               : static_cast<cudaDataType>(p.desc.aux_type < 0 ? p.d.type : static_cast<uint32_t>(p.desc.aux_type));
      const int64_t unit = bits ? 8 : 1;  // elements a stored one holds
      g.aux = {.type = type, .rows = p.m, .cols = p.n, .row_step = 1, .col_step = p.desc.aux_ld};
      g.aux.data =
          static_cast<char*>(p.desc.aux) + batch * p.desc.aux_stride / unit * static_cast<int64_t>(size_of(type));
      aux = g.aux;
      aux.rows = (p.m + unit - 1) / unit;
      aux.col_step /= unit;
      ok = ok && (is_backward(e) ? readable("cublasLtMatmul: epilogue's auxiliary matrix", aux)
                                 : writable("cublasLtMatmul: epilogue's auxiliary matrix", aux));
    }
    if (!ok) return false;
    cublaslt::run(g);
    mark_written(g.d);
    if (has_bias_gradient(e)) mark_written(bias);
    if (uses_aux(e) && !is_backward(e)) mark_written(aux);
    return true;
  }

  void run() {
    LibraryHost* host = softgpu_library_host();
    if (p.desc.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE) {
      const auto type = static_cast<cudaDataType>(p.desc.scale);
      if (!host->check_access(alpha, size_of(type), HostAccess::read, "cublasLtMatmul: alpha, in device memory") ||
          !host->check_access(beta, size_of(type), HostAccess::read, "cublasLtMatmul: beta, in device memory")) {
        return host->fail(cudaErrorIllegalAddress);
      }
      alpha_value = load(alpha, type, 0);
      beta_value = load(beta, type, 0);
    }
    if (workspace_size > 0) {
      if (!host->check_access(workspace, workspace_size, HostAccess::write, "cublasLtMatmul: workspace"))
        return host->fail(cudaErrorIllegalAddress);
      std::memset(workspace, 0xFF, workspace_size);
      host->mark_unwritten(workspace, workspace_size);  // whoever reads it afterwards reads the library's scratch
    }
    for (int64_t batch = 0; batch < p.d.batch; ++batch) {
      if (!run_one(batch)) return host->fail(cudaErrorIllegalAddress);
    }
  }
};

cublasStatus_t matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                      cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb, const void* beta,
                      const void* c, cublasLtMatrixLayout_t lc, void* d, cublasLtMatrixLayout_t ld,
                      const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_size, cudaStream_t stream) {
  constexpr const char* kName = "cublasLtMatmul";
  auto task = std::make_shared<Task>(Task{.p = {},
                                          .alpha = alpha,
                                          .beta = beta,
                                          .a = a,
                                          .b = b,
                                          .c = c,
                                          .d = d,
                                          .workspace = workspace,
                                          .workspace_size = 0});
  Problem& p = task->p;
  if (cublasStatus_t status = describe(kName, handle, desc, la, lb, lc, ld, p); status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (!alpha || !beta || !a || !b || !d)
    return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "alpha, beta, A, B or D is null");
  if (p.desc.pointer_mode == CUBLASLT_POINTER_MODE_HOST) {
    task->alpha_value = load(alpha, static_cast<cudaDataType>(p.desc.scale), 0);
    task->beta_value = load(beta, static_cast<cudaDataType>(p.desc.scale), 0);
  }
  if (!c && task->beta_value != 0) return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "C is null and beta is not zero");
  if (c == d && (p.c.ld != p.d.ld || p.c.order != p.d.order || p.c.batch_stride != p.d.batch_stride)) {
    return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "C is D: their layouts must be the same");
  }
  Algo chosen;
  if (algo) {
    chosen = copy_of<Algo>(algo);
    if (chosen.mark != kAlgoMark)
      return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "the algorithm is not from the heuristic");
    if (chosen.problem != p.hash()) {
      return refuse(kName, CUBLAS_STATUS_INVALID_VALUE,
                    "the algorithm was chosen for other types, shapes or leading dimensions, or another epilogue");
    }
  } else {
    chosen = choose(p, Preference{.workspace = workspace_size,
                                  .align_a = alignment_of(reinterpret_cast<uint64_t>(a)),
                                  .align_b = alignment_of(reinterpret_cast<uint64_t>(b)),
                                  .align_c = alignment_of(reinterpret_cast<uint64_t>(c ? c : d)),
                                  .align_d = alignment_of(reinterpret_cast<uint64_t>(d))});
  }
  if (workspace_size < chosen.workspace || (chosen.workspace > 0 && !workspace)) {
    return refuse(kName, CUBLAS_STATUS_INVALID_VALUE,
                  "a workspace of " + std::to_string(workspace ? workspace_size : 0) + " bytes; this algorithm needs " +
                      std::to_string(chosen.workspace));
  }
  if (workspace && reinterpret_cast<uint64_t>(workspace) % kWorkspaceAlignment != 0) {
    return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "the workspace must begin at a multiple of 256 bytes");
  }
  const struct {
    const char* which;
    const void* pointer;
    uint16_t wanted;
  } operands[] = {{"A", a, chosen.align_a},
                  {"B", b, chosen.align_b},
                  {"C", task->beta_value != 0 ? c : nullptr, chosen.align_c},
                  {"D", d, chosen.align_d},
                  {"the bias", has_bias(p.epilogue()) ? p.desc.bias : nullptr, chosen.align_bias}};
  for (const auto& [which, pointer, wanted] : operands) {
    if (reinterpret_cast<uint64_t>(pointer) % std::min<uint16_t>(wanted, 16) == 0)
      continue;  // no kernel loads more than 16 bytes
    return refuse(kName, CUBLAS_STATUS_INVALID_VALUE,
                  std::string(which) + " is less aligned than the " + std::to_string(wanted) +
                      " bytes that the algorithm was chosen for");
  }
  task->workspace_size = chosen.workspace;
  const cudaError_t error = softgpu_library_host()->enqueue(kName, stream, [task] { Task(*task).run(); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace
}  // namespace softgpu::cublaslt

using namespace softgpu::cublaslt;

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = new cublasLtContext{kContextMark};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (!handle || handle->mark != kContextMark) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->mark = 0;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
size_t cublasLtGetCudartVersion() { return CUDART_VERSION; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "unknown";
  }
}
const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
  constexpr const char* kName = "cublasLtMatmulAlgoGetHeuristic";
  if (requested <= 0 || !results || !returned || !preference) return CUBLAS_STATUS_INVALID_VALUE;
  *returned = 0;
  Problem p;
  if (cublasStatus_t status = describe(kName, handle, desc, a, b, c, d, p); status != CUBLAS_STATUS_SUCCESS)
    return status;
  auto wanted = copy_of<Preference>(preference);
  if (wanted.mark != kPreferenceMark) return refuse(kName, CUBLAS_STATUS_INVALID_VALUE, "the preference is not live");
  if (wanted.search != CUBLASLT_SEARCH_BEST_FIT) return CUBLAS_STATUS_NOT_SUPPORTED;
  // The best first; behind a split one, the same without a workspace.
  std::vector<Algo> choices = {choose(p, wanted)};
  wanted.workspace = 0;
  if (choices[0].split_k > 1) choices.push_back(choose(p, wanted));
  for (const Algo& algo : choices) {
    if (*returned == requested) break;
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    std::memcpy(&result.algo, &algo, sizeof algo);
    result.workspaceSize = algo.workspace;
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
  if (!algo || !result) return CUBLAS_STATUS_INVALID_VALUE;
  Problem p;
  if (cublasStatus_t status = describe("cublasLtMatmulAlgoCheck", handle, desc, a, b, c, d, p);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  const auto chosen = copy_of<Algo>(algo);
  if (chosen.mark != kAlgoMark || chosen.problem != p.hash()) return CUBLAS_STATUS_INVALID_VALUE;
  result->workspaceSize = chosen.workspace;
  result->state = CUBLAS_STATUS_SUCCESS;
  result->wavesCount = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              size_t workspace_size, cudaStream_t stream) {
  return matmul(handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo, workspace,
                workspace_size, stream);
}
}

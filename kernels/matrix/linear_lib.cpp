// Row-major matrices are what cuBLASLt, which counts by columns, calls their transposes. So of y = x Wᵀ + b it is asked
//   yᵀ [out, rows] = W [out, in] · xᵀ [in, rows] + b        the bias runs along yᵀ's rows, as its epilogue has it
// and of the gradients, likewise, dxᵀ = Wᵀ dyᵀ and dWᵀ += xᵀ dy. Operands whose rows do not begin on 16-byte borders
// are copied to where they do: tensor cores need it, and the library has no other kernels for some types.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>

#include "kernels/device/column_sums.cuh"
#include "kernels/device/graphs.h"
#include "kernels/elements/activation.h"
#include "kernels/elements/cast.h"
#include "kernels/matrix/cublaslt.h"
#include "kernels/matrix/linear_weights.h"

namespace aid::cuda {
namespace {

constexpr size_t kMostWorkspace = size_t{32} << 20;  // what NVIDIA recommends for Hopper
constexpr int64_t kBorder = 16;

// An object of the library's, with the function that ends it.
template <class Object>
using Owned = std::unique_ptr<Object, cublasStatus_t (*)(Object*)>;

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::bf16 ? CUDA_R_16BF : dtype == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

// d [m, n] = a b + beta d (+ bias along m), all by columns. a is [m, k], stored as that or transposed; b [k, n]
// likewise. Everything that the library picks its algorithm by.
struct Shape {
  int64_t m, n, k;
  cublasOperation_t transpose_a, transpose_b;
  int64_t lda, ldb, ldd;
  DType in, out;
  bool bias, accumulates;
  std::array<uint32_t, 4> alignment;  // of a, b, d, bias

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes a 0 of the compiler's for a pointer
  auto operator<=>(const Shape&) const = default;
};

std::string text_of(const Shape& shape) {
  return detail::concatenate("matrix product ", shape.m, " x ", shape.n, " x ", shape.k, " of ", name_of(shape.in),
                             " in ", name_of(shape.out));
}

uint32_t alignment_of(const void* data) {
  constexpr int kMostBits = 8;  // 256 bytes, the most that the library asks for
  return 1u << std::min(std::countr_zero(reinterpret_cast<uintptr_t>(data)), kMostBits);
}

// A product, ready to run: descriptors, and the algorithm of the library's choice.
struct Plan {
  Owned<cublasLtMatmulDescOpaque_t> description;
  Owned<cublasLtMatrixLayoutOpaque_t> a, b, d;
  cublasLtMatmulAlgo_t algorithm = {};
  size_t workspace = 0;
  std::string text;  // for messages

  Plan(cublasLtContext* context, const Shape& shape)
      : description(nullptr, library().desc_destroy),
        a(layout(shape.in, shape.transpose_a == CUBLAS_OP_N ? shape.m : shape.k,
                 shape.transpose_a == CUBLAS_OP_N ? shape.k : shape.m, shape.lda)),
        b(layout(shape.in, shape.transpose_b == CUBLAS_OP_N ? shape.k : shape.n,
                 shape.transpose_b == CUBLAS_OP_N ? shape.n : shape.k, shape.ldb)),
        d(layout(shape.out, shape.m, shape.n, shape.ldd)),
        text(text_of(shape)) {
    const Library& lt = library();
    cublasLtMatmulDesc_t made = nullptr;
    // f32 sums, and f32 products of f32: no TF32, whose ten bits the CPU does not lose either.
    lt.check(lt.desc_create(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    description.reset(made);
    set(CUBLASLT_MATMUL_DESC_TRANSA, shape.transpose_a);
    set(CUBLASLT_MATMUL_DESC_TRANSB, shape.transpose_b);
    if (shape.bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(type_of(shape.out)));
      // The heuristic looks at the address's alignment only.
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, uintptr_t{shape.alignment[3]});
    }
    choose_algorithm(context, shape);
  }

  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    library().check(library().desc_set(description.get(), attribute, &value, sizeof value),
                    "cublasLtMatmulDescSetAttribute");
  }

 private:
  static Owned<cublasLtMatrixLayoutOpaque_t> layout(DType dtype, int64_t rows, int64_t cols, int64_t ld) {
    cublasLtMatrixLayout_t made = nullptr;
    library().check(
        library().layout_create(&made, type_of(dtype), static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld),
        "cublasLtMatrixLayoutCreate");
    return {made, library().layout_destroy};
  }

  void choose_algorithm(cublasLtContext* context, const Shape& shape) {
    const Library& lt = library();
    cublasLtMatmulPreference_t made = nullptr;
    lt.check(lt.preference_create(&made), "cublasLtMatmulPreferenceCreate");
    const Owned<cublasLtMatmulPreferenceOpaque_t> preference(made, lt.preference_destroy);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      lt.check(lt.preference_set(made, attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kMostWorkspace});
    // A sum that is split adds its parts in a fixed order. (In place, the order would be that of the blocks' arrival.)
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.alignment[0]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.alignment[1]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.alignment[2]);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.alignment[2]);
    cublasLtMatmulHeuristicResult_t best = {};
    int found = 0;
    const cublasStatus_t status = lt.heuristic(context, description.get(), a.get(), b.get(), d.get(), d.get(),
                                               preference.get(), 1, &best, &found);
    lt.check(found == 0 && status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status, text);
    algorithm = best.algo;
    workspace = best.workspaceSize;
  }
};

// What a stream keeps of the library.
class StreamState {
 public:
  explicit StreamState(CUstream_st* stream) : stream_(stream), context_(nullptr, library().destroy) {
    cublasLtHandle_t made = nullptr;
    library().check(library().create(&made), "cublasLtCreate");
    context_.reset(made);
  }

  void multiply(Graphs& graphs, const Shape& shape, const void* a, const void* b, void* d, const void* bias) {
    const auto [at, added] = plans_.try_emplace(shape, nullptr);
    if (added) at->second = std::make_unique<Plan>(context_.get(), shape);
    graphs.call<&StreamState::run>(
        Call{this, at->second.get(), a, b, d, bias, workspace(at->second->workspace), shape.accumulates ? 1 : 0});
  }

 private:
  struct Call {
    StreamState* state;
    Plan* plan;
    const void *a, *b;
    void* d;
    const void* bias;
    void* workspace;
    int64_t beta;
  };
  static void run(const Call& call) {
    const Library& lt = library();
    Plan& plan = *call.plan;
    if (call.bias != nullptr) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, call.bias);
    const float one = 1, beta = static_cast<float>(call.beta);
    lt.check(lt.matmul(call.state->context_.get(), plan.description.get(), &one, call.a, plan.a.get(), call.b,
                       plan.b.get(), &beta, call.d, plan.d.get(), call.d, plan.d.get(), &plan.algorithm, call.workspace,
                       plan.workspace, call.state->stream_),
             plan.text);
  }

  // A larger one comes beside the last one, which graphs may use. All together take less than three times the largest.
  void* workspace(size_t bytes) {
    const size_t last = workspaces_.empty() ? 0 : workspaces_.back().bytes();
    if (bytes > last) workspaces_.emplace_back(std::clamp(2 * last, bytes, kMostWorkspace), Memory::device, stream_);
    return workspaces_.empty() ? nullptr : workspaces_.back().data();
  }

  CUstream_st* stream_;
  Owned<cublasLtContext> context_;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
  std::vector<Buffer> workspaces_;
};

StreamState& state_of(const Stream& s) {
  std::shared_ptr<void>& slot = s.queue()->matrix_library();
  if (!slot) slot = std::make_shared<StreamState>(s.queue()->stream());
  return *static_cast<StreamState*>(slot.get());
}

// d = a b (+ d) in the library's words: a and b are row-major matrices as they lie in memory, so transposed to it.
struct Product {
  Span d;
  CSpan a, b;
  cublasOperation_t transpose_a, transpose_b;
  int64_t k;
  CSpan bias = {};
  bool accumulates = false;
};
void multiply(Stream& s, const Product& p) {
  state_of(s).multiply(s.queue()->graphs(),
                       {.m = p.d.cols,
                        .n = p.d.rows,
                        .k = p.k,
                        .transpose_a = p.transpose_a,
                        .transpose_b = p.transpose_b,
                        .lda = p.a.stride,
                        .ldb = p.b.stride,
                        .ldd = p.d.stride,
                        .in = p.a.dtype,
                        .out = p.d.dtype,
                        .bias = !p.bias.empty(),
                        .accumulates = p.accumulates,
                        .alignment = {alignment_of(p.a.data), alignment_of(p.b.data), alignment_of(p.d.data),
                                      p.bias.empty() ? 0 : alignment_of(p.bias.data)}},
                       p.a.data, p.b.data, p.d.data, p.bias.data);
}

bool on_borders(const CSpan& x) {
  return reinterpret_cast<uintptr_t>(x.data) % kBorder == 0 &&
         x.stride * static_cast<int64_t>(size_of(x.dtype)) % kBorder == 0;
}

// Columns of a matrix that has its rows on borders.
int64_t padded(int64_t cols, DType dtype) {
  const int64_t unit = kBorder / static_cast<int64_t>(size_of(dtype));
  return (cols + unit - 1) / unit * unit;
}

// Memory for such a matrix, while the caller's Scratch lives.
Span take(Stream& s, DType dtype, int64_t rows, int64_t cols) {
  return s.arena().take(dtype, rows, padded(cols, dtype)).col_slice(0, cols);
}

CSpan as_operand(Stream& s, const CSpan& x) {
  if (on_borders(x)) return x;
  const Span copy = take(s, x.dtype, x.rows, x.cols);
  cast(s, {.y = copy, .x = x});
  return copy;
}

// Whether the parts lie behind each other, as one matrix.
bool in_one_piece(std::span<const CSpan> parts) {
  const CSpan& first = parts.front();
  int64_t rows = 0;
  for (const CSpan& part : parts) {
    if (part.device != Device::cuda || (part.rows > 1 && part.stride != first.stride)) return false;
    const auto offset = static_cast<size_t>(rows * first.stride) * size_of(first.dtype);
    if (part.data != static_cast<const std::byte*>(first.data) + offset) return false;
    rows += part.rows;
  }
  return true;
}

}  // namespace

std::string matrix_library() {
  const size_t version = library().version();  // 130100: 13.1.0
  return detail::concatenate(version / 10000, ".", version / 100 % 100, ".", version % 100, " (", library().file, ")");
}

void update_weights(Stream& s, const LinearWeights& w, std::span<const CSpan> stacked) {
  LinearWeights::State& state = w.state();
  if (stacked.front().dtype == w.compute() && in_one_piece(stacked)) {
    state.matrix = stacked.front();
    state.matrix.rows = w.out();
    return;
  }
  const ProfileScope profile(s.profiler(), {.op = "linear_pack", .bytes = w.out() * w.in() * 6});
  if (state.copy.empty()) {
    state.copy = Tensor(w.compute(), w.out(), padded(w.in(), w.compute()), Device::cuda);
    state.matrix = state.copy.span().col_slice(0, w.in());
  }
  int64_t row = 0;
  for (const CSpan& part : stacked) {
    const Scratch scratch(s);
    const Span to = state.copy.span().row_slice(row, row + part.rows).col_slice(0, w.in());
    cast(s, {.y = to, .x = part.device == Device::cuda ? part : s.upload(part)});
    row += part.rows;
  }
}

void linear_forward(Stream& s, const LinearForward& a) {
  if (a.x.rows == 0) return;
  const ProfileScope profile(s.profiler(), {.op = "linear_forward",
                                            .bytes = a.x.bytes() + a.y.bytes() + a.weights.state().matrix.bytes(),
                                            .flops = 2 * a.x.rows * a.weights.out() * a.weights.in()});
  const Scratch scratch(s);
  const Span y = on_borders(a.y) ? a.y : take(s, a.y.dtype, a.y.rows, a.y.cols);
  CSpan bias = a.bias;
  if (!bias.empty() && (bias.dtype != y.dtype || !on_borders(bias))) {
    // The library adds a bias of the result's type.
    const Span copy = take(s, y.dtype, 1, y.cols);
    cast(s, {.y = copy, .x = bias});
    bias = copy;
  }
  multiply(s, {.d = y,
               .a = as_operand(s, a.weights.state().matrix),
               .b = as_operand(s, a.x),
               .transpose_a = CUBLAS_OP_T,
               .transpose_b = CUBLAS_OP_N,
               .k = a.x.cols,
               .bias = bias});
  if (a.activation != Activation::none) {
    activation_forward(s, {.y = a.y, .x = y, .activation = a.activation});
  } else if (y.data != a.y.data) {
    cast(s, {.y = a.y, .x = y});
  }
}

void linear_backward_input(Stream& s, const LinearBackwardInput& a) {
  if (a.dy.rows == 0) return;
  const ProfileScope profile(s.profiler(), {.op = "linear_backward_input",
                                            .bytes = a.dx.bytes() + a.dy.bytes() + a.weights.state().matrix.bytes(),
                                            .flops = 2 * a.dy.rows * a.weights.out() * a.weights.in()});
  const Scratch scratch(s);
  const Span dx = on_borders(a.dx) ? a.dx : take(s, a.dx.dtype, a.dx.rows, a.dx.cols);
  multiply(s, {.d = dx,
               .a = as_operand(s, a.weights.state().matrix),
               .b = as_operand(s, a.dy),
               .transpose_a = CUBLAS_OP_N,
               .transpose_b = CUBLAS_OP_N,
               .k = a.dy.cols});
  if (dx.data != a.dx.data) cast(s, {.y = a.dx, .x = dx});
}

void linear_backward_weight(Stream& s, const LinearBackwardWeight& a) {
  if (a.dy.rows == 0) return;
  const Scratch scratch(s);
  const Span dw = on_borders(a.dw) ? a.dw : take(s, DType::f32, a.dw.rows, a.dw.cols);
  if (dw.data != a.dw.data) cast(s, {.y = dw, .x = a.dw});
  multiply(s, {.d = dw,
               .a = as_operand(s, a.x),
               .b = as_operand(s, a.dy),
               .transpose_a = CUBLAS_OP_N,
               .transpose_b = CUBLAS_OP_T,
               .k = a.dy.rows,
               .accumulates = true});
  if (dw.data != a.dw.data) cast(s, {.y = a.dw, .x = dw});
  if (!a.dbias.empty()) add_column_sums(s, {.first = a.dbias, .x = a.dy});
}

}  // namespace aid::cuda

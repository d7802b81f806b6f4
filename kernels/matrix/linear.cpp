#include "kernels/matrix/linear.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernels/matrix/linear_dnnl.h"

namespace aid {

using gemm::PackedMatrix;

namespace {

// Rows are given to the library in calls of few different heights, so that texts of any length find their products
// compiled: 1 to 63 rows as they are; above, a multiple of kStep up to kMost, and 32 to 63 rows for the rest.
constexpr int64_t kStep = 32, kMost = 1024;

int64_t rows_of_call(int64_t left) {
  if (left < 2 * kStep || (left % kStep == 0 && left <= kMost)) return left;
  return std::min((left - kStep) / kStep * kStep, kMost);
}

// Rows that one sum of the weight gradient runs over at once; a fixed number, so that sums have a fixed order.
constexpr int64_t kChunk = 256;

// Takes back the scratch memory of a call.
class Scratch {
 public:
  explicit Scratch(Stream& s) : arena_(s.arena()), mark_(arena_.mark()) {}
  ~Scratch() { arena_.rewind(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

// x as the library takes it: contiguous and in `dtype`.
CSpan as_operand(Stream& s, CSpan x, DType dtype) {
  if (x.contiguous() && x.dtype == dtype) return x;
  const Span copy = s.arena().take(dtype, x.rows, x.cols);
  gemm::copy(s, copy, x);
  return copy;
}

// y = act(x B + bias), any strides, any dtypes.
void multiply(Stream& s, Span y, CSpan x, const PackedMatrix& b, CSpan bias, Activation activation) {
  for (int64_t begin = 0; begin < x.rows;) {
    const int64_t end = begin + rows_of_call(x.rows - begin);
    const Scratch scratch(s);
    const Span part = y.row_slice(begin, end);
    const CSpan a = as_operand(s, x.row_slice(begin, end), b.dtype());
    const bool direct = part.contiguous() && (part.dtype == b.dtype() || part.dtype == DType::f32);
    const Span c = direct ? part : s.arena().take(DType::f32, part.rows, part.cols);
    gemm::multiply(s, {.c = c, .a = a, .b = b, .bias = bias, .activation = activation});
    if (!direct) gemm::copy(s, part, c);
    begin = end;
  }
}

int64_t product_flops(int64_t rows, const LinearWeights& w) { return 2 * rows * w.out() * w.in(); }

}  // namespace

struct LinearWeights::State {
  int64_t out, in;
  DType compute;
  PackedMatrix forward;                  // Wᵀ [in, out]
  std::optional<PackedMatrix> backward;  // W [out, in]
};

LinearWeights::LinearWeights() = default;
LinearWeights::LinearWeights(int64_t out, int64_t in, DType compute, Use use) {
  AID_CHECK(out > 0 && in > 0, "linear: weights of ", out, " x ", in);
  AID_CHECK(compute == DType::f32 || compute == DType::bf16, "linear: computes in f32 or bf16, not ", name_of(compute));
  const DType dtype = gemm::multiply_dtype(compute);
  state_ = std::make_unique<State>(State{out, in, compute, PackedMatrix(in, out, dtype), std::nullopt});
  if (use == Use::training) state_->backward.emplace(out, in, dtype);
}
LinearWeights::~LinearWeights() = default;
LinearWeights::LinearWeights(LinearWeights&&) noexcept = default;
LinearWeights& LinearWeights::operator=(LinearWeights&&) noexcept = default;

int64_t LinearWeights::out() const { return state_->out; }
int64_t LinearWeights::in() const { return state_->in; }
DType LinearWeights::compute() const { return state_->compute; }
size_t LinearWeights::bytes() const {
  return state_->forward.bytes() + (state_->backward ? state_->backward->bytes() : 0);
}

void LinearWeights::update(Stream& s, CSpan w) { update(s, std::span(&w, 1)); }

void LinearWeights::update(Stream& s, std::span<const CSpan> stacked) {
  int64_t rows = 0;
  for (const CSpan& w : stacked) {
    AID_CHECK(w.dtype == DType::f32 && w.cols == in(), "linear: weights are f32 with ", in(), " columns; got ",
              name_of(w.dtype), " with ", w.cols);
    rows += w.rows;
  }
  AID_CHECK(rows == out(), "linear: weights have ", out(), " rows; got ", rows);
  const ProfileScope profile(s.profiler(),
                             {.op = "linear_update", .bytes = out() * in() * 4 + static_cast<int64_t>(bytes())});
  const Scratch scratch(s);
  CSpan whole = stacked.front();
  if (stacked.size() > 1) {
    const Span copy = s.arena().take(DType::f32, out(), in());
    int64_t row = 0;
    for (const CSpan& w : stacked) {
      gemm::copy(s, copy.row_slice(row, row + w.rows), w);
      row += w.rows;
    }
    whole = copy;
  }
  if (compute() != state_->forward.dtype()) {
    // The values that bf16 would hold, so that every target computes with the same weights.
    const Span rounded = s.arena().take(compute(), out(), in()), widened = s.arena().take(DType::f32, out(), in());
    gemm::copy(s, rounded, whole);
    gemm::copy(s, widened, rounded);
    whole = widened;
  }
  state_->forward.pack(s, whole, PackedMatrix::Order::transposed);
  if (state_->backward) state_->backward->pack(s, whole, PackedMatrix::Order::as_given);
}

void linear_forward(Stream& s, const LinearForward& a) {
  const LinearWeights& w = a.weights;
  AID_CHECK(a.x.dtype == w.compute() && a.x.cols == w.in(), "linear: x is ", name_of(a.x.dtype), " [", a.x.rows, ", ",
            a.x.cols, "]; the weights take ", name_of(w.compute()), " with ", w.in(), " columns");
  AID_CHECK((a.y.dtype == w.compute() || a.y.dtype == DType::f32) && a.y.cols == w.out() && a.y.rows == a.x.rows,
            "linear: y is ", name_of(a.y.dtype), " [", a.y.rows, ", ", a.y.cols, "]; expected ", name_of(w.compute()),
            " or f32 [", a.x.rows, ", ", w.out(), "]");
  AID_CHECK(a.bias.empty() || (a.bias.dtype == DType::f32 && a.bias.size() == w.out()), "linear: bias is ",
            name_of(a.bias.dtype), " [", a.bias.size(), "]; expected f32 [", w.out(), "]");
  const ProfileScope profile(s.profiler(),
                             {.op = "linear_forward",
                              .bytes = a.x.bytes() + a.y.bytes() + static_cast<int64_t>(w.state().forward.bytes()),
                              .flops = product_flops(a.x.rows, w)});
  multiply(s, a.y, a.x, w.state().forward, a.bias, a.activation);
}

void linear_backward_input(Stream& s, const LinearBackwardInput& a) {
  const LinearWeights& w = a.weights;
  AID_CHECK(w.state().backward.has_value(), "linear: backward needs weights made with Use::training");
  AID_CHECK(a.dy.dtype == w.compute() && a.dy.cols == w.out(), "linear: dy is ", name_of(a.dy.dtype), " [", a.dy.rows,
            ", ", a.dy.cols, "]; expected ", name_of(w.compute()), " with ", w.out(), " columns");
  AID_CHECK(a.dx.dtype == w.compute() && a.dx.cols == w.in() && a.dx.rows == a.dy.rows, "linear: dx is ",
            name_of(a.dx.dtype), " [", a.dx.rows, ", ", a.dx.cols, "]; expected ", name_of(w.compute()), " [",
            a.dy.rows, ", ", w.in(), "]");
  const ProfileScope profile(s.profiler(),
                             {.op = "linear_backward_input",
                              .bytes = a.dx.bytes() + a.dy.bytes() + static_cast<int64_t>(w.state().backward->bytes()),
                              .flops = product_flops(a.dy.rows, w)});
  multiply(s, a.dx, a.dy, *w.state().backward, {}, Activation::none);
}

void linear_backward_weight(Stream& s, const LinearBackwardWeight& a) {
  AID_CHECK(a.dw.dtype == DType::f32 && a.dw.rows == a.dy.cols && a.dw.cols == a.x.cols, "linear: dw is ",
            name_of(a.dw.dtype), " [", a.dw.rows, ", ", a.dw.cols, "]; expected f32 [", a.dy.cols, ", ", a.x.cols, "]");
  AID_CHECK(a.dy.rows == a.x.rows && a.dy.dtype == a.x.dtype, "linear: dy is ", name_of(a.dy.dtype), " with ",
            a.dy.rows, " rows, x ", name_of(a.x.dtype), " with ", a.x.rows);
  AID_CHECK(a.dbias.empty() || (a.dbias.dtype == DType::f32 && a.dbias.size() == a.dy.cols), "linear: dbias is ",
            name_of(a.dbias.dtype), " [", a.dbias.size(), "]; expected f32 [", a.dy.cols, "]");
  const ProfileScope profile(s.profiler(), {.op = "linear_backward_weight",
                                            .bytes = a.dy.bytes() + a.x.bytes() + 2 * a.dw.bytes(),
                                            .flops = 2 * a.x.rows * a.dw.size()});
  const DType dtype = gemm::multiply_dtype(a.x.dtype);
  const Scratch outer(s);
  const bool direct = a.dw.contiguous();
  const Span c = direct ? a.dw : s.arena().take(DType::f32, a.dw.rows, a.dw.cols);
  if (!direct) gemm::copy(s, c, a.dw);
  for (int64_t begin = 0; begin < a.x.rows; begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, a.x.rows);
    const Scratch inner(s);
    const CSpan dy = as_operand(s, a.dy.row_slice(begin, end), dtype);
    const CSpan x = as_operand(s, a.x.row_slice(begin, end), dtype);
    gemm::accumulate_outer(s, {.c = c, .a = dy, .b = x});
  }
  if (!direct) gemm::copy(s, a.dw, c);
  if (!a.dbias.empty()) {
    // Columns apart, rows in order: no sum depends on the number of threads.
    float* sums = a.dbias.as<float>();
    s.team().ranges(a.dy.cols, 64, [&](int64_t begin, int64_t end) {
      const auto add = [&]<class T>(const T* dy) {
        for (int64_t r = 0; r < a.dy.rows; ++r) {
          for (int64_t o = begin; o < end; ++o) sums[o] += static_cast<float>(dy[r * a.dy.stride + o]);
        }
      };
      a.dy.dtype == DType::bf16 ? add(a.dy.as<bf16>()) : add(a.dy.as<float>());
    });
  }
}

double measure_matrix_peak(Stream& s, DType compute) {
  constexpr int64_t kRows = 1024, kSize = 1024;
  constexpr int kTries = 20;
  LinearWeights weights(kSize, kSize, compute, LinearWeights::Use::inference);
  const Tensor w = Tensor::zeros(DType::f32, kSize, kSize), x = Tensor::zeros(compute, kRows, kSize);
  const Tensor y(compute, kRows, kSize);
  weights.update(s, w);
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    linear_forward(s, {.y = y, .x = x, .weights = weights});
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(product_flops(kRows, weights)) / time.count());
  }
  return best;
}

}  // namespace aid

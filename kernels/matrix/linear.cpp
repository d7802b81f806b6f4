#include "kernels/matrix/linear.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/elements/activation.h"
#include "kernels/elements/cast.h"
#include "kernels/matrix/linear_amx.h"
#include "kernels/matrix/linear_pack.h"
#include "kernels/matrix/linear_weights.h"

namespace aid {

using gemm::Order;
using gemm::PackedLayout;
using gemm::PackedMatrix;

namespace {

// Rows are given to the library in calls of few different heights, so that texts of any length find their products
// compiled: 1 to 63 rows as they are; above, a multiple of kStep up to kMost, and 32 to 63 rows for the rest.
constexpr int64_t kStep = 32, kMost = 1024;

int64_t rows_of_call(int64_t left) {
  if (left < 2 * kStep || (left % kStep == 0 && left <= kMost)) return left;
  return std::min((left - kStep) / kStep * kStep, kMost);
}

// Rows that one sum of the weight gradient runs over at once: fixed, so that sums have a fixed order; many, because dW
// goes through memory once for each of them. More would only add to their packed copies.
constexpr int64_t kRowsOfSum = 1024;

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// x as the library takes it: in `dtype`, and contiguous.
CSpan as_operand(Stream& s, CSpan x, DType dtype) {
  if (x.contiguous() && x.dtype == dtype) return x;
  const Span copy = s.arena().take(dtype, x.rows, x.cols);
  gemm::copy(s, copy, x);
  return copy;
}

// y = act(x B + bias), any strides, any dtypes; on AMX without act().
void multiply(Stream& s, Span y, CSpan x, PackedMatrix b, CSpan bias, Activation activation) {
  if (gemm::by_amx()) return cpu_amx::multiply(s, {.c = y, .a = x, .b = b.data, .bias = bias});
  if (x.rows == 1) {
    // oneDNN 3.x sums a single row in an order of its own: it goes in twice.
    const Scratch scratch(s);
    const Span twice = s.arena().take(x.dtype, 2, x.cols), result = s.arena().take(y.dtype, 2, y.cols);
    for (int64_t row = 0; row < 2; ++row) {
      std::memcpy(twice.row_slice(row, row + 1).data, x.data, static_cast<size_t>(x.bytes()));
    }
    multiply(s, result, twice, b, bias, activation);
    std::memcpy(y.data, result.data, static_cast<size_t>(y.bytes()));
    return;
  }
  for (int64_t begin = 0; begin < x.rows;) {
    const int64_t end = begin + rows_of_call(x.rows - begin);
    const Scratch scratch(s);
    const Span part = y.row_slice(begin, end);
    const CSpan a = as_operand(s, x.row_slice(begin, end), b.layout.dtype());
    const bool direct = part.contiguous() && (part.dtype == b.layout.dtype() || part.dtype == DType::f32);
    const Span c = direct ? part : s.arena().take(DType::f32, part.rows, part.cols);
    gemm::multiply(s, {.c = c, .a = a, .b = b, .bias = bias, .activation = activation});
    if (!direct) gemm::copy(s, part, c);
    begin = end;
  }
}

gemm::Panel panel() { return gemm::by_amx() ? gemm::Panel::columns_32 : gemm::Panel::columns_64; }

int64_t product_flops(int64_t rows, const LinearWeights& w) { return 2 * rows * w.out() * w.in(); }

// Where the rows of f32 matrices begin, one below the other, for as long as the caller's Scratch lives.
const float* const* rows_of(Stream& s, std::span<const CSpan> parts) {
  int64_t count = 0;
  for (const CSpan& part : parts) count += part.rows;
  const auto rows = static_cast<const float**>(s.arena().take(DType::i64, count).data);
  int64_t row = 0;
  for (const CSpan& part : parts) {
    for (int64_t r = 0; r < part.rows; ++r) rows[row++] = part.as<float>() + r * part.stride;
  }
  return rows;
}

void pack(Stream& s, Span packed, const PackedLayout& layout, Order order, const LinearWeights& w,
          std::span<const CSpan> source) {
  const ProfileScope profile(s.profiler(), {.op = "linear_pack", .bytes = w.out() * w.in() * 4 + packed.bytes()});
  const Scratch scratch(s);
  if (w.compute() == layout.dtype() && layout.is_panels()) {
    return gemm::pack_weights(
        s,
        {.panels = packed, .rows = rows_of(s, source), .out = w.out(), .in = w.in(), .order = order, .panel = panel()});
  }
  CSpan whole = source.front();
  if (source.size() > 1) {
    const Span copy = s.arena().take(DType::f32, w.out(), w.in());
    int64_t row = 0;
    for (const CSpan& part : source) {
      gemm::copy(s, copy.row_slice(row, row + part.rows), part);
      row += part.rows;
    }
    whole = copy;
  }
  if (w.compute() != layout.dtype()) {
    // The values that bf16 would hold, so that every target computes with the same weights.
    const Span rounded = s.arena().take(w.compute(), w.out(), w.in());
    const Span widened = s.arena().take(DType::f32, w.out(), w.in());
    gemm::copy(s, rounded, whole);
    gemm::copy(s, widened, rounded);
    whole = widened;
  }
  layout.pack(s, packed, whole, order);
}

// The right-hand side of a product, for as long as the caller's Scratch lives.
PackedMatrix packed_for(Stream& s, const LinearWeights& w, const PackedLayout& layout, Order order) {
  const LinearWeights::State& state = w.state();
  if (!state.packed.empty()) return {layout, state.packed};
  const Span packed = s.arena().take(layout.dtype(), layout.elements());
  pack(s, packed, layout, order, w, state.source);
  return {layout, packed};
}

void check_values(const Stream& s, const LinearWeights& w) {
  const LinearWeights::State& state = w.state();
  const bool here = s.device() == Device::cuda ? !state.matrix.empty() : state.forward.has_value();
  AID_CHECK(here, "linear: weights without values; expected update() on this device before the first product");
}

void update_packed(Stream& s, const LinearWeights& w, std::span<const CSpan> stacked) {
  LinearWeights::State& state = w.state();
  if (!state.forward) {
    const DType dtype = gemm::multiply_dtype(state.compute);
    state.forward.emplace(state.in, state.out, dtype);
    if (state.use == LinearWeights::Use::training) {
      state.backward.emplace(state.out, state.in, dtype);
    } else {
      state.packed = Tensor::zeros(dtype, 1, state.forward->elements());
    }
  }
  if (state.use == LinearWeights::Use::training) {
    state.source.assign(stacked.begin(), stacked.end());
  } else {
    pack(s, state.packed, *state.forward, Order::transposed, w, stacked);
  }
}

void forward(Stream& s, const LinearForward& a) {
  const LinearWeights& w = a.weights;
  // oneDNN's GELU takes longer than ours for bf16; products on AMX have none.
  const bool apart = a.activation != Activation::none &&
                     (gemm::by_amx() || (a.activation == Activation::gelu_erf && a.y.dtype == DType::bf16));
  {
    const Scratch scratch(s);
    const PackedMatrix b = packed_for(s, w, *w.state().forward, Order::transposed);
    const ProfileScope profile(s.profiler(), {.op = "linear_forward",
                                              .bytes = a.x.bytes() + a.y.bytes() + b.data.bytes(),
                                              .flops = product_flops(a.x.rows, w)});
    multiply(s, a.y, a.x, b, a.bias, apart ? Activation::none : a.activation);
  }
  if (apart) activation_forward(s, {.y = a.y, .x = a.y, .activation = a.activation});
}

void backward_input(Stream& s, const LinearBackwardInput& a) {
  const LinearWeights& w = a.weights;
  const Scratch scratch(s);
  const PackedMatrix b = packed_for(s, w, *w.state().backward, Order::as_given);
  const ProfileScope profile(s.profiler(), {.op = "linear_backward_input",
                                            .bytes = a.dx.bytes() + a.dy.bytes() + b.data.bytes(),
                                            .flops = product_flops(a.dy.rows, w)});
  multiply(s, a.dx, a.dy, b, {}, Activation::none);
}

// c += dyᵀ x of f32 on AMX, which reads dy as it is.
void accumulate_split(Stream& s, Span c, CSpan dy, CSpan x) {
  const Span panels =
      s.arena().take(DType::f32, round_up(x.rows, gemm::kKBlock), round_up(x.cols, gemm::columns_of(panel())));
  gemm::pack_weights(s, {.panels = panels,
                         .rows = rows_of(s, {&x, 1}),
                         .out = x.rows,
                         .in = x.cols,
                         .order = Order::as_given,
                         .panel = panel()});
  cpu_amx::multiply(s,
                    {.c = c, .a = dy, .b = panels, .into = gemm::AmxProduct::Into::add, .a_order = Order::transposed});
}

void backward_weight(Stream& s, const LinearBackwardWeight& a) {
  const DType dtype = gemm::multiply_dtype(a.x.dtype);
  const Scratch outer(s);
  const bool amx = gemm::by_amx(), direct = amx || a.dw.contiguous();
  const Span c = direct ? a.dw : s.arena().take(DType::f32, a.dw.rows, a.dw.cols);
  if (!direct) gemm::copy(s, c, a.dw);
  const bool packed = amx || gemm::takes_packed_outer(a.x.cols, dtype);
  for (int64_t begin = 0; begin < a.x.rows; begin += kRowsOfSum) {
    const int64_t end = std::min(begin + kRowsOfSum, a.x.rows);
    const Scratch inner(s);
    CSpan dy = a.dy.row_slice(begin, end), x = a.x.row_slice(begin, end);
    if (!packed || x.dtype != dtype) {
      dy = as_operand(s, dy, dtype);
      x = as_operand(s, x, dtype);
    }
    if (amx && dtype == DType::f32) {
      accumulate_split(s, c, dy, x);
      if (!a.dbias.empty()) gemm::add_column_sums(s, {.sums = a.dbias, .dy = dy});
    } else if (packed) {
      const int64_t k = round_up(end - begin, gemm::kKBlock);
      const Span dy_rows = s.arena().take(dtype, dy.cols, k);
      const Span x_panels = s.arena().take(dtype, k, round_up(x.cols, gemm::columns_of(panel())));
      gemm::pack_outer(s, {.a = dy_rows, .b = x_panels, .sums = a.dbias, .dy = dy, .x = x, .panel = panel()});
      if (amx) {
        cpu_amx::multiply(s, {.c = c, .a = dy_rows, .b = x_panels, .into = gemm::AmxProduct::Into::add});
      } else {
        gemm::accumulate_outer(s, {.c = c, .dy = dy_rows, .x = x_panels, .packed = true});
      }
    } else {
      gemm::accumulate_outer(s, {.c = c, .dy = dy, .x = x});
      if (!a.dbias.empty()) gemm::add_column_sums(s, {.sums = a.dbias, .dy = dy});
    }
  }
  if (!direct) gemm::copy(s, a.dw, c);
}

}  // namespace

LinearWeights::LinearWeights() = default;
LinearWeights::LinearWeights(int64_t out, int64_t in, DType compute, Use use) {
  AID_CHECK(out > 0 && in > 0, "linear: weights of ", out, " x ", in);
  AID_CHECK(computes_in(Device::cuda, compute), "linear: computes in f32, bf16 or f16, not ", name_of(compute));
  state_ = std::make_unique<State>(State{.out = out, .in = in, .compute = compute, .use = use});
}
LinearWeights::~LinearWeights() = default;
LinearWeights::LinearWeights(LinearWeights&&) noexcept = default;
LinearWeights& LinearWeights::operator=(LinearWeights&&) noexcept = default;

int64_t LinearWeights::out() const { return state_->out; }
int64_t LinearWeights::in() const { return state_->in; }
DType LinearWeights::compute() const { return state_->compute; }

void LinearWeights::update(Stream& s, CSpan w) { update(s, std::span(&w, 1)); }

void LinearWeights::update(Stream& s, std::span<const CSpan> stacked) {
  int64_t rows = 0;
  for (const CSpan& w : stacked) {
    const bool computed = s.device() == Device::cuda && w.dtype == compute();
    AID_CHECK((w.dtype == DType::f32 || computed) && w.cols == in(), "linear: weights are f32 with ", in(),
              " columns; got ", name_of(w.dtype), " with ", w.cols);
    rows += w.rows;
  }
  AID_CHECK(rows == out(), "linear: weights have ", out(), " rows; got ", rows);
  AID_CHECK(computes_in(s.device(), compute()), "linear: products in ", name_of(compute()),
            " need a GPU; expected f32 or bf16");
  select(s, update_packed, AID_CUDA_KERNEL(update_weights))(s, *this, stacked);
}

void linear_forward(Stream& s, const LinearForward& a) {
  const LinearWeights& w = a.weights;
  AID_CHECK(a.x.dtype == w.compute() && a.x.cols == w.in(), "linear: x is ", name_of(a.x.dtype), " [", a.x.rows, ", ",
            a.x.cols, "]; the weights take ", name_of(w.compute()), " with ", w.in(), " columns");
  AID_CHECK((a.y.dtype == w.compute() || a.y.dtype == DType::f32) && a.y.cols == w.out() && a.y.rows == a.x.rows,
            "linear: y is ", name_of(a.y.dtype), " [", a.y.rows, ", ", a.y.cols, "]; expected ", name_of(w.compute()),
            " or f32 [", a.x.rows, ", ", w.out(), "]");
  const bool rounded = s.device() == Device::cuda && a.bias.dtype == a.y.dtype;
  AID_CHECK(a.bias.empty() || ((a.bias.dtype == DType::f32 || rounded) && a.bias.size() == w.out()), "linear: bias is ",
            name_of(a.bias.dtype), " [", a.bias.size(), "]; expected f32 [", w.out(), "]");
  check_values(s, w);
  select(s, forward, AID_CUDA_KERNEL(linear_forward))(s, a);
}

void linear_backward_input(Stream& s, const LinearBackwardInput& a) {
  const LinearWeights& w = a.weights;
  AID_CHECK(w.state().use == LinearWeights::Use::training, "linear: backward needs weights made with Use::training");
  AID_CHECK(a.dy.dtype == w.compute() && a.dy.cols == w.out(), "linear: dy is ", name_of(a.dy.dtype), " [", a.dy.rows,
            ", ", a.dy.cols, "]; expected ", name_of(w.compute()), " with ", w.out(), " columns");
  AID_CHECK(a.dx.dtype == w.compute() && a.dx.cols == w.in() && a.dx.rows == a.dy.rows, "linear: dx is ",
            name_of(a.dx.dtype), " [", a.dx.rows, ", ", a.dx.cols, "]; expected ", name_of(w.compute()), " [",
            a.dy.rows, ", ", w.in(), "]");
  check_values(s, w);
  select(s, backward_input, AID_CUDA_KERNEL(linear_backward_input))(s, a);
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
  select(s, backward_weight, AID_CUDA_KERNEL(linear_backward_weight))(s, a);
}

namespace {

// Multiplying zeros takes less power, and so less time.
Tensor random_matrix(Stream& s, DType dtype, int64_t size) {
  std::minstd_rand random;
  std::uniform_real_distribution<float> between(-1, 1);
  const Tensor host(DType::f32, size, size, Device::cpu), values(DType::f32, size, size, s.device());
  std::generate_n(host.span().as<float>(), size * size, [&] { return between(random); });
  copy(values.span(), host);
  Tensor rounded(dtype, size, size, s.device());
  cast(s, {.y = rounded, .x = values});
  s.synchronize();
  return rounded;
}

// The shortest time of a product of two square matrices, in seconds.
double product_time(Stream& s, DType compute, int64_t size) {
  constexpr int kTries = 20;
  constexpr double kEnough = 1;
  LinearWeights weights(size, size, compute, LinearWeights::Use::inference);
  const Tensor w = random_matrix(s, DType::f32, size), x = random_matrix(s, compute, size);
  const Tensor y(compute, size, size, s.device());
  weights.update(s, w);
  s.synchronize();
  double best = std::numeric_limits<double>::infinity(), total = 0;
  for (int i = 0; i < kTries && total < kEnough; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    linear_forward(s, {.y = y, .x = x, .weights = weights});
    s.synchronize();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count());
    total += time.count();
  }
  return best;
}

}  // namespace

double measure_matrix_peak(Stream& s, DType compute) {
  // A GPU would be through with a product that suits the CPU before all of it has begun.
  constexpr int64_t kFirst = 1024, kLast = 8192;
  constexpr double kLongEnough = 1e-3;
  for (int64_t size = kFirst;; size *= 2) {
    const double time = product_time(s, compute, size);
    if (time >= kLongEnough || size == kLast) return 2.0 * static_cast<double>(size * size * size) / time;
  }
}

}  // namespace aid

// Matrix products by oneDNN (2.6 or 3.x) for linear.cpp. Here stand one call of the library each; how a layer is split
// into calls is linear.cpp's business.
#pragma once

#include <memory>

#include "kernels/core/stream.h"
#include "kernels/matrix/linear.h"

namespace aid::gemm {

// What the library multiplies matrices of this dtype in: bf16 where the processor has the instruction, f32 otherwise.
// Decided once per process, by default_target(): AID_ISA limits oneDNN too.
DType multiply_dtype(DType compute);

// The right-hand matrix B [k, n] of products, in the layout that oneDNN reads fastest. The layout does not depend on
// the number of rows of the left-hand matrix.
class PackedMatrix {
 public:
  PackedMatrix(int64_t k, int64_t n, DType dtype);
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;

  enum class Order : uint8_t { as_given, transposed };  // B = source, B = sourceᵀ
  void pack(Stream& s, CSpan source, Order order);      // f32, rows may be strided

  int64_t k() const;
  int64_t n() const;
  DType dtype() const;
  size_t bytes() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// c = activation(a b + bias). a [rows, k] in b's dtype and c [rows, n] in b's dtype or f32, both contiguous; bias f32
// [n] or empty. The bits of a row of c depend on that row of a only.
struct Product {
  Span c;
  CSpan a;
  const PackedMatrix& b;
  CSpan bias;
  Activation activation = Activation::none;
};
void multiply(Stream& s, const Product& p);

// c += aᵀ b. a [rows, m] and b [rows, n] f32 or bf16, c [m, n] f32, all contiguous.
struct OuterProduct {
  Span c;
  CSpan a, b;
};
void accumulate_outer(Stream& s, const OuterProduct& p);

// y = x in y's dtype; rows of both may be strided.
void copy(Stream& s, Span y, CSpan x);

}  // namespace aid::gemm

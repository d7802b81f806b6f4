// Matrix products by oneDNN (2.6 or 3.x) for linear.cpp. Here stand one call of the library each; how a layer is split
// into calls, and that AMX's products are linear_amx.h's, is linear.cpp's business.
#pragma once

#include <memory>

#include "kernels/core/stream.h"
#include "kernels/matrix/linear.h"
#include "kernels/matrix/linear_pack.h"

namespace aid::gemm {

// What the library multiplies matrices of this dtype in: bf16 where the processor has the instruction, f32 otherwise.
// Decided once per process, by default_target(): AID_ISA limits oneDNN too.
DType multiply_dtype(DType compute);

// Whether products are linear_amx.h's; decided likewise.
bool by_amx();

// How the right-hand matrix B [k, n] of products lies in memory: as oneDNN reads it fastest, or as AMX products do. It
// does not depend on the number of rows of the left-hand matrix.
class PackedLayout {
 public:
  PackedLayout(int64_t k, int64_t n, DType dtype);
  ~PackedLayout();
  PackedLayout(PackedLayout&&) noexcept;
  PackedLayout& operator=(PackedLayout&&) noexcept;

  int64_t k() const;
  int64_t n() const;
  DType dtype() const;
  int64_t elements() const;  // with padding

  // Whether this is linear_pack.h's panels (it is on AVX-512, but for oneDNN's matrices of few columns): then its
  // functions pack faster than pack().
  bool is_panels() const;
  // source: f32, rows may be strided. Writes all of `packed`, which has elements() of dtype().
  void pack(Stream& s, Span packed, CSpan source, Order order) const;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct PackedMatrix {
  const PackedLayout& layout;
  CSpan data;
};

// c = activation(a b + bias). a [rows, k] in b's dtype and c [rows, n] in b's dtype or f32, both contiguous; bias f32
// [n] or empty. The bits of a row of c depend on that row of a only.
struct Product {
  Span c;
  CSpan a;
  PackedMatrix b;
  CSpan bias;
  Activation activation = Activation::none;
};
void multiply(Stream& s, const Product& p);

// c += dyᵀ x; c [m, n] f32, contiguous.
struct OuterProduct {
  Span c;
  CSpan dy;             // [rows, m], or dyᵀ [m, rows] where `packed`; f32 or bf16, contiguous
  CSpan x;              // [rows, n], or its panels
  bool packed = false;  // by pack_outer
};
void accumulate_outer(Stream& s, const OuterProduct& p);

// Whether accumulate_outer takes packed operands of this dtype with n columns.
bool takes_packed_outer(int64_t n, DType dtype);

// y = x in y's dtype; rows of both may be strided.
void copy(Stream& s, Span y, CSpan x);

}  // namespace aid::gemm

#include "kernels/matrix/linear_pack.h"

namespace aid {

using PackWeightsFn = void(Stream&, const gemm::PackWeights&);
using PackOuterFn = void(Stream&, const gemm::PackOuter&);
using ColumnSumsFn = void(Stream&, const gemm::ColumnSums&);
namespace cpu_avx2 {
PackWeightsFn pack_weights;
PackOuterFn pack_outer;
ColumnSumsFn add_column_sums;
}  // namespace cpu_avx2
namespace cpu_avx512 {
PackWeightsFn pack_weights;
PackOuterFn pack_outer;
ColumnSumsFn add_column_sums;
}  // namespace cpu_avx512
namespace cpu_avx512_bf16 {
PackWeightsFn pack_weights;
PackOuterFn pack_outer;
ColumnSumsFn add_column_sums;
}  // namespace cpu_avx512_bf16

namespace gemm {

void pack_weights(Stream& s, const PackWeights& a) {
  select(s, cpu_avx2::pack_weights, cpu_avx512::pack_weights, cpu_avx512_bf16::pack_weights)(s, a);
}

void pack_outer(Stream& s, const PackOuter& a) {
  AID_CHECK(a.dy.dtype == a.x.dtype && a.a.dtype == a.x.dtype && a.b.dtype == a.x.dtype, "pack_outer: dtypes differ");
  select(s, cpu_avx2::pack_outer, cpu_avx512::pack_outer, cpu_avx512_bf16::pack_outer)(s, a);
}

void add_column_sums(Stream& s, const ColumnSums& a) {
  select(s, cpu_avx2::add_column_sums, cpu_avx512::add_column_sums, cpu_avx512_bf16::add_column_sums)(s, a);
}

}  // namespace gemm
}  // namespace aid

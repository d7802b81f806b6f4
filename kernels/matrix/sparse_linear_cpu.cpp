// Equations: sparse_linear.h. Forward: a thread takes a contiguous range of documents. Backward: items are grouped by
// index, and a thread takes a contiguous range of groups, one class after the other, as classes may share weights. No
// vectors: what takes time is that weights lie far apart, and the next ones' loads do not wait for this one's sum.
#include "kernels/matrix/sparse_linear.h"

#include "kernels/cpu/row_sums.h"
#include "kernels/lookup/group_by_row.h"

namespace aid::AID_TARGET {

void sparse_linear_forward(Stream& s, const SparseLinearForward& a) {
  const int32_t *index = row_of<int32_t>(a.index, 0), *first = row_of<int32_t>(a.first, 0);
  const float* values = row_of<float>(a.values, 0);
  s.team().ranges(a.y.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d) {
      for (int64_t c = 0; c < a.y.cols; ++c) {
        const float* w = row_of<float>(a.w, 0) + c * a.class_stride;
        float sum = row_of<float>(a.bias, 0)[c];
        for (int32_t i = first[d]; i < first[d + 1]; ++i) sum += values[i] * w[index[i]];
        row_of<float>(a.y, d)[c] = sum;
      }
    }
  });
}

void sparse_linear_backward(Stream& s, const SparseLinearBackward& a, const CSpan& document, const RowGroups& groups) {
  const int32_t *row = row_of<int32_t>(groups.row, 0), *first = row_of<int32_t>(groups.first, 0);
  const int32_t *order = row_of<int32_t>(groups.order, 0), *document_of = row_of<int32_t>(document, 0);
  const float* values = row_of<float>(a.values, 0);
  for (int64_t c = 0; c < a.dy.cols; ++c) {
    float* dw = row_of<float>(a.dw, 0) + c * a.class_stride;
    s.team().ranges(groups.count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        float sum = 0;
        for (int32_t i = first[g]; i < first[g + 1]; ++i) {
          sum += values[order[i]] * row_of<float>(a.dy, document_of[order[i]])[c];
        }
        dw[row[g]] += sum;
      }
    });
  }
  add_rows(row_of<float>(a.dbias, 0), row_of<float>(a.dy, 0), a.dy.rows, a.dy.stride, 0, a.dy.cols);
}

}  // namespace aid::AID_TARGET

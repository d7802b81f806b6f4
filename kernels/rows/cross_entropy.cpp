#include "kernels/rows/cross_entropy.h"

#include <vector>

#include "kernels/core/operands.h"

namespace aid {

// row_losses[r]: what row r adds to the loss; null when the loss is not wanted.
using CrossEntropyFn = void(Stream&, const CrossEntropy&, double* row_losses);
namespace cpu_avx2 {
CrossEntropyFn cross_entropy;
}
namespace cpu_avx512 {
CrossEntropyFn cross_entropy;
}
namespace cpu_avx512_bf16 {
CrossEntropyFn cross_entropy;
}

void cross_entropy(Stream& s, const CrossEntropy& a) {
  constexpr const char* kOp = "cross_entropy";
  const int64_t rows = a.logits.rows, classes = a.logits.cols;
  const bool wants_loss = a.loss != nullptr || !a.dlogits.empty();
  check_operand(kOp, "logits", a.logits, rows, classes, DType::f32);
  check_optional(kOp, "dlogits", a.dlogits, rows, classes, DType::f32);
  check_optional(kOp, "probabilities", a.probabilities, rows, classes, DType::f32);
  check_optional(kOp, "class_weights", a.class_weights, 1, classes, DType::f32);
  AID_CHECK(0 <= a.label_smoothing && a.label_smoothing < 1, kOp, ": label_smoothing ", a.label_smoothing,
            "; expected at least 0 and below 1");
  CrossEntropy args = a;
  if (wants_loss) {
    check_operand(kOp, "labels", a.labels, 1, rows, DType::i32);
    const auto* labels = a.labels.as<int32_t>();
    const float* weights = a.class_weights.empty() ? nullptr : a.class_weights.as<float>();
    double total = 0;
    for (int64_t row = 0; row < rows; ++row) {
      AID_CHECK(0 <= labels[row] && labels[row] < classes, kOp, ": row ", row, " has label ", labels[row],
                "; expected 0 to ", classes - 1);
      total += weights == nullptr ? 1.0 : static_cast<double>(weights[labels[row]]);
    }
    if (a.total_weight == 0) args.total_weight = static_cast<float>(total);
  }
  const ProfileScope scope(s.profiler(), {.op = kOp,
                                          .bytes = a.logits.bytes() + a.dlogits.bytes() + a.probabilities.bytes(),
                                          .flops = 8 * rows * classes});
  std::vector<double> row_losses(a.loss != nullptr ? static_cast<size_t>(rows) : 0);
  select(s, cpu_avx2::cross_entropy, cpu_avx512::cross_entropy, cpu_avx512_bf16::cross_entropy)(
      s, args, a.loss != nullptr ? row_losses.data() : nullptr);
  if (a.loss == nullptr) return;
  double loss = 0;
  for (const double row_loss : row_losses) loss += row_loss;
  *a.loss = static_cast<float>(loss);
}

}  // namespace aid

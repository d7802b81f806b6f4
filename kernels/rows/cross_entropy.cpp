#include "kernels/rows/cross_entropy.h"

#include "kernels/core/operands.h"

namespace aid {

// total_weight is W.
using CrossEntropyFn = void(Stream&, const CrossEntropy&);
namespace cpu_avx2 {
CrossEntropyFn cross_entropy;
}
namespace cpu_avx512 {
CrossEntropyFn cross_entropy;
}
namespace cpu_avx512_bf16 {
CrossEntropyFn cross_entropy;
}
namespace cuda {
CrossEntropyFn cross_entropy;
}

void cross_entropy(Stream& s, const CrossEntropy& a) {
  constexpr const char* kOp = "cross_entropy";
  const int64_t rows = a.logits.rows, classes = a.logits.cols;
  const bool wants_loss = !a.loss.empty() || !a.dlogits.empty();
  check_operand(kOp, "logits", a.logits, rows, classes, DType::f32);
  check_optional(kOp, "loss", a.loss, 1, 1, DType::f32);
  check_optional(kOp, "dlogits", a.dlogits, rows, classes, DType::f32);
  check_optional(kOp, "probabilities", a.probabilities, rows, classes, DType::f32);
  check_optional(kOp, "class_weights", a.class_weights, 1, classes, DType::f32);
  AID_CHECK(0 <= a.label_smoothing && a.label_smoothing < 1, kOp, ": label_smoothing ", a.label_smoothing,
            "; expected at least 0 and below 1");
  CrossEntropy args = a;
  if (wants_loss) {
    check_operand(kOp, "labels", a.labels, 1, rows, DType::i32);
    const auto* labels = a.labels.host_as<int32_t>();
    const bool sums = a.total_weight == 0;
    const float* weights = sums && !a.class_weights.empty() ? a.class_weights.host_as<float>() : nullptr;
    double total = 0;
    for (int64_t row = 0; row < rows; ++row) {
      AID_CHECK(0 <= labels[row] && labels[row] < classes, kOp, ": row ", row, " has label ", labels[row],
                "; expected 0 to ", classes - 1);
      total += weights == nullptr ? 1.0 : static_cast<double>(weights[labels[row]]);
    }
    if (sums) args.total_weight = static_cast<float>(total);
  }
  const ProfileScope scope(s.profiler(), {.op = kOp,
                                          .bytes = a.logits.bytes() + a.dlogits.bytes() + a.probabilities.bytes(),
                                          .flops = 8 * rows * classes});
  select(s, cpu_avx2::cross_entropy, cpu_avx512::cross_entropy, cpu_avx512_bf16::cross_entropy,
         AID_CUDA_KERNEL(cross_entropy))(s, args);
}

}  // namespace aid

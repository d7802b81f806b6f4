// Equations: cross_entropy.h; the gradient's in cross_entropy_cpu.cpp. A warp has a row, which is short (as many logits
// as there are classes): its passes (maximum, sum of exponentials, results) read it from the first-level cache. A row's
// loss is a double, and the rows' are added by one block in a fixed order.
#include "kernels/rows/cross_entropy.h"

#include "kernels/device/reduce.cuh"
#include "kernels/device/vector.cuh"

namespace aid::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kLossBlock = 256;

__global__ void __launch_bounds__(kWarps* kWarp) cross_entropy_kernel(CrossEntropy a, double* row_losses) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (row >= a.logits.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, classes = static_cast<int>(a.logits.cols);
  const float* const logits = row_of<float>(a.logits, row);
  const float* const weights = static_cast<const float*>(a.class_weights.data);

  float largest = -INFINITY;
  for (int k = lane; k < classes; k += kWarp) largest = fmaxf(largest, logits[k]);
  const float shift = warp_max(largest);
  float lane_total = 0, lane_weights = 0;
  for (int k = lane; k < classes; k += kWarp) {
    lane_total += expf(logits[k] - shift);
    lane_weights += weights == nullptr ? 1.0f : weights[k];
  }
  const float total = warp_sum(lane_total);

  // Scalars of the row's loss and gradient: (1 - eps) w_t / W and eps / (K W).
  const int label = a.labels.data == nullptr ? -1 : row_of<int32_t>(a.labels, 0)[row];
  float target_weight = 0, smoothing = 0;
  if (label >= 0 && a.total_weight != 0) {
    target_weight = (1 - a.label_smoothing) * (weights == nullptr ? 1.0f : weights[label]) / a.total_weight;
    smoothing = a.label_smoothing / (static_cast<float>(classes) * a.total_weight);
  }
  if (row_losses != nullptr) {
    const double log_total = log(static_cast<double>(total));
    double weighted = 0;
    if (smoothing > 0) {
      for (int k = lane; k < classes; k += kWarp) {
        const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[k]);
        weighted += weight * (log_total - (static_cast<double>(logits[k]) - shift));
      }
      weighted = warp_sum(weighted);
    }
    if (lane == 0) {
      row_losses[row] =
          target_weight * (log_total - (static_cast<double>(logits[label]) - shift)) + smoothing * weighted;
    }
    __syncwarp();  // dlogits may be logits' memory, and lane 0 has read another lane's
  }

  float* const probabilities = a.probabilities.data == nullptr ? nullptr : row_of<float>(a.probabilities, row);
  float* const dlogits = a.dlogits.data == nullptr ? nullptr : row_of<float>(a.dlogits, row);
  const float inverse = 1.0f / total;
  const float per_probability = a.loss_scale * (target_weight + smoothing * warp_sum(lane_weights));
  for (int k = lane; k < classes; k += kWarp) {
    const float p = expf(logits[k] - shift) * inverse;
    if (probabilities != nullptr) probabilities[k] = p;
    if (dlogits == nullptr) continue;
    const float weight = weights == nullptr ? 1.0f : weights[k];
    dlogits[k] =
        p * per_probability - weight * (a.loss_scale * smoothing) - (k == label ? a.loss_scale * target_weight : 0.0f);
  }
}

__global__ void __launch_bounds__(kLossBlock) loss_kernel(float* loss, const double* row_losses, int64_t rows) {
  __shared__ double partial[kLossBlock / kWarp];
  double total = 0;
  for (int64_t row = threadIdx.x; row < rows; row += kLossBlock) total += row_losses[row];
  total = block_sum<kLossBlock>(total, partial);
  if (threadIdx.x == 0) *loss = static_cast<float>(total);
}

}  // namespace

void cross_entropy(Stream& s, const CrossEntropy& a) {
  const Scratch scratch(s);
  double* const row_losses =
      a.loss.empty() ? nullptr : static_cast<double*>(s.arena().take(DType::i64, a.logits.rows).data);
  launch(s, cross_entropy_kernel, {.grid = blocks_for(a.logits.rows, kWarps), .block = kWarps * kWarp}, a, row_losses);
  if (row_losses == nullptr) return;
  launch(s, loss_kernel, {.grid = 1, .block = kLossBlock}, static_cast<float*>(a.loss.data), row_losses, a.logits.rows);
}

}  // namespace aid::cuda

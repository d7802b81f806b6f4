// Equations: adamw.h. One launch for all tensors: a block takes 4,096 elements of one, which it finds in the table of
// tensors by bisection. Each element of the vectors is read once and written once, in vectors of 16 bytes where all of
// them allow it. The clipping factor is computed from the norm on the device: nobody waits for it.
#include "kernels/update/adamw.h"

#include <vector>

#include "kernels/device/launch.cuh"
#include "kernels/device/vector.cuh"
#include "kernels/update/adamw_step.h"

namespace aid::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int64_t kElementsOfBlock = 4096;

struct TensorEntry {
  float *parameter, *gradient, *m, *v;
  bf16* copy;
  int64_t size;
  int first_block;
  float weight_decay;
  int64_t aligned;  // 0 or 1; as wide as this so that entries, which are compared byte by byte, have no gaps
};

template <int N>
__device__ void update(const AdamWStep& a, const TensorEntry& t, int64_t i, float decay, float gradient_scale) {
  float p[N], g[N], m[N], v[N];
  load(t.parameter + i, p);
  load(t.gradient + i, g);
  load(t.m + i, m);
  load(t.v + i, v);
#pragma unroll
  for (int k = 0; k < N; ++k) {
    g[k] *= gradient_scale;
    m[k] = a.beta1 * m[k] + a.one_minus_beta1 * g[k];
    v[k] = a.beta2 * v[k] + a.one_minus_beta2 * (g[k] * g[k]);
    const float denominator = sqrtf(v[k]) * a.inverse_root_correction2 + a.eps;
    p[k] = decay * p[k] - a.step_size * m[k] / denominator;
    g[k] = 0;
  }
  store(p, t.parameter + i);
  store(m, t.m + i);
  store(v, t.v + i);
  if (t.copy != nullptr) store(p, t.copy + i);
  if (a.clear_gradients) store(g, t.gradient + i);
}

// norm may be null: gradients are not clipped.
__global__ void __launch_bounds__(kBlock)
    adamw_kernel(AdamWStep a, const TensorEntry* tensors, int count, const float* norm) {
  int low = 0, high = count;  // the tensor is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (static_cast<int>(blockIdx.x) < tensors[middle].first_block ? high : low) = middle;
  }
  const TensorEntry t = tensors[low];
  const float decay = decay_factor(a.lr, t.weight_decay);
  const float scale = norm == nullptr ? 1.0f : clipping_scale(*norm, a.max_norm);
  const int64_t begin = (blockIdx.x - t.first_block) * kElementsOfBlock;
  const int64_t end = begin + kElementsOfBlock < t.size ? begin + kElementsOfBlock : t.size;
  int64_t rest = begin;
  if (t.aligned) {
    rest = begin + (end - begin) / 4 * 4;
    for (int64_t i = begin + 4 * threadIdx.x; i < rest; i += 4 * kBlock) update<4>(a, t, i, decay, scale);
  }
  for (int64_t i = rest + threadIdx.x; i < end; i += kBlock) update<1>(a, t, i, decay, scale);
}

}  // namespace

void adamw(Stream& s, const AdamW& a, const AdamWStep& step) {
  std::vector<TensorEntry> table;
  unsigned blocks = 0;
  for (const AdamWTensor& t : a.tensors) {
    const int64_t size = t.parameter.size();
    if (size == 0) continue;
    table.push_back({.parameter = t.parameter.as<float>(),
                     .gradient = t.gradient.as<float>(),
                     .m = t.m.as<float>(),
                     .v = t.v.as<float>(),
                     .copy = t.copy.empty() ? nullptr : t.copy.as<bf16>(),
                     .size = size,
                     .first_block = static_cast<int>(blocks),
                     .weight_decay = t.weight_decay,
                     .aligned = vectors_fit(4, t.parameter, t.gradient, t.m, t.v, t.copy)});
    blocks += blocks_for(size, kElementsOfBlock);
  }
  launch(s, adamw_kernel, {.grid = blocks, .block = kBlock}, step, kept_table<TensorEntry>(s, "adamw", table),
         static_cast<int>(table.size()), static_cast<const float*>(a.norm.data));
}

}  // namespace aid::cuda

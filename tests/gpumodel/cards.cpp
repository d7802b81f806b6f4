#include "tests/gpumodel/cards.h"

#include <initializer_list>

namespace aid::gpumodel {
namespace {

// mma_share: Hopper's full rate needs wgmma; mma.sync reaches about 62 % of it (Luo et al. 2024, "Benchmarking and
// Dissecting the Nvidia Hopper GPU Architecture via Microbenchmarking", arXiv 2402.13499, section on tensor cores).
// library_share is an assumption, to be replaced by a measurement.
constexpr Card kCards[] = {
    {.name = "A100",
     .source = "NVIDIA A100 Tensor Core GPU datasheet, A100 80GB SXM",
     .memory = 2.039e12,
     .tensor = 312e12,
     .f32 = 19.5e12,
     .mma_share = 1,
     .library_share = 0.75,
     .processors = 108,
     .lanes_f32 = 64,
     .lanes_fp64 = 32,
     .compute_capability = 80},
    {.name = "H100",
     .source = "NVIDIA H100 Tensor Core GPU datasheet, H100 SXM (half of the figures with sparsity)",
     .memory = 3.35e12,
     .tensor = 989.5e12,
     .f32 = 67e12,
     .mma_share = 0.62,
     .library_share = 0.6,
     .processors = 132,
     .lanes_f32 = 128,
     .lanes_fp64 = 64,
     .compute_capability = 90},
    {.name = "H200",
     .source = "NVIDIA H200 Tensor Core GPU datasheet, H200 SXM (half of the figures with sparsity)",
     .memory = 4.8e12,
     .tensor = 989.5e12,
     .f32 = 67e12,
     .mma_share = 0.62,
     .library_share = 0.6,
     .processors = 132,
     .lanes_f32 = 128,
     .lanes_fp64 = 64,
     .compute_capability = 90},
};

// Results in a cycle of a multiprocessor that are the same for 8.0 and 9.0: CUDA C++ Programming Guide, "Throughput of
// Native Arithmetic Instructions".
constexpr double kLanesAlu = 64, kLanesSpecial = 16;
constexpr double kWarpsIssued = 4;     // instructions in a cycle: one of each scheduler
constexpr double kBytesOfCycle = 128;  // of shared memory and the first-level cache, which are one

Bound longest(std::initializer_list<Bound> bounds) {
  Bound most;
  for (const Bound& bound : bounds) {
    if (bound.seconds > most.seconds) most = bound;
  }
  return most;
}

}  // namespace

std::span<const Card> cards() { return kCards; }

Bound bound_of(const Card& card, const softgpu::LaunchResult& counted) {
  const softgpu::LineCounters total = counted.total();
  const double cycles = card.clock() * card.processors;  // of all multiprocessors, in a second
  const auto warps = [&](softgpu::Pipe pipe) { return static_cast<double>(total.by_pipe[static_cast<size_t>(pipe)]); };
  const auto pipe = [&](softgpu::Pipe p, double lanes) { return warps(p) * 32 / (lanes * cycles); };
  const double moved = static_cast<double>(counted.traffic.read + counted.traffic.written);
  const double issued = static_cast<double>(total.instructions) - warps(softgpu::Pipe::none);
  const double first_level =
      static_cast<double>(total.global_sectors) * 32 + static_cast<double>(total.shared_passes) * kBytesOfCycle;
  return longest({{moved / card.memory, "memory"},
                  {static_cast<double>(total.mma_flops) / (card.tensor * card.mma_share), "tensor"},
                  {pipe(softgpu::Pipe::fma, card.lanes_f32), "fma"},
                  {pipe(softgpu::Pipe::alu, kLanesAlu), "alu"},
                  {pipe(softgpu::Pipe::special, kLanesSpecial), "special"},
                  {pipe(softgpu::Pipe::fp64, card.lanes_fp64), "fp64"},
                  {first_level / (kBytesOfCycle * cycles), "L1/shared"},
                  {issued / (kWarpsIssued * cycles), "issue"}});
}

Bound product_bound(const Card& card, double flops, double bytes, bool f32) {
  return longest({{flops / ((f32 ? card.f32 : card.tensor) * card.library_share), f32 ? "fma" : "tensor"},
                  {bytes / card.memory, "memory"}});
}

}  // namespace aid::gpumodel

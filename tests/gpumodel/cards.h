// What a GPU can do at most, by the figures that NVIDIA publishes, and the least time that counted work takes on it
// (Williams, Waterman and Patterson 2009, "Roofline", CACM 52(4), with a roof for each unit of a multiprocessor). A
// bound is no prediction: latency, the last wave of blocks and the gaps between launches come on top.
#pragma once

#include <span>
#include <string>

#include "tests/softgpu/launch.h"

namespace aid::gpumodel {

struct Card {
  const char* name;
  const char* source;    // of the figures
  double memory;         // bytes/s
  double tensor;         // bf16 FLOP/s, dense
  double f32;            // FLOP/s
  double mma_share;      // of `tensor` that mma.sync reaches
  double library_share;  // of the peak that a matrix library is taken to reach at BETO's shapes
  int processors;        // multiprocessors
  int lanes_f32;         // of a multiprocessor, so many f32 sums or products in each cycle
  int lanes_fp64;
  int compute_capability;  // 80, 90

  double clock() const { return f32 / (2.0 * processors * lanes_f32); }  // Hz, at which the peaks are stated
};
std::span<const Card> cards();

struct Bound {
  double seconds = 0;
  const char* by = "";  // the unit that takes longest
};
// Of one launch.
Bound bound_of(const Card& card, const softgpu::LaunchResult& counted);
// Of a library's product.
Bound product_bound(const Card& card, double flops, double bytes, bool f32);

}  // namespace aid::gpumodel

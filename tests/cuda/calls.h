// The calls by which work reaches the stand-in runtime; two moments' difference is what was called between them.
#pragma once

#include <cstdint>
#include <ostream>

#include "tests/softgpu/runtime/control.h"

namespace aid::test {

struct Calls {
  uint64_t kernels = softgpu::calls("cudaLaunchKernel"), copies = softgpu::calls("cudaMemcpyAsync"),
           graphs = softgpu::calls("cudaGraphInstantiate"), launches = softgpu::calls("cudaGraphLaunch"),
           changed_kernels = softgpu::calls("cudaGraphExecKernelNodeSetParams"),
           changed_copies = softgpu::calls("cudaGraphExecMemcpyNodeSetParams1D");

  Calls operator-(const Calls& before) const {
    Calls calls = *this;
    calls.kernels -= before.kernels;
    calls.copies -= before.copies;
    calls.graphs -= before.graphs;
    calls.launches -= before.launches;
    calls.changed_kernels -= before.changed_kernels;
    calls.changed_copies -= before.changed_copies;
    return calls;
  }
  bool operator==(const Calls&) const = default;
  friend void PrintTo(const Calls& c, std::ostream* out) {
    *out << c.kernels << " kernels, " << c.copies << " copies, " << c.graphs << " graphs made, " << c.launches
         << " launched, " << c.changed_kernels << " kernels and " << c.changed_copies << " copies changed";
  }
};
}  // namespace aid::test

#include "kernels/core/stream.h"

#include <sched.h>

#include <algorithm>

namespace aid {

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

Stream::Stream(const Options& options)
    : options_(options), team_(options.threads > 0 ? options.threads : available_cores()) {
  AID_CHECK(options.threads >= 0, "threads: ", options.threads, "; expected 0 (all cores) or more");
  AID_CHECK(supported(options.target), "this processor cannot run target ", name_of(options.target));
}

}  // namespace aid

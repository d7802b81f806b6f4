#include "kernels/core/profile.h"

#ifdef AID_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace aid {

ProfileScope::ProfileScope(Profiler* profiler, const ProfileWork& work) : profiler_(profiler), work_(work) {
#ifdef AID_CUDA
  nvtxRangePushA(work.op);
#endif
  if (profiler_ == nullptr) return;
  profiler_->wait();
  begin_ns_ = profiler_->now_ns();
}

ProfileScope::~ProfileScope() {
  if (profiler_ != nullptr) {
    profiler_->wait();
    profiler_->add({work_.op, begin_ns_, profiler_->now_ns(), work_.bytes, work_.flops});
  }
#ifdef AID_CUDA
  nvtxRangePop();
#endif
}

}  // namespace aid

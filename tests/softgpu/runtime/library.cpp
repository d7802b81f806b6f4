#include "tests/softgpu/runtime/library.h"

#include "tests/softgpu/runtime/core.h"

namespace softgpu::runtime {
namespace {

class Host final : public LibraryHost {
 public:
  cudaError_t enqueue(const char* name, cudaStream_t handle, std::function<void()> run) override {
    return call(name, [&] {
      CUstream_st* stream = state().stream(handle);
      if (!stream) return cudaErrorInvalidResourceHandle;
      if (state().launch_options.sampled_blocks) run = [] {};
      return state().enqueue(*stream, {.kind = Work::Kind::library, .what = name, .run = std::move(run)});
    });
  }
  bool check_access(const void* p, size_t n, HostAccess access, const char* who) override {
    return check_host_access(p, n, access, who);
  }
  void mark_written(void* p, size_t n) override { softgpu::mark_written(p, n); }
  void mark_unwritten(void* p, size_t n) override { softgpu::mark_unwritten(p, n); }
  void fail(cudaError_t error) override { state().fail(error); }
  void report(const char* name, std::string text) override {
    add_report({.kind = Kind::library, .file = name, .text = std::move(text)});
  }
};

}  // namespace
}  // namespace softgpu::runtime

extern "C" softgpu::LibraryHost* softgpu_library_host() {
  static softgpu::runtime::Host host;
  return &host;
}

#pragma once
// What stand-ins for CUDA's libraries, which programs open as shared objects, need of the program's software GPU. The
// program exports one symbol (its link line has --export-dynamic-symbol=softgpu_library_host).

#include <driver_types.h>

#include <cstddef>
#include <functional>
#include <string>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/report.h"

namespace softgpu {

class LibraryHost {
 public:
  // Queues `run` on the stream. `name` is the library's function, for counts and failures on purpose (control.h).
  virtual cudaError_t enqueue(const char* name, cudaStream_t stream, std::function<void()> run) = 0;
  virtual bool check_access(const void* p, size_t n, HostAccess access, const char* who) = 0;  // memory.h
  virtual void mark_written(void* p, size_t n) = 0;
  virtual void mark_unwritten(void* p, size_t n) = 0;
  virtual void fail(cudaError_t error) = 0;  // within `run`: the device is lost
  virtual void report(const char* name, std::string text) = 0;

 protected:
  ~LibraryHost() = default;
};

}  // namespace softgpu

extern "C" softgpu::LibraryHost* softgpu_library_host();

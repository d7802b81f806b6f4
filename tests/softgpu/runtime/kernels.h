#pragma once
// The kernels and variables that the program's object files register, found by the host's address of them.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/softgpu/launch.h"

namespace softgpu::runtime {

// What nvcc put into one object file: the PTX and the machine code of its kernels for several architectures.
class Binary {
 public:
  explicit Binary(const void* wrapper);  // of __cudaRegisterFatBinary; prints and ends the program if it cannot be read

  // Loads the PTX of the newest architecture that the device can run, once. Throws LoadError.
  Module& module();
  // Registers a thread of this kernel in the machine code for the device; 0 where there is none.
  int registers(const std::string& kernel) const;
  // Of the first architecture that there is PTX for.
  std::string_view ptx() const { return ptx_.front().bytes; }

  std::string name;  // of a source file, for messages

 private:
  struct Code {
    int arch;
    std::string_view bytes;
  };
  std::vector<Code> ptx_, machine_code_;
  std::shared_ptr<Module> module_;
  int loaded_for_ = 0;
};

struct Function {
  Binary* binary = nullptr;
  std::string mangled;
  size_t max_dynamic_shared =
      48 << 10;  // cudaFuncAttributeMaxDynamicSharedMemorySize; less the static part where not set
  bool max_dynamic_set = false;
  int carveout = -1;

  std::string name() const;  // for people
};

struct Variable {
  Binary* binary = nullptr;
  std::string mangled;
};

std::map<const void*, Function>& functions();
std::map<const void*, Variable>& variables();

std::string demangle(const std::string& mangled);

}  // namespace softgpu::runtime

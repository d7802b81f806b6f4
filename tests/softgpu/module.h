#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// PTX as nvcc emits it, parsed and decoded for the machine.
namespace softgpu {

struct Kernel;  // one entry, ready to run: launch.h

// What cannot be executed: names the instruction, the source file and line, and the PTX's line.
struct LoadError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct GlobalVariable {
  std::string name;
  void* address = nullptr;
  size_t size = 0;
  bool constant = false;
};

class Module {
 public:
  // name: for messages ("layer_norm.cu"). Throws LoadError.
  static std::shared_ptr<Module> load(std::string_view ptx, std::string name);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const Kernel* kernel(std::string_view mangled) const;  // nullptr if there is none
  std::vector<std::string> kernels() const;              // mangled names
  const GlobalVariable* global(std::string_view mangled) const;
  const std::string& target() const;  // "sm_80"

 private:
  Module();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace softgpu

#include "tests/softgpu/module.h"

#include <cstring>
#include <map>

#include "tests/softgpu/decoder.h"

namespace softgpu {

struct Module::State {
  std::string target;
  std::map<std::string, Kernel, std::less<>> kernels;
  std::map<std::string, GlobalVariable, std::less<>> globals;
};

Module::Module() : state_(std::make_unique<State>()) {}
Module::~Module() {
  for (const auto& [name, g] : state_->globals) free(g.address);
}

std::shared_ptr<Module> Module::load(std::string_view text, std::string name) {
  const ptx::File file = ptx::parse(text, name);
  std::shared_ptr<Module> module(new Module);
  State& s = *module->state_;
  s.target = file.target;
  for (const ptx::Variable& v : file.variables) {
    if (v.space == "shared") continue;
    Allocation* a = allocate_block(v.size, v.name.c_str(), true);
    if (!a)
      throw LoadError(name + ": no memory for the variable " + v.name + " of " + std::to_string(v.size) + " bytes");
    std::memset(a->base, 0, v.size);  // CUDA's static storage is zero
    mark_written(a->base, v.size);
    s.globals[v.name] = {v.name, a->base, size_t(v.size), v.space == "const"};
  }
  for (const ptx::Variable& v : file.variables) {
    if (v.space == "shared") continue;
    auto* at = static_cast<std::byte*>(s.globals.at(v.name).address);
    for (const ptx::Operand& o : v.initial) {
      u64 value = o.value;
      if (o.kind == ptx::Operand::Kind::name) {
        const auto symbol = s.globals.find(o.text);
        if (symbol == s.globals.end())
          throw LoadError(name + ": the initialiser of " + v.name + " names " + o.text + ", which is no variable");
        value = reinterpret_cast<u64>(symbol->second.address) + u64(o.offset);
      }
      std::memcpy(at, &value, v.element);
      at += v.element;
    }
  }
  for (const ptx::Function& f : file.functions)
    if (f.entry && f.defined) s.kernels.emplace(f.name, decode_kernel(file, f, s.globals, name));
  return module;
}

const Kernel* Module::kernel(std::string_view mangled) const {
  const auto found = state_->kernels.find(mangled);
  return found == state_->kernels.end() ? nullptr : &found->second;
}
std::vector<std::string> Module::kernels() const {
  std::vector<std::string> names;
  for (const auto& [name, kernel] : state_->kernels) names.push_back(name);
  return names;
}
const GlobalVariable* Module::global(std::string_view mangled) const {
  const auto found = state_->globals.find(mangled);
  return found == state_->globals.end() ? nullptr : &found->second;
}
const std::string& Module::target() const { return state_->target; }

}  // namespace softgpu

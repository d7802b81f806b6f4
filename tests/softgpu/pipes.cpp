#include "tests/softgpu/pipes.h"

#include <algorithm>
#include <initializer_list>

namespace softgpu {
namespace {

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

Pipe pipe_of(std::string_view opcode) {
  const std::string_view base = opcode.substr(0, opcode.find('.'));
  const auto has = [&](std::string_view part) { return opcode.find(part) != opcode.npos; };
  if (one_of(base, {"mov", "cvta", "isspacep", ""}) || opcode.starts_with("ld.param") || opcode.starts_with("st.param"))
    return Pipe::none;
  if (base == "mma") return Pipe::tensor;
  if (one_of(base, {"ld", "st", "ldu", "ldmatrix", "stmatrix", "movmatrix", "cp", "atom", "red", "shfl", "prefetch"}))
    return Pipe::memory;
  if (one_of(base, {"bra", "brx", "bar", "barrier", "ret", "exit", "call", "trap", "vote", "match", "activemask",
                    "membar", "fence", "redux", "nanosleep"}))
    return Pipe::control;
  if (base == "cvt") {
    if (has("bf16x2") || has("f16x2") || has("bf16.f32")) return Pipe::alu;
    return has(".f") ? Pipe::special : Pipe::alu;
  }
  if (has(".f64")) return Pipe::fp64;
  if (one_of(base, {"rcp", "sqrt", "rsqrt", "sin", "cos", "lg2", "ex2", "tanh", "div", "rem"})) return Pipe::special;
  if (one_of(base, {"fma", "mul", "mad", "mul24", "mad24", "madc"})) return Pipe::fma;
  if (one_of(base, {"add", "sub"}) && has("f")) return Pipe::fma;  // .f32, .f16x2, .bf16: no integer type has an f
  return Pipe::alu;
}

const char* name(Pipe pipe) {
  constexpr const char* kNames[kPipes] = {"fma", "alu", "special", "fp64", "tensor", "memory", "control", "none"};
  return kNames[static_cast<size_t>(pipe)];
}

}  // namespace softgpu

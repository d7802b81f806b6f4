#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// The units of a multiprocessor that instructions are issued to, as far as PTX tells: ptxas makes several machine
// instructions of some PTX ones (div, 64-bit integers) and none of others.
namespace softgpu {

enum class Pipe : uint8_t {
  fma,      // f32, f16 and bf16 products and sums, integer products
  alu,      // integer sums, logic, shifts, comparisons, selections, minima, packing to 16-bit floats
  special,  // reciprocals, roots, powers of two, logarithms, conversions between integers and floats
  fp64,
  tensor,   // mma
  memory,   // loads, stores, atomics, shuffles
  control,  // branches, barriers, votes
  none,     // moves, parameters, address spaces: mostly no machine instruction
};
inline constexpr size_t kPipes = 8;
using PipeCounts = std::array<uint64_t, kPipes>;

// opcode: all of it, "add.rn.f32"; empty for instructions that the decoder made itself.
Pipe pipe_of(std::string_view opcode);
const char* name(Pipe);

}  // namespace softgpu

#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/softgpu/machine.h"

// An instruction whose operands are resolved, as the decoders of each subject see it.
namespace softgpu {

struct DecodedOperand {
  enum class Kind { row, predicate, memory, vector, symbol };
  Kind kind = Kind::row;
  Row row = 0;  // or the index of a predicate; the base of a memory operand
  bool has_second = false;
  u32 second = 0;  // predicate or row of p|q
  s64 offset = 0;  // of a memory operand
  bool inverted = false;
  bool is_number = false;
  u64 value = 0;
  u8 width = 0;           // bytes of the register; 0: a number or an address
  std::vector<Row> rows;  // of a vector
  std::string text;
};

struct Decoding {
  const ptx::Instruction& source;
  std::vector<DecodedOperand> operands;
  std::vector<std::string> types;  // modifiers that are types, in order
  std::function<Row(u64)> constant;

  bool is(std::string_view base) const { return source.base == base; }
  bool has(std::string_view modifier) const {
    for (const std::string& m : source.modifiers)
      if (m == modifier) return true;
    return false;
  }
  bool has_second_type() const { return types.size() > 1; }
  std::string type() const { return types.empty() ? "" : types.back(); }
  Space space() const;
  Row row(size_t i) const { return operands.at(i).row; }
  // d, a, b, c, e from the operands in order.
  void rows_in_order(Instruction& i) const {
    Row* const rows[] = {&i.d, &i.a, &i.b, &i.c, &i.e};
    for (size_t k = 0; k < operands.size() && k < 5; ++k) *rows[k] = operands[k].row;
  }
  // The index of the first of these modifiers that the instruction has; -1: none.
  int which(std::initializer_list<std::string_view> modifiers) const {
    int k = 0;
    for (const std::string_view m : modifiers) {
      if (has(m)) return k;
      ++k;
    }
    return -1;
  }
};

// pick<Functor>(type): run<Functor, T> for the C++ type of a PTX type.
template <template <class> class F>
Execute pick_integer(const std::string& t) {
  if (t == "u16" || t == "b16") return F<u16>::run;
  if (t == "s16") return F<s16>::run;
  if (t == "u32" || t == "b32") return F<u32>::run;
  if (t == "s32") return F<s32>::run;
  if (t == "u64" || t == "b64") return F<u64>::run;
  if (t == "s64") return F<s64>::run;
  return nullptr;
}

}  // namespace softgpu

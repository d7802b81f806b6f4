#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// PTX text as a tree: what stands there, nothing decoded. The grammar is the PTX ISA manual's, as far as nvcc uses it.
namespace softgpu::ptx {

struct Place {
  int ptx_line = 0;
  int file = 0;  // index of .file; 0: no line information
  int line = 0;
};

struct Operand {
  enum class Kind { name, number, memory, vector };
  Kind kind = Kind::name;
  std::string text;            // a name, or the base of a memory operand
  std::string second;          // q of p|q
  uint64_t value = 0;          // a number, negated if the text was
  int64_t offset = 0;          // [base+offset], name+offset
  bool inverted = false;       // !p
  std::vector<Operand> items;  // of {...} and (...)
};

struct Instruction {
  std::string opcode;  // all of it: add.rn.f32
  std::string base;    // add
  std::vector<std::string> modifiers;
  std::string predicate;
  bool predicate_inverted = false;
  std::vector<Operand> operands;
  Place place;
};

struct Variable {
  std::string name;
  std::string space;  // global, const, shared, local, param
  uint32_t element = 1, align = 1;
  uint64_t size = 0;
  bool unsized = false;  // dynamic shared memory
  std::vector<Operand> initial;
};

struct Function {
  std::string name;
  bool entry = false, defined = false;
  std::vector<Variable> parameters, results;
  std::vector<Variable> variables;               // .local, .shared and .param of the body
  std::map<std::string, std::string> registers;  // name -> type
  std::map<std::string, uint32_t> labels;        // -> index of an instruction
  std::map<std::string, std::vector<std::string>> branch_targets;
  std::vector<Instruction> body;
  int max_threads = 1024;
  Place place;
};

struct File {
  std::string target;
  std::map<int, std::string> files;
  std::vector<Variable> variables;
  std::vector<Function> functions;
};

// Bytes of a type's name without its dot: "f32" -> 4.
uint32_t size_of(std::string_view type);

// Throws LoadError.
File parse(std::string_view text, const std::string& name);

}  // namespace softgpu::ptx

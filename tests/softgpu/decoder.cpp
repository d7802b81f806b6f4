#include "tests/softgpu/decoder.h"

#include <algorithm>
#include <deque>
#include <set>

#include "tests/softgpu/decoding.h"

namespace softgpu {
namespace {

constexpr u32 kLanes = 32;
constexpr Row kSinkRow = 1 * kLanes;  // row 0 is the carry
constexpr u32 kSinkPredicate = 2;
constexpr u32 kRedZone = 32;  // between shared variables

u32 align_up(u64 n, u32 align) { return u32((n + align - 1) / align * align); }

const std::map<std::string, Special, std::less<>> kSpecials = {{"%tid.x", Special::tid_x},
                                                               {"%tid.y", Special::tid_y},
                                                               {"%tid.z", Special::tid_z},
                                                               {"%laneid", Special::laneid},
                                                               {"%warpid", Special::warpid},
                                                               {"%lanemask_eq", Special::lanemask_eq},
                                                               {"%lanemask_lt", Special::lanemask_lt},
                                                               {"%lanemask_le", Special::lanemask_le},
                                                               {"%lanemask_gt", Special::lanemask_gt},
                                                               {"%lanemask_ge", Special::lanemask_ge},
                                                               {"%ntid.x", Special::ntid_x},
                                                               {"%ntid.y", Special::ntid_y},
                                                               {"%ntid.z", Special::ntid_z},
                                                               {"%ctaid.x", Special::ctaid_x},
                                                               {"%ctaid.y", Special::ctaid_y},
                                                               {"%ctaid.z", Special::ctaid_z},
                                                               {"%nctaid.x", Special::nctaid_x},
                                                               {"%nctaid.y", Special::nctaid_y},
                                                               {"%nctaid.z", Special::nctaid_z},
                                                               {"%nwarpid", Special::nwarpid},
                                                               {"%smid", Special::smid},
                                                               {"%nsmid", Special::nsmid},
                                                               {"%gridid", Special::gridid},
                                                               {"%dynamic_smem_size", Special::dynamic_smem_size},
                                                               {"%total_smem_size", Special::total_smem_size}};

bool is_type(const std::string& m) {
  static const std::set<std::string> kTypes = {
      "u8",  "u16", "u32", "u64", "s8",  "s16",  "s32",  "s64",  "f16",   "bf16",  "f16x2",  "bf16x2", "f32",
      "f64", "b8",  "b16", "b32", "b64", "b128", "pred", "tf32", "u16x2", "s16x2", "e4m3x2", "e5m2x2"};
  return kTypes.contains(m);
}

class Builder {
 public:
  Builder(const ptx::File& file, const std::map<std::string, GlobalVariable, std::less<>>& globals, Kernel& kernel)
      : file_(file), globals_(globals), k_(kernel) {
    k_.registers = 2;
    k_.predicates = 3;
  }

  void entry(const ptx::Function& f) {
    u32 end = 0;
    for (const ptx::Variable& v : f.parameters) {
      end = align_up(end, v.align);
      parameters_[v.name] = end;
      k_.attributes.param_offsets.push_back(end);
      k_.attributes.param_sizes.push_back(v.size);
      end += u32(v.size);
    }
    k_.attributes.param_bytes = end;
    k_.attributes.max_threads = f.max_threads;
    body(f, true);
    while (!queue_.empty()) {
      const ptx::Function* next = queue_.front();
      queue_.pop_front();
      functions_.at(next->name).start = u32(k_.code.size());
      body(*next, false);
    }
    for (Instruction& i : k_.code)
      if (i.flow == Flow::call) i.target = functions_.at(*i.opcode).start;
    for (const auto& [name, callee] : functions_) check_recursion(name, name, 0);
  }

 private:
  struct Callee {
    const ptx::Function* source = nullptr;
    u32 start = 0;
    Row return_row = 0;
    std::vector<std::pair<u32, u32>> parameters, results;  // local offset, size
    std::set<std::string> calls;
  };
  struct Name {
    Row row = 0;
    u8 width = 0;
    bool predicate = false;
  };

  [[noreturn]] void fail(const ptx::Place& place, const std::string& what) const {
    const auto file = file_.files.find(place.file);
    std::string where = k_.module + ": ";
    if (file != file_.files.end()) where += file->second + ":" + std::to_string(place.line) + ": ";
    throw LoadError(where + what + " (PTX line " + std::to_string(place.ptx_line) + ", in " + k_.attributes.name + ")");
  }

  Row new_row() { return k_.registers++ * kLanes; }
  Row constant(u64 value) {
    const auto [it, fresh] = constants_.try_emplace(value, kUniform | k_.uniforms * kLanes);
    if (fresh) k_.constants.push_back({k_.uniforms++, value});
    return it->second;
  }
  Row special(Special s) {
    const auto found = specials_.find(s);
    if (found != specials_.end()) return found->second;
    const u32 row = differs_between_threads(s) ? k_.per_warp_rows++ : k_.uniforms++;
    k_.specials.push_back({row, s});
    return specials_[s] = (differs_between_threads(s) ? kPerWarp : kUniform) | row * kLanes;
  }
  u32 local(u64 size, u32 align) {
    k_.local_bytes = align_up(k_.local_bytes, align);
    const u32 at = k_.local_bytes;
    k_.local_bytes += u32(size);
    return at;
  }

  void declare(const ptx::Variable& v) {
    if (v.space == "shared") return shared(v);
    const u32 at = local(v.size, v.align);
    if (v.space == "local") k_.attributes.local += v.size;
    locals_[v.name] = at;
  }
  // A variable gets the alignment that it asks for and no more, and a red zone before it.
  void shared(const ptx::Variable& v) {
    if (v.unsized) {
      k_.dynamic_align = std::max(dynamic_seen_ ? k_.dynamic_align : 1, v.align);
      dynamic_seen_ = true;
      const u32 row = k_.uniforms++;
      k_.dynamic_rows.push_back(row);
      shared_[v.name] = kUniform | row * kLanes;
      return;
    }
    u32 at = align_up(k_.shared_end + kRedZone, v.align);
    if (v.align < 128 && at % (2 * v.align) == 0) at += v.align;
    k_.shared.push_back({v.name, at, v.size});
    k_.shared_end = at + u32(v.size);
    k_.attributes.static_shared = align_up(k_.attributes.static_shared, v.align) + v.size;
    shared_[v.name] = constant(at);
  }

  void body(const ptx::Function& f, bool entry) {
    names_.clear();
    for (const auto& [name, type] : f.registers) {
      if (type == "pred")
        names_[name] = {k_.predicates++, 0, true};
      else
        names_[name] = {new_row(), u8(ptx::size_of(type)), false};
    }
    locals_.clear();
    for (const ptx::Variable& v : f.variables) declare(v);
    if (!entry) {
      const Callee& callee = functions_.at(f.name);
      for (size_t n = 0; n < f.parameters.size(); ++n) locals_[f.parameters[n].name] = callee.parameters[n].first;
      for (size_t n = 0; n < f.results.size(); ++n) locals_[f.results[n].name] = callee.results[n].first;
    }
    const Row return_row = entry ? 0 : functions_.at(f.name).return_row;
    std::vector<u32> code_index;
    struct Jump {
      u32 at;
      std::vector<std::string> labels;
    };
    std::vector<Jump> jumps;
    for (const ptx::Instruction& source : f.body) {
      code_index.push_back(u32(k_.code.size()));
      if (source.base == "call") {
        call(source, f);
        continue;
      }
      Instruction i = start(source);
      if (source.base == "bra") {
        i.flow = Flow::branch;
        jumps.push_back({u32(k_.code.size()), {source.operands.at(0).text}});
      } else if (source.base == "brx") {
        i.flow = Flow::branch_table;
        i.a = operand(source, source.operands.at(0)).row;
        jumps.push_back({u32(k_.code.size()), f.branch_targets.at(source.operands.at(1).text)});
      } else if (source.base == "ret" || source.base == "exit") {
        i.flow = entry || source.base == "exit" ? Flow::exit : Flow::ret;
        i.d = return_row;
      } else if (source.base == "trap" || source.base == "brkpt") {
        i.flow = Flow::trap;
      } else {
        decode(source, i);
      }
      k_.code.push_back(std::move(i));
    }
    code_index.push_back(u32(k_.code.size()));
    Instruction end;
    end.flow = entry ? Flow::exit : Flow::ret;
    end.d = return_row;
    if (!f.body.empty()) end.place = f.body.back().place;
    k_.code.push_back(end);
    for (const Jump& jump : jumps) {
      Instruction& i = k_.code[jump.at];
      for (const std::string& label : jump.labels) {
        const auto found = f.labels.find(label);
        if (found == f.labels.end()) fail(i.place, "no label " + label);
        i.table.push_back(code_index[found->second]);
      }
      i.target = i.table[0];
    }
  }

  Instruction start(const ptx::Instruction& source) {
    Instruction i;
    i.place = source.place;
    i.opcode = text(source.opcode);
    if (!source.predicate.empty()) {
      const auto name = names_.find(source.predicate);
      if (name == names_.end()) fail(source.place, "unknown predicate " + source.predicate);
      i.predicate = name->second.row;
      i.predicate_inverted = source.predicate_inverted;
    }
    return i;
  }
  const std::string* text(const std::string& s) {
    auto& kept = texts_[s];
    if (!kept) {
      kept = std::make_shared<std::string>(s);
      k_.opcodes.push_back(kept);
    }
    return kept.get();
  }

  DecodedOperand operand(const ptx::Instruction& source, const ptx::Operand& o) {
    using Kind = DecodedOperand::Kind;
    DecodedOperand d;
    d.inverted = o.inverted;
    d.offset = o.offset;
    d.text = o.text;
    if (o.kind == ptx::Operand::Kind::number) {
      d.is_number = true;
      d.value = o.value;
      d.row = constant(o.value);
      return d;
    }
    if (o.kind == ptx::Operand::Kind::vector) {
      d.kind = Kind::vector;
      for (const ptx::Operand& item : o.items) d.rows.push_back(operand(source, item).row);
      return d;
    }
    const bool memory = o.kind == ptx::Operand::Kind::memory;
    if (memory) d.kind = Kind::memory;
    if (!o.second.empty()) {
      d.has_second = true;
      d.second = o.second == "_" ? 0 : names_.at(o.second).row;
    }
    if (memory && o.text.empty()) {
      d.row = constant(0);
    } else if (o.text == "_") {
      d.row = kSinkRow;
      if (source.base == "setp") d.row = kSinkPredicate;
    } else if (const auto name = names_.find(o.text); name != names_.end()) {
      d.row = name->second.row;
      d.width = name->second.width;
      if (name->second.predicate) d.kind = Kind::predicate;
    } else if (const auto s = kSpecials.find(o.text); s != kSpecials.end()) {
      d.row = special(s->second);
    } else if (o.text.starts_with("%clock") || o.text.starts_with("%globaltimer")) {
      d.text = "clock";
    } else if (o.text == "WARP_SZ") {
      d.row = constant(32);
    } else if (const auto at = locals_.find(o.text); at != locals_.end()) {
      d.row = constant(at->second);
      d.text = "local";
    } else if (const auto s2 = shared_.find(o.text); s2 != shared_.end()) {
      d.row = s2->second;
    } else if (const auto p = parameters_.find(o.text); p != parameters_.end()) {
      d.row = constant(p->second);
    } else if (const auto g = globals_.find(o.text); g != globals_.end()) {
      d.row = constant(reinterpret_cast<u64>(g->second.address));
    } else {
      for (const ptx::Variable& v : file_.variables)
        if (v.name == o.text && v.space == "shared") {
          shared(v);
          d.row = shared_.at(v.name);
          return d;
        }
      if (o.text[0] == '%') fail(source.place, "unknown register " + o.text + " in " + source.opcode);
      d.kind = Kind::symbol;
    }
    return d;
  }

  void decode(const ptx::Instruction& source, Instruction& i) {
    Decoding p{source, {}, {}, [this](u64 v) { return constant(v); }};
    for (const ptx::Operand& o : source.operands) p.operands.push_back(operand(source, o));
    for (const std::string& m : source.modifiers)
      if (is_type(m)) p.types.push_back(m);
    // A predicate's constant: mov.pred %p, 0
    if (p.type() == "pred")
      for (DecodedOperand& o : p.operands)
        if (o.is_number) o.row = o.value ? kNoPredicate : kFalsePredicate;
    if ((p.is("bar") || p.is("barrier")) && !p.has("warp")) {
      if (!barrier(p, i)) fail(source.place, "unsupported instruction " + source.opcode);
      return;
    }
    bool known = false;
    try {
      for (const auto decoder : {decode_compare, decode_memory, decode_convert, decode_atomic, decode_warp,
                                 decode_tensor, decode_float, decode_integer}) {
        known = decoder(p, i);
        if (known || i.execute) break;
      }
    } catch (const std::out_of_range&) {
      fail(source.place, "too few operands for " + source.opcode);
    }
    if (!known || !i.execute) fail(source.place, "unsupported instruction " + source.opcode);
  }

  // a: number, b: threads (flag2: given), flag: arrive only; mode: 0, or red: 1 popc, 2 and, 3 or with predicate c into
  // d
  bool barrier(const Decoding& p, Instruction& i) {
    if (p.has("cluster")) return false;
    i.flow = Flow::barrier;
    i.flag = p.has("arrive");
    i.mode = u8(p.which({"popc", "and", "or"}) + 1);
    size_t at = 0;
    if (i.mode) i.d = p.row(at++);
    i.a = p.row(at++);
    const size_t end = p.operands.size() - (i.mode ? 1 : 0);
    if (at < end) {
      i.flag2 = true;
      i.b = p.row(at);
    }
    if (i.mode) {
      i.c = p.operands.back().row;
      i.mode2 = p.operands.back().inverted;
    }
    return true;
  }

  void call(const ptx::Instruction& source, const ptx::Function& caller) {
    const ptx::Operand* results = nullptr;
    const ptx::Operand* arguments = nullptr;
    std::string name;
    for (const ptx::Operand& o : source.operands) {
      if (o.kind != ptx::Operand::Kind::vector)
        name = o.text;
      else
        (name.empty() ? results : arguments) = &o;
    }
    const auto locals = [&](const ptx::Operand* list) {
      std::vector<u32> offsets;
      if (list)
        for (const ptx::Operand& o : list->items) {
          const auto at = locals_.find(o.text);
          if (at == locals_.end()) fail(source.place, "call with something else than .param variables");
          offsets.push_back(at->second);
        }
      return offsets;
    };
    const std::vector<u32> in = locals(arguments), out = locals(results);
    if (const Execute execute = built_in(name)) {
      Instruction i = start(source);
      i.execute = execute;
      i.table = in;
      i.table.insert(i.table.end(), out.begin(), out.end());
      k_.code.push_back(std::move(i));
      return;
    }
    const auto callee_source = std::find_if(file_.functions.begin(), file_.functions.end(),
                                            [&](const ptx::Function& f) { return f.name == name && f.defined; });
    if (names_.contains(name)) fail(source.place, "unsupported instruction call through a function pointer");
    if (callee_source == file_.functions.end())
      fail(source.place, "call of " + name + ", which the module does not define");
    Callee& callee = functions_[name];
    if (!callee.source) {
      callee.source = &*callee_source;
      callee.return_row = new_row();
      for (const ptx::Variable& v : callee_source->parameters)
        callee.parameters.push_back({local(v.size, v.align), u32(v.size)});
      for (const ptx::Variable& v : callee_source->results)
        callee.results.push_back({local(v.size, v.align), u32(v.size)});
      queue_.push_back(callee.source);
    }
    if (functions_.contains(caller.name)) functions_[caller.name].calls.insert(name);
    Instruction copy = start(source);
    copy.execute = copy_locals;
    for (size_t n = 0; n < in.size(); ++n)
      copy.table.insert(copy.table.end(), {in[n], callee.parameters.at(n).first, callee.parameters[n].second});
    if (!in.empty()) k_.code.push_back(copy);
    Instruction i = start(source);
    i.flow = Flow::call;
    i.opcode = text(name);
    i.d = callee.return_row;
    k_.code.push_back(i);
    copy.table.clear();
    for (size_t n = 0; n < out.size(); ++n)
      copy.table.insert(copy.table.end(), {callee.results.at(n).first, out[n], callee.results[n].second});
    if (!out.empty()) k_.code.push_back(copy);
  }
  void check_recursion(const std::string& first, const std::string& at, int depth) const {
    for (const std::string& next : functions_.at(at).calls) {
      if (next == first || depth > 64)
        fail(functions_.at(first).source->place, "unsupported: recursive function " + first);
      check_recursion(first, next, depth + 1);
    }
  }

  const ptx::File& file_;
  const std::map<std::string, GlobalVariable, std::less<>>& globals_;
  Kernel& k_;
  std::map<std::string, Name> names_;
  std::map<std::string, u32> locals_, parameters_;
  std::map<std::string, Row> shared_;
  std::map<u64, Row> constants_;
  std::map<Special, Row> specials_;
  std::map<std::string, Callee> functions_;
  std::deque<const ptx::Function*> queue_;
  std::map<std::string, std::shared_ptr<std::string>> texts_;
  bool dynamic_seen_ = false;
};

}  // namespace

Kernel decode_kernel(const ptx::File& file, const ptx::Function& entry,
                     const std::map<std::string, GlobalVariable, std::less<>>& globals, const std::string& module) {
  Kernel kernel;
  kernel.attributes.name = entry.name;
  kernel.module = module;
  kernel.files = file.files;
  Builder(file, globals, kernel).entry(entry);
  kernel.attributes.registers = int(kernel.registers);
  return kernel;
}

}  // namespace softgpu

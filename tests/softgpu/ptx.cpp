#include "tests/softgpu/ptx.h"

#include <algorithm>
#include <cctype>

#include "tests/softgpu/module.h"

namespace softgpu::ptx {

uint32_t size_of(std::string_view type) {
  if (type == "pred") return 1;
  if (type.size() > 2 && type.substr(type.size() - 2) == "x2") return 4;
  size_t digit = 0;
  while (digit < type.size() && !std::isdigit(static_cast<unsigned char>(type[digit]))) ++digit;
  uint32_t bits = 0;
  for (; digit < type.size() && std::isdigit(static_cast<unsigned char>(type[digit])); ++digit)
    bits = bits * 10 + uint32_t(type[digit] - '0');
  return bits / 8;
}

namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  File parse() {
    while (peek()) directive();
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw LoadError(name_ + ": PTX line " + std::to_string(line_) + ": " + what);
  }

  void skip_line() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  void skip_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') {
        ++line_;
        ++at_;
      } else if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        skip_line();
      } else if (text_.substr(at_, 2) == "/*") {
        const size_t end = std::min(text_.find("*/", at_), text_.size() - 2);
        line_ += int(std::count(text_.begin() + at_, text_.begin() + end, '\n'));
        at_ = end + 2;
      } else {
        break;
      }
    }
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool eat(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void need(char c) {
    if (!eat(c)) fail(std::string("expected '") + c + "' before '" + std::string(text_.substr(at_, 20)) + "'");
  }
  std::string word() {
    skip_space();
    const size_t begin = at_;
    const auto inside = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
    };
    while (at_ < text_.size() && inside(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  uint64_t integer() {
    const std::string digits = word();
    if (digits.empty() || !std::isdigit(static_cast<unsigned char>(digits[0])))
      fail("expected a number, found '" + digits + "'");
    return std::stoull(digits, nullptr, 0);
  }
  void skip_block() {
    need('{');
    for (int depth = 1; depth; ++at_) {
      if (at_ >= text_.size()) fail("the file ends inside { }");
      line_ += text_[at_] == '\n';
      depth += (text_[at_] == '{') - (text_[at_] == '}');
    }
  }
  void skip_statement() {
    while (peek() && !eat(';')) ++at_;
  }

  void directive() {
    const std::string what = word();
    if (what == ".version" || what == ".address_size") {
      word();
    } else if (what == ".target") {
      file_.target = word();
      while (eat(',')) word();
    } else if (what == ".visible" || what == ".extern" || what == ".weak" || what == ".common") {
    } else if (what == ".shared" || what == ".global" || what == ".const") {
      file_.variables.push_back(variable(what.substr(1)));
      need(';');
    } else if (what == ".entry" || what == ".func") {
      function(what == ".entry");
    } else if (what == ".file") {
      const int index = int(integer());
      need('"');
      const size_t end = text_.find('"', at_);
      const std::string path(text_.substr(at_, end - at_));
      file_.files[index] = path.substr(path.rfind('/') + 1);
      skip_line();
    } else if (what == ".section") {
      word();
      skip_block();
    } else if (what == ".pragma") {
      skip_statement();
    } else {
      fail("unknown directive '" + (what.empty() ? std::string(text_.substr(at_, 10)) : what) + "'");
    }
  }

  // [.attributes] .type name[dimensions] [= initialiser]
  Variable variable(const std::string& space) {
    Variable v;
    v.space = space;
    uint64_t count = 1;
    bool pointer = false;
    for (;;) {
      const std::string w = word();
      if (w == ".align") {
        const uint32_t align = uint32_t(integer());
        if (!pointer) v.align = align;  // after .ptr it is what the pointer points to
      } else if (w == ".ptr") {
        pointer = true;
      } else if (w == ".global" || w == ".shared" || w == ".const" || w == ".local") {
      } else if (w == ".attribute") {
        need('(');
        while (!eat(')')) ++at_;
      } else if (w == ".v2" || w == ".v4") {
        count = uint64_t(w[2] - '0');
      } else if (w.size() > 1 && w[0] == '.') {
        v.element = size_of(w.substr(1));
        v.align = std::max(v.align, v.element);
      } else {
        v.name = w;
        break;
      }
    }
    while (eat('[')) {
      if (eat(']')) {
        v.unsized = true;
        continue;
      }
      count *= integer();
      need(']');
    }
    v.size = v.unsized ? 0 : count * v.element;
    if (eat('=')) {
      if (eat('{')) {
        while (!eat('}')) {
          initial(v);
          eat(',');
        }
      } else {
        initial(v);
      }
    }
    return v;
  }
  void initial(Variable& v) {
    if (eat('{')) {
      while (!eat('}')) {
        initial(v);
        eat(',');
      }
      return;
    }
    v.initial.push_back(operand());
  }

  void function(bool entry) {
    Function f;
    f.entry = entry;
    f.place = {line_, 0, 0};
    scopes_.assign(1, {});
    place_ = {};
    if (peek() == '(') f.results = parameters();
    f.name = word();
    if (peek() == '(') f.parameters = parameters();
    while (peek() == '.') {
      const std::string attribute = word();
      if (attribute == ".maxntid" || attribute == ".reqntid") {
        f.max_threads = int(integer());
        while (eat(',')) f.max_threads *= int(integer());
      } else {
        while (std::isdigit(static_cast<unsigned char>(peek())) || peek() == ',') ++at_;
      }
    }
    if (!eat(';')) {
      f.defined = true;
      current_ = &f;
      need('{');
      for (int depth = 1; depth;) {
        if (eat('{')) {
          scopes_.push_back({});
          ++depth;
        } else if (eat('}')) {
          scopes_.pop_back();
          --depth;
        } else if (!eat(';')) {
          statement();
        }
      }
    }
    file_.functions.push_back(std::move(f));
  }
  std::vector<Variable> parameters() {
    std::vector<Variable> list;
    need('(');
    while (!eat(')')) {
      const std::string w = word();
      if (w != ".param") fail("expected .param, found '" + w + "'");
      list.push_back(variable("param"));
      eat(',');
    }
    return list;
  }

  // A name of an inner { } is made unique: inline assembly declares the same ones again and again.
  std::string declare(const std::string& name) {
    if (scopes_.size() == 1) return scopes_[0][name] = name;
    return scopes_.back()[name] = name + "@" + std::to_string(unique_++);
  }
  std::string resolve(const std::string& name) const {
    for (size_t i = scopes_.size(); i-- > 0;)
      if (const auto it = scopes_[i].find(name); it != scopes_[i].end()) return it->second;
    return name;
  }

  void statement() {
    if (peek() == '@') return instruction();
    const size_t begin = at_;
    const int begin_line = line_;
    const std::string w = word();
    if (w.empty()) fail("cannot read '" + std::string(text_.substr(at_, 20)) + "'");
    if (w == ".reg") {
      const std::string type = word().substr(1);
      do {
        const std::string name = word();
        if (eat('<')) {
          const uint64_t n = integer();
          need('>');
          for (uint64_t i = 0; i < n; ++i) current_->registers[declare(name + std::to_string(i))] = type;
        } else {
          current_->registers[declare(name)] = type;
        }
      } while (eat(','));
      need(';');
    } else if (w == ".shared" || w == ".local" || w == ".param") {
      Variable v = variable(w.substr(1));
      need(';');
      v.name = declare(v.name);
      current_->variables.push_back(std::move(v));
    } else if (w == ".loc") {
      place_.file = int(integer());
      place_.line = int(integer());
      skip_line();
    } else if (w == ".pragma") {
      skip_statement();
    } else if (peek() == ':' && text_.substr(at_, 2) != "::") {
      ++at_;
      if (peek() == '.') return label_directive(w);
      current_->labels[w] = uint32_t(current_->body.size());
    } else {
      at_ = begin;
      line_ = begin_line;
      instruction();
    }
  }
  // name: .branchtargets a, b;  A .loc after a label is a statement of its own.
  void label_directive(const std::string& label) {
    const size_t begin = at_;
    const int begin_line = line_;
    const std::string what = word();
    if (what == ".branchtargets") {
      do current_->branch_targets[label].push_back(word());
      while (eat(','));
      need(';');
    } else if (what == ".callprototype") {
      fail("unsupported: .callprototype (a call through a pointer)");
    } else {
      at_ = begin;
      line_ = begin_line;
      current_->labels[label] = uint32_t(current_->body.size());
    }
  }

  static bool number_starts(char c) { return std::isdigit(static_cast<unsigned char>(c)); }
  uint64_t number(const std::string& digits, bool negative) {
    if (digits.size() > 2 && digits[0] == '0') {
      const char c = char(std::tolower(digits[1]));
      if (c == 'f') return std::stoull(digits.substr(2), nullptr, 16) ^ (negative ? 0x80000000ull : 0);
      if (c == 'd') return std::stoull(digits.substr(2), nullptr, 16) ^ (negative ? 1ull << 63 : 0);
    }
    const uint64_t value = std::stoull(digits, nullptr, 0);
    return negative ? ~value + 1 : value;
  }
  Operand operand() {
    Operand o;
    if (peek() == '{' || peek() == '(') {
      const char close = text_[at_++] == '{' ? '}' : ')';
      o.kind = Operand::Kind::vector;
      while (!eat(close)) {
        o.items.push_back(operand());
        eat(',');
      }
      return o;
    }
    if (eat('[')) {
      o = operand();
      if (o.kind == Operand::Kind::number) {
        o.offset = int64_t(o.value);
        o.text.clear();
      }
      o.kind = Operand::Kind::memory;
      need(']');
      return o;
    }
    o.inverted = eat('!');
    const bool negative = eat('-');
    if (number_starts(peek())) {
      o.kind = Operand::Kind::number;
      o.value = number(word(), negative);
      return o;
    }
    o.text = resolve(word());
    if (o.text.empty()) fail("expected an operand before '" + std::string(text_.substr(at_, 20)) + "'");
    if (o.text == "generic" && eat('(')) {
      o = operand();
      need(')');
    }
    if (eat('|')) o.second = resolve(word());
    if (eat('+')) {
      const bool minus = eat('-');
      o.offset = int64_t(number(word(), minus));
    } else if (eat('-')) {
      o.offset = int64_t(number(word(), true));
    }
    return o;
  }
  void instruction() {
    Instruction i;
    skip_space();
    i.place = {line_, place_.file, place_.line};
    if (eat('@')) {
      i.predicate_inverted = eat('!');
      i.predicate = resolve(word());
    }
    i.opcode = word();
    while (text_.substr(at_, 2) == "::") {
      at_ += 2;
      i.opcode += "::" + word();
    }
    size_t dot = i.opcode.find('.');
    i.base = i.opcode.substr(0, dot);
    while (dot != std::string::npos) {
      const size_t end = i.opcode.find('.', dot + 1);
      i.modifiers.push_back(i.opcode.substr(dot + 1, end == std::string::npos ? end : end - dot - 1));
      dot = end;
    }
    if (peek() != ';') {
      do i.operands.push_back(operand());
      while (eat(','));
    }
    need(';');
    current_->body.push_back(std::move(i));
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  int line_ = 1;
  File file_;
  Function* current_ = nullptr;
  std::vector<std::map<std::string, std::string>> scopes_{1};
  int unique_ = 0;
  Place place_;
};

}  // namespace

File parse(std::string_view text, const std::string& name) {
  return Parser(text.substr(0, text.find('\0')), name).parse();
}

}  // namespace softgpu::ptx

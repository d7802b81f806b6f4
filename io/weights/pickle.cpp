#include "io/weights/pickle.h"

#include <bit>
#include <cstdio>
#include <cstring>

#include "io/error.h"

namespace aid::io {
namespace {

// Opcodes as CPython's pickletools names them.
enum Opcode : unsigned char {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

// Of the opcodes that this machine lacks, for its refusals.
constexpr std::pair<unsigned char, const char*> kRefusedNames[] = {
    {'0', "POP"},        {'1', "POP_MARK"},   {'2', "DUP"},         {'B', "BINBYTES"},     {'C', "SHORT_BINBYTES"},
    {'F', "FLOAT"},      {'I', "INT"},        {'L', "LONG"},        {'P', "PERSID"},       {'S', "STRING"},
    {'V', "UNICODE"},    {'d', "DICT"},       {'g', "GET"},         {'i', "INST"},         {'l', "LIST"},
    {'o', "OBJ"},        {'p', "PUT"},        {0x81, "NEWOBJ"},     {0x82, "EXT1"},        {0x83, "EXT2"},
    {0x84, "EXT4"},      {0x8b, "LONG4"},     {0x8e, "BINBYTES8"},  {0x8f, "EMPTY_SET"},   {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"}, {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

std::string hex(unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", byte);
  return text;
}

struct KnownGlobal {
  std::string_view module, name;
  PickleGlobalRef value;
};

constexpr KnownGlobal kKnownGlobals[] = {
    {"collections", "OrderedDict", {PickleGlobal::ordered_dict}},
    {"torch._utils", "_rebuild_tensor", {PickleGlobal::rebuild_tensor}},
    {"torch._utils", "_rebuild_tensor_v2", {PickleGlobal::rebuild_tensor_v2}},
    {"torch", "FloatStorage", {PickleGlobal::storage_type, DType::f32}},
    {"torch", "HalfStorage", {PickleGlobal::storage_type, DType::f16}},
    {"torch", "BFloat16Storage", {PickleGlobal::storage_type, DType::bf16}},
    {"torch", "DoubleStorage", {PickleGlobal::storage_type, DType::f64}},
    {"torch", "LongStorage", {PickleGlobal::storage_type, DType::i64}},
    {"torch", "IntStorage", {PickleGlobal::storage_type, DType::i32}},
    {"torch", "ShortStorage", {PickleGlobal::storage_type, DType::i16}},
    {"torch", "CharStorage", {PickleGlobal::storage_type, DType::i8}},
    {"torch", "ByteStorage", {PickleGlobal::storage_type, DType::u8}},
    {"torch", "BoolStorage", {PickleGlobal::storage_type, DType::bool_}},
};

constexpr std::size_t kMaxDimensions = 64;  // PyTorch's own limit

}  // namespace

void PickleReader::fail(const std::string& what) const {
  throw Error(name_ + ": byte " + std::to_string(opcode_position_) + " of the pickle: " + what);
}

std::string_view PickleReader::take(std::uint64_t size) {
  if (size > bytes_.size() - position_) {
    fail("an operand of " + std::to_string(size) + " bytes; the pickle ends after " +
         std::to_string(bytes_.size() - position_) + ": it is cut short or damaged");
  }
  const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + position_, size);
  position_ += size;
  return taken;
}

std::uint64_t PickleReader::take_unsigned(int size) {
  std::uint64_t value = 0;
  const std::string_view bytes = take(static_cast<std::uint64_t>(size));
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return value;
}

std::string_view PickleReader::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_, bytes_.size() - position_);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) fail("a line without end: the pickle is cut short or damaged");
  position_ += end + 1;
  return rest.substr(0, end);
}

// Little-endian two's complement of any size, of which we need those that fit 64 bits.
std::int64_t PickleReader::take_long(std::uint64_t size) {
  if (size > 8) fail("an integer of " + std::to_string(size) + " bytes; expected at most 8");
  if (size == 0) return 0;
  const int shift = 64 - 8 * static_cast<int>(size);
  return static_cast<std::int64_t>(take_unsigned(static_cast<int>(size)) << shift) >> shift;
}

PickleValue PickleReader::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
    fail("takes a value from an empty stack: the pickle is damaged");
  const PickleValue value = stack_.back();
  stack_.pop_back();
  return value;
}

std::vector<PickleValue> PickleReader::pop_to_mark() {
  if (marks_.empty()) fail("there is no MARK on the stack: the pickle is damaged");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleValue> values(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return values;
}

template <class T>
T PickleReader::pop_as(const char* expected) {
  const PickleValue value = pop();
  const T* typed = std::get_if<T>(&value);
  if (!typed) fail(std::string("the value on the stack is not ") + expected);
  return *typed;
}

void PickleReader::push_list(std::vector<PickleValue> items) {
  lists_.push_back({std::move(items)});
  stack_.emplace_back(&lists_.back());
}

PickleValue PickleReader::load() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  while (step()) {
  }
  return pop();
}

bool PickleReader::step() {
  opcode_position_ = position_;
  const auto opcode = static_cast<unsigned char>(take(1)[0]);
  switch (opcode) {
    case kStop:
      return false;
    case kProto:
      if (const std::uint64_t protocol = take_unsigned(1); protocol > 5) {
        fail("pickle protocol " + std::to_string(protocol) + "; expected 2 to 5");
      }
      return true;
    case kFrame:
      take_unsigned(8);
      return true;
    case kNone:
      stack_.emplace_back();
      return true;
    case kNewTrue:
      stack_.emplace_back(true);
      return true;
    case kNewFalse:
      stack_.emplace_back(false);
      return true;
    case kBinInt:
    case kBinInt1:
    case kBinInt2:
    case kLong1:
    case kBinFloat:
      push_number(opcode);
      return true;
    case kShortBinString:
    case kShortBinUnicode:
      stack_.emplace_back(take(take_unsigned(1)));
      return true;
    case kBinString:
    case kBinUnicode:
      stack_.emplace_back(take(take_unsigned(4)));
      return true;
    case kBinUnicode8:
      stack_.emplace_back(take(take_unsigned(8)));
      return true;
    case kBinPut:
    case kLongBinPut:
    case kMemoize:
    case kBinGet:
    case kLongBinGet:
      use_memo(opcode);
      return true;
    case kGlobal: {
      const std::string_view module = take_line();
      push_global(module, take_line());
      return true;
    }
    case kStackGlobal: {
      const auto name = pop_as<std::string_view>("a global's name");
      push_global(pop_as<std::string_view>("a global's module"), name);
      return true;
    }
    case kBinPersId:
      push_storage();
      return true;
    case kReduce:
      reduce();
      return true;
    case kBuild:
      pop();
      if (stack_.empty() || !std::holds_alternative<PickleDict*>(stack_.back()))
        fail("BUILD of something that is not a dict; refused");
      return true;
    default:
      build_container(opcode);
      return true;
  }
}

void PickleReader::push_number(unsigned char opcode) {
  switch (opcode) {
    case kBinInt1:
      stack_.emplace_back(static_cast<std::int64_t>(take_unsigned(1)));
      return;
    case kBinInt2:
      stack_.emplace_back(static_cast<std::int64_t>(take_unsigned(2)));
      return;
    case kBinInt:
      stack_.emplace_back(take_long(4));
      return;
    case kLong1:
      stack_.emplace_back(take_long(take_unsigned(1)));
      return;
    default: {  // BINFLOAT, the only big-endian one
      const std::uint64_t little = take_unsigned(8);
      stack_.emplace_back(std::bit_cast<double>(__builtin_bswap64(little)));
    }
  }
}

void PickleReader::use_memo(unsigned char opcode) {
  const std::uint64_t index =
      opcode == kMemoize ? memo_.size() : take_unsigned(opcode == kBinPut || opcode == kBinGet ? 1 : 4);
  if (opcode == kBinGet || opcode == kLongBinGet) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("memo " + std::to_string(index) + " was never stored: the pickle is damaged");
    stack_.push_back(found->second);
    return;
  }
  stack_.push_back(pop());  // an empty stack is an error
  memo_[index] = stack_.back();
}

void PickleReader::build_container(unsigned char opcode) {
  switch (opcode) {
    case kMark:
      marks_.push_back(stack_.size());
      return;
    case kEmptyTuple:
    case kEmptyList:
      push_list({});
      return;
    case kTuple:
      push_list(pop_to_mark());
      return;
    case kTuple1:
    case kTuple2:
    case kTuple3: {
      std::vector<PickleValue> items(static_cast<std::size_t>(opcode - kTuple1) + 1);
      for (std::size_t i = items.size(); i-- > 0;) items[i] = pop();
      push_list(std::move(items));
      return;
    }
    case kAppend:
    case kAppends: {
      std::vector<PickleValue> items = opcode == kAppends ? pop_to_mark() : std::vector<PickleValue>{pop()};
      auto* list = pop_as<PickleList*>("a list");
      list->items.insert(list->items.end(), items.begin(), items.end());
      stack_.emplace_back(list);
      return;
    }
    case kEmptyDict:
      dicts_.emplace_back();
      stack_.emplace_back(&dicts_.back());
      return;
    case kSetItem:
    case kSetItems: {
      std::vector<PickleValue> items;
      if (opcode == kSetItems) {
        items = pop_to_mark();
      } else {
        const PickleValue value = pop();
        items = {pop(), value};
      }
      if (items.size() % 2 != 0) fail("SETITEMS with a key and no value: the pickle is damaged");
      auto* dict = pop_as<PickleDict*>("a dict");
      for (std::size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
      stack_.emplace_back(dict);
      return;
    }
    default:
      break;
  }
  for (const auto& [refused, name] : kRefusedNames) {
    if (refused == opcode) {
      fail(std::string("the opcode ") + name +
           " is refused: a state dict needs none, and it could run code or hide what is read");
    }
  }
  fail("the byte " + hex(opcode) + " is no pickle opcode: the file is damaged or no pickle");
}

void PickleReader::push_global(std::string_view module, std::string_view name) {
  for (const KnownGlobal& known : kKnownGlobals) {
    if (known.module == module && known.name == name) {
      stack_.emplace_back(known.value);
      return;
    }
  }
  fail("the global '" + std::string(module) + "." + std::string(name) +
       "' is refused: only plain state dicts are read and nothing is executed; if you trust the file, open it in "
       "PyTorch and save "
       "model.state_dict()");
}

// ('storage', type, key, location, elements[, view]), torch/serialization.py persistent_id.
void PickleReader::push_storage() {
  const auto* id = pop_as<PickleList*>("a persistent id");
  const std::vector<PickleValue>& items = id->items;
  const auto* kind = items.size() == 5 || items.size() == 6 ? std::get_if<std::string_view>(&items[0]) : nullptr;
  if (!kind || *kind != "storage") fail("a persistent id that is not a storage; refused");
  const auto* type = std::get_if<PickleGlobalRef>(&items[1]);
  const auto* key = std::get_if<std::string_view>(&items[2]);
  const auto* elements = std::get_if<std::int64_t>(&items[4]);
  if (!type || type->global != PickleGlobal::storage_type || !key || !elements || *elements < 0) {
    fail("a storage without type, key or number of elements: the pickle is damaged");
  }
  if (items.size() == 6 && !std::holds_alternative<std::monostate>(items[5])) {
    fail("a view of a storage, as PyTorch wrote before 0.4; save the file again with a newer PyTorch");
  }
  storages_.push_back({.dtype = type->dtype, .key = std::string(*key), .elements = *elements});
  stack_.emplace_back(&storages_.back());
}

void PickleReader::reduce() {
  auto* arguments = pop_as<PickleList*>("a tuple of arguments");
  switch (pop_as<PickleGlobalRef>("a global that can be called").global) {
    case PickleGlobal::storage_type:
      fail("a call of a storage type; refused");
    case PickleGlobal::rebuild_tensor:
      rebuild_tensor(*arguments, 4, 4);
      return;
    case PickleGlobal::rebuild_tensor_v2:
      rebuild_tensor(*arguments, 6, 7);
      return;
    case PickleGlobal::ordered_dict:
      break;
  }
  dicts_.emplace_back();
  stack_.emplace_back(&dicts_.back());
  if (arguments->items.empty()) return;
  // Python 2 passed the items: ([[key, value], ...],). They are moved, so that no pickle makes them many times over.
  auto* const* pairs = arguments->items.size() == 1 ? std::get_if<PickleList*>(&arguments->items[0]) : nullptr;
  if (!pairs) fail("OrderedDict with arguments that are not a list of pairs; refused");
  for (const PickleValue& item : std::exchange((*pairs)->items, {})) {
    auto* const* pair = std::get_if<PickleList*>(&item);
    if (!pair || (*pair)->items.size() != 2) fail("OrderedDict with an item that is not a pair; refused");
    dicts_.back().items.emplace_back((*pair)->items[0], (*pair)->items[1]);
  }
}

// (storage, offset, shape, strides[, requires_grad, backward_hooks[, metadata]]), torch/_utils.py.
void PickleReader::rebuild_tensor(const PickleList& arguments, std::size_t least, std::size_t most) {
  const std::vector<PickleValue>& items = arguments.items;
  if (items.size() < least || items.size() > most) {
    fail("a tensor rebuilt from " + std::to_string(items.size()) + " arguments; expected " + std::to_string(least) +
         (least == most ? "" : " or " + std::to_string(most)));
  }
  const auto* storage = std::get_if<const PickleStorage*>(&items[0]);
  const auto* offset = std::get_if<std::int64_t>(&items[1]);
  if (!storage || !offset) fail("a tensor without storage or offset: the pickle is damaged");
  if (items.size() == 7) {  // such as {'neg': True}: the stored values are not the tensor's
    auto* const* metadata = std::get_if<PickleDict*>(&items[6]);
    if (!std::holds_alternative<std::monostate>(items[6]) && !(metadata && (*metadata)->items.empty())) {
      fail("a tensor with metadata (a lazy negation or conjugation); save it after .resolve_neg().resolve_conj()");
    }
  }
  tensors_.push_back(
      {.storage = *storage, .offset = *offset, .shape = integers(items[2]), .strides = integers(items[3])});
  stack_.emplace_back(&tensors_.back());
}

std::vector<std::int64_t> PickleReader::integers(const PickleValue& value) const {
  auto* const* list = std::get_if<PickleList*>(&value);
  if (!list || (*list)->items.size() > kMaxDimensions)
    fail("a tensor whose shape or strides are not a tuple of at most 64 integers");
  std::vector<std::int64_t> result;
  for (const PickleValue& item : (*list)->items) {
    const auto* integer = std::get_if<std::int64_t>(&item);
    if (!integer) fail("a tensor whose shape or strides hold something that is not an integer");
    result.push_back(*integer);
  }
  return result;
}

}  // namespace aid::io

// Internal: the restricted pickle machine behind io/weights/torch_pickle.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/weights/tensor.h"

namespace aid::io {

struct PickleList;
struct PickleDict;

// A storage that the pickle refers to and whose bytes are elsewhere in the file.
struct PickleStorage {
  DType dtype = DType::f32;
  std::string key;
  std::int64_t elements = 0;
};

// What torch._utils._rebuild_tensor_v2 was called with; offset and strides count elements.
struct PickleTensor {
  const PickleStorage* storage = nullptr;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

// One of the few globals that a state dict needs: a name, never code.
enum class PickleGlobal { ordered_dict, rebuild_tensor, rebuild_tensor_v2, storage_type };
struct PickleGlobalRef {
  PickleGlobal global;
  DType dtype = DType::f32;  // of a storage_type
};

// Objects are owned by the reader and live as long: a pickle may build cycles.
using PickleValue = std::variant<std::monostate, bool, std::int64_t, double, std::string_view, PickleGlobalRef,
                                 const PickleStorage*, const PickleTensor*, PickleList*, PickleDict*>;

struct PickleList {  // list or tuple
  std::vector<PickleValue> items;
};

struct PickleDict {
  std::vector<std::pair<PickleValue, PickleValue>> items;  // in the order written; a repeated key's last value counts
};

// Runs pickles that lie one after the other in `bytes`, as torch.save writes them: protocols 2 to 5, and of their
// opcodes only those that build plain values, dicts, lists and tuples. REDUCE knows collections.OrderedDict,
// _rebuild_tensor(_v2); BUILD is dropped (an OrderedDict's attributes: `_metadata`). Every other opcode and global is
// refused by name; nothing is ever imported, called or allocated beyond the size of `bytes`. Throws Error.
class PickleReader {
 public:
  // name: what errors call the pickle, such as "FILE (archive/data.pkl)". Strings point into `bytes`.
  PickleReader(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  PickleValue load();                                 // the next pickle
  std::size_t position() const { return position_; }  // just after it
  const std::deque<PickleStorage>& storages() const { return storages_; }

 private:
  [[noreturn]] void fail(const std::string& what) const;
  std::string_view take(std::uint64_t size);
  std::uint64_t take_unsigned(int size);
  std::string_view take_line();
  std::int64_t take_long(std::uint64_t size);

  PickleValue pop();
  std::vector<PickleValue> pop_to_mark();
  template <class T>
  T pop_as(const char* expected);
  void push_list(std::vector<PickleValue> items);

  bool step();  // false after STOP
  void push_number(unsigned char opcode);
  void use_memo(unsigned char opcode);
  void build_container(unsigned char opcode);
  void push_global(std::string_view module, std::string_view name);
  void push_storage();
  void reduce();
  void rebuild_tensor(const PickleList& arguments, std::size_t least, std::size_t most);
  std::vector<std::int64_t> integers(const PickleValue& value) const;

  std::span<const std::byte> bytes_;
  std::string name_;
  std::size_t position_ = 0;
  std::size_t opcode_position_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, PickleValue> memo_;
  std::deque<PickleList> lists_;
  std::deque<PickleDict> dicts_;
  std::deque<PickleStorage> storages_;
  std::deque<PickleTensor> tensors_;
};

}  // namespace aid::io

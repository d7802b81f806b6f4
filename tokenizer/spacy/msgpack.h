#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aid::tokenizer::spacy {

/// Reads MessagePack from front to back (msgpack.org's spec.md). nlohmann/json's reader takes no map with keys that are
/// numbers, which spaCy's files have.
///
/// Whatever is broken, or not of the type asked for, is an Error that names the file, the byte and what the value is.
/// A length is believed only as far as there are bytes left.
class MsgpackReader {
 public:
  enum class Type { kNil, kBool, kUnsigned, kNegative, kFloat, kString, kBinary, kArray, kMap, kExtension };

  /// `bytes` outlives the reader. `file`: its name in errors.
  MsgpackReader(std::string_view bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  Type peek() const;
  bool at_end() const { return at_ == bytes_.size(); }
  size_t position() const { return at_; }

  // `what`: the value's name in errors.
  bool read_bool(std::string_view what);
  uint64_t read_unsigned(std::string_view what);
  double read_number(std::string_view what);  // a boolean, a number that is not negative, or a floating-point number
  std::string_view read_string(std::string_view what);  // valid UTF-8; lies in `bytes`
  std::string_view read_binary(std::string_view what);  // lies in `bytes`
  size_t read_array(std::string_view what);             // how many values follow
  size_t read_map(std::string_view what);               // how many pairs follow
  void skip();

  [[noreturn]] void refuse(size_t position, const std::string& problem) const;

 private:
  struct Head {
    Type type;
    uint64_t value;  // of a number; bytes of a string, binary or extension; values of an array; pairs of a map
    size_t length;   // of the head itself
  };
  Head head() const;
  Head take(Type expected, std::string_view what);

  std::string_view bytes_;
  std::string file_;
  size_t at_ = 0;
};

}  // namespace aid::tokenizer::spacy

#include "tokenizer/spacy/msgpack.h"

#include <bit>
#include <utility>

#include "tokenizer/error.h"
#include "tokenizer/utf8.h"

namespace aid::tokenizer::spacy {
namespace {

using Type = MsgpackReader::Type;

const char* name_of(Type type) {
  constexpr const char* kNames[] = {
      "nil",   "a boolean", "a number", "a negative number", "a floating-point number", "a string",
      "bytes", "an array",  "a map",    "an extension"};
  return kNames[static_cast<size_t>(type)];
}

}  // namespace

void MsgpackReader::refuse(size_t position, const std::string& problem) const {
  throw Error(file_ + ": byte " + std::to_string(position) + ": " + problem);
}

MsgpackReader::Head MsgpackReader::head() const {
  if (at_ == bytes_.size()) refuse(at_, "the file ends where a value was expected; copy it again");
  const auto byte = static_cast<uint8_t>(bytes_[at_]);
  // A big-endian number of 1 << power bytes behind the first one.
  const auto number = [&](int power) {
    const size_t size = size_t{1} << power;
    if (bytes_.size() - at_ - 1 < size) refuse(at_, "the file ends within a value; copy it again");
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes_[at_ + 1 + i]);
    return value;
  };
  const auto sized = [&](Type type, int power, uint64_t more = 0) {
    return Head{type, number(power) + more, 1 + (size_t{1} << power)};
  };
  if (byte < 0x80) return {Type::kUnsigned, byte, 1};
  if (byte < 0x90) return {Type::kMap, byte & 15u, 1};
  if (byte < 0xA0) return {Type::kArray, byte & 15u, 1};
  if (byte < 0xC0) return {Type::kString, byte & 31u, 1};
  if (byte >= 0xE0) return {Type::kNegative, byte, 1};
  switch (byte) {
    case 0xC0:
      return {Type::kNil, 0, 1};
    case 0xC2:
    case 0xC3:
      return {Type::kBool, byte & 1u, 1};
    case 0xC4:
    case 0xC5:
    case 0xC6:
      return sized(Type::kBinary, byte - 0xC4);
    case 0xC7:
    case 0xC8:
    case 0xC9:
      return sized(Type::kExtension, byte - 0xC7, 1);  // with the byte of its type
    case 0xCA:
    case 0xCB:
      return sized(Type::kFloat, byte - 0xCA + 2);
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF:
      return sized(Type::kUnsigned, byte - 0xCC);
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3: {
      Head found = sized(Type::kUnsigned, byte - 0xD0);
      const int bits = 8 << (byte - 0xD0);
      if (found.value >> (bits - 1) != 0) found.type = Type::kNegative;
      return found;
    }
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
      return {Type::kExtension, (uint64_t{1} << (byte - 0xD4)) + 1, 1};
    case 0xD9:
    case 0xDA:
    case 0xDB:
      return sized(Type::kString, byte - 0xD9);
    case 0xDC:
    case 0xDD:
      return sized(Type::kArray, byte - 0xDC + 1);
    case 0xDE:
    case 0xDF:
      return sized(Type::kMap, byte - 0xDE + 1);
    default:
      refuse(at_, "0xC1 begins no value; the file is not MessagePack, or broken");
  }
}

Type MsgpackReader::peek() const { return head().type; }

// Passes over a head, once what it announces is seen to fit.
MsgpackReader::Head MsgpackReader::take(Type expected, std::string_view what) {
  const Head found = head();
  if (found.type != expected) {
    refuse(at_, std::string(what) + " is " + name_of(found.type) + "; expected " + name_of(expected));
  }
  const size_t left = bytes_.size() - at_ - found.length;
  const bool counts =
      expected == Type::kString || expected == Type::kBinary || expected == Type::kArray || expected == Type::kMap;
  const uint64_t each = expected == Type::kMap ? 2 : 1;
  if (counts && found.value > left / each) {
    refuse(at_, std::string(what) + " is " + name_of(expected) + " of " + std::to_string(found.value) + ", but only " +
                    std::to_string(left) + " bytes are left in the file; copy it again");
  }
  at_ += found.length;
  return found;
}

bool MsgpackReader::read_bool(std::string_view what) { return take(Type::kBool, what).value != 0; }

uint64_t MsgpackReader::read_unsigned(std::string_view what) { return take(Type::kUnsigned, what).value; }

double MsgpackReader::read_number(std::string_view what) {
  const Type type = peek();
  if (type == Type::kBool) return read_bool(what) ? 1 : 0;
  if (type == Type::kUnsigned) return static_cast<double>(read_unsigned(what));
  const Head found = take(Type::kFloat, what);
  constexpr size_t kSingle = 1 + sizeof(float);
  return found.length == kSingle ? std::bit_cast<float>(static_cast<uint32_t>(found.value))
                                 : std::bit_cast<double>(found.value);
}

std::string_view MsgpackReader::read_string(std::string_view what) {
  const size_t begin = at_;
  const auto length = static_cast<size_t>(take(Type::kString, what).value);
  const std::string_view text = bytes_.substr(at_, length);
  if (!is_utf8(text)) refuse(begin, std::string(what) + " is not UTF-8");
  at_ += length;
  return text;
}

std::string_view MsgpackReader::read_binary(std::string_view what) {
  const auto length = static_cast<size_t>(take(Type::kBinary, what).value);
  const std::string_view binary = bytes_.substr(at_, length);
  at_ += length;
  return binary;
}

size_t MsgpackReader::read_array(std::string_view what) { return static_cast<size_t>(take(Type::kArray, what).value); }

size_t MsgpackReader::read_map(std::string_view what) { return static_cast<size_t>(take(Type::kMap, what).value); }

void MsgpackReader::skip() {
  for (uint64_t values = 1; values > 0; --values) {
    const Head found = head();
    const size_t left = bytes_.size() - at_ - found.length;
    const auto fits = [&](uint64_t least) {
      if (least > left)
        refuse(at_, std::string(name_of(found.type)) + " goes on past the end of the file; copy it again");
    };
    at_ += found.length;
    switch (found.type) {
      case Type::kString:
      case Type::kBinary:
      case Type::kExtension:
        fits(found.value);
        at_ += static_cast<size_t>(found.value);
        break;
      case Type::kArray:
        fits(found.value);
        values += found.value;
        break;
      case Type::kMap:
        fits(2 * found.value);
        values += 2 * found.value;
        break;
      default:
        break;
    }
  }
}

}  // namespace aid::tokenizer::spacy

#include "io/weights/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>

#include "io/error.h"
#include "io/json_file.h"

namespace aid::io {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian and used as they are");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the library's own limit
constexpr const char* kMetadataKey = "__metadata__";

// A value for a message.
std::string shown(const json& value) {
  const std::string text = value.dump();
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

struct Entry {
  TensorView tensor;
  std::uint64_t begin;
  std::uint64_t end;
};

// The value of a header entry's key as a list of non-negative integers.
std::vector<std::int64_t> sizes(const json& entry, const char* key, const std::string& where) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) {
    throw Error(where + ": \"" + key + "\" is " + (found == entry.end() ? "missing" : shown(*found)) +
                "; expected a list of whole numbers");
  }
  std::vector<std::int64_t> values;
  for (const json& value : *found) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
      throw Error(where + ": \"" + key + "\" holds " + shown(value) + "; expected whole numbers from 0 to 2^63 - 1");
    }
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

Entry read_entry(const std::string& name, const json& value, const std::string& file) {
  const std::string where = file + ": tensor '" + name + "'";
  if (!value.is_object()) {
    throw Error(where + ": found " + shown(value) + "; expected an object with dtype, shape and data_offsets");
  }
  const auto dtype_value = value.find("dtype");
  const std::string dtype_text =
      dtype_value != value.end() && dtype_value->is_string() ? dtype_value->get<std::string>() : "";
  const std::optional<DType> dtype = dtype_from_name(dtype_text);
  if (!dtype) {
    throw Error(where + ": dtype " + (dtype_value == value.end() ? "is missing" : shown(*dtype_value) + " is unknown") +
                "; expected F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL");
  }
  Entry entry{.tensor = {.name = name, .dtype = *dtype, .shape = sizes(value, "shape", where), .data = {}},
              .begin = 0,
              .end = 0};
  const std::vector<std::int64_t> offsets = sizes(value, "data_offsets", where);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw Error(where + ": data_offsets " + shape_text(offsets) + "; expected [begin, end] with begin <= end");
  }
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  const std::string layout = dtype_text + " of shape " + shape_text(entry.tensor.shape);
  const std::optional<std::uint64_t> bytes = byte_size(*dtype, entry.tensor.shape);
  if (!bytes) throw Error(where + ": the size of " + layout + " overflows 63 bits");
  if (*bytes != entry.end - entry.begin) {
    throw Error(where + ": data_offsets span " + std::to_string(entry.end - entry.begin) + " bytes; " + layout +
                " needs " + std::to_string(*bytes));
  }
  return entry;
}

// Lays the entries on the data one after the other: no hole, no overlap, nothing left over.
void check_layout(const std::vector<Entry>& by_offset, std::uint64_t data_bytes, const std::string& file) {
  std::uint64_t expected = 0;
  const Entry* previous = nullptr;
  for (const Entry& entry : by_offset) {
    if (entry.begin != expected) {
      throw Error(file + ": tensor '" + entry.tensor.name + "' begins at byte " + std::to_string(entry.begin) +
                  " of the data, " + (entry.begin < expected ? "overlapping " : "leaving a hole after ") +
                  (previous ? "'" + previous->tensor.name + "'" : "the header") + "; expected " +
                  std::to_string(expected));
    }
    expected = entry.end;
    previous = &entry;
  }
  if (expected != data_bytes) {
    throw Error(
        file + ": " + std::to_string(data_bytes) + " bytes of data after the header; its tensors take " +
        std::to_string(expected) +
        (data_bytes < expected ? ": the file is cut short, copy or download it again" : ": bytes are left over"));
  }
}

// The library writes types of stricter alignment first: its enum's order, falling.
int write_rank(DType dtype) {
  constexpr DType order[] = {DType::i64, DType::f64, DType::f32, DType::i32, DType::bf16,
                             DType::f16, DType::i16, DType::i8,  DType::u8,  DType::bool_};
  return static_cast<int>(std::find(std::begin(order), std::end(order), dtype) - std::begin(order));
}

// A JSON string literal.
std::string quoted(const std::string& text, const std::filesystem::path& path) {
  try {
    return json(text).dump();
  } catch (const json::type_error&) {
    throw Error("cannot write '" + path.string() + "': a name or metadata value in its header is not UTF-8");
  }
}

std::string header_text(const std::filesystem::path& path, std::span<const TensorView* const> tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += std::string("\"") + kMetadataKey + "\":{";
    for (const auto& [key, value] : metadata) header += quoted(key, path) + ":" + quoted(value, path) + ",";
    header.back() = '}';
    header += ',';
  }
  std::uint64_t offset = 0;
  for (const TensorView* tensor : tensors) {
    const std::optional<std::uint64_t> bytes = byte_size(tensor->dtype, tensor->shape);
    if (bytes != tensor->data.size()) {
      throw Error("cannot write '" + path.string() + "': tensor '" + tensor->name + "' has " +
                  std::to_string(tensor->data.size()) + " bytes; " + std::string(dtype_name(tensor->dtype)) +
                  " of shape " + shape_text(tensor->shape) + " needs " +
                  (bytes ? std::to_string(*bytes) : "more than 2^63"));
    }
    header += quoted(tensor->name, path) + ":{\"dtype\":\"" + std::string(dtype_name(tensor->dtype)) +
              "\",\"shape\":" + json(tensor->shape).dump() + ",\"data_offsets\":[" + std::to_string(offset) + "," +
              std::to_string(offset + *bytes) + "]},";
    offset += *bytes;
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  header.append((kLengthBytes - header.size() % kLengthBytes) % kLengthBytes, ' ');
  return header;
}

}  // namespace

SafeTensors SafeTensors::open(const std::filesystem::path& path) {
  SafeTensors result{MappedFile(path)};
  const std::span<const std::byte> bytes = result.file_.bytes();
  const std::string file = path.string();
  if (bytes.size() < kLengthBytes) {
    throw Error(file + ": " + std::to_string(bytes.size()) +
                " bytes long; a safetensors file begins with 8 bytes of header length");
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kMaxHeader) {
    throw Error(file + ": its first 8 bytes announce a header of " + std::to_string(header_bytes) +
                " bytes; expected at most " + std::to_string(kMaxHeader) + ": this is not a safetensors file");
  }
  if (header_bytes > bytes.size() - kLengthBytes) {
    throw Error(file + ": its header takes " + std::to_string(header_bytes) + " bytes; the file has " +
                std::to_string(bytes.size() - kLengthBytes) + " left: it is cut short, copy or download it again");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, header_bytes);
  const json header = parse_json(text, file + " (header)", {.repeated_keys = RepeatedKeys::refused});
  if (!header.is_object()) throw Error(file + ": its header is a JSON " + header.type_name() + "; expected an object");

  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadataKey) {
      entries.push_back(read_entry(name, value, file));
      continue;
    }
    if (!value.is_object())
      throw Error(file + ": __metadata__ is a JSON " + value.type_name() + "; expected an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string()) {
        throw Error(file + ": __metadata__ '" + key + "' is " + shown(text_value) + "; expected a string");
      }
      result.metadata_[key] = text_value.get<std::string>();
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + header_bytes);
  check_layout(entries, data.size(), file);

  for (Entry& entry : entries) {
    entry.tensor.data = data.subspan(entry.begin, entry.end - entry.begin);
    result.tensors_.push_back(std::move(entry.tensor));
  }
  std::sort(result.tensors_.begin(), result.tensors_.end(),
            [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return result;
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorView*> sorted;
  for (const TensorView& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const TensorView* a, const TensorView* b) {
    return std::pair(write_rank(a->dtype), std::string_view(a->name)) <
           std::pair(write_rank(b->dtype), std::string_view(b->name));
  });
  std::vector<std::string_view> names = {kMetadataKey};
  for (const TensorView* tensor : sorted) names.push_back(tensor->name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    throw Error("cannot write '" + path.string() + "': the name '" + std::string(*twice) + "' is " +
                (*twice == kMetadataKey ? "reserved" : "given to two tensors"));
  }

  const std::string header = header_text(path, sorted, metadata);
  const std::uint64_t header_bytes = header.size();
  std::uint64_t total = kLengthBytes + header_bytes;
  for (const TensorView* tensor : sorted) total += tensor->data.size();

  AtomicFile file(path, total);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const TensorView* tensor : sorted) file.write(tensor->data);
  file.commit();
}

}  // namespace aid::io

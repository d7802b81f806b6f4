#include "train/spacy/static_vectors.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/json_file.h"
#include "tokenizer/spacy/msgpack.h"
#include "train/spacy/attributes.h"

namespace aid::train {
namespace {

// Whole numbers within (...), as Python writes a tuple: "(3, 4)".
std::vector<int64_t> numbers_of_tuple(std::string_view text) {
  std::vector<int64_t> numbers;
  const size_t open = text.find('('), close = text.find(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return numbers;
  const char *at = text.data() + open + 1, *const end = text.data() + close;
  while (at < end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0) return {};
    numbers.push_back(number);
    at = next;
  }
  return numbers;
}

}  // namespace

std::optional<StaticVectors> StaticVectors::load(const std::filesystem::path& vocab) {
  if (!std::filesystem::exists(vocab / "vectors")) return std::nullopt;
  StaticVectors vectors(vocab / "vectors");
  vectors.read_header(vocab / "vectors");
  if (vectors.rows_ == 0 || vectors.width_ == 0) return std::nullopt;
  vectors.read_settings(vocab / "vectors.cfg");
  vectors.read_keys(vocab / "key2row");
  return vectors;
}

// numpy/lib/format.py, versions 1.0 to 3.0
void StaticVectors::read_header(const std::filesystem::path& file) {
  const std::string_view bytes(reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size());
  const auto refuse = [&file](const std::string& problem) { throw io::Error(file.string() + ": " + problem); };
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr size_t kVersion = 6, kLength = 8;
  if (!bytes.starts_with(kMagic) || bytes.size() < kLength + 4) refuse("is no array that NumPy saved (.npy)");
  const auto byte = [&bytes](size_t i) { return size_t{static_cast<uint8_t>(bytes[i])}; };
  const bool old = byte(kVersion) == 1;
  const size_t length =
      byte(kLength) | byte(kLength + 1) << 8 | (old ? 0 : byte(kLength + 2) << 16 | byte(kLength + 3) << 24);
  const size_t begin = kLength + (old ? 2 : 4);
  if (bytes.size() - begin < length) refuse("ends within its header; copy it again");
  const std::string_view header = bytes.substr(begin, length);
  const size_t shape = header.find("'shape':");
  const std::vector<int64_t> sizes =
      shape == std::string_view::npos ? std::vector<int64_t>() : numbers_of_tuple(header.substr(shape));
  if (header.find("'descr': '<f4'") == std::string_view::npos ||
      header.find("'fortran_order': False") == std::string_view::npos || sizes.size() != 2) {
    refuse("is " + std::string(header.substr(0, header.find('}') + 1)) +
           "; expected a table of <f4 in the order of its rows");
  }
  constexpr int64_t kMost = int64_t{1} << 31;
  rows_ = sizes[0];
  width_ = sizes[1];
  values_ = file_.bytes().subspan(begin + length);
  if (rows_ >= kMost || width_ >= kMost ||
      values_.size() != static_cast<size_t>(rows_) * static_cast<size_t>(width_) * sizeof(float)) {
    refuse("has " + std::to_string(values_.size()) + " bytes for a table of " + std::to_string(rows_) + " x " +
           std::to_string(width_) + " numbers of 4 bytes; copy it again");
  }
}

void StaticVectors::read_keys(const std::filesystem::path& file) {
  const std::string bytes = io::read_text(file);
  tokenizer::spacy::MsgpackReader reader(bytes, file.string());
  for (size_t pairs = reader.read_map("the keys"); pairs > 0; --pairs) {
    const uint64_t key = reader.read_unsigned("a key");
    const size_t begin = reader.position();
    const uint64_t row = reader.read_unsigned("a row");
    if (row >= static_cast<uint64_t>(rows_)) {
      reader.refuse(begin, "row " + std::to_string(row) + " of a table of " + std::to_string(rows_));
    }
    row_of_key_.insert_or_assign(key, static_cast<int32_t>(row));
  }
}

void StaticVectors::read_settings(const std::filesystem::path& file) {
  const nlohmann::json settings = std::filesystem::exists(file) ? io::parse_json_file(file) : nlohmann::json::object();
  const auto value = [&settings](const char* key, const char* otherwise) -> nlohmann::json {
    return settings.is_object() ? settings.value(key, nlohmann::json(otherwise)) : nlohmann::json(otherwise);
  };
  if (value("mode", "default") != "default") {
    throw io::Error(file.string() + ": vectors of the mode " + value("mode", "").dump() +
                    " are not reproduced; expected \"default\", a table of words");
  }
  const nlohmann::json attribute = value("attr", "ORTH");
  const auto number = attribute.is_string() ? attribute_number(attribute.get<std::string>()) : std::nullopt;
  if (!number) {
    throw io::Error(file.string() + ": \"attr\" is " + attribute.dump() + "; expected one of " + attribute_names());
  }
  attribute_ = *number;
}

}  // namespace aid::train

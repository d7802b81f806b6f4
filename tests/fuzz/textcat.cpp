// The files of a spaCy pipeline's text categorizer. The first byte says which of them the rest is.
#include <cstring>

#include "tests/fuzz/folder.h"
#include "tokenizer/error.h"
#include "tokenizer/spacy/config_file.h"
#include "train/spacy/architecture.h"
#include "train/spacy/static_vectors.h"
#include "train/spacy/thinc_file.h"

using aid::fuzz::put;

namespace {

// Every byte of every array lies in the file.
void read_model(std::string_view bytes) {
  size_t arrays = 0;
  for (const auto& node : aid::train::parse_thinc_file(bytes, "model")) {
    for (const auto& [name, array] : node.parameters) {
      if (!array || array->data.empty()) continue;
      AID_FUZZ_CHECK(array->data.data() >= bytes.data() && array->data.size() <= bytes.size());
      ++arrays;
    }
  }
  AID_FUZZ_CHECK(arrays <= bytes.size());
}

void read_config(std::string_view text) {
  const aid::tokenizer::spacy::ConfigFile config(text, "config.cfg");
  const auto component = aid::train::find_textcat(config);
  aid::train::read_architecture(config, component, 3, [] { return int64_t{7}; });
}

void read_vectors(uint8_t kind, std::string_view rest) {
  // A table of 2 x 1.
  std::string table = "\x93NUMPY" + std::string("\x01\0", 2);
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
  table += static_cast<char>(header.size());
  table += '\0' + header + std::string(8, 'x');
  put("vectors", kind == 2 ? rest : std::string_view(table));
  put("key2row", kind == 3 ? rest : std::string_view("\x80"));
  if (kind == 4) put("vectors.cfg", rest);
  const auto vectors = aid::train::StaticVectors::load(aid::fuzz::folder());
  if (!vectors) return;
  int sum = 0;
  for (uint64_t key = 0; key < 256; ++key) {
    const int32_t row = vectors->row_of(key);
    if (row >= 0) {
      for (const std::byte byte : vectors->row(row)) sum += static_cast<int>(byte);
    }
  }
  AID_FUZZ_CHECK(sum >= 0);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  if (size == 0) return 0;
  const std::string_view rest = fuzz::text_of(data, size).substr(1);
  fuzz::empty_folder();
  try {
    switch (data[0] % 5) {
      case 0:
        read_model(rest);
        break;
      case 1:
        read_config(rest);
        break;
      default:
        read_vectors(data[0] % 5, rest);
    }
  } catch (const tokenizer::Error&) {
  } catch (const io::Error&) {
  }
  return 0;
}

// A tokenizer's files. The first byte says which of them the rest is.
#include <filesystem>
#include <fstream>

#include "tests/fuzz/fuzz.h"
#include "tokenizer/error.h"
#include "tokenizer/tokenizer.h"

namespace {

// One for all runs, removed at the end.
const std::filesystem::path& folder() {
  static const struct Folder {
    Folder() {
      std::string name = (std::filesystem::temp_directory_path() / "aid_fuzz.XXXXXX").string();
      AID_FUZZ_CHECK(::mkdtemp(name.data()) != nullptr);
      path = name;
    }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
  } made;
  return made.path;
}

void put(const char* name, std::string_view bytes) { std::ofstream(folder() / name, std::ios::binary) << bytes; }

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  if (size == 0) return 0;
  const std::string_view rest = fuzz::text_of(data, size).substr(1);
  for (const auto& entry : std::filesystem::directory_iterator(folder())) std::filesystem::remove(entry.path());
  switch (data[0] % 4) {
    case 0:
      put("vocab.txt", rest);
      break;
    case 1:
      put("tokenizer.json", rest);
      break;
    case 2:
      put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nla\nley\n##s\n");
      put("tokenizer_config.json", rest);
      break;
    default:
      put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nla\nley\n##s\n");
      put("special_tokens_map.json", rest);
  }
  try {
    const auto tokenizer = tokenizer::Tokenizer::load(folder());
    tokenizer.encode("La ley [MASK] dice: ¡ñandú! 法 [SEP]");
  } catch (const tokenizer::Error&) {
  }
  return 0;
}

// A tokenizer's files. The first byte says which of them the rest is.
#include "tests/fuzz/folder.h"
#include "tokenizer/error.h"
#include "tokenizer/tokenizer.h"

using aid::fuzz::put;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  if (size == 0) return 0;
  const std::string_view rest = fuzz::text_of(data, size).substr(1);
  fuzz::empty_folder();
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
    const auto tokenizer = tokenizer::Tokenizer::load(fuzz::folder());
    tokenizer.encode("La ley [MASK] dice: ¡ñandú! 法 [SEP]");
  } catch (const tokenizer::Error&) {
  }
  return 0;
}

// A spaCy pipeline's files. The first byte says which of them the rest is, or that it is a pattern.
#include "tests/fuzz/folder.h"
#include "tokenizer/error.h"
#include "tokenizer/spacy/tokenizer.h"

using aid::fuzz::put;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  if (size == 0) return 0;
  const std::string_view rest = fuzz::text_of(data, size).substr(1);
  fuzz::empty_folder();
  std::string config = "[nlp]\nlang = \"es\"\ntokenizer = {\"@tokenizers\":\"spacy.Tokenizer.v1\"}\n", rules = "\x80";
  switch (data[0] % 4) {
    case 0:
      rules = rest;
      break;
    case 1:
      config = rest;
      break;
    case 2:
      std::filesystem::create_directory(fuzz::folder() / "vocab");
      put("vocab/lookups.bin", rest);
      break;
    default:  // every pattern is this one
      rules = "\x83";
      for (const char* part : {"\xADprefix_search", "\xADsuffix_search", "\xAEinfix_finditer"}) {
        rules += std::string(part) + '\xDA' + static_cast<char>(rest.size() >> 8 & 0xFF) +
                 static_cast<char>(rest.size() & 0xFF) + std::string(rest);
      }
  }
  put("config.cfg", config);
  put("tokenizer", rules);
  try {
    auto tokenizer = tokenizer::spacy::Tokenizer::load(fuzz::folder());
    std::vector<tokenizer::spacy::Token> tokens;
    const std::string_view text = "El Sr. Gil (de EE. UU.) dijo: ¡ñandú! 法  a-b, 1.5km\n😀";
    tokenizer.tokenize(text, tokens);
    // The tokens are the text, but for spaces between them.
    uint32_t at = 0;
    for (const auto& token : tokens) {
      AID_FUZZ_CHECK(token.offset.begin >= at && token.offset.begin < token.offset.end);
      at = token.offset.end;
    }
  } catch (const tokenizer::Error&) {
  }
  return 0;
}

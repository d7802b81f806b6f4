// Lines {"text": ...}, and texts of any encoding.
#include "io/jsonl.h"

#include <sstream>

#include "io/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  std::istringstream in{std::string(fuzz::text_of(data, size))};
  fuzz::reads([&] {
    io::JsonlTextReader reader(in, "fuzz");
    for (std::string text; reader.next(text);) AID_FUZZ_CHECK(io::valid_utf8_prefix(text) == text.size());
  });
  fuzz::reads([&] {
    const io::Text text = io::decode_text(std::string(fuzz::text_of(data, size)));
    AID_FUZZ_CHECK(io::valid_utf8_prefix(text.utf8) == text.utf8.size());
    io::is_blank(text.utf8);
  });
  return 0;
}

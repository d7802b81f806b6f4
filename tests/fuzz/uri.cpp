// URLs and their encodings: a URL that is taken is taken again as it is written, and encoding is undone by decoding.
#include "io/aws/uri.h"

#include "io/aws/s3.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  using namespace aid::io::aws;
  const std::string_view text = fuzz::text_of(data, size);
  AID_FUZZ_CHECK(percent_decode(percent_encode(text)) == text);
  percent_decode(text, Plus::space);
  AID_FUZZ_CHECK(normalise_path(normalise_path(text)) == normalise_path(text));
  redacted(text);
  fuzz::reads([&] { parse_s3_uri(std::string(text)); });
  fuzz::reads([&] {
    const Url url = parse_url(text);
    AID_FUZZ_CHECK(parse_url(url.text()).text() == url.text());
  });
  return 0;
}

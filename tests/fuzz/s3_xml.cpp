// S3's XML.
#include "io/aws/s3_xml.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  using namespace aid::io::aws;
  const std::string_view xml = fuzz::text_of(data, size);
  fuzz::reads([&] { parse_list(xml); });
  fuzz::reads([&] { parse_upload_id(xml); });
  fuzz::reads([&] { parse_uploads(xml); });
  fuzz::reads([&] { parse_parts(xml); });
  fuzz::reads([&] { parse_completed(xml); });
  fuzz::reads([&] { parse_deleted(xml); });
  fuzz::reads([&] { parse_error(xml); });
  return 0;
}

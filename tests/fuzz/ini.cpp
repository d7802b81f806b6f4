// The AWS command line's files.
#include "io/aws/profile.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  fuzz::reads([&] { io::aws::parse_ini(fuzz::text_of(data, size), "fuzz"); });
  return 0;
}

// The manifest of a synchronised folder: what is read and written again is read the same.
#include "io/sync/manifest.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  fuzz::reads([&] {
    const io::sync::Manifest manifest = io::sync::parse_manifest(fuzz::text_of(data, size), "fuzz");
    AID_FUZZ_CHECK(io::sync::parse_manifest(io::sync::to_text(manifest), "again") == manifest);
  });
  return 0;
}

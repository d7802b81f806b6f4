// Safetensors: every byte of every tensor that is told of lies in the file.
#include "io/weights/safetensors.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  const fuzz::MemoryFile file(fuzz::text_of(data, size));
  fuzz::reads([&] {
    const io::SafeTensors tensors = io::SafeTensors::open(file.path());
    unsigned sum = 0;
    for (const io::TensorView& tensor : tensors.tensors())
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    AID_FUZZ_CHECK(sum <= 255 * size);
  });
  return 0;
}

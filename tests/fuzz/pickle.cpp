// The restricted pickle machine, alone and as a checkpoint of PyTorch.
#include "io/weights/pickle.h"

#include "io/weights/torch_pickle.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace aid;
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::reads([&] { io::PickleReader(std::as_bytes(std::span(bytes)), "fuzz").load(); });
  const fuzz::MemoryFile file(bytes);
  fuzz::reads([&] {
    const io::TorchCheckpoint checkpoint = io::TorchCheckpoint::open(file.path());
    unsigned sum = 0;
    for (const io::TensorView& tensor : checkpoint.tensors())
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    AID_FUZZ_CHECK(sum < 0xFFFFFFFFu);
  });
  return 0;
}

#include "io/weights/safetensors.h"

#include <cstring>

#include "tests/io/test_files.h"

namespace aid::io {
namespace {

using test::contains;
using test::error_of;
using test::golden;
using test::put;
using test::TemporaryFolder;

std::string file_of(const std::string& header, std::size_t data_bytes, std::uint64_t header_bytes) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &header_bytes, 8);
  return bytes + header + std::string(data_bytes, '\1');
}

TEST(SafeTensors, ReadsMetadata) {
  const SafeTensors file = SafeTensors::open(golden("dtypes.safetensors"));
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.tensors().size(), 13u);
}

// The same bytes as the library, from its own file: layout, order, escapes, padding.
TEST(SafeTensors, WritesWhatTheLibraryWrites) {
  const TemporaryFolder folder;
  const SafeTensors file = SafeTensors::open(golden("dtypes.safetensors"));
  write_safetensors(folder / "copy.safetensors", file.tensors(), file.metadata());
  EXPECT_EQ(read_text(folder / "copy.safetensors"), read_text(golden("dtypes.safetensors")));
}

TEST(SafeTensors, WritesAndReadsNoTensorsAtAll) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {}, {});
  EXPECT_EQ(read_text(folder / "f"), file_of("{}      ", 0, 8));
  EXPECT_TRUE(SafeTensors::open(folder / "f").tensors().empty());
}

TEST(SafeTensors, WritesAWholeFileOrNone) {
  const TemporaryFolder folder;
  const float values[2] = {1, 2};
  const TensorView good{.name = "a", .dtype = DType::f32, .shape = {2}, .data = std::as_bytes(std::span(values))};
  TensorView bad = good;
  bad.shape = {3};
  TensorView reserved = good;
  reserved.name = "__metadata__";
  TensorView binary = good;
  binary.name = "\xff";
  const auto write = [&](std::vector<TensorView> tensors) {
    return error_of([&] { write_safetensors(folder / "f", tensors, {}); });
  };
  EXPECT_TRUE(contains(write({bad}), "tensor 'a' has 8 bytes; F32 of shape [3] needs 12"));
  EXPECT_TRUE(contains(write({good, good}), "the name 'a' is given to two tensors"));
  EXPECT_TRUE(contains(write({reserved}), "the name '__metadata__' is reserved"));
  EXPECT_TRUE(contains(write({binary}), "not UTF-8"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

struct BadFile {
  const char* header;
  std::size_t data_bytes;
  const char* message;
};

TEST(SafeTensors, RefusesWhatContradictsTheFormat) {
  const TemporaryFolder folder;
  const BadFile cases[] = {
      {R"({"a":})", 0, " (header):1:6: not valid JSON: "},
      {R"([])", 0, "its header is a JSON array; expected an object"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "the key \"a\" is there twice"},
      {R"({"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}})", 4,
       "the key \"dtype\" is there twice"},
      {R"({"a":7})", 0, "tensor 'a': found 7; expected an object"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "tensor 'a': dtype is missing"},
      {R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1,
       "dtype \"F8_E4M3\" is unknown; expected F32, F16"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "\"shape\" is missing"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "\"shape\" holds -1"},
      {R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "\"shape\" holds 1.5"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4,
       "\"shape\" holds 18446744073709551615"},
      {R"({"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})", 4, "\"shape\" is \"1\"; expected a list"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4,
       "data_offsets [0, 4, 8]; expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "data_offsets [4, 0]; expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       "data_offsets span 4 bytes; F32 of shape [2] needs 8"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0, "overflows 63 bits"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
       6, "tensor 'b' begins at byte 2 of the data, overlapping 'a'; expected 4"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "tensor 'b' begins at byte 0 of the data, overlapping 'a'; expected 4"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12, "tensor 'b' begins at byte 8 of the data, leaving a hole after 'a'; expected 4"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "leaving a hole after the header; expected 0"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3,
       "3 bytes of data after the header; its tensors take 4: the file is cut short"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5,
       "5 bytes of data after the header; its tensors take 4: bytes are left over"},
      {R"({"__metadata__":[]})", 0, "__metadata__ is a JSON array"},
      {R"({"__metadata__":{"a":1}})", 0, "__metadata__ 'a' is 1; expected a string"},
      {"{\"\xff\":1}", 0, "not valid JSON"},
  };
  for (const BadFile& bad : cases) {
    const std::string header = bad.header;
    put(folder / "f", file_of(header, bad.data_bytes, header.size()));
    const std::string message = error_of([&] { SafeTensors::open(folder / "f"); });
    EXPECT_TRUE(contains(message, bad.message)) << bad.header;
    EXPECT_TRUE(message.starts_with((folder / "f").string())) << message;
  }
  put(folder / "f", "1234567");
  EXPECT_TRUE(
      contains(error_of([&] { SafeTensors::open(folder / "f"); }), "7 bytes long; a safetensors file begins with"));
  put(folder / "f", file_of("{}", 0, 100'000'001));
  EXPECT_TRUE(contains(error_of([&] { SafeTensors::open(folder / "f"); }),
                       "a header of 100000001 bytes; expected at most 100000000"));
  put(folder / "f", file_of("{}", 0, 3));
  EXPECT_TRUE(
      contains(error_of([&] { SafeTensors::open(folder / "f"); }), "its header takes 3 bytes; the file has 2 left"));
}

}  // namespace
}  // namespace aid::io

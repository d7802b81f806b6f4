#include "io/weights/weights.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/io/test_files.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::error_of;
using test::golden;
using test::put;
using test::TemporaryFolder;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[std::to_integer<int>(byte) >> 4];
    text += "0123456789abcdef"[std::to_integer<int>(byte) & 15];
  }
  return text;
}

// Every file that Python wrote (tests/golden/weights.py), tensor by tensor and byte by byte.
TEST(Weights, EqualWhatPythonHad) {
  const nlohmann::json expected = nlohmann::json::parse(read_text(golden("expected.json")));
  ASSERT_GE(expected.size(), 14u);
  for (const auto& [file, tensors] : expected.items()) {
    SCOPED_TRACE(file);
    const Weights weights = Weights::open(golden(file));
    EXPECT_EQ(weights.tensors().size(), tensors.size());
    for (const auto& [name, values] : tensors.items()) {
      SCOPED_TRACE(name);
      const TensorView* tensor = weights.find(name);
      ASSERT_TRUE(tensor);
      EXPECT_EQ(dtype_name(tensor->dtype), values["dtype"].get<std::string>());
      EXPECT_EQ(tensor->shape, values["shape"].get<std::vector<std::int64_t>>());
      EXPECT_EQ(hex(tensor->data), values["hex"].get<std::string>());
    }
  }
}

TEST(Weights, TiedTensorsShareTheirBytes) {
  for (const char* file : {"views_zip.bin", "views_plain.bin"}) {
    const Weights weights = Weights::open(golden(file));
    EXPECT_EQ(weights.find("whole")->data.data(), weights.find("tied")->data.data());
    EXPECT_EQ(weights.find("whole")->data.data() + 6 * sizeof(float), weights.find("rows")->data.data());
  }
}

TEST(Weights, AreFoundInAFolder) {
  const TemporaryFolder folder;
  const std::string message = error_of([&] { Weights::open(folder.path()); });
  EXPECT_TRUE(contains(
      message,
      "looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json"));
  fs::copy_file(golden("views_zip.bin"), folder / "pytorch_model.bin");
  EXPECT_TRUE(Weights::open(folder.path()).find("transposed"));
  fs::copy_file(golden("dtypes.safetensors"), folder / "model.safetensors");
  const Weights weights = Weights::open(folder.path());
  EXPECT_TRUE(weights.find("scalar"));
  EXPECT_FALSE(weights.find("transposed"));
  EXPECT_EQ(weights.files()[0], folder / "model.safetensors");
}

TEST(Weights, RefusesAnIndexThatContradictsItsFiles) {
  const TemporaryFolder folder;
  const std::string shard = "model-00001-of-00002.safetensors";
  fs::copy_file(golden(shard), folder / shard);
  const auto open_index = [&](const std::string& index) {
    put(folder / "model.safetensors.index.json", index);
    return error_of([&] { Weights::open(folder.path()); });
  };
  EXPECT_TRUE(contains(open_index("{\n \"weight_map\": }"), "model.safetensors.index.json:2:16: not valid JSON"));
  EXPECT_TRUE(contains(open_index("{}"), "no \"weight_map\""));
  EXPECT_TRUE(contains(open_index(R"({"weight_map":{"a":"../x"}})"), "tensor 'a' is said to be in \"../x\""));
  EXPECT_TRUE(contains(open_index(R"({"weight_map":{"a":"none.safetensors"}})"), "none.safetensors': No such file"));
  EXPECT_TRUE(contains(open_index(R"({"weight_map":{"a":")" + shard + R"(","c":")" + shard + R"("}})"),
                       "1 tensors are not in the files that the index names:\n  c ("));
  EXPECT_TRUE(contains(open_index(R"({"weight_map":{"c":")" + shard + R"("}})"),
                       "tensor 'a' is in " + shard + "; the index says nothing of it"));
}

struct Refusal {
  const char* file;
  const char* message;
};

TEST(Weights, RefusesPicklesThatAreNoSoundStateDict) {
  const Refusal cases[] = {
      {"evil_zip.bin", "evil_zip/data.pkl): byte "},
      {"evil_zip.bin", "the global 'posix.system' is refused"},
      {"evil_plain.bin", "the global 'posix.system' is refused"},
      {"evil_protocol4.bin", "the global 'builtins.eval' is refused"},
      {"evil_protocol0.bin", "the opcode STRING is refused"},
      {"evil_inst.bin", "the opcode INST is refused"},
      {"evil_newobj.bin", "the opcode NEWOBJ is refused"},
      {"evil_build.bin", "BUILD of something that is not a dict; refused"},
      {"evil_ordered_dict.bin", "OrderedDict with arguments that are not a list of pairs; refused"},
      {"evil_storage_call.bin", "a call of a storage type; refused"},
      {"parameter.bin", "the global 'torch._utils._rebuild_parameter' is refused"},
      {"negated.bin", "save it after .resolve_neg().resolve_conj()"},
      {"expanded.bin",
       "tensor 'expanded': shape [4, 3], strides [0, 1], offset 0 in a storage of 3 elements: it repeats elements"},
      {"ambiguous.bin", "holds more than one state dict (its keys: state_dict, model)"},
      {"no_tensors.bin", "holds no tensors (its keys: epoch)"},
      {"python2_ordered_dict.bin", "holds no tensors (its keys: a)"},
      {"only_a_tensor.bin", "holds no dict"},
      {"recursive.bin", "holds no dict"},
      {"torchscript.pt", "is a TorchScript program"},
      {"bad_compressed.bin", "is compressed or encrypted; expected a stored one"},
      {"bad_big_endian.bin", "not saved on a little-endian machine"},
      {"bad_big_endian_plain.bin", "not saved on a little-endian machine"},
      {"bad_short_storage.bin", "/data/0' has 15 bytes; its 4 elements of F32 need 16"},
      {"bad_missing_storage.bin", "/data/0' is missing from the zip file"},
      {"bad_claimed_size.bin", "claims 2147483647 bytes; the whole file has "},
      {"bad_offset.bin", "shape [4], strides [1], offset 1 in a storage of 4 elements: it does not lie inside"},
      {"bad_negative_offset.bin", "offset -1 in a storage of 4 elements: it does not lie inside"},
      {"bad_huge_offset.bin", "offset 9223372036854775807 in a storage of 4 elements: it does not lie inside"},
      {"bad_huge_shape.bin",
       "shape [9223372036854775807], strides [1], offset 0 in a storage of 4 elements: it does not lie"},
      {"bad_long_offset.bin", "an integer of 9 bytes; expected at most 8"},
      {"bad_dimensions.bin", "shape [4, 1], strides [1], offset 0 in a storage of 4 elements: it does not lie inside"},
      {"bad_protocol.bin", "pickle protocol 9; expected 2 to 5"},
  };
  for (const Refusal& refusal : cases) {
    SCOPED_TRACE(refusal.file);
    const std::string message = error_of([&] { Weights::open(golden(refusal.file)); });
    EXPECT_TRUE(contains(message, refusal.message));
    EXPECT_TRUE(message.starts_with(golden(refusal.file).string())) << message;
  }
}

TEST(Weights, RefusesDamagedFiles) {
  const TemporaryFolder folder;
  const auto open_bytes = [&](std::string_view bytes) {
    put(folder / "f.bin", bytes);
    return error_of([&] { Weights::open(folder / "f.bin"); });
  };
  EXPECT_TRUE(contains(open_bytes(""), "begins neither like a zip file"));
  EXPECT_TRUE(contains(open_bytes("version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer"));

  const std::string zip = read_text(golden("views_zip.bin"));
  EXPECT_TRUE(contains(open_bytes(zip.substr(0, zip.size() / 2)), "cut short or damaged"));
  std::string damaged = zip;
  const float value = 17;  // an element of `whole`
  const std::size_t at = zip.find(std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  ASSERT_NE(at, std::string::npos);
  damaged[at] ^= 1;
  EXPECT_TRUE(contains(open_bytes(damaged), "/data/0' is damaged (CRC error)"));

  const std::string plain = read_text(golden("views_plain.bin"));
  EXPECT_TRUE(contains(open_bytes(plain.substr(0, plain.size() - 1)), "is cut short or damaged at byte "));
  EXPECT_TRUE(contains(open_bytes(plain.substr(0, 40)), "the pickle ends after "));
}

// Whatever the bytes, the answer is tensors or an Error: nothing else is thrown, and every byte of the tensors can be
// read.
TEST(Weights, SurvivesMutatedFiles) {
  const TemporaryFolder folder;
  std::mt19937 random(1);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  int opened = 0;
  int refused = 0;
  for (const char* name :
       {"dtypes.safetensors", "dtypes_plain.bin", "dtypes_zip.bin", "views_plain.bin", "module_plain_protocol4.bin",
        "views_zip.bin", "nested_model.bin", "python2_ordered_dict.bin"}) {
    const std::string original = read_text(golden(name));
    const fs::path file = folder / name;
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = original;
      for (std::size_t changes = 1 + below(4); changes-- > 0 && !bytes.empty();) {
        const std::size_t at = below(bytes.size());
        switch (below(6)) {
          case 0:
            bytes[at] = static_cast<char>(below(256));
            break;
          case 1:
            bytes[at] ^= static_cast<char>(1 << below(8));
            break;
          case 2:
            bytes.erase(at, 1 + below(8));
            break;
          case 3:
            bytes.insert(at, original, below(original.size()), below(16));
            break;
          case 4:
            bytes.resize(at);
            break;
          default:
            bytes.replace(at, 1, "\xff\xff\xff\x7f");
            break;
        }
      }
      put(file, bytes);
      try {
        const Weights weights = Weights::open(file);
        unsigned sum = 0;
        for (const TensorView& tensor : weights.tensors()) {
          for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
        }
        opened += sum < std::numeric_limits<unsigned>::max();
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 1000);
}

TEST(ConvertToF32, IsExactFromEveryHalf) {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  const TensorView tensor{.name = "h", .dtype = DType::f16, .shape = {65536}, .data = std::as_bytes(std::span(halves))};
  std::vector<float> out(halves.size());
  convert_to_f32(tensor, out);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31);
    const auto mantissa = static_cast<float>(i & 1023);
    float expected = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) expected = mantissa == 0 ? INFINITY : NAN;
    if (i & 0x8000) expected = -expected;
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(out[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), std::bit_cast<std::uint32_t>(expected)) << i;
    }
  }
}

TEST(ConvertToF32, TakesMisalignedDataOfEveryFloat) {
  const auto converted = [](auto value, DType dtype) {
    std::byte bytes[1 + sizeof value];
    std::memcpy(bytes + 1, &value, sizeof value);
    float out = 0;
    convert_to_f32({.name = "t", .dtype = dtype, .shape = {1}, .data = {bytes + 1, sizeof value}}, {&out, 1});
    return out;
  };
  EXPECT_EQ(converted(1.25f, DType::f32), 1.25f);
  EXPECT_EQ(converted(0.1, DType::f64), 0.1f);
  EXPECT_EQ(converted(static_cast<std::uint16_t>(0xc049), DType::bf16), -3.140625f);
  EXPECT_TRUE(
      contains(error_of([&] { converted(std::int64_t{1}, DType::i64); }), "tensor 't' holds I64; expected F32"));
  float two[2];
  EXPECT_TRUE(contains(error_of([&] { convert_to_f32({.name = "t", .dtype = DType::f16, .shape = {0}}, two); }),
                       "does not have the 2 elements"));
}

// The real checkpoints of the plain form: {best_prec1, state_dict} of a CIFAR-10 ResNet.
TEST(SharedWeights, ReadsOldCheckpoints) {
  const Weights weights = Weights::open(fs::path(AID_SHARED_DIR) / "weights/resnet_cifar10/resnet20-12fca82f.th");
  EXPECT_EQ(weights.tensors().size(), 97u);
  EXPECT_EQ(weights.find("module.conv1.weight")->shape, (std::vector<std::int64_t>{16, 3, 3, 3}));
}

// Not a test: tests/peers/weights_roundtrip.py runs it, and compares what it writes. Every file of the folder is opened
// and written again beside it as NAME.ours.safetensors.
TEST(PeersRoundTrip, DISABLED_WriteAgain) {
  const char* folder = std::getenv("AID_ROUNDTRIP_DIR");
  ASSERT_TRUE(folder) << "AID_ROUNDTRIP_DIR names the folder of files to open and write again";
  std::vector<fs::path> inputs;
  for (const auto& entry : fs::directory_iterator(folder)) inputs.push_back(entry.path());
  for (const fs::path& input : inputs) {
    write_safetensors(input.string() + ".ours.safetensors", Weights::open(input).tensors(), {{"format", "pt"}});
  }
}

}  // namespace
}  // namespace aid::io

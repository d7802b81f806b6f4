#include "kernels/core/stream.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/device/runtime.h"
#include "tests/kernels/harness.h"

namespace aid::test {
namespace {

std::vector<int32_t> counting(int32_t first, int64_t size) {
  std::vector<int32_t> values(static_cast<size_t>(size));
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::vector<int32_t> downloaded(Stream& s, CSpan span) {
  std::vector<int32_t> values(static_cast<size_t>(span.size()));
  s.download(vector(values.data(), span.size()), span);
  s.synchronize();
  return values;
}

TEST(Stream, UploadsWhatTheHostMayChangeAtOnce) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    for (int32_t step = 0; step < 5; ++step) {
      std::vector<CSpan> spans;
      for (const int64_t size : {1, 100, 3000}) {
        std::vector<int32_t> values = counting(step, size);
        spans.push_back(s.upload(vector(values.data(), size)));
        std::fill(values.begin(), values.end(), -1);
      }
      for (const CSpan& span : spans) {
        const std::vector<int32_t> expected = counting(step, span.size());
        EXPECT_EQ(span.device, device_of(target));
        EXPECT_EQ(downloaded(s, span), expected);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), span.host_as<int32_t>()));
      }
      s.release();
    }
  }
}

TEST(Stream, PartsOfAnUploadKnowTheirHostCopy) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    const std::vector<int32_t> values = counting(0, 12);
    const CSpan all = s.upload(matrix(values.data(), 3, 4));
    EXPECT_EQ(all.row_slice(1, 3).host_as<int32_t>()[0], 4);
    EXPECT_EQ(all.row_slice(1, 3).col_slice(2, 4).host_as<int32_t>()[0], 6);
    EXPECT_EQ(downloaded(s, all.row_slice(2, 3).col_slice(1, 3)), (std::vector<int32_t>{9, 10}));
  }
}

// More than is staged: it goes around the pinned memory.
TEST(Stream, MovesWhatIsLarge) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    const std::vector<int32_t> values = counting(7, (3 << 20) + 1);
    const Tensor there(DType::i32, 1, static_cast<int64_t>(values.size()), s.device());
    s.upload(there.span(), vector(values.data(), static_cast<int64_t>(values.size())));
    EXPECT_EQ(downloaded(s, there), values);
  }
}

TEST(Stream, ADownloadIsThereAfterReleaseToo) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    int32_t value = 5, result = 0;
    const CSpan there = s.upload(vector(&value, 1));
    s.download(vector(&result, 1), there);
    s.release();
    s.synchronize();
    EXPECT_EQ(result, 5);
  }
}

TEST(Stream, ZeroedMemoryIsZero) {
  for (const Target target : targets()) {
    Stream s({.threads = 1, .target = target});
    EXPECT_EQ(downloaded(s, Tensor::zeros(DType::i32, 1, 1000, s.device())), std::vector<int32_t>(1000, 0));
  }
}

TEST(Stream, RefusesTheHostsViewOfDeviceMemory) {
  const int32_t value = 0;
  const CSpan device = detail::BasicSpan<const void*>{&value, DType::i32, Device::cuda, 1, 1, 1};
  EXPECT_THROW(device.host_as<int32_t>(), std::invalid_argument);
}

TEST(Stream, SaysWhyThereIsNoGpu) {
  if (supported(Target::cuda)) GTEST_SKIP() << "there is one";
  try {
    Stream s({.target = Target::cuda});
    FAIL() << "expected an exception";
  } catch (const CudaError& e) {
    EXPECT_NE(std::string(e.what()).find("--device cpu works without one"), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find(cuda::unavailable()), 0u) << e.what();
  }
}

}  // namespace
}  // namespace aid::test

// Skips every test of a program that needs a GPU where there is none. `./dev gpu-test` looks for one first.
#include <gtest/gtest.h>

#include "kernels/device/runtime.h"

namespace aid::test {
namespace {

class GpuRequired : public testing::Environment {
  void SetUp() override {
    if (const std::string why = cuda::unavailable(); !why.empty()) GTEST_SKIP() << "no GPU to test on: " << why;
  }
};

[[maybe_unused]] const testing::Environment* const required = testing::AddGlobalTestEnvironment(new GpuRequired);

}  // namespace
}  // namespace aid::test

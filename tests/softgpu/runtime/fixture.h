#pragma once
// A test on a device of its own: starts from a new runtime and, unless it clears them itself, ends without a report.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/softgpu/memory.h"
#include "tests/softgpu/report.h"
#include "tests/softgpu/runtime/control.h"

namespace softgpu {

class RuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    reset_runtime();
    clear_reports();
    set_stream_order(StreamOrder::latest);
  }
  void TearDown() override {
    EXPECT_EQ(reports_text(), "");
    reset_runtime();
    clear_reports();
  }

  // That there is exactly one report, of this kind, with these words; clears it.
  static void expect_report(Kind kind, const std::string& words) {
    const std::vector<Report> found = reports();
    ASSERT_EQ(found.size(), 1u) << reports_text();
    EXPECT_EQ(found[0].kind, kind) << reports_text();
    EXPECT_NE(found[0].str().find(words), std::string::npos) << reports_text();
    clear_reports();
  }
};

// Device memory with a host's values, freed at the end.
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<float>& values) : count_(values.size()) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), bytes()), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
  explicit DeviceArray(size_t count) : count_(count) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), bytes()), cudaSuccess);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  float* data() { return data_; }
  size_t bytes() const { return count_ * sizeof(float); }
  std::vector<float> values() const {
    std::vector<float> result(count_);
    EXPECT_EQ(cudaMemcpy(result.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return result;
  }

 private:
  float* data_ = nullptr;
  size_t count_;
};

}  // namespace softgpu

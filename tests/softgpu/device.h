#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/softgpu/launch.h"
#include "tests/softgpu/memory.h"

// For the software GPU's own tests: modules by name, arrays on the device, launches with typed arguments.
namespace softgpu {

inline std::shared_ptr<Module> load_ptx(const std::string& name) {
  std::ifstream in(std::string(SOFTGPU_PTX_DIR) + "/" + name + ".ptx");
  std::stringstream text;
  text << in.rdbuf();
  return Module::load(text.str(), name);
}

template <class T>
class Array {
 public:
  explicit Array(size_t n) : n_(n), p_(static_cast<T*>(allocate(n * sizeof(T), "test"))) {}  // nobody wrote it
  explicit Array(const std::vector<T>& values) : Array(values.size()) {
    std::memcpy(p_, values.data(), n_ * sizeof(T));
    mark_written(p_, n_ * sizeof(T));
  }
  ~Array() {
    if (p_) free(p_);
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* get() const { return p_; }
  std::vector<T> values() const { return {p_, p_ + n_}; }

 private:
  size_t n_;
  T* p_;
};

struct Shape {
  Dim grid{1, 1, 1}, block{32, 1, 1};
  size_t shared = 0;
};

template <class... A>
LaunchResult run(const Module& module, const std::string& kernel, const Shape& shape, const LaunchOptions& options,
                 A... args) {
  void* pointers[] = {static_cast<void*>(&args)..., nullptr};
  return launch(*module.kernel(kernel), shape.grid, shape.block, shape.shared, pointers, options);
}

// A launch that went through, with nothing to report.
inline void expect_clean(const LaunchResult& r) {
  EXPECT_TRUE(r.ok) << r.error;
  EXPECT_EQ(reports_text(), "");
  clear_reports();
}

}  // namespace softgpu

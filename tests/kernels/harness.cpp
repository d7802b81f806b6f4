#include "tests/kernels/harness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numbers>

#include "tests/kernels/compare.h"
#ifdef AID_TEST_SOFTGPU
#include "tests/softgpu/runtime/control.h"
#endif

namespace aid::test {
namespace {

// All bits set is NaN in every float type: a read outside of an operand shows up in the result, a write in the guard.
constexpr int kPoison = 0xff;
constexpr size_t kGuardBytes = 128;

// Operands in a GPU's memory and their images in the host's.
struct Image {
  const std::byte *device, *host;
  size_t bytes;
};
std::vector<Image>& images() {
  static std::vector<Image> all;
  return all;
}

// On the software GPU a repeated run has its warps in another order: what depends on it differs, or is reported.
void choose_order([[maybe_unused]] bool repeated) {
#ifdef AID_TEST_SOFTGPU
  softgpu::LaunchOptions options = softgpu::options_from_environment();
  if (repeated)
    options.order = options.order == softgpu::Order::reverse ? softgpu::Order::greedy : softgpu::Order::reverse;
  softgpu::set_launch_options(options);
#endif
}

// Memory as bytes.
Span bytes_of(const Buffer& buffer, Device device) {
  const auto size = static_cast<int64_t>(buffer.bytes());
  return {buffer.data(), DType::i8, device, 1, size, size};
}

void write(Span span, const std::vector<double>& values) {
  AID_CHECK(static_cast<int64_t>(values.size()) == span.size(), "test: ", values.size(), " values for ", span.size());
  for (int64_t i = 0; i < span.size(); ++i) {
    const int64_t at = i / span.cols * span.stride + i % span.cols;
    const double value = values[static_cast<size_t>(i)];
    switch (span.dtype) {
      case DType::f32:
        span.as<float>()[at] = static_cast<float>(value);
        break;
      case DType::bf16:
        span.as<bf16>()[at] = bf16(static_cast<float>(value));
        break;
      case DType::f16:
        static_cast<_Float16*>(span.data)[at] = static_cast<_Float16>(value);
        break;
      case DType::i32:
        span.as<int32_t>()[at] = static_cast<int32_t>(value);
        break;
      case DType::i64:
        span.as<int64_t>()[at] = static_cast<int64_t>(value);
        break;
      default:
        AID_CHECK(false, "test: no operands of ", name_of(span.dtype));
    }
  }
}

}  // namespace

std::string name_of(const Case& c) {
  return detail::concatenate(name_of(c.target), "/", name_of(c.dtype), "/", c.size, "/", c.offset);
}

std::vector<Target> targets() {
  std::vector<Target> found;
#ifdef AID_TEST_SOFTGPU
  const std::vector<Target> all = {Target::cuda};
#else
  const std::vector<Target> all = {Target::cpu_avx2, Target::cpu_avx512, Target::cpu_avx512_bf16, Target::cpu_amx,
                                   Target::cuda};
#endif
  const char* only = std::getenv("AID_TEST_TARGET");
  for (const Target target : all) {
    if (supported(target) && (only == nullptr || std::string_view(only) == name_of(target))) found.push_back(target);
  }
  AID_CHECK(!found.empty(), "test: AID_TEST_TARGET=", only == nullptr ? "" : only, " is no target of this machine");
  return found;
}

void for_each_case(const Cases& cases, const std::function<void(const Case&)>& body) {
  const char* only = std::getenv("AID_CASE");
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  for (const Target target : targets()) {
    std::vector<DType> dtypes = cases.dtypes;
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      if (cases.dtypes.empty() && computes_in(device_of(target), dtype)) dtypes.push_back(dtype);
    }
    for (const DType dtype : dtypes) {
      for (const int64_t size : cases.sizes) {
        for (const int64_t offset : {0, 1}) {
          const Case c = {target, dtype, size, offset};
          if (only != nullptr && name_of(c) != only) continue;
          SCOPED_TRACE("repeat with: AID_CASE=" + name_of(c) +
                       " kernels_test --gtest_filter=" + test.test_suite_name() + "." + test.name());
          body(c);
        }
      }
    }
  }
}

uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<double> Random::uniform(int64_t n, double low, double high) {
  std::vector<double> values(static_cast<size_t>(n));
  for (double& value : values) value = low + (high - low) * uniform();
  return values;
}

std::vector<double> Random::normal(int64_t n, double scale, double mean) {
  std::vector<double> values(static_cast<size_t>(n));
  for (double& value : values) {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    value = mean + scale * radius * std::cos(2 * std::numbers::pi * uniform());
  }
  return values;
}

std::vector<double> Random::integers(int64_t n, int64_t below) {
  std::vector<double> values(static_cast<size_t>(n));
  for (double& value : values) value = static_cast<double>(next() % static_cast<uint64_t>(below));
  return values;
}

Span OpRun::add(int64_t rows, int64_t cols, Layout layout, bool writable) {
  const int64_t stride = cols + layout.gap;
  const size_t bytes = static_cast<size_t>(rows * stride) * size_of(layout.dtype);
  const size_t first = kGuardBytes + static_cast<size_t>(case_.offset) * size_of(layout.dtype);
  auto operand = std::make_unique<Operand>();
  operand->memory = Buffer(first + bytes + kGuardBytes);
  operand->writable = writable;
  std::memset(operand->memory.data(), kPoison, operand->memory.bytes());
  const Span on_host = {
      static_cast<std::byte*>(operand->memory.data()) + first, layout.dtype, Device::cpu, rows, cols, stride};
  operand->span = on_host;
  if (device_of(case_.target) == Device::cuda) {
    operand->device = Buffer(operand->memory.bytes(), Memory::device);
    auto* const device = static_cast<std::byte*>(operand->device.data());
    operand->span.device = Device::cuda;
    operand->span.data = device + first;
    images().push_back({device, static_cast<std::byte*>(operand->memory.data()), operand->memory.bytes()});
  }
  operands_.push_back(std::move(operand));
  return on_host;
}

OpRun::~OpRun() {
  for (const auto& operand : operands_) {
    std::erase_if(images(), [&](const Image& image) { return image.device == operand->device.data(); });
  }
}

CSpan on_host(CSpan span) {
  if (span.device == Device::cpu) return span;
  const auto* const data = static_cast<const std::byte*>(span.data);
  for (const Image& image : images()) {
    if (data < image.device || data >= image.device + image.bytes) continue;
    span.device = Device::cpu;
    span.data = span.host = image.host + (data - image.device);
    return span;
  }
  AID_CHECK(false, "test: a span of device memory that is no operand");
  return span;
}

CSpan OpRun::input(const std::vector<double>& values, int64_t rows, int64_t cols, Layout layout) {
  const Span image = add(rows, cols, layout, false);
  write(image, values);
  CSpan span = operands_.back()->span;
  span.host = image.data;
  return span;
}

Span OpRun::output(int64_t rows, int64_t cols, Layout layout) {
  add(rows, cols, layout, true);
  return operands_.back()->span;
}

Span OpRun::inout(const std::vector<double>& values, int64_t rows, int64_t cols, Layout layout) {
  write(add(rows, cols, layout, true), values);
  return operands_.back()->span;
}

void OpRun::check(const Operand& operand, int index, const char* when) {
  const auto* now = static_cast<const std::byte*>(operand.memory.data());
  const Span& span = operand.span;
  const auto first = static_cast<const std::byte*>(on_host(span).data) - now;
  const auto width = static_cast<int64_t>(size_of(span.dtype));
  for (int64_t i = 0; i < static_cast<int64_t>(operand.memory.bytes()); ++i) {
    const int64_t element = (i - first) / width;
    const bool inside = i >= first && element < span.rows * span.stride && element % span.stride < span.cols;
    const auto at = static_cast<size_t>(i);
    const std::byte expected = inside && operand.writable ? operand.after[at] : operand.before[at];
    if (now[i] == expected) continue;
    const char* what = !inside             ? "bytes outside of the operand changed"
                       : !operand.writable ? "an input changed"
                                           : "results differ";
    ADD_FAILURE() << what << " " << when << ": operand " << index << " (in order of declaration), byte " << i - first
                  << " from its start, " << (inside ? "row " : "outside; row ") << element / span.stride << ", column "
                  << element % span.stride;
    return;
  }
}

void OpRun::execute(const std::function<void(Stream&)>& op) {
  const auto copy = [](const Operand& operand) {
    const auto* bytes = static_cast<const std::byte*>(operand.memory.data());
    return std::vector<std::byte>(bytes, bytes + operand.memory.bytes());
  };
  for (auto& operand : operands_) operand->before = copy(*operand);
  struct Round {
    int threads;
    const char* when;
  };
  const bool device = device_of(case_.target) == Device::cuda;
  std::vector<Round> rounds = {{1, "in the first run"}, {1, "when repeated with 1 thread"}};
  if (!device) rounds.insert(rounds.end(), {{2, "when run with 2 threads"}, {3, "when run with 3 threads"}});
  for (const Round& round : rounds) {
    choose_order(&round != rounds.data());
    for (auto& operand : operands_) {
      std::memcpy(operand->memory.data(), operand->before.data(), operand->memory.bytes());
    }
    Stream stream({.threads = round.threads, .target = case_.target});
    if (device) {
      for (auto& operand : operands_) {
        stream.upload(bytes_of(operand->device, Device::cuda), bytes_of(operand->memory, Device::cpu));
      }
    }
    op(stream);
    if (device) {
      for (auto& operand : operands_) {
        stream.download(bytes_of(operand->memory, Device::cpu), bytes_of(operand->device, Device::cuda));
      }
      stream.synchronize();
    }
    for (size_t i = 0; i < operands_.size(); ++i) {
      if (operands_[i]->after.empty()) operands_[i]->after = copy(*operands_[i]);
      check(*operands_[i], static_cast<int>(i), round.when);
    }
  }
}

}  // namespace aid::test

// Atomics, order between blocks, and instructions of a warp against the same done one after the other here.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <random>

#include "tests/softgpu/device.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

const Module& module() {
  static const auto m = load_ptx("cover_sync");
  return *m;
}

constexpr int kBlocks = 3, kThreads = 64, kCount = kBlocks * kThreads;
const Shape kShape = {.grid = {kBlocks, 1, 1}, .block = {kThreads, 1, 1}};

// Every thread on an address of its own, which shows what each got; then on five, whose last values show that none was
// lost, for no order of the threads matters.
template <class T>
void check_atomic(const std::string& name, const std::vector<T>& start, const std::vector<T>& values,
                  const std::function<T(T old, T value)>& apply, bool also_without_result = true) {
  SCOPED_TRACE(name);
  Array<T> b(values), before(kCount);
  for (const int n : {kCount, 5}) {
    std::vector<T> want(start.begin(), start.begin() + n), old(kCount);
    for (int i = 0; i < kCount; ++i) {
      T& at = want[size_t(i % n)];
      old[size_t(i)] = at;
      at = apply(at, values[size_t(i)]);
    }
    const std::vector<T> first(start.begin(), start.begin() + n);
    Array<T> p(first), q(first);
    if (n == kCount || also_without_result) {
      expect_clean(
          run(module(), also_without_result ? "atom_" + name : name, kShape, {}, p.get(), b.get(), before.get(), n));
      EXPECT_EQ(p.values(), want);
      if (n == kCount) {
        EXPECT_EQ(before.values(), old);
      }
    }
    if (!also_without_result) continue;
    expect_clean(run(module(), "red_" + name, kShape, {.order = Order::random}, q.get(), b.get(), n));
    EXPECT_EQ(q.values(), want) << "red";
  }
}

template <class T>
std::vector<T> drawn(std::mt19937_64& random) {
  std::vector<T> values(kCount);
  for (T& v : values) v = T(random());
  return values;
}
// Small integers: halves, too, add them up exactly, in any order.
template <class T>
std::vector<T> packed(std::mt19937_64& random, const std::function<uint32_t(int)>& bits) {
  std::vector<T> values(kCount);
  for (T& v : values) {
    v = T(bits(int(random() % 7) - 3));
    if (sizeof(T) == 4) v |= T(bits(int(random() % 7) - 3) << 16 % (8 * sizeof(T)));
  }
  return values;
}
template <class H, class T>
T add_halves(T old, T value) {
  uint32_t sum = 0;
  for (unsigned k = 0; k < sizeof(T) / 2; ++k) {
    const auto of = [&](T x) { return double(to_float(H{uint16_t(uint32_t(x) >> 16 * k)})); };
    sum |= uint32_t(round_to<H>(of(old) + of(value)).bits) << 16 * k;
  }
  return T(sum);
}

template <class T>
void check_integers(const std::string& type, std::mt19937_64& random) {
  const auto start = drawn<T>(random), values = drawn<T>(random);
  check_atomic<T>("min_" + type, start, values, [](T a, T b) { return std::min(a, b); });
  check_atomic<T>("max_" + type, start, values, [](T a, T b) { return std::max(a, b); });
}
template <class T>
void check_bits(const std::string& type, std::mt19937_64& random) {
  const auto start = drawn<T>(random), values = drawn<T>(random);
  check_atomic<T>("and_" + type, start, values, [](T a, T b) { return a & b; });
  check_atomic<T>("or_" + type, start, values, [](T a, T b) { return a | b; });
  check_atomic<T>("xor_" + type, start, values, [](T a, T b) { return a ^ b; });
  check_atomic<T>(
      "exch_" + type, start, values, [](T, T b) { return b; }, false);
}

TEST(CoverSync, AtomicsOfIntegers) {
  std::mt19937_64 random(3);
  check_integers<uint32_t>("u32", random);
  check_integers<int32_t>("s32", random);
  check_integers<uint64_t>("u64", random);
  check_integers<int64_t>("s64", random);
  check_bits<uint32_t>("b32", random);
  check_bits<uint64_t>("b64", random);
  check_atomic<uint32_t>("add_u32", drawn<uint32_t>(random), drawn<uint32_t>(random), std::plus<>());
  check_atomic<uint64_t>("add_u64", drawn<uint64_t>(random), drawn<uint64_t>(random), std::plus<>());
  // Around and around: 0 to 10, and 10 down to 0; and from values beyond it.
  std::vector<uint32_t> start(kCount), ten(kCount, 10);
  for (size_t i = 0; i < start.size(); ++i) start[i] = uint32_t(i % 13);
  check_atomic<uint32_t>("inc_u32", start, ten, [](uint32_t a, uint32_t b) { return a >= b ? 0 : a + 1; });
  check_atomic<uint32_t>("dec_u32", start, ten, [](uint32_t a, uint32_t b) { return a == 0 || a > b ? b : a - 1; });
}

TEST(CoverSync, AtomicsOfFloats) {
  std::mt19937_64 random(4);
  const auto whole = [&]<class T>(T) {
    std::vector<T> values(kCount);
    for (T& v : values) v = T(int(random() % 2001) - 1000);
    return values;
  };
  check_atomic<float>("add_f32", whole(0.f), whole(0.f), std::plus<>());
  check_atomic<double>("add_f64", whole(0.), whole(0.), std::plus<>());
  const auto half = [](int v) { return uint32_t(round_half(v).bits); };
  const auto bfloat = [](int v) { return uint32_t(round_bfloat(v).bits); };
  check_atomic<uint16_t>("add_f16", packed<uint16_t>(random, half), packed<uint16_t>(random, half),
                         add_halves<Half, uint16_t>);
  check_atomic<uint32_t>("add_f16x2", packed<uint32_t>(random, half), packed<uint32_t>(random, half),
                         add_halves<Half, uint32_t>);
  check_atomic<uint16_t>("add_bf16", packed<uint16_t>(random, bfloat), packed<uint16_t>(random, bfloat),
                         add_halves<BFloat16, uint16_t>);
  check_atomic<uint32_t>("add_bf16x2", packed<uint32_t>(random, bfloat), packed<uint32_t>(random, bfloat),
                         add_halves<BFloat16, uint32_t>);
}

template <class T>
void check_compare_and_swap(const std::string& name) {
  std::mt19937_64 random(5);
  const auto start = drawn<T>(random), next = drawn<T>(random);
  std::vector<T> expected = start, want = start;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (i % 3 == 0)
      expected[i] ^= T{1} << (8 * sizeof(T) - 1);  // all of the width counts
    else
      want[i] = next[i];
  }
  Array<T> p(start), b(expected), c(next), before(kCount);
  expect_clean(run(module(), name, kShape, {}, p.get(), b.get(), c.get(), before.get()));
  EXPECT_EQ(p.values(), want) << name;
  EXPECT_EQ(before.values(), start) << name;
}
TEST(CoverSync, CompareAndSwap) {
  check_compare_and_swap<uint16_t>("cas_b16");
  check_compare_and_swap<uint32_t>("cas_b32");
  check_compare_and_swap<uint64_t>("cas_b64");
}

TEST(CoverSync, AtomicsInSharedMemory) {
  Array<uint32_t> counts(kBlocks);
  Array<uint64_t> largest(kBlocks);
  Array<float> sums(kBlocks);
  expect_clean(run(module(), "shared_atomics", kShape, {}, counts.get(), largest.get(), sums.get()));
  EXPECT_EQ(counts.values(), std::vector<uint32_t>(kBlocks, 2 * kThreads));
  EXPECT_EQ(largest.values(), std::vector<uint64_t>(kBlocks, uint64_t{kThreads - 1} << 33));
  EXPECT_EQ(sums.values(), std::vector<float>(kBlocks, 0.5f * kThreads));
}

// What the readers got; block 0 runs before them, on one host thread.
std::vector<uint32_t> messages(const std::string& kernel) {
  Array<uint32_t> data(1), flag(std::vector<uint32_t>(1, 0)), read(std::vector<uint32_t>(4, 0));
  run(module(), kernel, {.grid = {4, 1, 1}}, {.threads = 1}, data.get(), flag.get(), read.get());
  return read.values();
}

TEST(CoverSync, WhatIsReleasedAndAcquiredIsOrdered) {
  for (const char* kernel : {"message", "message_of_system", "message_by_fences", "message_by_strong_fences",
                             "message_by_atomics", "message_by_exchange"}) {
    clear_reports();
    EXPECT_EQ(messages(kernel), (std::vector<uint32_t>{0, 42, 42, 42})) << kernel;
    EXPECT_EQ(reports_text(), "") << kernel;
  }
}

// Right numbers all the same: only the checker sees it.
TEST(CoverSync, WhatIsNotIsARace) {
  for (const char* kernel :
       {"message_without_release", "message_released_in_the_block", "message_acquired_in_the_block",
        "message_fenced_in_the_block", "message_of_the_block_by_atomics"}) {
    clear_reports();
    EXPECT_EQ(messages(kernel), (std::vector<uint32_t>{0, 42, 42, 42})) << kernel;
    const std::vector<Report> found = reports();
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const Report& r) { return r.kind == Kind::race; }))
        << kernel;
  }
  clear_reports();
}

TEST(CoverSync, InstructionsOfAWarp) {
  std::mt19937_64 random(6);
  std::vector<uint32_t> x(32);
  for (const uint32_t mask : {0xffffffffu, 0x55555555u, 0x0000f0f1u, 0x80000000u}) {
    for (const bool same : {false, true}) {
      for (uint32_t& v : x) v = same ? 8 : uint32_t(random());
      Array<uint32_t> dx(x), r(std::vector<uint32_t>(32 * 14, 0));
      expect_clean(run(module(), "warp_forms", {}, {}, dx.get(), r.get(), mask));
      const std::vector<uint32_t> got = r.values();
      std::vector<uint32_t> in;
      for (int l = 0; l < 32; ++l) {
        if (mask >> l & 1) in.push_back(x[size_t(l)]);
      }
      const auto over = [&](auto f) {
        uint32_t all = in[0];
        for (size_t i = 1; i < in.size(); ++i) all = uint32_t(f(all, in[i]));
        return all;
      };
      const auto lanes = [&](auto like) {
        uint32_t found = 0;
        for (int l = 0; l < 32; ++l) found |= uint32_t((mask >> l & 1) && like(x[size_t(l)])) << l;
        return found;
      };
      for (int l = 0; l < 32; ++l) {
        if (!(mask >> l & 1)) continue;
        const uint32_t v = x[size_t(l)];
        const uint32_t sum = over([](uint32_t a, uint32_t b) { return a + b; });
        const uint32_t alike = lanes([&](uint32_t u) { return (u & 1) == (v & 1); });
        const bool first = std::countr_zero(mask) == l;
        const uint32_t want[] = {sum,
                                 sum,
                                 over([](uint32_t a, uint32_t b) { return std::min(a, b); }),
                                 over([](uint32_t a, uint32_t b) { return std::max(a, b); }),
                                 over([](uint32_t a, uint32_t b) { return std::min(int(a), int(b)); }),
                                 over([](uint32_t a, uint32_t b) { return std::max(int(a), int(b)); }),
                                 over([](uint32_t a, uint32_t b) { return a & b; }),
                                 over([](uint32_t a, uint32_t b) { return a | b; }),
                                 over([](uint32_t a, uint32_t b) { return a ^ b; }),
                                 lanes([&](uint32_t u) { return (u & 3) == (v & 3); }),
                                 alike,
                                 alike == mask ? mask : 0,
                                 alike == mask,
                                 first};
        for (int k = 0; k < 14; ++k) ASSERT_EQ(got[size_t(l * 14 + k)], want[k]) << "result " << k << " of lane " << l;
      }
    }
  }
}

TEST(CoverSync, AsynchronousCopiesOfEverySize) {
  for (const int bytes : {0, 4, 8, 12, 16}) {
    Array<float> x(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}), y(std::vector<float>(8, -1));
    expect_clean(run(module(), "copies", {.block = {1, 1, 1}}, {}, x.get(), y.get(), bytes));
    std::vector<float> want = {1, -1, 3, 4, 0, 0, 0, 0};
    for (int k = 0; k < bytes / 4; ++k) want[size_t(4 + k)] = float(5 + k);
    EXPECT_EQ(y.values(), want) << bytes;
  }
}

}  // namespace
}  // namespace softgpu

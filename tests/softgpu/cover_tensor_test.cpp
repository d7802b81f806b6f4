// Tensor cores against plain products, and the matrix moves. What a lane's registers hold is stated here as the PTX
// manual has it, element by element ("Matrix Fragments for mma", "ldmatrix"), whatever the machine makes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/softgpu/device.h"
#include "tests/softgpu/numbers.h"

namespace softgpu {
namespace {

constexpr int kRows = 16, kCols = 8, kLanes = 32;

const Module& module() {
  static const auto m = load_ptx("cover_tensor");
  return *m;
}

enum class Type { bf16, f16, tf32, s8, u8 };
int per_register(Type type) { return type == Type::tf32 ? 1 : type == Type::bf16 || type == Type::f16 ? 2 : 4; }
uint32_t bits_of(Type type, int value) {
  switch (type) {
    case Type::bf16:
      return round_bfloat(value).bits;
    case Type::f16:
      return round_half(value).bits;
    case Type::tf32:
      return std::bit_cast<uint32_t>(float(value)) | 0x1000;  // bits that tf32 does not have
    default:
      return uint32_t(value) & 0xff;
  }
}

struct Form {
  const char* kernel;
  int depth;
  Type a, b;
  bool half_sums = false, saturates = false;
};
const Form kForms[] = {{"mma_bf16_k16", 16, Type::bf16, Type::bf16},
                       {"mma_bf16_k8", 8, Type::bf16, Type::bf16},
                       {"mma_f16_k16", 16, Type::f16, Type::f16},
                       {"mma_f16_k8", 8, Type::f16, Type::f16},
                       {"mma_f16_f16_k16", 16, Type::f16, Type::f16, true},
                       {"mma_f16_f16_k8", 8, Type::f16, Type::f16, true},
                       {"mma_tf32_k8", 8, Type::tf32, Type::tf32},
                       {"mma_tf32_k4", 4, Type::tf32, Type::tf32},
                       {"mma_s8_k32", 32, Type::s8, Type::s8},
                       {"mma_s8u8_k32", 32, Type::s8, Type::u8},
                       {"mma_u8s8_k32_sat", 32, Type::u8, Type::s8, false, true},
                       {"mma_u8_k16", 16, Type::u8, Type::u8},
                       {"mma_s8_k16_sat", 16, Type::s8, Type::s8, false, true}};

// Elements i of a lane's fragment of A, from bit 0 of its first register on: 16 x depth. B's: depth x 8, by columns.
struct At {
  int row, col;
};
At element_of_a(int lane, int i, int per) {
  return {lane / 4 + (i / per % 2 == 1 ? 8 : 0), lane % 4 * per + i % per + (i >= 2 * per ? 4 * per : 0)};
}
At element_of_b(int lane, int i, int per) { return {lane % 4 * per + i % per + (i >= per ? 4 * per : 0), lane / 4}; }
At element_of_c(int lane, int i) { return {lane / 4 + (i >= 2 ? 8 : 0), lane % 4 * 2 + i % 2}; }

// Small integers: every product and, but for the halves' rounding, every sum is exact.
TEST(CoverTensor, ProductsOfEveryForm) {
  std::mt19937 random(9);
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.kernel);
    const int per = per_register(form.a), depth = form.depth;
    const bool bytes = per == 4;
    const auto draw = [&](Type type) {
      return type == Type::u8   ? int(random() % 256)
             : type == Type::s8 ? int(random() % 256) - 128
                                : int(random() % 9) - 4;
    };
    std::vector<int> a(size_t(kRows * depth)), b(size_t(depth * kCols)), c(size_t(kRows * kCols));
    for (int& x : a) x = draw(form.a);
    for (int& x : b) x = draw(form.b);
    for (int& x : c) x = int(random() % 4000) - 2000;  // a half's last digit is 1 above 1024, 2 above 2048
    if (bytes) c[0] = INT32_MAX - 1, c[1] = INT32_MIN + 1, c[2] = INT32_MAX - 1, c[3] = INT32_MIN + 1;

    const int a_registers = kRows * depth / kLanes / per, b_registers = depth * kCols / kLanes / per;
    const int c_registers = form.half_sums ? 2 : 4;
    std::vector<uint32_t> ra(size_t(kLanes * a_registers)), rb(size_t(kLanes * b_registers)),
        rc(size_t(kLanes * c_registers));
    const int bits = 32 / per;
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int i = 0; i < a_registers * per; ++i) {
        const At at = element_of_a(lane, i, per);
        ra[lane * a_registers + i / per] |= bits_of(form.a, a[at.row * depth + at.col]) << i % per * (bits % 32);
      }
      for (int i = 0; i < b_registers * per; ++i) {
        const At at = element_of_b(lane, i, per);
        rb[lane * b_registers + i / per] |= bits_of(form.b, b[at.row * kCols + at.col]) << i % per * (bits % 32);
      }
      for (int i = 0; i < 4; ++i) {
        const At at = element_of_c(lane, i);
        const int value = c[at.row * kCols + at.col];
        if (form.half_sums)
          rc[lane * 2 + i / 2] |= uint32_t(round_half(value).bits) << i % 2 * 16;
        else
          rc[lane * 4 + i] = bytes ? uint32_t(value) : std::bit_cast<uint32_t>(float(value));
      }
    }
    Array<uint32_t> da(ra), db(rb), dc(rc), dd(rc.size());
    expect_clean(run(module(), form.kernel, {}, {}, da.get(), db.get(), dc.get(), dd.get()));
    const std::vector<uint32_t> d = dd.values();
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const At at = element_of_c(lane, i);
        int64_t sum = c[at.row * kCols + at.col];
        for (int k = 0; k < depth; ++k) {
          sum += a[at.row * depth + k] * b[k * kCols + at.col];
          if (form.saturates) sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
        }
        const uint32_t got = form.half_sums ? d[lane * 2 + i / 2] >> i % 2 * 16 & 0xffff : d[lane * 4 + i];
        const uint32_t want = bytes            ? uint32_t(sum)
                              : form.half_sums ? round_half(double(sum)).bits
                                               : std::bit_cast<uint32_t>(float(sum));
        ASSERT_EQ(got, want) << "row " << at.row << ", column " << at.col;
      }
    }
  }
}

// Rows in an order of their own, so that an address goes to its lane.
const std::vector<int> kRowOfLane = [] {
  std::vector<int> rows(kLanes);
  for (int l = 0; l < kLanes; ++l) rows[size_t(l)] = l * 5 % kLanes;
  return rows;
}();

// Element h of matrix m in a lane's register: of the matrix, (row, column).
At element_of_matrix(int lane, int h, bool transposed) {
  return transposed ? At{lane % 4 * 2 + h, lane / 4} : At{lane / 4, lane % 4 * 2 + h};
}

TEST(CoverTensor, MatricesAreLoaded) {
  std::vector<uint16_t> x(kLanes * 8);
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint16_t(i * 257);
  Array<uint16_t> dx(x);
  Array<int> rows(kRowOfLane);
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      const std::string kernel = "load_x" + std::to_string(count) + (transposed ? "_trans" : "");
      Array<uint32_t> y(size_t(kLanes * count));
      expect_clean(run(module(), kernel, {}, {}, dx.get(), rows.get(), y.get()));
      const std::vector<uint32_t> got = y.values();
      for (int i = 0; i < kLanes * count * 2; ++i) {
        const int h = i % 2, m = i / 2 % count, lane = i / 2 / count;
        const At at = element_of_matrix(lane, h, transposed);
        const uint16_t want = x[size_t(kRowOfLane[m * 8 + at.row] * 8 + at.col)];
        ASSERT_EQ(got[lane * count + m] >> 16 * h & 0xffff, want) << kernel << " lane " << lane << " matrix " << m;
      }
    }
  }
}

TEST(CoverTensor, MatricesAreStored) {
  Array<int> rows(kRowOfLane);
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      const std::string kernel = "store_x" + std::to_string(count) + (transposed ? "_trans" : "");
      std::vector<uint32_t> x(size_t(kLanes * count));
      for (size_t i = 0; i < x.size(); ++i) x[i] = uint32_t(2 * i | (2 * i + 1) << 16);
      Array<uint32_t> dx(x);
      Array<uint16_t> y(kLanes * 8);
      expect_clean(run(module(), kernel, {}, {}, dx.get(), rows.get(), y.get()));
      std::vector<uint16_t> want(kLanes * 8, 0xffff);
      for (int i = 0; i < kLanes * count * 2; ++i) {
        const int h = i % 2, m = i / 2 % count, lane = i / 2 / count;
        const At at = element_of_matrix(lane, h, transposed);
        want[size_t(kRowOfLane[m * 8 + at.row] * 8 + at.col)] = uint16_t(x[size_t(lane * count + m)] >> 16 * h);
      }
      EXPECT_EQ(y.values(), want) << kernel;
    }
  }
}

TEST(CoverTensor, AMatrixIsTransposedInRegisters) {
  std::vector<uint32_t> x(kLanes);
  uint16_t m[8][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int h = 0; h < 2; ++h) {
      const At at = element_of_matrix(lane, h, false);
      m[at.row][at.col] = uint16_t(at.row * 100 + at.col);
      x[size_t(lane)] |= uint32_t(m[at.row][at.col]) << 16 * h;
    }
  }
  Array<uint32_t> dx(x), y(kLanes);
  expect_clean(run(module(), "move_matrix", {}, {}, dx.get(), y.get()));
  const std::vector<uint32_t> got = y.values();
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int h = 0; h < 2; ++h) {
      const At at = element_of_matrix(lane, h, true);
      EXPECT_EQ(got[lane] >> 16 * h & 0xffff, m[at.row][at.col]) << lane;
    }
  }
}

TEST(CoverTensor, FaultsOfTheMovesAreFound) {
  const struct {
    const char* kernel;
    Kind finds;
  } faults[] = {{"stored_off_its_border", Kind::misaligned},
                {"stored_past_the_end", Kind::out_of_bounds},
                {"stored_and_not_waited_for", Kind::race},
                {"loaded_before_written", Kind::uninitialised}};
  for (const auto& fault : faults) {
    for (const Order order : {Order::forward, Order::reverse, Order::greedy, Order::random}) {
      clear_reports();
      Array<uint32_t> y(kLanes);
      run(module(), fault.kernel, {}, {.order = order}, y.get());
      const std::vector<Report> found = reports();
      EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const Report& r) { return r.kind == fault.finds; }))
          << fault.kernel << ", order " << int(order) << "\n"
          << reports_text();
    }
  }
  clear_reports();
}

}  // namespace
}  // namespace softgpu

// Runs one op the way every kernel test wants it run: on each target that the machine has, in each type that it
// computes in, awkward sizes, misaligned pointers, guard bytes around every operand, outputs full of NaN, several times
// and with 1, 2 and 3 threads, which must all give the same bits. On a GPU the operands are copies in its memory;
// values() (compare.h) reads their contents before and after. A test says what the operands are and what the result
// should be:
//
//   for_each_case({}, [](const Case& c) {
//     OpRun run(c);
//     Random random(c);
//     const CSpan x = run.input(random.normal(7 * c.size), 7, c.size);
//     const Span y = run.output(7, c.size);
//     run.execute([&](Stream& s) { relu(s, {.y = y, .x = x}); });
//     expect_close(y, reference::relu<double>(values(x)), reference::relu<float>(values(x)));   // compare.h
//   });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/stream.h"

namespace aid::test {

struct Case {
  Target target = Target::cpu_avx2;
  DType dtype = DType::f32;
  int64_t size = 1;
  int64_t offset = 0;  // elements from a 64-byte border to the first element of every operand

  // Guard elements between rows that can be read in vectors where the first can.
  int64_t gap() const { return offset == 0 ? 4 : 3; }
};
std::string name_of(const Case& c);  // "avx512/bf16/1025/1"

struct Cases {
  std::vector<DType> dtypes = {};  // empty: f32, bf16 and, on a GPU, f16
  std::vector<int64_t> sizes = {1, 31, 33, 97, 257, 1025};
};
// Calls body for every combination; a failure inside prints the command that repeats that one (AID_CASE picks it).
void for_each_case(const Cases& cases, const std::function<void(const Case&)>& body);

// The targets that this machine can run, or the one that AID_TEST_TARGET names ("cuda": `./dev gpu-test`). In
// kernels_cuda_test, which has the software GPU: that alone.
std::vector<Target> targets();

// Repeatable random values; a case has its own, whatever other cases run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  explicit Random(const Case& c) : Random(std::hash<std::string>()(name_of(c))) {}
  uint64_t next();                                                          // splitmix64
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  std::vector<double> uniform(int64_t n, double low, double high);
  std::vector<double> normal(int64_t n, double scale = 1, double mean = 0);  // Box and Muller 1958
  std::vector<double> integers(int64_t n, int64_t below);                    // 0 <= value < below

 private:
  uint64_t state_;
};

class OpRun {
 public:
  explicit OpRun(const Case& c) : case_(c) {}
  ~OpRun();
  OpRun(const OpRun&) = delete;
  OpRun& operator=(const OpRun&) = delete;

  // Operands in the case's dtype, or another: values are rounded to it. Every row is followed by `gap` guard elements.
  struct Layout {
    DType dtype;
    int64_t gap = 0;
  };
  // Must not change.
  CSpan input(const std::vector<double>& values, int64_t rows, int64_t cols) {
    return input(values, rows, cols, {case_.dtype});
  }
  CSpan input(const std::vector<double>& values, int64_t rows, int64_t cols, Layout layout);
  // NaN before every execution.
  Span output(int64_t rows, int64_t cols) { return output(rows, cols, {case_.dtype}); }
  Span output(int64_t rows, int64_t cols, Layout layout);
  // These values before every execution: what is added to or overwritten in place.
  Span inout(const std::vector<double>& values, int64_t rows, int64_t cols) {
    return inout(values, rows, cols, {case_.dtype});
  }
  Span inout(const std::vector<double>& values, int64_t rows, int64_t cols, Layout layout);

  // Runs op with 1, 1 again, 2 and 3 threads (on a GPU twice, on the software GPU in two orders); every operand must
  // have the same bits after each, inputs and guards their old ones.
  void execute(const std::function<void(Stream&)>& op);

 private:
  struct Operand {
    Buffer memory;                         // the host's
    Buffer device;                         // on a GPU: where span points
    std::vector<std::byte> before, after;  // the whole memory, guards included
    Span span;
    bool writable;
  };
  // Returns the operand where the host can write it.
  Span add(int64_t rows, int64_t cols, Layout layout, bool writable);
  void check(const Operand& operand, int index, const char* when);

  Case case_;
  std::vector<std::unique_ptr<Operand>> operands_;
};

// The operand of a live OpRun, or a part of it, where the host can read it; any other span of the host's memory as it
// is.
CSpan on_host(CSpan span);

}  // namespace aid::test

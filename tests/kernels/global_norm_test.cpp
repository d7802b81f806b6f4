#include "kernels/update/global_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"

namespace aid::test {
namespace {

TEST(GlobalNorm, OfSeveralVectors) {
  // The last size makes several chunks.
  for_each_case({.dtypes = {DType::f32}, .sizes = {1, 31, 33, 97, 257, 1025, 100003}}, [](const Case& c) {
    OpRun run(c);
    Random random(c);
    const std::vector<CSpan> vectors = {run.input(random.normal(c.size), 1, c.size),
                                        run.input(random.normal(7, 3), 1, 7),
                                        run.input(random.normal(c.size * 2, 1e-3), 2, c.size)};
    const Span norm = run.output(1, 1);
    double exact = 0;
    float naive = 0;
    for (const CSpan& x : vectors) {
      for (const double v : values(x)) {
        exact += v * v;
        naive += static_cast<float>(v) * static_cast<float>(v);
      }
    }
    run.execute([&](Stream& s) { global_norm(s, {.norm = norm, .vectors = vectors}); });
    expect_close(norm, {std::sqrt(exact)}, {std::sqrt(naive)});
  });
}

TEST(GlobalNorm, OfNothingIsZero) {
  for (const Target target : targets()) {
    OpRun run({.target = target});
    const Span norm = run.output(1, 1);
    run.execute([&](Stream& s) { global_norm(s, {.norm = norm, .vectors = {}}); });
    expect_equal(norm, {0.0});
  }
}

}  // namespace
}  // namespace aid::test

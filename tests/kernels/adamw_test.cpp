#include "kernels/update/adamw.h"

#include <gtest/gtest.h>

#include "tests/kernels/compare.h"
#include "tests/kernels/harness.h"
#include "tests/reference/adamw.h"

namespace aid::test {
namespace {

template <class Real>
struct Stepped {
  std::vector<Real> p, m, v;

  Stepped(const AdamWTensor& t, const reference::AdamWSetting& setting)
      : p(values_as<Real>(t.parameter)), m(values_as<Real>(t.m)), v(values_as<Real>(t.v)) {
    const std::vector<Real> g = values_as<Real>(t.gradient);
    for (size_t i = 0; i < p.size(); ++i) {
      const auto e = reference::adamw<Real>({p[i], m[i], v[i]}, g[i], setting);
      p[i] = e.p;
      m[i] = e.m;
      v[i] = e.v;
    }
  }
};

constexpr double kEps = 1e-3;  // large enough for its place in the formula to show

TEST(AdamW, UpdatesAllTensorsInOnePass) {
  for_each_case({.dtypes = {DType::f32}}, [](const Case& c) {
    for (const int step : {1, 1000}) {
      OpRun run(c);
      Random random(c);
      std::vector<AdamWTensor> tensors;
      for (const int64_t size : {c.size, int64_t{3}, 5 * c.size}) {
        const auto vector_of = [&](const std::vector<double>& v) { return run.inout(v, 1, size); };
        tensors.push_back({.parameter = vector_of(random.normal(size)),
                           .gradient = vector_of(random.normal(size, 0.1)),
                           .m = vector_of(random.normal(size, 0.1)),
                           .v = vector_of(random.uniform(size, 0, 0.01)),
                           .copy = tensors.size() == 1 ? Span() : run.output(1, size, {DType::bf16}),
                           .weight_decay = tensors.size() == 1 ? 0.0f : 0.01f});
      }
      const bool clear = step == 1;
      std::vector<Stepped<double>> exact;
      std::vector<Stepped<float>> naive;
      for (const AdamWTensor& t : tensors) {
        const reference::AdamWSetting setting = {1e-3, 0.9, 0.999, kEps, t.weight_decay, 2 / (4 + 1e-6), step};
        exact.emplace_back(t, setting);
        naive.emplace_back(t, setting);
      }
      const std::vector<double> gradient = values(tensors[0].gradient);
      const CSpan norm = run.input({4.0}, 1, 1);
      run.execute([&](Stream& s) {
        adamw(s, {.tensors = tensors,
                  .lr = 1e-3,
                  .eps = kEps,
                  .step = step,
                  .norm = norm,
                  .max_norm = 2,
                  .clear_gradients = clear});
      });
      for (size_t i = 0; i < tensors.size(); ++i) {
        expect_close(tensors[i].parameter, exact[i].p, naive[i].p);
        expect_close(tensors[i].m, exact[i].m, naive[i].m);
        expect_close(tensors[i].v, exact[i].v, naive[i].v);
        if (tensors[i].copy.empty()) continue;
        std::vector<double> rounded;
        for (const double p : values(tensors[i].parameter)) rounded.push_back(static_cast<float>(bf16(static_cast<float>(p))));
        expect_equal(tensors[i].copy, rounded);
      }
      expect_equal(tensors[0].gradient, clear ? std::vector<double>(gradient.size(), 0) : gradient);
    }
  });
}

// Two steps of torch.optim.AdamW([0.5, -1.0], lr=0.1, weight_decay=0.1), gradients [1, -2] and [0.5, 3], in f64.
TEST(AdamW, AsTorchHasIt) {
  Stream s;
  float p[] = {0.5f, -1.0f}, g[] = {1, -2}, m[] = {0, 0}, v[] = {0, 0};
  const AdamWTensor tensor = {
      .parameter = vector(p, 2), .gradient = vector(g, 2), .m = vector(m, 2), .v = vector(v, 2), .weight_decay = 0.1f};
  adamw(s, {.tensors = {&tensor, 1}, .lr = 0.1, .step = 1});
  g[0] = 0.5f, g[1] = 3;
  adamw(s, {.tensors = {&tensor, 1}, .lr = 0.1, .step = 2});
  EXPECT_NEAR(p[0], 0.29783203828816107, 1e-6);
  EXPECT_NEAR(p[1], -0.9058701820112687, 1e-6);
}

TEST(AdamW, RefusesStepZero) {
  Stream s;
  EXPECT_THROW(adamw(s, {.tensors = {}, .step = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::test

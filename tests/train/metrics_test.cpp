#include "train/metrics/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace aid::train {
namespace {

nlohmann::json golden(const char* file) {
  return nlohmann::json::parse(std::ifstream(std::string(AID_SOURCE_DIR "/tests/golden/") + file));
}

std::vector<std::string> names(size_t classes) {
  std::vector<std::string> labels;
  for (size_t k = 0; k < classes; ++k) labels.push_back("clase " + std::to_string(k));
  return labels;
}

void expect_average(const PrecisionRecall& ours, const nlohmann::json& theirs) {
  EXPECT_NEAR(ours.precision, theirs[0].get<double>(), 1e-12);
  EXPECT_NEAR(ours.recall, theirs[1].get<double>(), 1e-12);
  EXPECT_NEAR(ours.f1, theirs[2].get<double>(), 1e-12);
}

TEST(Metrics, EqualScikitLearns) {
  for (const auto& c : golden("metrics.json")) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const auto labels = names(c["classes"]);
    const auto truth = c["truth"].get<std::vector<int32_t>>();
    const auto probabilities = c["probabilities"].get<std::vector<float>>();
    const Metrics m = compute_metrics({.labels = labels, .truth = truth, .probabilities = probabilities});
    EXPECT_NEAR(m.accuracy, c["accuracy"].get<double>(), 1e-12);
    EXPECT_NEAR(m.accuracy_low, c["interval"][0].get<double>(), 1e-12);
    EXPECT_NEAR(m.accuracy_high, c["interval"][1].get<double>(), 1e-12);
    expect_average(m.macro, c["average"]["macro"]);
    expect_average(m.micro, c["average"]["micro"]);
    expect_average(m.weighted, c["average"]["weighted"]);
    for (size_t k = 0; k < labels.size(); ++k) {
      expect_average(m.classes[k], {c["precision"][k], c["recall"][k], c["f1"][k]});
    }
    EXPECT_EQ(m.support, c["support"].get<std::vector<int64_t>>());
    EXPECT_EQ(m.confusion, c["confusion"].get<std::vector<int64_t>>());
    // scikit-learn sums f32 terms in f32; ours are summed in double.
    EXPECT_NEAR(m.log_loss, c["log_loss"].get<double>(), 2e-6 * std::max(1.0, m.log_loss));
    EXPECT_NEAR(m.calibration_error, c["calibration_error"].get<double>(), 1e-12);
  }
}

TEST(Metrics, TheFirstOfEqualsIsTheVerdict) { EXPECT_EQ(verdict_of(std::vector<float>{.2f, .4f, .4f}), 1); }

TEST(Metrics, TableAlignsNamesOutsideAscii) {
  const std::vector<std::string> labels{"resolución", "acta"};
  const std::vector<int32_t> truth{0, 1, 1};
  const std::vector<float> probabilities{.9f, .1f, .2f, .8f, .7f, .3f};
  const Metrics m = compute_metrics({.labels = labels, .truth = truth, .probabilities = probabilities});
  const std::string table = to_table(m);
  EXPECT_NE(table.find("resolución           0.5000     1.0000     0.6667          1\n"), std::string::npos) << table;
  EXPECT_NE(table.find("acta                 1.0000     0.5000     0.6667          2\n"), std::string::npos) << table;
  EXPECT_NE(table.find("accuracy 0.6667, 2 of 3 (95 %: 0.2077 to 0.9385)"), std::string::npos) << table;
  EXPECT_NE(table.find("1 resolución        1  ·\n"), std::string::npos) << table;
  EXPECT_NE(table.find("2 acta              1  1\n"), std::string::npos) << table;
}

TEST(Metrics, JsonHasEveryNumber) {
  const std::vector<std::string> labels{"b", "a"};
  const std::vector<int32_t> truth{0, 1};
  const std::vector<float> probabilities{.9f, .1f, .7f, .3f};
  const auto json = nlohmann::ordered_json::parse(
      to_json(compute_metrics({.labels = labels, .truth = truth, .probabilities = probabilities})));
  EXPECT_EQ(json["accuracy"], 0.5);
  EXPECT_EQ(json["confusion"], (nlohmann::ordered_json{{1, 0}, {1, 0}}));
  EXPECT_EQ(json["classes"]["a"]["support"], 1);
  EXPECT_EQ(json["classes"].begin().key(), "b");  // the model's order
  EXPECT_EQ(json["labels"], labels);
}

TEST(Metrics, RefusesSizesThatDoNotFit) {
  const std::vector<std::string> labels{"a", "b"};
  const std::vector<int32_t> truth{0, 2};
  const std::vector<float> probabilities{.9f, .1f, .7f, .3f};
  EXPECT_THROW(compute_metrics({.labels = labels, .truth = truth, .probabilities = probabilities}),
               std::invalid_argument);
  EXPECT_THROW(compute_metrics({.labels = labels, .truth = {}, .probabilities = {}}), std::invalid_argument);
}

}  // namespace
}  // namespace aid::train

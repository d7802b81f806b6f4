// The HTML report of `aid eval` says what its JSON says: the page computes everything from the files listed in it.
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace aid::tools {
namespace {

namespace fs = std::filesystem;
using io::test::contains;
using io::test::put;
using io::test::TemporaryFolder;
using nlohmann::json;
using test::Outcome;
using test::quoted;
using test::run_aid;

const std::string kModel = AID_SOURCE_DIR "/tests/golden/hf/bert";

json data_of_page(const fs::path& file) {
  const std::string page = io::read_text(file);
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const size_t at = page.find(begin) + begin.size();
  return json::parse(page.substr(at, page.find("</script>", at) - at));
}

TEST(EvalReport, EqualsTheJson) {
  const TemporaryFolder folder;
  const char* words[] = {"ley", "contrato", "norma", "acta", "resolver", "no", "haber", "el", "la", "y"};
  const std::array<std::string, 3> labels = {"contrato", "ley", "resolución"};
  for (size_t i = 0; i < 60; ++i) {
    std::string text = "</script><!-- ";
    for (size_t k = 0; k < 3 + i % 5; ++k) text += std::string(words[(i * 7 + k * 3) % 10]) + " ";
    put(folder / ("data/" + labels[i % 3] + "/texto " + std::to_string(i) + ".txt"), text);
  }
  const Outcome run = run_aid("eval " + kModel + " " + quoted(folder / "data") + " --quiet --json " +
                              quoted(folder / "m.json") + " --report " + quoted(folder / "report"));
  ASSERT_EQ(run.status, 0) << run.err;
  const json metrics = json::parse(io::read_text(folder / "m.json"))["metrics"];
  const json page = data_of_page(folder / "report/report.html");

  std::map<std::pair<std::string, std::string>, int> confusion;
  std::array<std::array<double, 3>, 15> bins{};  // files, right, sum of scores
  int right = 0;
  for (const json& unit : page["units"]) {
    const std::string truth = unit["t"], predicted = unit["p"];
    ++confusion[{truth, predicted}];
    right += truth == predicted ? 1 : 0;
    const double score = unit["s"];
    auto& bin = bins[static_cast<size_t>(std::clamp(std::ceil(score * 15) - 1, 0.0, 14.0))];
    bin[0] += 1;
    bin[1] += truth == predicted ? 1 : 0;
    bin[2] += score;
    // What is shown of a wrong file is its text, harmless in a page.
    if (truth != predicted) {
      EXPECT_TRUE(contains(unit["x"].get<std::string>(), "</script><!-- "));
    }
  }
  ASSERT_EQ(page["units"].size(), 60u);
  ASSERT_EQ(metrics["labels"], json(labels));
  for (size_t t = 0; t < 3; ++t) {
    for (size_t p = 0; p < 3; ++p) {
      const auto count = confusion[std::pair(labels[t], labels[p])];
      EXPECT_EQ(metrics["confusion"][t][p], count) << labels[t] << " as " << labels[p];
    }
  }
  double gap = 0;
  for (const auto& bin : bins) gap += std::abs(bin[1] - bin[2]) / 60;
  EXPECT_NEAR(metrics["expected_calibration_error_15_bins"].get<double>(), gap, 1e-9);
  EXPECT_GT(right, 0);
  EXPECT_LT(right, 60);  // of a report without errors nothing is learnt here

  const json& headline = page["headline"];
  EXPECT_EQ(headline["right"], right);
  EXPECT_EQ(headline["total"], 60);
  EXPECT_EQ(headline["value"], metrics["accuracy"]);
  EXPECT_EQ((json{headline["low"], headline["high"]}), metrics["accuracy_wilson_95"]);
  EXPECT_EQ(page["unified"], false);
  const auto fact = [&](const std::string& name) {
    for (const json& one : page["facts"])
      if (one[0] == name) return std::stod(one[1].get<std::string>());
    ADD_FAILURE() << "no fact " << name;
    return 0.0;
  };
  EXPECT_NEAR(fact("macro F1"), metrics["macro"]["f1"].get<double>(), 5.1e-5);  // the page shows four decimals
  EXPECT_NEAR(fact("log-loss"), metrics["log_loss"].get<double>(), 5.1e-5);
  EXPECT_NEAR(fact("calibration error (15 bins)"), gap, 5.1e-5);
}

}  // namespace
}  // namespace aid::tools

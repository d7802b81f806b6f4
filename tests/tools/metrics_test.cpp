#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace aid::tools::test {
namespace {

// Three files: acta right, balance called resultados, resultados without an answer.
struct Case {
  TemporaryFolder folder;
  Case() {
    put(folder / "muestras/acta/1.pdf", "");
    put(folder / "muestras/balance/2.txt", "la ley </script>");
    put(folder / "muestras/resultados/3.pdf", "");
    put(folder / "results.csv", "archivo;clase\nraw/1.pdf;acta\nraw/2.pdf;resultados\n");
    put(folder / "unify.csv", "raw,unified\nbalance,ef\nresultados,ef\n");
  }
  std::string path(const char* name) const { return "'" + (folder / name).string() + "'"; }
  Outcome run(const std::string& more) const {
    return run_aid("metrics " + path("results.csv") + " --truth " + path("muestras") + " " + more);
  }
};

TEST(MetricsCommand, TheLastLineIsTheAccuracyUnifying) {
  const Case c;
  const Outcome raw = c.run("");
  EXPECT_EQ(raw.status, 0) << raw.err;
  EXPECT_TRUE(raw.out.ends_with("\nAccuracy unifying: 0.3333 (1/3)\n")) << raw.out;
  EXPECT_TRUE(contains(raw.err, "file in column 'archivo', prediction in 'clase', score in none"));
  const Outcome unified = c.run("--quiet --unify " + c.path("unify.csv"));
  EXPECT_TRUE(unified.out.ends_with("\nAccuracy unifying: 0.6667 (2/3)\n")) << unified.out;
  EXPECT_TRUE(contains(unified.out, "without a prediction, so wrong (1): 3\n"));
  EXPECT_EQ(unified.err, "");
}

TEST(MetricsCommand, TheGateIsTheExitStatus) {
  const Case c;
  EXPECT_EQ(c.run("--min-accuracy-unifying 0.3").status, 0);
  const Outcome below = c.run("--min-accuracy-unifying 0.34");
  EXPECT_EQ(below.status, 1);
  EXPECT_TRUE(contains(below.err, "accuracy unifying 0.333333 is below --min-accuracy-unifying 0.34"));
  EXPECT_TRUE(below.out.ends_with("Accuracy unifying: 0.3333 (1/3)\n"));
}

TEST(MetricsCommand, WritesJsonTablesAndReport) {
  const Case c;
  const Outcome run = c.run("--unify " + c.path("unify.csv") + " --json " + c.path("m.json") + " --csv " +
                            c.path("csv") + " --report " + c.path("report") + " --compare " + c.path("results.csv"));
  ASSERT_EQ(run.status, 0) << run.err;
  const auto json = nlohmann::json::parse(io::read_text(c.folder / "m.json"));
  for (const char* key : {"n_truth",
                          "n_pred",
                          "n_matched",
                          "n_missing",
                          "n_extra",
                          "n_duplicate",
                          "accuracy",
                          "accuracy_covered",
                          "accuracy_unifying",
                          "accuracy_unifying_covered",
                          "accuracy_unifying_document",
                          "ci95",
                          "per_class_raw",
                          "per_class_unified",
                          "confusion_raw",
                          "confusion_unified",
                          "top_confusions",
                          "calibration",
                          "mapping",
                          "inputs",
                          "tool_version"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["accuracy_unifying"], 2.0 / 3);
  EXPECT_EQ(json["compare"]["raw"]["mcnemar_exact_p"], 1);
  EXPECT_EQ(io::read_text(c.folder / "csv/confusion_unified.csv"),
            "truth,acta,ef,no_prediction\nacta,1,0,0\nef,0,1,1\n");
  EXPECT_TRUE(contains(io::read_text(c.folder / "csv/confusion_unified.svg"), "<title>ef as ef: 1<"));
  const std::string page = io::read_text(c.folder / "report/report.html");
  EXPECT_TRUE(contains(page, "\"headline\":{\"name\":\"accuracy unifying\""));
  EXPECT_EQ(page.find("@DATA@"), std::string::npos);
}

// Ten files. The old model had six right, the new one eight: it lost one that the old one had and gained three. Under
// the hypothesis that either is as likely, one or fewer of four changes for the worse has probability (1 + 4) / 16, so
// two-sided p = 2 * 5 / 16 = 0.625: nothing is shown yet.
TEST(MetricsCommand, ComparesWithOlderResults) {
  const TemporaryFolder folder;
  std::string old_results = "archivo,clase\n", new_results = old_results;
  for (int i = 0; i < 10; ++i) {
    const std::string name = std::to_string(i) + ".pdf";
    put(folder / ("muestras/" + std::string(i % 2 ? "acta/" : "ley/") + name), "");
    const std::string right = i % 2 ? "acta" : "ley", wrong = i % 2 ? "ley" : "acta";
    old_results += name + "," + (i < 6 ? right : wrong) + "\n";
    new_results += name + "," + (i > 0 && i < 9 ? right : wrong) + "\n";
  }
  put(folder / "old.csv", old_results);
  put(folder / "new.csv", new_results);
  const Outcome run =
      run_aid("metrics '" + (folder / "new.csv").string() + "' --truth '" + (folder / "muestras").string() +
              "' --compare '" + (folder / "old.csv").string() + "' --json '" + (folder / "m.json").string() + "'");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(run.out.ends_with("\nAccuracy unifying: 0.8000 (8/10)\n")) << run.out;
  EXPECT_TRUE(contains(run.out, "0.625")) << run.out;
  const auto json = nlohmann::json::parse(io::read_text(folder / "m.json"));
  for (const char* labels : {"raw", "unified"}) {
    const auto& compared = json["compare"][labels];
    EXPECT_EQ(compared["both_right"], 5);
    EXPECT_EQ(compared["only_new_right"], 3);
    EXPECT_EQ(compared["only_old_right"], 1);
    EXPECT_EQ(compared["both_wrong"], 1);
    EXPECT_NEAR(compared["difference"].get<double>(), 0.2, 1e-12);
    EXPECT_NEAR(compared["mcnemar_exact_p"].get<double>(), 0.625, 1e-12);
    EXPECT_LT(compared["difference_ci95"][0], 0.2);
    EXPECT_GT(compared["difference_ci95"][1], 0.2);
  }
  EXPECT_EQ(json["inputs"].size(), 2u);

  const Outcome missing =
      run_aid("metrics '" + (folder / "new.csv").string() + "' --truth '" + (folder / "muestras").string() +
              "' --compare '" + (folder / "no.csv").string() + "'");
  EXPECT_EQ(missing.status, 2);
  EXPECT_TRUE(contains(missing.err, "no.csv'"));
}

TEST(MetricsCommand, WhatIsWrongIsNamedAndTwo) {
  const Case c;
  for (const auto& [more, part] : std::initializer_list<std::pair<std::string, std::string>>{
           {"--unify " + c.path("none"), "none'"},
           {"--key stems", "expected stem, name, relpath or regex:PATTERN"},
           {"--per-file", "--infer-unify"},
           {"--id-col x", "has no column 'x' (--id-col)"},
           {"--doc-regex x", "has no group (?<doc>...)"},
           {"--agg best", "--agg"},
           {"--strict --unify " + c.path("unify.csv"), "does not list the label 'acta'"}}) {
    const Outcome run = c.run(more);
    EXPECT_EQ(run.status, 2) << more;
    EXPECT_TRUE(contains(run.err, part)) << more;
    EXPECT_EQ(run.out, "") << more;
  }
}

}  // namespace
}  // namespace aid::tools::test

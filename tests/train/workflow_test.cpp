#include "train/workflow/workflow_metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/io/test_files.h"
#include "train/workflow/heat_map.h"

namespace aid::train::workflow {
namespace {

using io::test::contains;
using io::test::error_of;
using io::test::put;
using io::test::TemporaryFolder;
using nlohmann::json;

std::string key_of_unit(size_t i) { return "f" + std::to_string(100000 + i); }

// A truth and its predictions made in memory; "" is no prediction.
struct Made {
  Truth truth;
  Predictions predictions;
};
Made made(const std::vector<std::string>& truth, const std::vector<std::string>& predicted) {
  Made result;
  for (size_t i = 0; i < truth.size(); ++i) {
    result.truth.units.push_back({.key = key_of_unit(i), .file = key_of_unit(i) + ".pdf", .label = truth[i]});
    if (!predicted[i].empty()) result.predictions.of_key[key_of_unit(i)] = {.label = predicted[i]};
  }
  return result;
}

LabelMap mapped(const std::map<std::string, std::string>& unified) {
  LabelMap map = identity_map({});
  for (const auto& [raw, target] : unified) map.unify(raw, target);
  return map;
}

WorkflowReport measured(const Made& data, const LabelMap& map, const PageMap& pages = {},
                        const WorkflowOptions& options = {.bootstrap = 0}) {
  return measure_workflow(data.truth, data.predictions, map, pages, options);
}

void expect_average(const PrecisionRecall& ours, const json& theirs) {
  EXPECT_NEAR(ours.precision, theirs[0].get<double>(), 1e-12);
  EXPECT_NEAR(ours.recall, theirs[1].get<double>(), 1e-12);
  EXPECT_NEAR(ours.f1, theirs[2].get<double>(), 1e-12);
}

void expect_report(const LabelReport& ours, const json& theirs) {
  EXPECT_EQ(ours.labels, theirs["labels"].get<std::vector<std::string>>());
  EXPECT_NEAR(ours.accuracy, theirs["accuracy"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.balanced_accuracy, theirs["balanced"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.matthews, theirs["matthews"].get<double>(), 1e-12);
  if (!theirs["kappa"].is_null()) {
    EXPECT_NEAR(ours.kappa, theirs["kappa"].get<double>(), 1e-12);
  }
  EXPECT_EQ(ours.support, theirs["support"].get<std::vector<int64_t>>());
  EXPECT_EQ(ours.confusion, theirs["confusion"].get<std::vector<int64_t>>());
  for (size_t k = 0; k < ours.labels.size(); ++k)
    expect_average(ours.classes[k], {theirs["precision"][k], theirs["recall"][k], theirs["f1"][k]});
  expect_average(ours.macro, theirs["average"]["macro"]);
  expect_average(ours.weighted, theirs["average"]["weighted"]);
}

json golden_cases() {
  std::ifstream file(AID_SOURCE_DIR "/tests/golden/workflow.json");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  for (size_t at; (at = text.find("NaN")) != std::string::npos;) text.replace(at, 3, "null");
  return json::parse(text);
}

TEST(Workflow, EqualsScikitLearns) {
  for (const json& c : golden_cases()) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const auto truth = c["truth"].get<std::vector<std::string>>();
    Made data = made(truth, c["predicted"].get<std::vector<std::string>>());
    const LabelMap map = mapped(c["unified"].get<std::map<std::string, std::string>>());
    const WorkflowReport report = measured(data, map);
    expect_report(report.file_raw, c["raw"]);
    expect_report(report.file_unified, c["merged"]);

    const WorkflowReport other = measured(made(truth, c["other"].get<std::vector<std::string>>()), map);
    EXPECT_NEAR(compare(report, other, Labels::raw).p_value, c["mcnemar"].get<double>(), 1e-12);

    if (!c.contains("scores")) continue;
    size_t i = 0;
    for (const json& row : c["scores"]) {
      Prediction& prediction = data.predictions.of_key[key_of_unit(i++)];
      size_t k = 0;
      for (const auto& [raw, unified] : map.unified) prediction.scores[raw] = row[k++].get<double>();
    }
    const ScoreReport scores = *measured(data, map).file_raw.scores;
    EXPECT_NEAR(scores.log_loss, c["log_loss"].get<double>(), 1e-12);
    EXPECT_NEAR(scores.brier, c["brier"].get<double>(), 1e-12);
    for (size_t k = 0; k < c["top_k"].size(); ++k) EXPECT_NEAR(scores.top_k[k], c["top_k"][k].get<double>(), 1e-12);
  }
}

// Five files: two balances, one statement of results, two identity cards. Predicted: one balance right, the other one
// called a statement; the statement called a balance; one card right; the other card has no prediction.
// As labelled, 2 of 5 are right: a balance and a card. Balance and statement are both "estados_financieros" once
// unified, so the two that were mixed up are right too: 4 of 5. The card without prediction stays wrong.
TEST(Workflow, WorkedExampleOfUnifying) {
  const WorkflowReport report =
      measured(made({"balance", "balance", "resultados", "cedula", "cedula"},
                    {"balance", "resultados", "balance", "cedula", ""}),
               mapped({{"balance", "estados_financieros"}, {"resultados", "estados_financieros"}}));
  EXPECT_EQ(report.file_raw.right, 2);
  EXPECT_EQ(report.file_unified.right, 4);
  EXPECT_EQ(report.file_unified.total, 5);
  EXPECT_DOUBLE_EQ(report.file_unified.accuracy, 0.8);
  EXPECT_DOUBLE_EQ(report.file_unified.accuracy_covered, 1.0);  // 4 of the 4 that have a prediction
  EXPECT_EQ(report.missing, std::vector<std::string>{key_of_unit(4)});
  ASSERT_EQ(report.confusions.size(), 3u);
  for (const Confusion& confusion : report.confusions)
    EXPECT_EQ(confusion.kind, confusion.truth == "cedula" ? Confusion::Kind::missing : Confusion::Kind::harmless);
}

// Two documents. The first has three pages, called a, b, b, and is an "a": the vote says b, wrong. The second has two
// pages, called a and b with scores 0.6 and 0.9, and is a "b": one vote each, the higher score decides for b, right.
// So 1 of 2 documents, while 1 + 1 = 2 of 5 files are right. Were a and b unified, everything would be.
TEST(Workflow, WorkedExampleOfDocuments) {
  Made data = made({"a", "a", "a", "b", "b"}, {"a", "b", "b", "a", "b"});
  data.predictions.of_key[key_of_unit(3)].score = 0.6;
  data.predictions.of_key[key_of_unit(4)].score = 0.9;
  PageMap pages;
  for (size_t i = 0; i < 5; ++i)
    pages[key_of_unit(i)] = {.document = i < 3 ? "one" : "two", .number = static_cast<int64_t>(i)};
  const WorkflowReport report = measured(data, mapped({}), pages);
  EXPECT_EQ(report.file_unified.right, 2);
  EXPECT_EQ(report.document_unified.right, 1);
  EXPECT_EQ(report.document_unified.total, 2);
  const auto right_by = [&](Aggregate how) {
    return measured(data, mapped({}), pages, {.aggregate = how, .bootstrap = 0}).document_unified.right;
  };
  EXPECT_EQ(right_by(Aggregate::first), 1);  // a (right), a (wrong)
  EXPECT_EQ(right_by(Aggregate::any), 2);    // each has a page that is right
  EXPECT_TRUE(contains(error_of([&] { right_by(Aggregate::max_score); }), "--agg needs the score of every prediction"));
  EXPECT_EQ(measured(data, mapped({{"a", "x"}, {"b", "x"}}), pages).document_unified.right, 2);
}

TEST(Workflow, ADocumentOfTwoTypologiesIsRefused) {
  const PageMap pages{{key_of_unit(0), {"d", 1}}, {key_of_unit(1), {"d", 2}}};
  const Made data = made({"a", "b"}, {"a", "b"});
  EXPECT_TRUE(contains(error_of([&] { measured(data, mapped({}), pages); }), "holds files of two typologies, a and b"));
  const WorkflowReport report = measured(data, mapped({{"a", "x"}, {"b", "x"}}), pages);
  EXPECT_FALSE(report.document_raw);
  EXPECT_EQ(report.mixed_documents, 1);
}

TEST(Workflow, PropertiesOfUnifying) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const size_t classes = 2 + random() % 6, files = 1 + random() % 40;
    std::vector<std::string> truth, predicted;
    const auto label = [&](size_t k) { return "t" + std::to_string(k); };
    for (size_t i = 0; i < files; ++i) {
      truth.push_back(label(random() % classes));
      predicted.push_back(random() % 8 == 0 ? "" : label(random() % classes));
    }
    const Made data = made(truth, predicted);
    std::map<std::string, std::string> coarse, fine, renamed, one;
    for (size_t k = 0; k < classes; ++k) {
      const size_t group = random() % 3;
      coarse[label(k)] = "u" + std::to_string(group);
      fine[label(k)] = "u" + std::to_string(group) + "." + std::to_string(random() % 2);
      renamed[label(k)] = "z" + std::to_string(classes - k);
      one[label(k)] = "u";
    }
    const WorkflowReport plain = measured(data, mapped({}));
    const auto right = [&](const auto& unified) { return measured(data, mapped(unified)).file_unified.right; };
    EXPECT_GE(right(coarse), plain.file_raw.right);
    EXPECT_EQ(plain.file_unified.right, plain.file_raw.right);
    EXPECT_EQ(right(renamed), plain.file_raw.right);
    EXPECT_EQ(right(one), plain.file_raw.matched);
    EXPECT_LE(right(fine), right(coarse));
    EXPECT_EQ(plain.document_unified.confusion, plain.file_unified.confusion);
    const LabelReport again = measured(data, mapped(renamed)).file_unified;
    EXPECT_NEAR(again.macro.f1, plain.file_raw.macro.f1, 1e-12);
    EXPECT_NEAR(again.kappa, plain.file_raw.kappa, 1e-12);
  }
}

TEST(Workflow, BootstrapRepeatsAndHoldsTheValue) {
  std::mt19937 random(4);
  std::vector<std::string> truth, predicted;
  for (int i = 0; i < 200; ++i) {
    truth.push_back(std::string(1, static_cast<char>('a' + random() % 3)));
    predicted.push_back(random() % 5 ? truth.back() : "a");
  }
  const Made data = made(truth, predicted);
  const auto interval = [&](uint64_t seed) {
    return *measured(data, mapped({}), {}, {.bootstrap = 500, .seed = seed}).file_raw.macro_f1_interval;
  };
  const double value = measured(data, mapped({})).file_raw.macro.f1;
  EXPECT_LT(interval(1).low, value);
  EXPECT_GT(interval(1).high, value);
  // 0.87 of 200 are right, so the standard deviation of the value is about 0.024: a 95 % interval is some 0.095 wide.
  EXPECT_NEAR(interval(1).high - interval(1).low, 0.095, 0.03);
  EXPECT_EQ(interval(1).low, interval(1).low);
  EXPECT_NE(interval(1).low, interval(2).low);
}

TEST(Labels, Normal) {
  EXPECT_EQ(normal_label("  Ce\xcc\x81"
                         "dula de-ciudadanía\n",
                         {}),
            "Cédula_de_ciudadanía");
  EXPECT_EQ(normal_label("CÉDULA", {.ignore_case = true, .ignore_accents = true}), "cedula");
  EXPECT_TRUE(contains(error_of([] { normal_label("\xff", {}); }), "is not UTF-8"));
}

TEST(Labels, MappingFiles) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    put(folder / "u", text);
    return read_label_map(folder / "u", {});
  };
  const LabelMap map =
      read(R"({"version":1,"unified":{"ef":["Balance general","er"]},"unlisted":"error","ignore":["otros"],
                                "alias":{"Balance general":"balance"}})");
  EXPECT_EQ(map.raw_label("Balance-general"), "balance");
  EXPECT_EQ(map.unified_label("balance"), "ef");
  EXPECT_EQ(map.unified_label("ef"), "ef");
  EXPECT_TRUE(map.ignored.contains("otros"));
  EXPECT_TRUE(contains(error_of([&] { map.unified_label("x"); }), "does not list the label 'x'"));
  EXPECT_EQ(read("# c\nraw,unified\n# d\na b,x\n").unified_label("a_b"), "x");
  EXPECT_EQ(read("raw;unified\na;x\na;x\n").unified_label("a"), "x");
  const auto error_in = [&](const std::string& text) { return error_of([&] { read(text); }); };
  EXPECT_TRUE(contains(error_in("raw,unified\na,x\na,y\n"), "'a' is unified to both 'x' and 'y'"));
  EXPECT_TRUE(contains(error_in("raw,unified\na,b\nb,c\n"), "which is unified to 'c'"));
  EXPECT_TRUE(contains(error_in("a,b\n"), "expected 'raw,unified'"));
  EXPECT_TRUE(contains(error_in("# only\n"), "empty"));
  EXPECT_TRUE(contains(error_in("{\"unifed\":{}}"), "\"unifed\" is no key of a mapping"));
  EXPECT_TRUE(contains(error_in("{\"unified\":{\"a\":\"b\"}}"), "expected an array"));
  EXPECT_TRUE(contains(error_in("{\"version\":2}"), "reads version 1"));
}

TEST(Units, Keys) {
  EXPECT_EQ(key_of("s3://b/raw/a.b.pdf", {}), "a.b");
  EXPECT_EQ(key_of(".x", {}), ".x");
  EXPECT_EQ(key_of("d/a.pdf", {.kind = KeyKind::name}), "a.pdf");
  EXPECT_EQ(key_of("s3://b/d/A.pdf", {.kind = KeyKind::relpath, .ignore_case = true}), "d/a.pdf");
  EXPECT_EQ(key_of("d/id-77_p2.pdf", key_rule_of("regex:id-(\\d+)")), "77");
  EXPECT_THROW(key_rule_of("regex:("), std::invalid_argument);
  EXPECT_THROW(key_rule_of("stems"), std::invalid_argument);
}

TEST(Workflow, HeatMapIsTheConfusionMatrix) {
  const WorkflowReport report = measured(made({"a<b", "a<b", "a<b", "c"}, {"a<b", "c", "c", ""}), mapped({}));
  const std::string svg = heat_map_svg(report.file_raw, "\"R&D\"");
  for (const char* cell : {"<title>a&lt;b as a&lt;b: 1<", "<title>a&lt;b as c: 2<", "<title>c as no prediction: 1<",
                           "<title>c as c: 0<", "<title>&quot;R&amp;D&quot;<"})
    EXPECT_TRUE(contains(svg, cell));
  // The shade is the share of the row: white for none, full blue for all.
  EXPECT_TRUE(contains(svg,
                       "c as no prediction: 1</title><rect x=\"222\" y=\"194\" width=\"43\" height=\"43\" "
                       "fill=\"rgb(31,95,168)\""));
  EXPECT_TRUE(contains(svg, "fill=\"rgb(255,255,255)\""));
  size_t cells = 0;
  for (size_t at = 0; (at = svg.find("<g>", at)) != std::string::npos; ++at) ++cells;
  EXPECT_EQ(cells, 6u);  // two typologies by two and "no prediction"
}

struct Folder {
  TemporaryFolder folder;
  LabelMap labels = identity_map({});
  Truth truth() { return read_truth(folder.path(), {}, labels); }
};

TEST(Units, TruthIsAFolderPerTypology) {
  Folder f;
  put(f.folder / "acta/sub/1.pdf", "");
  put(f.folder / "acta/1.txt", "");
  put(f.folder / "ley/2.png", "");
  put(f.folder / "ley/.hidden", "");
  put(f.folder / "stray.txt", "");
  const Truth truth = f.truth();
  ASSERT_EQ(truth.units.size(), 2u);
  EXPECT_EQ(truth.units[0].label, "acta");
  EXPECT_EQ(truth.same_key, 1);
  f.labels.ignored.insert("acta");
  EXPECT_EQ(f.truth().ignored, 1);
  // What is predicted of an ignored file is neither right nor wrong, and no stranger.
  Predictions predictions;
  for (const char* key : {"1", "2", "stranger"}) predictions.of_key[key].label = "ley";
  const WorkflowReport report = measure_workflow(f.truth(), predictions, f.labels, {}, {.bootstrap = 0});
  EXPECT_EQ(report.file_raw.total, 1);
  EXPECT_EQ(report.extra, std::vector<std::string>{"stranger"});
  put(f.folder / "ley/1.pdf", "");
  EXPECT_TRUE(contains(error_of([&] { f.truth(); }), "the same file in two typologies (1)"));
}

TEST(Units, PredictionsFindTheirFiles) {
  Folder f;
  for (const char* name : {"ley/a b.pdf", "ley/c+d.pdf", "acta/ñ.pdf", "acta/x.pdf"}) put(f.folder / name, "");
  const Truth truth = f.truth();
  const auto read = [&](const std::string& csv, Duplicates rule = Duplicates::last) {
    const io::ResultsTable table = io::parse_results(csv, "r.csv");
    const Columns columns = choose_columns(table, {}, truth, {}, f.labels);
    return read_predictions(table, columns, truth, {}, f.labels, rule);
  };
  const Predictions found =
      read("id,clase\nraw/a+b.pdf,ley\nc+d.pdf,ley\n%C3%B1.pdf,acta\nn\xcc\x83.txt,ley\n,ley\nq.pdf,z\n");
  EXPECT_EQ(found.of_key.at("a b").label, "ley");
  EXPECT_EQ(found.of_key.at("c+d").label, "ley");
  EXPECT_EQ(found.of_key.at("ñ").label, "ley");  // the same letter in two spellings: the last row
  EXPECT_EQ(found.duplicates.size(), 1u);
  EXPECT_EQ(found.without_id, 1);
  EXPECT_TRUE(found.of_key.contains("q"));

  const std::string rows = "id,clase,createdAt\nx,acta,2026-01-03\nx,ley,2026-01-01\nx,ley,2026-01-02\nx,,2026-01-09\n";
  EXPECT_EQ(read(rows).of_key.at("x").label, "acta");
  // Four rows of one file: three are left out.
  EXPECT_EQ(measure_workflow(truth, read(rows), f.labels, {}, {.bootstrap = 0}).duplicate_rows, 3);
  EXPECT_EQ(read(rows, Duplicates::first).of_key.at("x").label, "ley");
  EXPECT_EQ(read(rows, Duplicates::majority).of_key.at("x").label, "ley");
  EXPECT_TRUE(
      contains(error_of([&] { read(rows, Duplicates::error); }), "r.csv:3: a second row for 'x', after line 2"));
}

TEST(Units, ScoresOfLabelsComeFromMaps) {
  Folder f;
  put(f.folder / "ley/x.txt", "");
  put(f.folder / "acta/y.txt", "");
  const Truth truth = f.truth();
  const io::ResultsTable table = io::parse_results(
      "{\"file\":\"x.txt\",\"label\":\"ley\",\"score\":0.75,\"scores\":{\"ley\":0.75,\"acta\":0.25}}\n", "r.jsonl");
  const Columns columns = choose_columns(table, {}, truth, {}, f.labels);
  EXPECT_EQ(columns.score, "score");
  const auto found = read_predictions(table, columns, truth, {}, f.labels, Duplicates::last);
  EXPECT_EQ(found.of_key.at("x").score, 0.75);
  EXPECT_EQ(found.of_key.at("x").scores.at("acta"), 0.25);
}

TEST(Units, ColumnsThatAreNotClearAreAsked) {
  Folder f;
  put(f.folder / "ley/x.txt", "");
  const Truth truth = f.truth();
  const auto choose = [&](const std::string& csv, const Columns& asked) {
    return choose_columns(io::parse_results(csv, "r.csv"), asked, truth, {}, f.labels);
  };
  EXPECT_EQ(choose("pk,archivo,clase\nu1,x.pdf,ley\n", {}).id, "archivo");  // only its values are files of the truth
  EXPECT_EQ(choose("k,v\nx.pdf,ley\n", {}).prediction, "v");
  EXPECT_TRUE(contains(error_of([&] { choose("archivo,ruta,clase\nx,x,ley\n", {}); }),
                       "it is not clear which column to take; say --id-col COLUMN. It may be archivo, ruta"));
  EXPECT_TRUE(
      contains(error_of([&] { choose("a,b\nx,ley\n", {.id = "c"}); }), "has no column 'c' (--id-col); it has a, b"));
}

TEST(Units, TheMappingIsReadOffTwoFolders) {
  Folder raw, unified;
  put(raw.folder / "balance/1.pdf", "");
  put(raw.folder / "resultados/2.pdf", "");
  put(unified.folder / "ef/1.pdf", "");
  put(unified.folder / "ef/2.pdf", "");
  const auto inferred = [&](Scattered scattered) {
    return infer_label_map(raw.folder.path(), unified.folder.path(), {}, {}, scattered);
  };
  EXPECT_EQ(inferred(Scattered::refused).unified_label("resultados"), "ef");
  put(raw.folder / "balance/3.pdf", "");
  put(unified.folder / "otro/3.pdf", "");
  EXPECT_TRUE(contains(error_of([&] { inferred(Scattered::refused); }),
                       "\n  balance -> ef: 1 files\n  balance -> otro: 1 files"));

  // Two of three balances went to "otro": so does one that is predicted of another typology's file.
  put(raw.folder / "balance/4.pdf", "");
  put(unified.folder / "otro/4.pdf", "");
  const LabelMap map = inferred(Scattered::per_file);
  EXPECT_EQ(map.unified_label("balance"), "otro");
  EXPECT_EQ(map.unified_of_key,
            (std::map<std::string, std::string, std::less<>>{{"1", "ef"}, {"3", "otro"}, {"4", "otro"}}));
  // 1.pdf is an "ef" by its own folder. Called balance, its raw typology, it is right; called resultados (an "ef"), it
  // is right once unified. 2.pdf, an "ef", called balance, is an "otro": wrong.
  const auto right = [&](const std::string& first) {
    Predictions predictions;
    predictions.of_key["1"].label = first;
    predictions.of_key["2"].label = "balance";
    return measure_workflow(raw.truth(), predictions, map, {}, {.bootstrap = 0}).file_unified.right;
  };
  EXPECT_EQ(right("balance"), 1);
  EXPECT_EQ(right("resultados"), 1);
  EXPECT_EQ(right("acta"), 0);
}

TEST(Documents, NamedGroups) {
  const Made data = made({"a"}, {""});
  Truth truth = data.truth;
  truth.units[0].key = "carta-(1)_pag-12";
  const PageMap pages = pages_by_regex(truth, R"((?<doc>.+?)[-_ (]?(?:p|pag|page|hoja)?[-_ ]?(?<page>\d+))");
  ASSERT_TRUE(pages.contains("carta-(1)_pag-12"));
  EXPECT_EQ(pages.begin()->second.document, "carta-(1)");
  EXPECT_EQ(pages.begin()->second.number, 12);
  EXPECT_THROW(pages_by_regex(truth, "(.*)"), std::invalid_argument);
  EXPECT_THROW(pages_by_regex(truth, "(?<doc>("), std::invalid_argument);
}

}  // namespace
}  // namespace aid::train::workflow

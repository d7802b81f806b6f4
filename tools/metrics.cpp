#include <cstdio>
#include <memory>

#include "io/error.h"
#include "io/file.h"
#include "io/results/results.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "train/metrics/report_html.h"
#include "train/workflow/workflow_metrics.h"

namespace aid::tools {
namespace {

namespace workflow = train::workflow;

struct MetricsOptions {
  std::string results, truth, unify, json, csv, report, compare, documents, doc_regex, key = "stem";
  std::vector<std::string> infer_unify, ignore;
  workflow::LabelRule labels;
  bool ignore_case = false, strict = false, per_file = false, quiet = false, headline_documents = false;
  workflow::Columns columns;
  workflow::Duplicates duplicates = workflow::Duplicates::last;
  workflow::WorkflowOptions measure;
  std::optional<double> least;
};

workflow::LabelMap label_map(const MetricsOptions& options, const workflow::KeyRule& key) {
  workflow::LabelMap map =
      !options.unify.empty() ? workflow::read_label_map(options.unify, options.labels)
      : !options.infer_unify.empty()
          ? workflow::infer_label_map(options.infer_unify[0], options.infer_unify[1], key, options.labels,
                                      options.per_file ? workflow::Scattered::per_file : workflow::Scattered::refused)
          : workflow::identity_map(options.labels);
  if (options.strict) map.unlisted = workflow::Unlisted::error;
  for (const std::string& label : options.ignore) map.ignored.insert(map.raw_label(label));
  return map;
}

void write_report(const MetricsOptions& options, const workflow::WorkflowReport& report,
                  const workflow::LabelReport& headline) {
  train::HtmlReport page{
      .title = "Workflow metrics: " + options.results,
      .headline = options.headline_documents ? "accuracy unifying of documents" : "accuracy unifying",
      .right = headline.right,
      .total = headline.total};
  const auto fraction = [](const workflow::LabelReport& cell) {
    char text[96];
    std::snprintf(text, sizeof text, "%.6f (%lld of %lld)", cell.accuracy, static_cast<long long>(cell.right),
                  static_cast<long long>(cell.total));
    return std::string(text);
  };
  page.facts = {{"file, raw labels", fraction(report.file_raw)},
                {"file, unified labels", fraction(report.file_unified)},
                {"document, raw labels", report.document_raw ? fraction(*report.document_raw) : "n/a"},
                {"document, unified labels", fraction(report.document_unified)},
                {"truth", options.truth},
                {"without a prediction", std::to_string(report.missing.size())},
                {"predicted but not in the truth", std::to_string(report.extra.size())},
                {"rows left out as duplicates", std::to_string(report.duplicate_rows)}};
  for (const workflow::Unit& unit : report.units) {
    page.files.push_back({.file = unit.file,
                          .truth = unit.truth,
                          .predicted = unit.predicted,
                          .unified_truth = unit.unified_truth,
                          .unified_predicted = unit.unified_predicted,
                          .score = unit.unified_score});
  }
  train::write_html_report(options.report, page);
}

int measure(const MetricsOptions& options) {
  train::Progress progress(options.quiet ? train::Progress::Style::quiet : train::Progress::style_of_stderr());
  workflow::KeyRule key = workflow::key_rule_of(options.key);
  key.ignore_case = options.ignore_case;
  const workflow::LabelMap labels = label_map(options, key);
  const workflow::Truth truth = workflow::read_truth(options.truth, key, labels);
  workflow::PageMap pages;
  if (!options.doc_regex.empty()) pages = workflow::pages_by_regex(truth, options.doc_regex);
  if (!options.documents.empty()) pages = workflow::read_page_map(options.documents, key);

  const auto measured = [&](const io::ResultsTable& table, const workflow::Columns& columns,
                            const workflow::WorkflowOptions& how) {
    for (const std::string& note : table.notes) progress.warn(table.name + ": " + note);
    return workflow::measure_workflow(
        truth, workflow::read_predictions(table, columns, truth, key, labels, options.duplicates), labels, pages, how);
  };
  const io::ResultsTable results = io::read_results(options.results);
  const workflow::Columns columns = workflow::choose_columns(results, options.columns, truth, key, labels);
  const auto shown = [](const std::string& column) { return column.empty() ? "none" : "'" + column + "'"; };
  progress.note(results.name + ": " + results.format + "; file in column " + shown(columns.id) + ", prediction in " +
                shown(columns.prediction) + ", score in " + shown(columns.score) + ", time in " + shown(columns.time));
  const workflow::WorkflowReport report = measured(results, columns, options.measure);

  std::optional<workflow::Compared> compared;
  std::optional<io::ResultsTable> old_results;
  if (!options.compare.empty()) {
    old_results = io::read_results(options.compare);
    workflow::WorkflowOptions how = options.measure;
    how.bootstrap = 0;
    const auto before =
        measured(*old_results, workflow::choose_columns(*old_results, options.columns, truth, key, labels), how);
    compared = {.raw = workflow::compare(report, before, workflow::Labels::raw),
                .unified = workflow::compare(report, before, workflow::Labels::unified)};
  }
  if (!options.json.empty()) {
    io::write_atomically(options.json, workflow::to_json(report, compared,
                                                         {.results = &results,
                                                          .compared = old_results ? &*old_results : nullptr,
                                                          .labels = &labels,
                                                          .truth = &truth,
                                                          .columns = columns}));
  }
  if (!options.csv.empty()) workflow::write_csv(report, options.csv);
  const train::workflow::LabelReport& headline =
      options.headline_documents ? report.document_unified : report.file_unified;
  if (!options.report.empty()) write_report(options, report, headline);
  const std::string text = workflow::to_text(report, compared, headline);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (options.least && headline.accuracy < *options.least) {
    char message[128];
    std::snprintf(message, sizeof message, "accuracy unifying %.6f is below --min-accuracy-unifying %g",
                  headline.accuracy, *options.least);
    progress.warn(message);
    return kSomeFailed;
  }
  return kDone;
}

template <class Enum>
void add_choice(CLI::App& app, const char* flag, Enum& value, const std::map<std::string, Enum>& names,
                const char* what) {
  app.add_option_function<std::string>(
         flag, [&value, names](const std::string& name) { value = names.at(name); }, what)
      ->check(CLI::IsMember(names))
      ->type_name("");
}

void add_matching(CLI::App& app, MetricsOptions& options) {
  app.add_option("--key", options.key, "What a file is known by on both sides: stem, name, relpath or regex:PATTERN")
      ->type_name("KEY")
      ->default_str("stem");
  app.add_flag("--ignore-case", options.ignore_case, "Of file names");
  app.add_option("--id-col", options.columns.id, "Column of the file; \"a.b\" and \"a[0]\" reach into maps and lists")
      ->type_name("COLUMN");
  app.add_option("--pred-col", options.columns.prediction, "Column of the predicted typology")->type_name("COLUMN");
  app.add_option("--score-col", options.columns.score, "Column of its probability, or of a map label: probability")
      ->type_name("COLUMN");
  app.add_option("--time-col", options.columns.time, "Column that orders several rows of one file")
      ->type_name("COLUMN");
  add_choice<workflow::Duplicates>(app, "--duplicates,--dup", options.duplicates,
                                   {{"last", workflow::Duplicates::last},
                                    {"first", workflow::Duplicates::first},
                                    {"majority", workflow::Duplicates::majority},
                                    {"error", workflow::Duplicates::error}},
                                   "Which of several rows of one file counts: last (by time, else by place), first, "
                                   "majority, error");
}

void add_labels(CLI::App& app, MetricsOptions& options) {
  CLI::Option* unify =
      app.add_option("--unify", options.unify, "JSON or CSV (raw,unified) of the typologies that count as one")
          ->type_name("FILE");
  CLI::Option* infer =
      app.add_option("--infer-unify", options.infer_unify, "Take that from two folders of the same files")
          ->expected(2)
          ->type_name("MUESTRAS MUESTRAS_UNIFICADO")
          ->excludes(unify);
  app.add_flag("--per-file", options.per_file,
               "A typology may go to several unified ones: each file's own is where it lies in MUESTRAS_UNIFICADO")
      ->needs(infer);
  app.add_flag("--strict", options.strict, "A label that the mapping does not list is an error");
  app.add_option("--ignore", options.ignore, "A typology of the truth that does not count; may be repeated")
      ->type_name("LABEL");
  app.add_flag("--ignore-label-case", options.labels.ignore_case, "Labels that differ in case only are one");
  app.add_flag("--ignore-accents", options.labels.ignore_accents, "Labels that differ in accents only are one");
}

void add_documents(CLI::App& app, MetricsOptions& options) {
  CLI::Option* regex =
      app.add_option("--doc-regex", options.doc_regex,
                     "Groups files into documents: the groups (?<doc>...) and (?<page>...) of the file's key, e.g. "
                     "'(?<doc>.+?)[-_ ]?(?:p|pag|page|hoja)?[-_ ]?(?<page>\\d+)'")
          ->type_name("REGEX");
  app.add_option("--documents", options.documents, "The same by a CSV: unit,document,page")
      ->type_name("FILE")
      ->excludes(regex);
  add_choice<workflow::Aggregate>(
      app, "--agg", options.measure.aggregate,
      {{"vote", workflow::Aggregate::vote},
       {"mean-score", workflow::Aggregate::mean_score},
       {"first", workflow::Aggregate::first},
       {"max-score", workflow::Aggregate::max_score},
       {"any", workflow::Aggregate::any}},
      "A document's label from its pages': vote (default), mean-score, first, max-score, any");
  app.add_flag("--headline-documents", options.headline_documents,
               "The last line and --min-accuracy-unifying count documents, not files");
}

}  // namespace

Command add_metrics(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "metrics",
      "Compares the workflow's results (results.csv) with the truth; the last line is the accuracy unifying");
  const auto options = std::make_shared<MetricsOptions>();
  app->add_option(
         "RESULTS", options->results,
         "CSV of the DynamoDB console or of `aid`, JSON of `aws dynamodb scan`, an S3 export or JSON lines; also .gz")
      ->required()
      ->type_name("");
  app->add_option("--truth", options->truth, "Folder of the ground truth, one folder per typology")
      ->required()
      ->type_name("DIR");
  add_labels(*app, *options);
  add_matching(*app, *options);
  add_documents(*app, *options);
  app->add_option("--compare", options->compare, "Older results over the same truth: McNemar's test of the difference")
      ->type_name("OLD");
  app->add_option("--json", options->json, "Writes everything there, as JSON")->type_name("FILE");
  app->add_option("--csv", options->csv,
                  "Writes tables into that folder: units, confusions (as heat maps too), classes, coverage")
      ->type_name("DIR");
  app->add_option("--report", options->report, "Writes DIR/report.html: everything for people, in one file")
      ->type_name("DIR");
  app->add_option("--min-accuracy-unifying", options->least, "Exit status 1 below that")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->type_name("X");
  app->add_option("--bootstrap", options->measure.bootstrap, "Replicates for the interval of macro F1; 0: none")
      ->check(CLI::Range(0, 1000000).description(""))
      ->type_name("N")
      ->default_str("10000");
  app->add_option("--seed", options->measure.seed, "Of the bootstrap")->type_name("N")->default_str("0");
  app->add_flag("--quiet", options->quiet, "No notes on stderr, only warnings and errors");
  app->footer(
      "Example:\n  aid metrics results.csv --truth ground_truth/muestras --unify unificado.json --json metrics.json\n"
      "Exit status: 0 done, 1 below --min-accuracy-unifying, 2 wrong usage or bad input");
  return {app, [options] { return measure(*options); }};
}

}  // namespace aid::tools

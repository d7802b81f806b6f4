#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "io/dataset.h"
#include "io/error.h"
#include "io/file.h"
#include "tools/commands.h"
#include "tools/documents.h"
#include "tools/options.h"
#include "train/metrics/metrics.h"
#include "train/metrics/report_html.h"

namespace aid::tools {
namespace {

struct EvalOptions {
  CommonOptions common;
  ReadingOptions reading;
  std::string model, data, json, report;
};

// The model's class for each label of the folder. The folder may lack some of the model's labels.
std::vector<int32_t> class_of_label(const io::LabelledFolder& data, const std::vector<std::string>& labels) {
  std::vector<int32_t> classes;
  std::string unknown;
  for (const std::string& label : data.labels) {
    const auto found = std::find(labels.begin(), labels.end(), label);
    classes.push_back(static_cast<int32_t>(found - labels.begin()));
    if (found == labels.end()) unknown += (unknown.empty() ? "" : ", ") + label;
  }
  if (!unknown.empty()) {
    std::string known;
    for (const std::string& label : labels) known += (known.empty() ? "" : ", ") + label;
    throw io::Error(data.folder.string() + ": the model does not know the labels " + unknown + "; it knows " + known);
  }
  return classes;
}

void write_report(const EvalOptions& options, const train::Classifier& classifier, const io::LabelledFolder& data,
                  const train::Metrics& metrics, int64_t failed) {
  nlohmann::ordered_json report;
  report["kind"] = classifier.kind();
  report["data"] = {{"sha256", io::fingerprint(data)}, {"texts", data.examples.size()}, {"unreadable", failed}};
  if (const auto version = io::data_version_of(data.folder)) report["data"]["version"] = *version;
  report["metrics"] = nlohmann::ordered_json::parse(train::to_json(metrics));
  io::write_atomically(options.json, report.dump(2) + "\n");
}

void write_page(const EvalOptions& options, const train::Classifier& classifier, const train::Metrics& metrics,
                std::vector<train::ReportedFile> files) {
  train::HtmlReport page{.title = options.model + " on " + options.data,
                         .headline = "accuracy",
                         .total = metrics.texts,
                         .files = std::move(files)};
  for (size_t k = 0; k < metrics.labels.size(); ++k) page.right += metrics.confused(k, k);
  const auto decimals = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", value);
    return std::string(text);
  };
  page.facts = {{"model", classifier.kind()},
                {"macro F1", decimals(metrics.macro.f1)},
                {"log-loss", decimals(metrics.log_loss)},
                {"calibration error (15 bins)", decimals(metrics.calibration_error)}};
  train::write_html_report(options.report, page);
}

int evaluate(const EvalOptions& options) {
  train::Progress progress(options.common.progress_style());
  const io::LabelledFolder data = io::open_labelled_folder(options.data);
  for (const io::Skipped& skipped : data.skipped)
    progress.warn(skipped.path.string() + ": left out: " + skipped.reason);
  if (!data.skipped.empty()) progress.warn(std::to_string(data.skipped.size()) + " names left out of the evaluation");

  const auto classifier = train::open_classifier(options.model, open_options(options.common, options.reading));
  const std::vector<int32_t> classes = class_of_label(data, classifier->labels());
  for (const std::string& note : classifier->notes()) progress.note(note);
  progress.note(classifier->kind() + " on " + describe(classifier->stream(), classifier->compute()));

  std::vector<std::filesystem::path> files;
  for (const io::Example& example : data.examples) files.push_back(example.file);
  std::vector<int32_t> truth;
  std::vector<float> probabilities;
  std::vector<train::ReportedFile> reported;
  ProfileSession profile(options.common.profile, classifier->stream());
  const ClassifyResult result =
      classify_files(*classifier, files, progress, [&](size_t file, const train::Verdict& verdict) {
        truth.push_back(classes[static_cast<size_t>(data.examples[file].label)]);
        probabilities.insert(probabilities.end(), verdict.scores.begin(), verdict.scores.end());
        const auto best = static_cast<size_t>(train::verdict_of(verdict.scores));
        const std::string& label = data.labels[static_cast<size_t>(data.examples[file].label)];
        const std::string& predicted = classifier->labels()[best];
        reported.push_back({.file = files[file],
                            .truth = label,
                            .predicted = predicted,
                            .unified_truth = label,
                            .unified_predicted = predicted,
                            .score = verdict.scores[best]});
      });
  profile.report(classifier->compute());
  if (result.interrupted) return kInterrupted;
  if (truth.empty())
    throw io::Error(options.data + ": none of its " + std::to_string(files.size()) + " texts could be read");

  const train::Metrics metrics =
      train::compute_metrics({.labels = classifier->labels(), .truth = truth, .probabilities = probabilities});
  const std::string table = train::to_table(metrics);
  std::fwrite(table.data(), 1, table.size(), stdout);
  if (!options.json.empty()) write_report(options, *classifier, data, metrics, result.failed);
  if (!options.report.empty()) write_page(options, *classifier, metrics, std::move(reported));
  return conclude(result, files.size(), progress);
}

}  // namespace

Command add_eval(CLI::App& program) {
  CLI::App* app = program.add_subcommand("eval", "Measures a model on a labelled folder: DIR/LABEL/*.txt");
  const auto options = std::make_shared<EvalOptions>();
  app->add_option("MODEL", options->model, "Folder of the model, or of a spaCy pipeline with a text categorizer")
      ->required()
      ->type_name("");
  app->add_option("DIR", options->data, "Folder of texts, one folder per label")->required()->type_name("");
  app->add_option("--json", options->json, "Writes the metrics there too, as JSON")->type_name("FILE");
  app->add_option("--report", options->report, "Writes DIR/report.html: everything for people, in one file")
      ->type_name("DIR");
  add_reading_options(*app, options->reading);
  add_common_options(*app, options->common);
  app->footer(
      "Example:\n  aid eval modelo clasificacion/text_model/data_v1/ground_truth/muestras --json metrics.json\n"
      "Exit status: 0 done, 1 some files could not be read (each is named), 2 wrong usage or bad input, 130 "
      "interrupted");
  return {app, [options] { return evaluate(*options); }};
}

}  // namespace aid::tools

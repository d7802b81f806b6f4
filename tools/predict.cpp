#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "io/csv.h"
#include "io/error.h"
#include "tools/commands.h"
#include "tools/documents.h"
#include "tools/options.h"
#include "train/metrics/metrics.h"
#include "train/model/as_written.h"

namespace aid::tools {
namespace {

namespace fs = std::filesystem;

struct PredictOptions {
  CommonOptions common;
  ReadingOptions reading;
  std::string model;
  std::vector<std::string> paths;
  std::string format = "jsonl";
};

constexpr const char* kLeftOut = ", left out; name it on the command line to have it read";

bool is_text_file(const fs::directory_entry& entry) {
  std::string extension = entry.path().extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".txt";
}

// The .txt files below a folder, sorted by name. All else is told: of what is hidden, .DS_Store and the like too, as
// train and eval tell it, since it is not for us to know which names nobody means. A hidden folder counts as one.
void add_folder(const fs::path& folder, std::vector<fs::path>& files, FileNotes& left_out) {
  std::vector<fs::path> found;
  std::error_code error, unknown;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().native().starts_with('.')) {
      left_out.add(std::string("hidden") + kLeftOut, it->path());
      it.disable_recursion_pending();
    } else if (!it->is_directory(unknown)) {
      if (is_text_file(*it)) {
        found.push_back(it->path());
      } else {
        left_out.add(std::string("not a .txt file") + kLeftOut, it->path());
      }
    }
  }
  if (error) throw io::Error(folder.string() + ": cannot be listed: " + error.message());
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
}

std::vector<fs::path> files_of(const std::vector<std::string>& paths, FileNotes& left_out) {
  std::vector<fs::path> files;
  const auto add = [&](const std::string& path) {
    if (fs::is_directory(path)) {
      add_folder(path, files, left_out);
    } else {
      files.emplace_back(path);
    }
  };
  for (const std::string& path : paths) {
    if (path != "-") {
      add(path);
      continue;
    }
    for (std::string line; std::getline(std::cin, line);) {
      if (!line.empty()) add(line);
    }
  }
  return files;
}

class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(const fs::path& file, const train::Verdict& verdict) = 0;
};

size_t best(const train::Verdict& verdict) { return static_cast<size_t>(train::verdict_of(verdict.scores)); }

class JsonlWriter final : public Writer {
 public:
  explicit JsonlWriter(const std::vector<std::string>& labels) : labels_(labels) {}
  void write(const fs::path& file, const train::Verdict& verdict) override {
    nlohmann::ordered_json line = {{"file", file.string()},
                                   {"label", labels_[best(verdict)]},
                                   {"score", train::as_written(verdict.scores[best(verdict)])}};
    for (size_t i = 0; i < labels_.size(); ++i) line["scores"][labels_[i]] = train::as_written(verdict.scores[i]);
    // A file's name may be no UTF-8; JSON must be.
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
  }

 private:
  const std::vector<std::string>& labels_;
};

class CsvWriter final : public Writer {
 public:
  explicit CsvWriter(const std::vector<std::string>& labels) : labels_(labels) {
    std::vector<std::string> header = {"file", "label", "score"};
    for (const std::string& label : labels) header.push_back("scores." + label);
    write_record(header);
  }
  void write(const fs::path& file, const train::Verdict& verdict) override {
    std::vector<std::string> record = {file.string(), labels_[best(verdict)],
                                       train::text_of(verdict.scores[best(verdict)])};
    for (const float score : verdict.scores) record.push_back(train::text_of(score));
    write_record(record);
  }

 private:
  static void write_record(const std::vector<std::string>& fields) {
    std::string text;
    io::append_csv_record(text, fields);
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  const std::vector<std::string>& labels_;
};

int predict(const PredictOptions& options) {
  train::Progress progress(options.common.progress_style());
  FileNotes left_out;
  const std::vector<fs::path> files = files_of(options.paths, left_out);
  for (const std::string& line : left_out.lines()) progress.warn(line);
  if (files.empty()) throw io::Error("no file to classify: the folders hold no .txt file");
  const auto classifier = train::open_classifier(options.model, open_options(options.common, options.reading));
  for (const std::string& note : classifier->notes()) progress.note(note);
  progress.note(classifier->kind() + " on " + describe(classifier->stream(), classifier->compute()));

  ProfileSession profile(options.common.profile, classifier->stream());
  const std::unique_ptr<Writer> writer = options.format == "csv"
                                             ? std::unique_ptr<Writer>(new CsvWriter(classifier->labels()))
                                             : std::make_unique<JsonlWriter>(classifier->labels());
  const ClassifyResult result =
      classify_files(*classifier, files, progress,
                     [&](size_t file, const train::Verdict& verdict) { writer->write(files[file], verdict); });
  profile.report(classifier->compute());
  return conclude(result, files.size(), progress);
}

}  // namespace

Command add_predict(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("predict", "Classifies documents: a line of JSON or CSV each, in the order given");
  const auto options = std::make_shared<PredictOptions>();
  app->add_option("MODEL", options->model, "Folder of the model, or of a spaCy pipeline with a text categorizer")
      ->required()
      ->type_name("");
  app->add_option("PATH", options->paths,
                  "Text files, folders (all .txt files below them, by name), or -: paths from stdin, one a line")
      ->required()
      ->type_name("");
  app->add_option("--format", options->format, "jsonl: {\"file\",\"label\",\"score\",\"scores\":{label: probability}}")
      ->check(CLI::IsMember({"jsonl", "csv"}).description(""))
      ->type_name("{jsonl,csv}")
      ->capture_default_str();
  add_reading_options(*app, options->reading);
  add_common_options(*app, options->common);
  app->footer(
      "Example:\n  aid predict modelo clasificacion/text_model/data_v1/ground_truth/muestras > verdicts.jsonl\n"
      "Exit status: 0 done, 1 some files could not be read (each is named), 2 wrong usage or bad input, 130 "
      "interrupted");
  return {app, [options] { return predict(*options); }};
}

}  // namespace aid::tools

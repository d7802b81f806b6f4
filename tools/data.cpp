#include <cstdio>
#include <memory>

#include "io/error.h"
#include "io/file.h"
#include "kernels/core/stream.h"
#include "tools/commands.h"
#include "train/dataset/report.h"

namespace aid::tools {
namespace {

namespace dataset = train::dataset;

struct DataOptions {
  std::vector<std::string> folders;
  std::string json;
  size_t shown = 10;
  int threads = 0;
  dataset::VerifyOptions verify;
};

std::vector<dataset::Version> read_versions(const DataOptions& options) {
  const ThreadTeam team(options.threads > 0 ? options.threads : available_cores());
  std::vector<dataset::Version> versions;
  for (const std::string& root : options.folders)
    for (const auto& folder : dataset::find_versions(root)) versions.push_back(dataset::read_version(folder, team));
  return versions;
}

void write(const DataOptions& options, const std::string& text, const std::string& json) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!options.json.empty()) io::write_atomically(options.json, json);
}

int list(const DataOptions& options) {
  const auto versions = read_versions(options);
  write(options, dataset::to_text(versions), dataset::to_json(versions));
  return kDone;
}

int compare(const DataOptions& options) {
  const auto versions = read_versions(options);
  if (versions.size() != 2) {
    throw io::Error("the two folders hold " + std::to_string(versions.size()) +
                    " data versions; expected one in each, such as data_v1 and data_v2");
  }
  const auto changes = dataset::difference(versions[0], versions[1]);
  const dataset::Compared compared{.before = versions[0], .after = versions[1], .changes = changes};
  write(options, dataset::to_text(compared, options.shown), dataset::to_json(compared));
  return kDone;
}

int verify(const DataOptions& options) {
  const auto versions = read_versions(options);
  const ThreadTeam team(options.threads > 0 ? options.threads : available_cores());
  const auto findings = dataset::verify(versions, options.verify, team);
  size_t errors = 0;
  for (const dataset::Finding& finding : findings) errors += finding.severity == dataset::Severity::error ? 1 : 0;
  const std::string last = std::to_string(versions.size()) + (versions.size() == 1 ? " version, " : " versions, ") +
                           std::to_string(errors) + (errors == 1 ? " error, " : " errors, ") +
                           std::to_string(findings.size() - errors) +
                           (findings.size() - errors == 1 ? " warning\n" : " warnings\n");
  write(options, dataset::to_text(findings, options.shown) + last, dataset::to_json(findings));
  return errors > 0 ? kSomeFailed : kDone;
}

void add_common(CLI::App& app, DataOptions& options) {
  app.add_option("--json", options.json, "Writes everything there too, as JSON")->type_name("FILE");
  app.add_option("--threads", options.threads, "0: one per core that this process may use")
      ->check(CLI::Range(0, 4096).description(""))
      ->type_name("N")
      ->default_str("0");
}

void add_shown(CLI::App& app, DataOptions& options) {
  app.add_option("--shown", options.shown, "Files told of each kind; --json has all")
      ->check(CLI::Range(0, 1'000'000).description(""))
      ->type_name("N")
      ->default_str("10");
}

}  // namespace

Command add_data(CLI::App& program) {
  CLI::App* app = program.add_subcommand("data", "Versions of data sets: what there is, what changed, what is wrong");
  app->require_subcommand(1);
  const auto options = std::make_shared<DataOptions>();

  CLI::App* list_app = app->add_subcommand("list", "Versions, files by typology and split, fingerprints");
  list_app->add_option("DIR", options->folders, "data_v{N}, or a folder of such folders")->required()->type_name("");
  add_common(*list_app, *options);
  list_app->footer(
      "A fingerprint is what aid.json and `aid info MODEL` call the data's SHA-256: of the files' names "
      "and bytes, not of their dates.\nExample:\n  aid data list clasificacion");

  CLI::App* diff_app = app->add_subcommand("diff", "What was added, removed, changed and moved between two versions");
  diff_app->add_option("DIR", options->folders, "The two versions: the older, the newer")
      ->required()
      ->expected(2)
      ->type_name("");
  add_common(*diff_app, *options);
  add_shown(*diff_app, *options);
  diff_app->footer("Example:\n  aid data diff clasificacion/text_model/data_v1 clasificacion/text_model/data_v2");

  CLI::App* verify_app = app->add_subcommand(
      "verify", "Finds duplicates between splits and versions, typologies that differ, files that are broken");
  verify_app->add_option("DIR", options->folders, "data_v{N}, or a folder of such folders: then also between them")
      ->required()
      ->type_name("");
  add_common(*verify_app, *options);
  add_shown(*verify_app, *options);
  verify_app
      ->add_option(
          "--near", options->verify.near,
          "Texts are near duplicates from this Jaccard similarity of their shingles on; 1: only the same words")
      ->check(CLI::Range(0.3, 1.0).description(""))
      ->type_name("X")
      ->default_str("0.8");
  verify_app->add_option("--shingle-words", options->verify.shingle_words, "Words of a shingle")
      ->check(CLI::Range(1, 100).description(""))
      ->type_name("N")
      ->default_str("5");
  verify_app->footer(
      "Example:\n  aid data verify clasificacion/text_model --json findings.json\n"
      "Exit status: 0 no errors (warnings there may be), 1 errors, 2 wrong usage or bad input");

  return {app, [=] {
            if (list_app->parsed()) return list(*options);
            return diff_app->parsed() ? compare(*options) : verify(*options);
          }};
}

}  // namespace aid::tools

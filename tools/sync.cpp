#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "io/aws/uri.h"
#include "io/error.h"
#include "io/sync/sync.h"
#include "tools/commands.h"
#include "train/console/interrupt.h"
#include "train/console/progress.h"

namespace aid::tools {
namespace {

constexpr std::size_t kProblemsShown = 50;
constexpr int kMegabyte = 1'000'000;

struct SyncOptions {
  io::aws::ClientOptions client;
  io::sync::Options sync;
  std::string from, to, target = "temp_data";
  bool anonymous = false, dry_run = false, remove = false, quiet = false;
};

bool is_s3(const std::string& place) { return place.starts_with("s3://"); }

// A prefix is a folder: "data" must not match "data_old".
io::aws::S3Uri folder_of(const std::string& address) {
  io::aws::S3Uri uri = io::aws::parse_s3_uri(address);
  if (!uri.key.empty() && !uri.key.ends_with('/')) uri.key += '/';
  return uri;
}

std::vector<std::string> folders_of(const std::string& list) {
  std::vector<std::string> folders;
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t end = std::min(list.find(',', start), list.size());
    std::string folder = list.substr(start, end - start);
    while (folder.ends_with('/')) folder.pop_back();
    if (!folder.empty()) folders.push_back(folder == "." ? "" : folder);
    start = end + 1;
  }
  if (folders.empty())
    throw io::Error("no folder is named: expected SUB1,SUB2... below the prefix, or . for all of it");
  return folders;
}

std::string megabytes(long long bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / kMegabyte);
  return text;
}

// The progress of a run whose end is not known at its begin: what has to be done is found while it is done.
class SyncProgress {
 public:
  SyncProgress(train::Progress& progress, std::string what) : progress_(progress), what_(std::move(what)) {}

  void show(const io::sync::Totals& totals) {
    if (totals.objects == 0) return;
    if (!begun_) progress_.begin(what_, 1);
    begun_ = true;
    progress_.set_total((totals.bytes + kMegabyte - 1) / kMegabyte);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    progress_.update(totals.bytes_done / kMegabyte,
                     std::to_string(totals.objects_done) + " of " + std::to_string(totals.objects) + " files, " +
                         train::short_number(static_cast<double>(totals.bytes_done) / std::max(seconds, 1e-3)) + "B/s");
  }

 private:
  train::Progress& progress_;
  std::string what_;
  bool begun_ = false;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

int sync(SyncOptions options) {
  if (options.anonymous) options.client.signing = io::aws::Signing::anonymous;
  options.client.connections = options.sync.concurrency;
  if (options.dry_run) options.sync.mode = io::sync::Mode::dry_run;
  if (options.remove) options.sync.extra = io::sync::Extra::removed;
  const bool upload = !is_s3(options.from);
  if (upload && (!is_s3(options.to) || options.from.find("://") != std::string::npos)) {
    // A presigned URL has its secrets in the query.
    throw io::Error(
        "expected `aid sync s3://BUCKET/PREFIX/ SUB1,SUB2 [DIR]` or `aid sync DIR s3://BUCKET/PREFIX/`, and found '" +
        io::aws::redacted(options.from) + "' and '" + io::aws::redacted(options.to) + "'");
  }
  const train::InterruptScope interrupts;
  options.sync.interrupted = train::interrupt_requested;
  train::Progress progress(options.quiet ? train::Progress::Style::quiet : train::Progress::style_of_stderr());
  SyncProgress shown(progress, upload ? "uploading, MB" : "downloading, MB");
  if (options.dry_run) {
    options.sync.tell = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  } else {
    options.sync.progress = [&](const io::sync::Totals& totals) { shown.show(totals); };
  }

  io::aws::S3Client client(options.client);
  io::sync::Report report;
  const auto begin = std::chrono::steady_clock::now();
  if (upload) {
    const io::aws::S3Uri uri = folder_of(options.to);
    report = io::sync::upload(client, {.source = options.from, .bucket = uri.bucket, .prefix = uri.key}, options.sync);
  } else {
    const io::aws::S3Uri uri = folder_of(options.from);
    report = io::sync::download(
        client, {.bucket = uri.bucket, .prefix = uri.key, .folders = folders_of(options.to), .target = options.target},
        options.sync);
  }
  progress.end();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (std::size_t i = 0; i < std::min(report.problems.size(), kProblemsShown); ++i) {
    progress.warn("aid: " + report.problems[i].path + ": " + report.problems[i].why);
  }
  if (report.problems.size() > kProblemsShown) {
    progress.warn("aid: ... and " + std::to_string(report.problems.size() - kProblemsShown) + " more");
  }
  for (const io::sync::Problem& left : report.left) {
    progress.warn("aid: " + left.path + ": an unfinished upload of an earlier run could not be ended, and its parts " +
                  "stay in the bucket: " + left.why +
                  ". Whoever may end uploads there finds it with `aws s3api list-multipart-uploads`");
  }
  if (!options.dry_run) {
    std::string line = "aid: " + std::to_string(report.transferred) + " files (" + megabytes(report.bytes) + ") " +
                       (upload ? "sent" : "fetched") + ", " + std::to_string(report.unchanged + report.adopted) +
                       " up to date";
    if (report.removed > 0) line += ", " + std::to_string(report.removed) + " removed";
    if (!report.problems.empty()) line += ", " + std::to_string(report.problems.size()) + " FAILED";
    const io::aws::Statistics statistics = client.statistics();
    line += "; " + train::clock_text(seconds) + ", " + std::to_string(statistics.calls) + " requests, " +
            std::to_string(statistics.retries) + " retries";
    progress.note(line);
  }
  if (report.interrupted) {
    progress.warn("aid: interrupted: the same command goes on from here");
    return kInterrupted;
  }
  return report.problems.empty() ? kDone : kSomeFailed;
}

// --include and --exclude: in the order of the command line, since the last that matches counts.
void add_filter(CLI::App& app, const std::shared_ptr<SyncOptions>& options, io::sync::Choice choice, const char* flag,
                const char* help) {
  app.add_option_function<std::string>(
         flag,
         [options, choice](const std::string& pattern) {
           options->sync.filters.push_back({choice, pattern});
         },
         help)
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->type_name("PATTERN");
}

}  // namespace

Command add_sync(CLI::App& program) {
  CLI::App* app = program.add_subcommand("sync", "Makes a folder equal to a prefix of an S3 bucket, or the reverse");
  const auto options = std::make_shared<SyncOptions>();
  app->add_option("FROM", options->from, "s3://BUCKET/PREFIX/, or the folder to send")->required()->type_name("");
  app->add_option("TO", options->to, "SUB1,SUB2...: the folders below the prefix, . for all; or s3://BUCKET/PREFIX/")
      ->required()
      ->type_name("");
  app->add_option("DIR", options->target, "Where to: SUB1 comes to be DIR/SUB1")->type_name("")->capture_default_str();
  app->add_flag("--dry-run,--dryrun", options->dry_run, "Only says what would be done");
  app->add_flag("--delete", options->remove, "Removes what the target has and the source has not");
  add_filter(*app, options, io::sync::Choice::exclude, "--exclude", "Leaves out paths that match; * goes over / too");
  add_filter(*app, options, io::sync::Choice::include, "--include",
             "Takes them in again; the last that matches counts");
  app->add_option("--concurrency", options->sync.concurrency, "Transfers at a time")
      ->check(CLI::Range(1, 1000))
      ->type_name("")
      ->capture_default_str();
  app->add_option_function<int>(
         "--part-size",
         [options](const int mebibytes) { options->sync.part_size = static_cast<std::uint64_t>(mebibytes) << 20; },
         "MiB: larger objects are fetched in parts of so much [16]")
      ->check(CLI::Range(1, 4096))
      ->type_name("");
  app->add_option("--region", options->client.region, "AWS region")->type_name("");
  app->add_option("--profile", options->client.profile, "Profile of ~/.aws/config")->type_name("");
  app->add_option("--endpoint-url", options->client.endpoint_url, "Another server than AWS")->type_name("");
  app->add_option("--ca-bundle", options->client.ca_bundle, "PEM file of certificates to trust")->type_name("");
  app->add_flag("--no-sign-request", options->anonymous, "Without credentials");
  app->add_flag("--quiet", options->quiet, "Nothing on stderr but errors");
  app->footer(
      "DIR/.aid-sync notes what came from where. A file is fetched again where its object, its size or its time is "
      "not\n"
      "as noted there. A run that was cut off, by whatever, goes on where it was.\n"
      "Examples:\n"
      "  aid sync s3://bucket/clasificacion/text_model/data_v2/ text_dataset,ground_truth\n"
      "  aid sync ground_truth/todas_unificado s3://workflow-raw/entrada/ --dry-run");
  return {app, [options] { return sync(*options); }};
}

}  // namespace aid::tools

#include <cstdio>
#include <memory>

#include "io/aws/dynamodb.h"
#include "io/file.h"
#include "tools/commands.h"

namespace aid::tools {
namespace {

struct ResultsOptions {
  io::aws::ClientOptions client;
  io::aws::ScanRequest scan;
  std::vector<std::string> filters;
  std::string out = "results.csv";
  bool anonymous = false, quiet = false;
};

int results(ResultsOptions options) {
  for (const std::string& filter : options.filters) options.scan.filters.push_back(io::aws::parse_filter(filter));
  if (options.anonymous) options.client.signing = io::aws::Signing::anonymous;
  io::aws::DynamoDbClient client(options.client);
  io::aws::ScanProgress last;
  const io::aws::Table table = client.scan(options.scan, [&](const io::aws::ScanProgress& progress) {
    last = progress;
    if (!options.quiet && progress.pages % 20 == 0) {
      std::fprintf(stderr, "aid: %lld items in %lld pages, %.1f capacity units\n", progress.items, progress.pages,
                   progress.capacity_units);
    }
  });
  const std::string csv = io::aws::console_csv(table);
  if (options.out == "-") {
    std::fwrite(csv.data(), 1, csv.size(), stdout);
  } else {
    io::write_atomically(options.out, csv);
  }
  if (!options.quiet) {
    std::fprintf(stderr,
                 "aid: %s: %zu items, %zu columns; %lld scanned in %lld pages, %.1f capacity units, %lld retries\n",
                 options.out.c_str(), table.rows.size(), table.columns.size(), last.scanned, last.pages,
                 last.capacity_units, client.statistics().retries);
  }
  return kDone;
}

}  // namespace

Command add_results(CLI::App& program) {
  CLI::App* app = program.add_subcommand("results", "Downloads a whole DynamoDB table as the console's results.csv");
  const auto options = std::make_shared<ResultsOptions>();
  app->add_option("--table", options->scan.table, "Name of the table")->required()->type_name("");
  app->add_option("--out", options->out, "File to write; -: stdout")->type_name("")->capture_default_str();
  app->add_option(
         "--filter", options->filters,
         "NAME OP VALUE (= <> < <= > >= begins_with contains), NAME exists or NAME missing; may repeat: all must hold")
      ->type_name("");
  app->add_option("--segments", options->scan.segments, "Parts of the table read in parallel")
      ->check(CLI::Range(1, 1000))
      ->type_name("")
      ->capture_default_str();
  app->add_option("--page-size", options->scan.page_size, "Items a page at most; 0: 1 MB")
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("")
      ->capture_default_str();
  app->add_flag("--consistent", options->scan.consistent, "Strongly consistent reads (twice the capacity)");
  app->add_option("--region", options->client.region, "AWS region")->type_name("");
  app->add_option("--profile", options->client.profile, "Profile of ~/.aws/config")->type_name("");
  app->add_option("--endpoint-url", options->client.endpoint_url, "Another server than AWS")->type_name("");
  app->add_flag("--no-sign-request", options->anonymous, "Without credentials");
  app->add_flag("--quiet", options->quiet, "Nothing on stderr but errors");
  app->footer(
      "Rows are ordered by their keys: the same table gives the same file, however it was read.\n"
      "Example:\n  aid results --table resultados --filter \"fecha >= 2026-01-01\"");
  return {app, [options] { return results(*options); }};
}

}  // namespace aid::tools

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/error.h"
#include "tokenizer/error.h"
#include "tools/commands.h"
#include "train/model/versions.h"

namespace aid::tools {
namespace {

int explain(const char* what) {
  std::fprintf(stderr, "aid: %s\n", what);
  return kBadInput;
}

int run(int argc, char** argv) {
  CLI::App program("Classifies documents by typology: trains, evaluates and runs BETO and DistilBETO.", "aid");
  program.require_subcommand(1);
  program.set_version_flag("--version", "aid " + train::program_version());
  program.get_formatter()->column_width(34);
  program.failure_message(CLI::FailureMessage::simple);
  const Command commands[] = {add_train(program),    add_eval(program), add_predict(program),
                              add_tokenize(program), add_info(program), add_metrics(program),
                              add_results(program),  add_data(program), add_sync(program)};
  std::vector<std::string> arguments(argv + 1, argv + argc);
  // The original system's name for it.
  if (std::filesystem::path(argv[0]).filename() == "s3_sync_dataset") arguments.insert(arguments.begin(), "sync");
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    program.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kDone : kBadInput;
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const int status = command.run();
    // What stands in the buffer may be all there is: a full disk shows here.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      throw std::runtime_error("the results could not be written to stdout");
    return status;
  }
  return kBadInput;
}

}  // namespace
}  // namespace aid::tools

int main(int argc, char** argv) {
  using namespace aid::tools;
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes (ulimit -f) is then an error of the write that meets it
  try {
    return run(argc, argv);
  } catch (const aid::io::DiskError& error) {
    explain(error.what());
  } catch (const aid::io::Error& error) {
    return explain(error.what());
  } catch (const aid::tokenizer::Error& error) {
    return explain(error.what());
  } catch (const std::invalid_argument& error) {
    return explain(error.what());
  } catch (const std::bad_alloc&) {
    explain("out of memory");
  } catch (const std::exception& error) {
    explain(error.what());
  }
  return kSomeFailed;
}

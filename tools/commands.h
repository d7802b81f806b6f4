// The subcommands of `aid`. Each add_*() declares one; its run() does the work where it was the one called.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace aid::tools {

enum ExitStatus : int {
  kDone = 0,
  kSomeFailed = 1,  // some of the work: a file that could not be read, results that a full disk did not take
  kBadInput = 2,    // wrong usage, or input that nothing can be done with
  kInterrupted = 130
};

struct Command {
  CLI::App* app;
  std::function<int()> run;  // returns an ExitStatus; throws for what main() explains
};

Command add_train(CLI::App& program);
Command add_eval(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_tokenize(CLI::App& program);
Command add_info(CLI::App& program);
Command add_metrics(CLI::App& program);
Command add_results(CLI::App& program);
Command add_data(CLI::App& program);
Command add_sync(CLI::App& program);

}  // namespace aid::tools

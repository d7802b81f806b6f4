// Runs the program as a user does: what it prints, and its exit status.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "io/file.h"
#include "tests/io/test_files.h"

namespace aid::tools::test {

using io::test::contains;
using io::test::put;
using io::test::TemporaryFolder;

// A tiny BERT with three labels.
inline const std::filesystem::path kModel = AID_SOURCE_DIR "/tests/golden/hf/bert";

struct Outcome {
  int status = -1;
  std::string out, err;
};

// arguments: as in a shell. stdout_to: where stdout goes instead of into Outcome::out. environment: "NAME=VALUE ...".
inline Outcome run_aid(const std::string& arguments, const std::string& stdout_to = "",
                       const std::string& environment = "") {
  const TemporaryFolder folder;
  const std::string out = stdout_to.empty() ? (folder / "out").string() : stdout_to, err = (folder / "err").string();
  const std::string command = environment + " " AID_PROGRAM " " + arguments + " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .out = stdout_to.empty() ? io::read_text(out) : "",
          .err = io::read_text(err)};
}

// For the shell.
inline std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

}  // namespace aid::tools::test

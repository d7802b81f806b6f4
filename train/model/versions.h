// What this program is made of, for `aid info` and for a run's record.
#pragma once

#include <string>
#include <vector>

namespace aid::train {

struct Library {
  std::string name, version;
  std::string file;  // that was loaded; empty: part of the program
};

std::string program_version();
// The libraries whose work is in the results or that read what users give.
std::vector<Library> libraries();

}  // namespace aid::train

// Folders to run `aid train` in, and what it leaves there.
#pragma once

#include <map>

#include "tests/tools/program.h"

namespace aid::tools::test {

inline void put_texts(const std::filesystem::path& folder, int texts) {
  for (int i = 0; i < texts; ++i) {
    const std::string name = std::to_string(i) + ".txt";
    put(folder / "contrato" / name, "el contrato de la norma " + std::string(static_cast<size_t>(i), 'a'));
    put(folder / "ley" / name, "la ley y el acta de la ley " + std::to_string(i));
  }
}

// Training and validation folders, and the command over them.
struct Workplace {
  TemporaryFolder folder;
  std::filesystem::path train = folder / "data_v7/text_dataset/train", val = folder / "data_v7/text_dataset/val",
                        out = folder / "out";

  Workplace() {
    put_texts(train, 12);
    put_texts(val, 4);
  }
  std::string command(const std::string& more = "") const {
    return "train beto --train " + quoted(train) + " --val " + quoted(val) + " --model " + quoted(kModel) + " --out " +
           quoted(out) + " --batch-size 4 --max-length 12 --threads 1 " + more;
  }
};

// The files that a run writes, less the log, whose speeds differ.
inline std::map<std::string, std::string> model_files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != "log.csv") files[name] = io::read_text(entry.path());
  }
  return files;
}

}  // namespace aid::tools::test

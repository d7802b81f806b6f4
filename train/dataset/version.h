// A version of a data set, as the original system lays it out: clasificacion/{text_model,image_model}/data_v{N}/ with
// text_dataset/{train,val,test} or {train,val,test}, and ground_truth/{muestras,todas}[_unificado].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "kernels/core/thread_team.h"

namespace aid::train::dataset {

enum class Role : unsigned char { train, val, test, truth };
const char* name_of(Role role);

struct File {
  std::string name;  // "LABEL/NAME", below the split's folder
  std::string label;
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::string sha256;   // "unreadable" where it could not be read
  std::string problem;  // why a model could not use it; empty: nothing is wrong with it
};

struct Split {
  std::string name;  // "text_dataset/train", below the version's folder
  Role role = Role::train;
  bool flat = false;     // files without typologies (todas)
  bool unified = false;  // its typologies are the unified ones
  std::vector<std::string> labels;
  std::vector<File> files;  // by label, then by name
  std::vector<io::Skipped> skipped;
  std::string sha256;  // its fingerprint (io/dataset.h), the one that aid.json holds

  uint64_t bytes() const;
  std::map<std::string, int64_t> counts() const;  // by label, labels without files too
};

enum class Kind : unsigned char { texts, images };

struct Version {
  std::filesystem::path folder;
  std::string name;  // "text_model/data_v2"
  std::optional<int> number;
  Kind kind = Kind::texts;
  std::vector<Split> splits;
  std::string sha256;  // fingerprint of all splits, by the names below the version's folder
};

// `root` where it is a version itself (a folder data_v{N}, or any with splits in it), else the folders data_v{N} up to
// two levels below, by kind and number. Throws io::Error where there is none.
std::vector<std::filesystem::path> find_versions(const std::filesystem::path& root);

// Reads every file once: hash, size, and what would keep a model from using it (an empty or undecodable text, an image
// that does not begin and end as its format does). Throws io::Error where the folder holds no split.
Version read_version(const std::filesystem::path& folder, const ThreadTeam& team);

}  // namespace aid::train::dataset

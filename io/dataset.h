#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/text.h"

namespace aid::io {

struct Example {
  std::filesystem::path file;
  int label = 0;  // index into LabelledFolder::labels
};

struct Skipped {
  std::filesystem::path path;
  std::string reason;
};

// DIR/LABEL/*.txt, one folder per typology, as the original system lays it out.
struct LabelledFolder {
  std::filesystem::path folder;
  std::vector<std::string> labels;  // the folders' names, sorted by bytes: the model's label list
  std::vector<Example> examples;    // sorted by label, then by file name, by bytes
  std::vector<Skipped> skipped;     // everything else that was found, in the same order
};

// Which files of a label's folder are examples, by their extension (in any case).
enum class Content : unsigned char {
  texts,   // .txt
  images,  // .jpg, .jpeg, .png
  files,   // all
};

// What there is, without demands: a folder may have no label, a label no file. Otherwise as open_labelled_folder().
LabelledFolder list_labelled_folder(const std::filesystem::path& folder, Content content);

// A folder of files without typologies (ground_truth/todas): its only label is "".
LabelledFolder list_flat_folder(const std::filesystem::path& folder);

// Reads names only. Skipped, with the reason: hidden names, files outside a label's folder, folders inside one,
// extensions other than .txt (any case), special files, links that lead nowhere; a label without any text is kept, and
// told in `skipped`. Links to files and to folders are followed. Throws Error for fewer than two labels, a label that
// is not UTF-8, and a folder without any text (saying so where the folders one level down are data sets themselves).
LabelledFolder open_labelled_folder(const std::filesystem::path& folder);

// Throws Error listing the labels that only one of the two has. `where`: what to call each in the message.
void check_same_labels(std::span<const std::string> expected, std::string_view expected_where,
                       std::span<const std::string> found, std::string_view found_where);

enum class Blank : unsigned char { refused, taken };  // nothing but white space
// The file's text; or, where it cannot be read, is no text or is blank (unless that is taken), nothing, and the file
// with the reason in `skipped`.
std::optional<Text> load_text(const std::filesystem::path& file, std::vector<Skipped>& skipped,
                              Blank blank = Blank::refused);

struct ManifestLine {
  std::string name;    // "LABEL/NAME"; in a folder without labels "NAME"
  std::string sha256;  // of the file, in hex; "unreadable" where it cannot be read
};
std::string name_in_manifest(const LabelledFolder& data, const Example& example);

// The fingerprint of a data set: SHA-256, in hex, of its manifest, one line "SHA-256, two spaces, name" per file,
// sorted by name. That is what `LC_ALL=C sha256sum */*.txt | sha256sum` prints in the folder; dates do not matter.
std::string fingerprint(std::vector<ManifestLine> manifest);
std::string fingerprint(const LabelledFolder& data);

std::string sha256_hex(std::string_view bytes);

// The N of the last data_vN among the names in the (absolute) path.
std::optional<int> data_version_of(const std::filesystem::path& path);

}  // namespace aid::io

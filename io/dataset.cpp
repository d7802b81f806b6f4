#include "io/dataset.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <utility>

#include "io/error.h"
#include "io/file.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;

// The folder's entries sorted by the bytes of their names.
std::vector<fs::directory_entry> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(*it);
  if (error) throw Error("cannot list the folder '" + folder.string() + "': " + error.message());
  std::sort(entries.begin(), entries.end(), [](const fs::directory_entry& a, const fs::directory_entry& b) {
    return a.path().native() < b.path().native();
  });
  return entries;
}

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

// What the extensions of a content are called in messages.
const char* extensions_of(Content content) {
  return content == Content::texts ? ".txt" : content == Content::images ? ".jpg, .jpeg or .png" : "";
}

bool is_content(const fs::path& path, Content content) {
  std::string extension = path.extension().string();
  for (char& letter : extension)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  switch (content) {
    case Content::texts:
      return extension == ".txt";
    case Content::images:
      return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
    case Content::files:
      return true;
  }
  return false;
}

// Why a name in a label's folder is no example; empty where it is one.
std::string reason_to_skip(const fs::directory_entry& entry, Content content) {
  std::error_code error;
  const fs::file_status status = entry.status(error);
  if (is_hidden(entry.path())) return "hidden";
  if (error || !fs::exists(status)) return "a link that leads nowhere, or not accessible";
  if (fs::is_directory(status)) {
    return std::string("a folder inside a label's folder; only LABEL/*") + (content == Content::texts ? ".txt" : "") +
           " is read";
  }
  if (!is_content(entry.path(), content)) return std::string("not a ") + extensions_of(content) + " file";
  if (!fs::is_regular_file(status)) return "not a regular file";
  return "";
}

void add_label(const fs::path& folder, Content content, LabelledFolder& data) {
  const std::string label = folder.filename().string();
  if (valid_utf8_prefix(label) != label.size()) {
    throw Error("the folder name '" + folder.string() + "' is not UTF-8; rename it: it becomes a label");
  }
  const std::size_t before = data.examples.size();
  for (const fs::directory_entry& entry : sorted_entries(folder)) {
    const std::string reason = reason_to_skip(entry, content);
    if (reason.empty()) {
      data.examples.push_back({entry.path(), static_cast<int>(data.labels.size())});
    } else {
      data.skipped.push_back({entry.path(), reason});
    }
  }
  if (data.examples.size() == before) {
    data.skipped.push_back({folder, std::string("a label without any ") + extensions_of(content) +
                                        (content == Content::files ? "file" : " file")});
  }
  data.labels.push_back(label);
}

// " (did you mean ...?)" where a folder one level down looks like a data set.
std::string nearer_data_set(const fs::path& folder) {
  for (const fs::directory_entry& entry : sorted_entries(folder)) {
    std::error_code error;
    if (!entry.is_directory(error) || is_hidden(entry.path())) continue;
    for (fs::directory_iterator it(entry.path(), error), end; !error && it != end; it.increment(error)) {
      if (it->is_directory(error)) return " (did you mean '" + entry.path().string() + "'?)";
    }
  }
  return "";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

LabelledFolder list_labelled_folder(const fs::path& folder, Content content) {
  LabelledFolder data;
  data.folder = folder;
  for (const fs::directory_entry& entry : sorted_entries(folder)) {
    std::error_code error;
    if (is_hidden(entry.path())) {
      data.skipped.push_back({entry.path(), "hidden"});
    } else if (entry.is_directory(error)) {
      add_label(entry.path(), content, data);
    } else {
      data.skipped.push_back({entry.path(), "outside the labels' folders"});
    }
  }
  return data;
}

LabelledFolder list_flat_folder(const fs::path& folder) {
  LabelledFolder data{.folder = folder, .labels = {""}, .examples = {}, .skipped = {}};
  for (const fs::directory_entry& entry : sorted_entries(folder)) {
    std::error_code error;
    const std::string reason = entry.is_directory(error) && !is_hidden(entry.path())
                                   ? "a folder in a folder without typologies"
                                   : reason_to_skip(entry, Content::files);
    if (reason.empty()) {
      data.examples.push_back({entry.path(), 0});
    } else {
      data.skipped.push_back({entry.path(), reason});
    }
  }
  return data;
}

LabelledFolder open_labelled_folder(const fs::path& folder) {
  LabelledFolder data = list_labelled_folder(folder, Content::texts);
  const std::string where = "the data folder '" + folder.string() + "'";
  if (data.examples.empty()) {
    throw Error(where + " holds no texts; expected one folder per label with .txt files in it" +
                nearer_data_set(folder));
  }
  if (data.labels.size() < 2) {
    throw Error(where + " holds a single label, " + data.labels[0] + "; a classifier needs at least two folders");
  }
  return data;
}

void check_same_labels(std::span<const std::string> expected, std::string_view expected_where,
                       std::span<const std::string> found, std::string_view found_where) {
  if (std::equal(expected.begin(), expected.end(), found.begin(), found.end())) return;
  std::vector<std::string> only_expected;
  std::vector<std::string> only_found;
  std::vector<std::string> a(expected.begin(), expected.end());
  std::vector<std::string> b(found.begin(), found.end());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only_expected));
  std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(only_found));
  throw Error("the labels differ: only in " + std::string(expected_where) + ": " + listed(only_expected) +
              "; only in " + std::string(found_where) + ": " + listed(only_found) +
              "; expected the same folders in both");
}

std::optional<Text> load_text(const fs::path& file, std::vector<Skipped>& skipped, Blank blank) {
  try {
    Text text = decode_text(read_text(file));
    if (blank == Blank::taken || !is_blank(text.utf8)) return text;
    skipped.push_back({file, "empty: nothing but white space"});
  } catch (const Error& error) {
    skipped.push_back({file, error.what()});
  }
  return std::nullopt;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw Error("OpenSSL refused to compute a SHA-256");
  }
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string name_in_manifest(const LabelledFolder& data, const Example& example) {
  const std::string& label = data.labels[static_cast<std::size_t>(example.label)];
  const std::string name = example.file.filename().string();
  return label.empty() ? name : label + "/" + name;
}

std::string fingerprint(std::vector<ManifestLine> manifest) {
  std::sort(manifest.begin(), manifest.end(),
            [](const ManifestLine& a, const ManifestLine& b) { return a.name < b.name; });
  std::string text;
  for (const ManifestLine& line : manifest) text.append(line.sha256).append("  ").append(line.name).append("\n");
  return sha256_hex(text);
}

std::string fingerprint(const LabelledFolder& data) {
  std::vector<ManifestLine> manifest;
  for (const Example& example : data.examples) {
    ManifestLine line{.name = name_in_manifest(data, example), .sha256 = "unreadable"};
    try {
      line.sha256 = sha256_hex(read_text(example.file));
    } catch (const Error&) {  // its reader says why
    }
    manifest.push_back(std::move(line));
  }
  return fingerprint(std::move(manifest));
}

std::optional<int> data_version_of(const fs::path& path) {
  constexpr std::string_view kPrefix = "data_v";
  std::optional<int> version;
  for (const fs::path& part : fs::absolute(path).lexically_normal()) {
    const std::string& name = part.native();
    if (!name.starts_with(kPrefix)) continue;
    int number = 0;
    const char* end = name.data() + name.size();
    const auto [parsed, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (error == std::errc() && parsed == end && number >= 0) version = number;
  }
  return version;
}

}  // namespace aid::io

#include "train/dataset/version.h"

#include <algorithm>

#include "io/error.h"
#include "io/file.h"
#include "io/text.h"

namespace aid::train::dataset {
namespace {

namespace fs = std::filesystem;

struct Place {
  const char* name;
  Role role;
  bool flat = false, unified = false;
};
// In the order of reports.
constexpr Place kTextPlaces[] = {
    {"text_dataset/train", Role::train},
    {"text_dataset/val", Role::val},
    {"text_dataset/test", Role::test},
};
constexpr Place kPlaces[] = {
    {"train", Role::train},
    {"val", Role::val},
    {"validation", Role::val},
    {"test", Role::test},
    {"ground_truth/muestras", Role::truth},
    {"ground_truth/muestras_unificado", Role::truth, false, true},
    {"ground_truth/todas", Role::truth, true},
    {"ground_truth/todas_unificado", Role::truth, true, true},
};

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::vector<Place> places_in(const fs::path& folder) {
  std::vector<Place> found;
  for (const Place& place : kTextPlaces)
    if (is_folder(folder / place.name)) found.push_back(place);
  for (const Place& place : kPlaces)
    if (is_folder(folder / place.name)) found.push_back(place);
  return found;
}

std::optional<int> number_of(const fs::path& folder) {
  // Only the folder's own name: a folder below data_v1 is not data_v1.
  return io::data_version_of(fs::path("/") / folder.filename());
}

void add_versions(const fs::path& folder, int levels, std::vector<fs::path>& found) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_folder(it->path()) || it->path().filename().native().starts_with('.')) continue;
    if (number_of(it->path())) {
      found.push_back(it->path());
    } else if (levels > 1) {
      add_versions(it->path(), levels - 1, found);
    }
  }
}

// Why an image cannot be whole. Its format's first and last bytes tell most broken downloads, for one look at each.
std::string image_problem(std::string_view bytes) {
  using namespace std::string_view_literals;
  const auto ends = [&](std::string_view mark) {
    return bytes.substr(bytes.size() - std::min<size_t>(bytes.size(), 64)).find(mark) != std::string_view::npos;
  };
  if (bytes.empty()) return "empty";
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return ends("\xFF\xD9"sv) ? "" : "a JPEG without its end: cut short";
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return ends("IEND"sv) ? "" : "a PNG without its end: cut short";
  return "neither JPEG nor PNG";
}

std::string problem_of(const fs::path& path, std::string bytes) {
  const std::string extension = path.extension().string();
  if (bytes.empty()) return "empty";
  if (extension == ".txt" || extension == ".TXT") {
    try {
      return io::is_blank(io::decode_text(std::move(bytes)).utf8) ? "empty: nothing but white space" : "";
    } catch (const io::Error& error) {
      return error.what();
    }
  }
  for (const char* image : {".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"})
    if (extension == image) return image_problem(bytes);
  return "";
}

void read(File& file) {
  try {
    std::string bytes = io::read_text(file.path);
    file.bytes = bytes.size();
    file.sha256 = io::sha256_hex(bytes);
    file.problem = problem_of(file.path, std::move(bytes));
  } catch (const io::Error& error) {
    file.sha256 = "unreadable";
    file.problem = error.what();
  }
}

Split list_split(const fs::path& folder, const Place& place, Kind kind) {
  const io::Content content = place.role == Role::truth ? io::Content::files
                              : kind == Kind::texts     ? io::Content::texts
                                                        : io::Content::images;
  const fs::path path = folder / place.name;
  io::LabelledFolder data = place.flat ? io::list_flat_folder(path) : io::list_labelled_folder(path, content);
  Split split{.name = place.name, .role = place.role, .flat = place.flat, .unified = place.unified};
  split.labels = data.labels;
  split.skipped = data.skipped;
  for (const io::Example& example : data.examples) {
    split.files.push_back({.name = io::name_in_manifest(data, example),
                           .label = data.labels[static_cast<size_t>(example.label)],
                           .path = example.file});
  }
  return split;
}

Kind kind_of(const fs::path& folder, const std::vector<Place>& places) {
  if (fs::absolute(folder).lexically_normal().parent_path().filename() == "image_model") return Kind::images;
  for (const Place& place : places) {
    if (place.role == Role::truth) continue;
    const auto has = [&](io::Content content) {
      return !io::list_labelled_folder(folder / place.name, content).examples.empty();
    };
    return !has(io::Content::texts) && has(io::Content::images) ? Kind::images : Kind::texts;
  }
  return Kind::texts;
}

}  // namespace

const char* name_of(Role role) {
  return role == Role::train ? "train" : role == Role::val ? "val" : role == Role::test ? "test" : "ground truth";
}

uint64_t Split::bytes() const {
  uint64_t sum = 0;
  for (const File& file : files) sum += file.bytes;
  return sum;
}

std::map<std::string, int64_t> Split::counts() const {
  std::map<std::string, int64_t> counts;
  for (const std::string& label : labels) counts[label] = 0;
  for (const File& file : files) ++counts[file.label];
  return counts;
}

std::vector<fs::path> find_versions(const fs::path& root) {
  if (!is_folder(root))
    throw io::Error("'" + root.string() + "' is no folder; expected a data set or a folder of them");
  const fs::path folder = fs::absolute(root).lexically_normal();
  const fs::path self = folder.has_filename() ? folder : folder.parent_path();
  if (number_of(self) || !places_in(self).empty()) return {self};
  std::vector<fs::path> found;
  add_versions(self, 3, found);
  if (found.empty()) {
    throw io::Error("no data version in '" + root.string() +
                    "'; expected a folder with train, val, text_dataset or ground_truth in it, or folders data_v1, "
                    "data_v2... of such, at most two levels below");
  }
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(a.parent_path(), number_of(a)) < std::pair(b.parent_path(), number_of(b));
  });
  return found;
}

Version read_version(const fs::path& folder, const ThreadTeam& team) {
  const std::vector<Place> places = places_in(folder);
  if (places.empty()) {
    throw io::Error("the data version '" + folder.string() +
                    "' holds no split; expected text_dataset/{train,val}, {train,val,test} or "
                    "ground_truth/{muestras,todas}");
  }
  Version version{.folder = folder, .number = number_of(folder), .kind = kind_of(folder, places)};
  const std::string parent = folder.parent_path().filename().string();
  version.name = (version.number && !parent.empty() ? parent + "/" : "") + folder.filename().string();
  std::vector<File*> files;
  for (const Place& place : places) version.splits.push_back(list_split(folder, place, version.kind));
  for (Split& split : version.splits)
    for (File& file : split.files) files.push_back(&file);
  team.tasks(static_cast<int64_t>(files.size()), [&](int64_t i) { read(*files[static_cast<size_t>(i)]); });

  std::vector<io::ManifestLine> whole;
  for (Split& split : version.splits) {
    std::vector<io::ManifestLine> manifest;
    for (const File& file : split.files) {
      manifest.push_back({.name = file.name, .sha256 = file.sha256});
      whole.push_back({.name = split.name + "/" + file.name, .sha256 = file.sha256});
    }
    split.sha256 = io::fingerprint(std::move(manifest));
  }
  version.sha256 = io::fingerprint(std::move(whole));
  return version;
}

}  // namespace aid::train::dataset

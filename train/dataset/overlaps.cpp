#include "train/dataset/overlaps.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "io/dataset.h"
#include "train/dataset/near_duplicates.h"

namespace aid::train::dataset {
namespace {

constexpr Role kRoles[] = {Role::train, Role::val, Role::test, Role::truth};

// A file in its place. Places have an order: by version, then by role, then by name.
struct Occurrence {
  size_t version = 0;
  Role role = Role::train;
  const Split* split = nullptr;
  const File* file = nullptr;

  auto key() const { return std::tuple(version, role, std::string_view(file->name)); }
};

struct Content {
  std::vector<Occurrence> occurrences;
  bool is_text = false;
};

bool is_text(const File& file) {
  const std::string extension = file.path.extension().string();
  return extension == ".txt" || extension == ".TXT";
}

// What can be used, by its bytes. Of empty files nothing is learnt.
std::vector<Content> contents_of(const std::vector<Version>& versions) {
  std::map<std::string_view, Content> by_hash;
  for (size_t v = 0; v < versions.size(); ++v) {
    for (const Role role : kRoles) {
      const Split* split = main_split(versions[v], role);
      if (split == nullptr) continue;
      for (const File& file : split->files) {
        if (!file.problem.empty()) continue;
        Content& content = by_hash[file.sha256];
        content.occurrences.push_back({.version = v, .role = role, .split = split, .file = &file});
        content.is_text = content.is_text || is_text(file);
      }
    }
  }
  std::vector<Content> contents;
  contents.reserve(by_hash.size());
  for (auto& [hash, content] : by_hash) contents.push_back(std::move(content));
  return contents;
}

std::vector<NearPair> near_pairs_of(const std::vector<Content>& contents, const VerifyOptions& options,
                                    const ThreadTeam& team) {
  std::vector<std::vector<uint64_t>> sets(contents.size());
  team.tasks(static_cast<int64_t>(contents.size()), [&](int64_t task) {
    const auto i = static_cast<size_t>(task);
    std::vector<io::Skipped> gone_since;
    if (!contents[i].is_text) return;
    if (const auto text = io::load_text(contents[i].occurrences[0].file->path, gone_since))
      sets[i] = shingles_of(text->utf8, options.shingle_words);
  });
  return near_pairs(sets, options.near, team);
}

// The files of the place b that are like one of the place a; of several, the one that is most like it.
struct Overlap {
  struct Match {
    const File* other = nullptr;
    std::optional<double> similarity;  // none: the same bytes
  };
  std::map<const File*, Match> matches;

  void add(const File* file, const Match& match) {
    const auto [known, added] = matches.emplace(file, match);
    const auto rank = [](const Match& m) { return std::pair(m.similarity.value_or(2), m.other->name); };
    if (!added && rank(match).first > rank(known->second).first) known->second = match;
    if (!added && rank(match).first == rank(known->second).first && rank(match).second < rank(known->second).second)
      known->second = match;
  }
};

class Overlaps {
 public:
  explicit Overlaps(const std::vector<Version>& versions) : versions_(versions) {}

  // Two occurrences of the same bytes, or of near duplicates.
  void add(Occurrence a, Occurrence b, std::optional<double> similarity) {
    if (b.key() < a.key()) std::swap(a, b);
    const bool labelled = !a.split->flat && !b.split->flat && a.split->unified == b.split->unified;
    const bool other_label = labelled && a.file->label != b.file->label;
    if (a.version == b.version) {
      const Kind kind = a.role == b.role ? Kind::repeated : Kind::leak;
      of({kind, a.version, b.version, a.role, b.role}).add(b.file, {.other = a.file, .similarity = similarity});
      if (other_label)
        of({Kind::conflict, a.version, b.version, a.role, b.role})
            .add(b.file, {.other = a.file, .similarity = similarity});
      return;
    }
    if (other_label && !similarity)
      of({Kind::relabelled, a.version, b.version, Role::train, Role::train}).add(b.file, {.other = a.file});
    if ((a.role == Role::train) == (b.role == Role::train)) return;
    if (b.role == Role::train) std::swap(a, b);
    of({Kind::leak_between, a.version, b.version, a.role, b.role})
        .add(b.file, {.other = a.file, .similarity = similarity});
  }

  std::vector<Finding> findings() const {
    std::vector<Finding> found;
    for (const auto& [place, overlap] : overlaps_)
      for (const bool near : {false, true}) add_finding(place, overlap, near, found);
    return found;
  }

 private:
  enum class Kind : unsigned char { leak, conflict, repeated, leak_between, relabelled };
  struct Place {
    Kind kind;
    size_t version_a, version_b;
    Role role_a, role_b;
    bool operator<(const Place& other) const {
      const auto all = [](const Place& p) { return std::tie(p.kind, p.version_a, p.version_b, p.role_a, p.role_b); };
      return all(*this) < all(other);
    }
  };

  Overlap& of(const Place& place) { return overlaps_[place]; }

  std::string split_name(size_t version, Role role) const { return main_split(versions_[version], role)->name; }

  std::string text_of(const Place& place, size_t files, bool near) const {
    const std::string a = split_name(place.version_a, place.role_a), b = split_name(place.version_b, place.role_b);
    const std::string count = std::to_string(files) + (files == 1 ? " file of " : " files of ");
    const std::string like = near ? " nearly the same as one of " : " the same as one of ";
    const std::string is = files == 1 ? " is" : " are";
    switch (place.kind) {
      case Kind::leak:
        return count + b + is + like + a;
      case Kind::repeated:
        return count + b + (files == 1 ? " repeats" : " repeat") + (near ? " another of it nearly" : " another of it");
      case Kind::conflict:
        return count + b + is + like + (place.role_a == place.role_b ? "it" : a) + " under another typology";
      case Kind::leak_between:
        return count + versions_[place.version_b].name + "/" + b + is + like + versions_[place.version_a].name + "/" +
               a;
      case Kind::relabelled:
        return std::to_string(files) + (files == 1 ? " file has" : " files have") + " another typology than in " +
               versions_[place.version_a].name;
    }
    return "";
  }

  void add_finding(const Place& place, const Overlap& overlap, bool near, std::vector<Finding>& found) const {
    static constexpr const char* kNames[] = {"leak", "conflict", "repeated", "leak_between_versions", "relabelled"};
    const std::string& name = versions_[place.version_a].name;
    Finding finding{.kind = kNames[static_cast<size_t>(place.kind)],
                    .where = place.version_a == place.version_b
                                 ? name
                                 : versions_[std::min(place.version_a, place.version_b)].name + " and " +
                                       versions_[std::max(place.version_a, place.version_b)].name};
    for (const auto& [file, match] : overlap.matches)
      if (match.similarity.has_value() == near)
        finding.items.push_back(
            {below_version(place.version_b, *file), below_version(place.version_a, *match.other), match.similarity});
    if (finding.items.empty()) return;
    std::sort(finding.items.begin(), finding.items.end(),
              [](const Finding::Item& x, const Finding::Item& y) { return x.file < y.file; });
    const bool grave = place.kind == Kind::leak || place.kind == Kind::conflict;
    finding.severity = grave && !near ? Severity::error : Severity::warning;
    finding.text = text_of(place, finding.items.size(), near);
    found.push_back(std::move(finding));
  }

  std::string below_version(size_t version, const File& file) const {
    return file.path.lexically_relative(versions_[version].folder).string();
  }

  const std::vector<Version>& versions_;
  std::map<Place, Overlap> overlaps_;
};

}  // namespace

const Split* main_split(const Version& version, Role role) {
  for (const bool flat : {false, true})
    for (const bool unified : {false, true})
      for (const Split& split : version.splits)
        if (split.role == role && split.flat == flat && split.unified == unified) return &split;
  return nullptr;
}

std::vector<Finding> find_overlaps(const std::vector<Version>& versions, const VerifyOptions& options,
                                   const ThreadTeam& team) {
  const std::vector<Content> contents = contents_of(versions);
  Overlaps overlaps(versions);
  for (const Content& content : contents) {
    const auto& places = content.occurrences;
    for (size_t i = 0; i < places.size(); ++i)
      for (size_t j = i + 1; j < places.size(); ++j) overlaps.add(places[i], places[j], std::nullopt);
  }
  for (const NearPair& pair : near_pairs_of(contents, options, team))
    for (const Occurrence& a : contents[pair.a].occurrences)
      for (const Occurrence& b : contents[pair.b].occurrences) overlaps.add(a, b, pair.similarity);
  return overlaps.findings();
}

}  // namespace aid::train::dataset

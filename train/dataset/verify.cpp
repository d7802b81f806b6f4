#include "train/dataset/verify.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>

#include "io/aws/checksum.h"
#include "io/error.h"
#include "io/file.h"
#include "io/sync/manifest.h"
#include "train/dataset/overlaps.h"

namespace aid::train::dataset {
namespace {

namespace fs = std::filesystem;

std::string files_text(size_t count) { return std::to_string(count) + (count == 1 ? " file" : " files"); }

void add(std::vector<Finding>& found, Finding finding) {
  if (!finding.items.empty()) found.push_back(std::move(finding));
}

void check_usable(const Version& version, std::vector<Finding>& found) {
  Finding finding{.kind = "unusable", .where = version.name};
  for (const Split& split : version.splits)
    for (const File& file : split.files)
      if (!file.problem.empty()) finding.items.push_back({split.name + "/" + file.name, file.problem, {}});
  finding.text = files_text(finding.items.size()) + " that no model can use";
  add(found, std::move(finding));
}

void check_left_out(const Version& version, std::vector<Finding>& found) {
  Finding finding{.severity = Severity::warning, .kind = "left_out", .where = version.name};
  for (const Split& split : version.splits)
    for (const io::Skipped& skipped : split.skipped)
      finding.items.push_back({skipped.path.lexically_relative(version.folder).string(), skipped.reason, {}});
  finding.text = std::to_string(finding.items.size()) + " names that no model reads";
  add(found, std::move(finding));
}

void check_labels(const Version& version, std::vector<Finding>& found) {
  const Split* train = main_split(version, Role::train);
  if (train == nullptr) return;
  const auto counts = train->counts();
  for (const Role role : {Role::val, Role::test, Role::truth}) {
    const Split* split = main_split(version, role);
    if (split == nullptr || split->flat || split->unified) continue;
    const auto own = split->counts();
    Finding unknown{.kind = "label_missing", .where = version.name};
    Finding untested{.severity = Severity::warning, .kind = "label_missing", .where = version.name};
    for (const auto& [label, files] : own)
      if (files > 0 && (!counts.contains(label) || counts.at(label) == 0))
        unknown.items.push_back({label, files_text(static_cast<size_t>(files)) + " of " + split->name, {}});
    for (const auto& [label, files] : counts)
      if (files > 0 && (!own.contains(label) || own.at(label) == 0))
        untested.items.push_back({label, files_text(static_cast<size_t>(files)) + " of " + train->name, {}});
    unknown.text = split->name + " has typologies that " + train->name + " lacks";
    untested.text = split->name + " lacks typologies of " + train->name;
    add(found, std::move(unknown));
    add(found, std::move(untested));
  }
}

void check_balance(const Version& version, std::vector<Finding>& found) {
  constexpr int64_t kGreatestRatio = 20;
  constexpr double kGreatestShift = 0.2;
  const Split* train = main_split(version, Role::train);
  if (train == nullptr || train->files.empty()) return;
  const auto counts = train->counts();
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [rarest, commonest] = std::minmax_element(counts.begin(), counts.end(), by_count);
  if (commonest->second > kGreatestRatio * rarest->second) {
    found.push_back({.severity = Severity::warning,
                     .kind = "imbalance",
                     .where = version.name,
                     .text = train->name + ": " + commonest->first + " has " +
                             files_text(static_cast<size_t>(commonest->second)) + ", " + rarest->first + " has " +
                             std::to_string(rarest->second) + "; class weights may help",
                     .items = {}});
  }
  for (const Role role : {Role::val, Role::test, Role::truth}) {
    const Split* split = main_split(version, role);
    if (split == nullptr || split->flat || split->unified || split->files.empty()) continue;
    auto shares = split->counts();
    for (const auto& [label, files] : counts) shares.try_emplace(label, 0);
    double distance = 0;
    for (const auto& [label, files] : shares) {
      const auto in_train = counts.find(label);
      const double trained = in_train == counts.end() ? 0 : static_cast<double>(in_train->second);
      distance += 0.5 * std::abs(trained / static_cast<double>(train->files.size()) -
                                 static_cast<double>(files) / static_cast<double>(split->files.size()));
    }
    if (distance <= kGreatestShift) continue;
    char number[16];
    std::snprintf(number, sizeof number, "%.2f", distance);
    found.push_back({.severity = Severity::warning,
                     .kind = "shift",
                     .where = version.name,
                     .text = split->name + ": its shares of typologies differ from " + train->name + "'s by " + number,
                     .items = {}});
  }
}

// All forms of the ground truth are the same files: by name and bytes.
void check_truth(const Version& version, std::vector<Finding>& found) {
  const Split* main = main_split(version, Role::truth);
  if (main == nullptr) return;
  const auto names_of = [](const Split& split) {
    std::map<std::string, const File*> names;
    for (const File& file : split.files) names.emplace(file.path.filename().string(), &file);
    return names;
  };
  const auto expected = names_of(*main);
  for (const Split& split : version.splits) {
    if (split.role != Role::truth || &split == main) continue;
    const auto own = names_of(split);
    Finding finding{.kind = "truth_differs", .where = version.name};
    for (const auto& [name, file] : expected) {
      const auto same = own.find(name);
      if (same == own.end()) {
        finding.items.push_back({main->name + "/" + file->name, "not in " + split.name, {}});
      } else if (same->second->sha256 != file->sha256) {
        finding.items.push_back({main->name + "/" + file->name, "other bytes in " + split.name, {}});
      }
    }
    for (const auto& [name, file] : own)
      if (!expected.contains(name))
        finding.items.push_back({split.name + "/" + file->name, "not in " + main->name, {}});
    finding.text = split.name + " and " + main->name + " do not hold the same files";
    add(found, std::move(finding));
  }
}

bool is_md5(const std::string& etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string md5_of(const fs::path& file) {
  io::aws::Checksum md5(io::aws::ChecksumAlgorithm::md5);
  md5.update(io::read_text(file));
  return md5.hex();
}

// Against what `aid sync` noted of the objects.
void check_synchronised(const Version& version, std::vector<Finding>& found) {
  const auto folder = io::sync::folder_with_manifest(version.folder);
  if (!folder) return;
  const auto manifest = io::sync::read_manifest(*folder);
  const fs::path below = version.folder.lexically_relative(fs::absolute(*folder).lexically_normal());
  const std::string prefix = below == "." || below.empty() ? "" : below.generic_string() + "/";

  Finding broken{.kind = "synchronised", .where = version.name};
  Finding strange{.severity = Severity::warning, .kind = "synchronised", .where = version.name};
  std::map<std::string, const File*> files;
  for (const Split& split : version.splits)
    for (const File& file : split.files) files.emplace(split.name + "/" + file.name, &file);
  // Of an encrypted bucket no etag is an MD5, though it looks like one: then none is right.
  std::vector<Finding::Item> other_md5;
  size_t right_md5 = 0;
  for (const auto& [path, synced] : manifest->files) {
    if (!path.starts_with(prefix)) continue;
    const std::string name = path.substr(prefix.size());
    const auto found_file = files.find(name);
    if (found_file == files.end()) {
      std::error_code error;
      if (!fs::exists(version.folder / name, error)) broken.items.push_back({name, "gone", {}});
      continue;
    }
    const File& file = *found_file->second;
    if (file.sha256 == "unreadable") {
      broken.items.push_back({name, file.problem, {}});
    } else if (file.bytes != synced.size) {
      broken.items.push_back(
          {name, std::to_string(file.bytes) + " bytes; it came with " + std::to_string(synced.size), {}});
    } else if (is_md5(synced.etag)) {
      if (md5_of(file.path) == synced.etag) {
        ++right_md5;
      } else {
        other_md5.push_back({name, "other bytes than it came with", {}});
      }
    }
    files.erase(found_file);
  }
  if (right_md5 > 0) broken.items.insert(broken.items.end(), other_md5.begin(), other_md5.end());
  for (const auto& [name, file] : files) strange.items.push_back({name, "did not come from S3", {}});
  broken.text = files_text(broken.items.size()) + " not as `aid sync` brought them; run it again";
  strange.text = files_text(strange.items.size()) + " that `aid sync` did not bring";
  add(found, std::move(broken));
  add(found, std::move(strange));
  for (const auto& [path, synced] : manifest->folders) {
    const bool about_this = path.empty() || (path + "/").starts_with(prefix) || prefix.starts_with(path + "/");
    if (about_this && !synced.complete)
      found.push_back({.severity = Severity::warning,
                       .kind = "synchronised",
                       .where = version.name,
                       .text = "the last `aid sync` from " + synced.from + " did not end",
                       .items = {}});
  }
}

}  // namespace

std::vector<Finding> verify(const std::vector<Version>& versions, const VerifyOptions& options,
                            const ThreadTeam& team) {
  std::vector<Finding> found;
  for (const Version& version : versions) {
    check_usable(version, found);
    check_left_out(version, found);
    check_synchronised(version, found);
    check_labels(version, found);
    check_truth(version, found);
    check_balance(version, found);
  }
  for (Finding& finding : find_overlaps(versions, options, team)) found.push_back(std::move(finding));
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.where, a.severity) < std::tie(b.where, b.severity);
  });
  return found;
}

}  // namespace aid::train::dataset

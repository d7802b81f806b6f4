#include "train/dataset/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "train/console/text_width.h"

namespace aid::train::dataset {
namespace {

using Json = nlohmann::ordered_json;

constexpr Change::Kind kChanges[] = {Change::Kind::added,          Change::Kind::removed,     Change::Kind::changed,
                                     Change::Kind::moved_typology, Change::Kind::moved_split, Change::Kind::renamed};

// Rows of cells, the first left-aligned, the others right-aligned below each other.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    text += "  " + left_aligned(row[0], widths[0]);
    for (size_t i = 1; i < row.size(); ++i) text += "  " + right_aligned(row[i], widths[i]);
    text += "\n";
  }
  return text;
}

std::string size_text(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string similarity_text(double value) {
  char text[16];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

const char* name_of(Kind kind) { return kind == Kind::texts ? "texts" : "images"; }
const char* name_of(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

std::set<std::string> labels_of(const Version& version) {
  std::set<std::string> labels;
  for (const Split& split : version.splits)
    if (!split.flat) labels.insert(split.labels.begin(), split.labels.end());
  return labels;
}

std::string heading(const Version& version) {
  size_t files = 0;
  uint64_t bytes = 0;
  for (const Split& split : version.splits) {
    files += split.files.size();
    bytes += split.bytes();
  }
  return version.name + ": " + name_of(version.kind) + ", " + std::to_string(files) + " files, " + size_text(bytes) +
         "\n";
}

std::string counts_table(const Version& version) {
  std::vector<std::vector<std::string>> rows{{"typology"}};
  std::vector<std::string> sums{"all"}, left_out{"left out"};
  std::vector<std::map<std::string, int64_t>> counts;
  size_t skipped = 0;
  for (const Split& split : version.splits) {
    rows[0].push_back(std::filesystem::path(split.name).filename().string());
    counts.push_back(split.flat ? std::map<std::string, int64_t>() : split.counts());
    sums.push_back(std::to_string(split.files.size()));
    left_out.push_back(std::to_string(split.skipped.size()));
    skipped += split.skipped.size();
  }
  for (const std::string& label : labels_of(version)) {
    rows.push_back({label});
    for (const auto& of_split : counts) {
      const auto found = of_split.find(label);
      rows.back().push_back(found == of_split.end() ? "-" : std::to_string(found->second));
    }
  }
  rows.push_back(sums);
  if (skipped > 0) rows.push_back(left_out);
  return table(rows);
}

// "+3", "-2", "0"
std::string signed_text(int64_t value) { return (value > 0 ? "+" : "") + std::to_string(value); }

// Files by typology in each version's splits, where they differ.
std::string counts_before_and_after(const Compared& compared) {
  std::map<std::string, std::map<std::string, std::pair<int64_t, int64_t>>> counts;  // split, label
  for (const Split& split : compared.before.splits)
    for (const auto& [label, files] : split.counts()) counts[split.name][label].first = files;
  for (const Split& split : compared.after.splits)
    for (const auto& [label, files] : split.counts()) counts[split.name][label].second = files;
  std::vector<std::vector<std::string>> rows{{"split/typology", "before", "after", "difference"}};
  for (const auto& [split, labels] : counts) {
    std::pair<int64_t, int64_t> sum;
    for (const auto& [label, files] : labels) {
      sum.first += files.first;
      sum.second += files.second;
      if (files.first == files.second || label.empty()) continue;
      rows.push_back({split + "/" + label, std::to_string(files.first), std::to_string(files.second),
                      signed_text(files.second - files.first)});
    }
    rows.push_back({split, std::to_string(sum.first), std::to_string(sum.second), signed_text(sum.second - sum.first)});
  }
  return table(rows);
}

std::string change_text(const Change& change) {
  const std::string now = change.split + "/" + change.file, old = change.old_split + "/" + change.old_file;
  const bool moved = change.kind != Change::Kind::added && change.kind != Change::Kind::removed && now != old;
  return moved ? old + " -> " + now : now;
}

Json split_json(const Split& split) {
  Json labels = Json::object();
  if (!split.flat)
    for (const auto& [label, files] : split.counts()) labels[label] = files;
  Json left_out = Json::array();
  for (const io::Skipped& skipped : split.skipped)
    left_out.push_back({{"path", skipped.path.string()}, {"reason", skipped.reason}});
  return {{"name", split.name},
          {"role", dataset::name_of(split.role)},
          {"files", split.files.size()},
          {"bytes", split.bytes()},
          {"sha256", split.sha256},
          {"labels", std::move(labels)},
          {"left_out", std::move(left_out)}};
}

// Names of files may be no UTF-8: what is not is replaced.
std::string dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string to_text(const std::vector<Version>& versions) {
  std::string text;
  for (const Version& version : versions) {
    if (!text.empty()) text += "\n";
    text += heading(version) + counts_table(version);
    std::vector<std::vector<std::string>> fingerprints{{"fingerprint", version.sha256}};
    for (const Split& split : version.splits) fingerprints.push_back({"  " + split.name, split.sha256});
    text += table(fingerprints);
  }
  return text;
}

std::string to_json(const std::vector<Version>& versions) {
  Json list = Json::array();
  for (const Version& version : versions) {
    Json splits = Json::array();
    for (const Split& split : version.splits) splits.push_back(split_json(split));
    list.push_back({{"name", version.name},
                    {"path", version.folder.string()},
                    {"version", version.number ? Json(*version.number) : Json()},
                    {"kind", name_of(version.kind)},
                    {"sha256", version.sha256},
                    {"splits", std::move(splits)}});
  }
  return dumped({{"versions", std::move(list)}});
}

std::string to_text(const Compared& compared, size_t shown) {
  std::string text = "from " + heading(compared.before) + "to   " + heading(compared.after);
  if (compared.before.sha256 == compared.after.sha256) return text + "the same files\n";
  text += counts_before_and_after(compared);
  for (const Change::Kind kind : kChanges) {
    size_t count = 0;
    std::string lines;
    for (const Change& change : compared.changes) {
      if (change.kind != kind) continue;
      if (++count <= shown) lines += "  " + change_text(change) + "\n";
    }
    if (count == 0) continue;
    text += std::string(name_of(kind)) + ": " + std::to_string(count) + "\n" + lines;
    if (count > shown) text += "  and " + std::to_string(count - shown) + " more\n";
  }
  return text;
}

std::string to_json(const Compared& compared) {
  Json counts = Json::object(), changes = Json::array();
  for (const Change::Kind kind : kChanges)
    counts[name_of(kind)] = std::count_if(compared.changes.begin(), compared.changes.end(),
                                          [&](const Change& change) { return change.kind == kind; });
  for (const Change& change : compared.changes) {
    Json one{{"kind", name_of(change.kind)}, {"split", change.split}, {"file", change.file}};
    if (!change.old_split.empty()) one.update({{"old_split", change.old_split}, {"old_file", change.old_file}});
    changes.push_back(std::move(one));
  }
  const auto version = [](const Version& v) {
    return Json{{"name", v.name}, {"path", v.folder.string()}, {"sha256", v.sha256}};
  };
  return dumped({{"before", version(compared.before)},
                 {"after", version(compared.after)},
                 {"counts", std::move(counts)},
                 {"changes", std::move(changes)}});
}

std::string to_text(const std::vector<Finding>& findings, size_t shown) {
  std::string text;
  for (const Finding& finding : findings) {
    text += std::string(name_of(finding.severity)) + ": " + finding.where + ": " + finding.text + "\n";
    for (size_t i = 0; i < std::min(shown, finding.items.size()); ++i) {
      const Finding::Item& item = finding.items[i];
      text += "  " + item.file + ": " + item.other;
      if (item.similarity) text += " (" + similarity_text(*item.similarity) + ")";
      text += "\n";
    }
    if (finding.items.size() > shown) text += "  and " + std::to_string(finding.items.size() - shown) + " more\n";
  }
  return text;
}

std::string to_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  size_t errors = 0;
  for (const Finding& finding : findings) {
    errors += finding.severity == Severity::error ? 1 : 0;
    Json items = Json::array();
    for (const Finding::Item& item : finding.items) {
      Json one{{"file", item.file}, {"other", item.other}};
      if (item.similarity) one["similarity"] = *item.similarity;
      items.push_back(std::move(one));
    }
    list.push_back({{"severity", name_of(finding.severity)},
                    {"kind", finding.kind},
                    {"where", finding.where},
                    {"text", finding.text},
                    {"items", std::move(items)}});
  }
  return dumped({{"errors", errors}, {"warnings", findings.size() - errors}, {"findings", std::move(list)}});
}

}  // namespace aid::train::dataset

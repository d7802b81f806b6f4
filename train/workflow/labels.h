// Labels of the workflow: how they are spelt, and which of them the business treats as one.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace aid::train::workflow {

struct LabelRule {
  bool ignore_case = false;
  bool ignore_accents = false;
};
// Unicode NFC, trimmed, and without what the rule ignores. Throws io::Error for text that is not UTF-8.
std::string normal_text(std::string_view text, const LabelRule& rule);
// A label as it is compared: normal_text() with "_" for spaces and hyphens.
std::string normal_label(std::string_view text, const LabelRule& rule);

enum class Unlisted : unsigned char { identity, error };

// u: raw labels -> unified labels, with u(u(x)) = u(x). A raw label is normal_label() of what stands in the folder's
// name or in the results, then `alias`.
struct LabelMap {
  LabelRule rule;
  std::map<std::string, std::string, std::less<>> alias;    // normal spelling -> raw label
  std::map<std::string, std::string, std::less<>> unified;  // raw label -> unified label
  std::set<std::string, std::less<>> ignored;               // truths that do not count
  // Of files whose raw typology went to several unified ones: their own, by key. As a prediction of another typology's
  // file such a label counts as what `unified` says.
  std::map<std::string, std::string, std::less<>> unified_of_key;
  Unlisted unlisted = Unlisted::identity;
  std::string source;  // file, or "identity"
  std::string sha256;  // of the file

  std::string raw_label(std::string_view text) const;
  // Throws io::Error for a label that is not listed where that is an error.
  std::string unified_label(const std::string& raw) const;
  // Throws io::Error for conflicts: a raw label with two unified ones, a unified one that is mapped on to another.
  void unify(const std::string& raw, const std::string& unified_label);
  void check_idempotent() const;
};

LabelMap identity_map(const LabelRule& rule);

// JSON {"version": 1, "unified": {"U": ["raw", ...]}, "unlisted": "identity" | "error", "ignore": ["raw"],
// "alias": {"spelling": "raw"}}, or CSV with the header raw,unified and # comments. Throws io::Error.
LabelMap read_label_map(const std::filesystem::path& file, const LabelRule& rule);

}  // namespace aid::train::workflow

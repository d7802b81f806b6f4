#include "io/sync/paths.h"

#include <utf8proc.h>

#include <cstdlib>

#include "io/sync/manifest.h"
#include "io/text.h"

namespace aid::io::sync {
namespace {

constexpr std::size_t kLongestComponent = 255;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The character at `at`: a code point's bytes, or the one byte where they are no UTF-8.
std::string_view character(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t size = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const std::string_view whole = text.substr(at, size);
  return valid_utf8_prefix(whole) == whole.size() ? whole : text.substr(at, 1);
}

// One component of a pattern: whether the character `c` is in the set that starts behind '['. `end`: behind its ']', or
// npos where there is none and the '[' stands for itself. The bytes of UTF-8 are ordered as its code points are.
bool in_set(std::string_view pattern, std::size_t start, std::string_view c, std::size_t& end) {
  std::size_t at = start;
  const bool negated = at < pattern.size() && pattern[at] == '!';
  if (negated) ++at;
  const std::size_t close = pattern.find(']', at + 1);  // a ']' right at the start is one of the set
  end = close == std::string_view::npos ? close : close + 1;
  if (close == std::string_view::npos) return false;
  bool found = false;
  while (at < close) {
    const std::string_view from = character(pattern, at);
    std::string_view to = from;
    at += from.size();
    if (at + 1 < close && pattern[at] == '-') {
      to = character(pattern, at + 1);
      at += 1 + to.size();
    }
    found = found || (from <= c && c <= to);
  }
  return found != negated;
}

}  // namespace

std::string why_unsafe(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return "its name has a NUL";
  if (valid_utf8_prefix(path) != path.size()) return "its name is not UTF-8";
  if (path.starts_with('/')) return "its name is an absolute path";
  if (path.size() >= 2 && is_letter(path[0]) && path[1] == ':') return "its name begins with a drive letter";
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view component = path.substr(start, end - start);
    if (component.empty()) return "its name has an empty folder or file name in it ('//', or '/' at the end)";
    if (component == "." || component == "..") return "its name has '" + std::string(component) + "' for a folder";
    if (component == kStateFolder) return "'" + std::string(kStateFolder) + "' is the folder of the manifest";
    if (component.size() > kLongestComponent) {
      return "a file or folder name in it has " + std::to_string(component.size()) + " bytes; disks hold 255";
    }
    start = end + 1;
  }
  return "";
}

std::string NameSet::folded(const std::string& path) const {
  if (name_case_ == NameCase::sensitive) return path;
  utf8proc_uint8_t* text = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(path.data()), static_cast<utf8proc_ssize_t>(path.size()),
                   &text, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
  if (size < 0) return path;
  std::string result(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
  std::free(text);
  return result;
}

std::string NameSet::add(const std::string& path) {
  const std::string name = folded(path);
  if (files_.contains(name)) return "another object's name differs only in case, or in how its accents are written";
  if (folders_.contains(name)) return "other objects need a folder of its name";
  const std::size_t last_slash = name.rfind('/');
  const std::string folder = last_slash == std::string::npos ? "" : name.substr(0, last_slash);
  if (folder != last_folder_) {
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      if (files_.contains(name.substr(0, slash))) {
        return "it needs a folder where '" + printable(path.substr(0, slash)) + "' is an object";
      }
    }
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      folders_.insert(name.substr(0, slash));
    }
    last_folder_ = folder;
  }
  files_.insert(name);
  return "";
}

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  for (;;) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
      continue;
    }
    if (t == text.size()) return p == pattern.size();
    bool one = false;
    std::size_t next = p + 1;
    const std::string_view c = character(text, t);
    if (p < pattern.size()) {
      const std::string_view wanted = character(pattern, p);
      one = wanted == "?" || wanted == c;
      if (one && wanted != "?") next = p + wanted.size();
      if (pattern[p] == '[') {
        std::size_t end = 0;
        const bool found = in_set(pattern, p + 1, c, end);
        if (end != std::string_view::npos) one = found, next = end;
      }
    }
    if (one) {
      p = next;
      t += c.size();
    } else if (star != std::string_view::npos) {  // the last '*' takes one character more
      p = star + 1;
      t = retry += character(text, retry).size();
    } else {
      return false;
    }
  }
}

bool is_wanted(const std::vector<FilterRule>& rules, std::string_view path) {
  bool wanted = true;
  for (const FilterRule& rule : rules) {
    if (matches(rule.pattern, path)) wanted = rule.choice == Choice::include;
  }
  return wanted;
}

std::string printable(std::string_view name) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  const auto escape = [&](unsigned char c) { ((text += "\\x") += kDigits[c >> 4]) += kDigits[c & 15]; };
  while (!name.empty()) {
    const std::size_t valid = valid_utf8_prefix(name);
    for (std::size_t i = 0; i < valid; ++i) {
      const auto c = static_cast<unsigned char>(name[i]);
      // U+0080 to U+009F are control characters too.
      const bool c1 = c == 0xC2 && i + 1 < valid && static_cast<unsigned char>(name[i + 1]) < 0xA0;
      if (c < 0x20 || c == 0x7F || c1) {
        escape(c);
        if (c1) escape(static_cast<unsigned char>(name[++i]));
      } else {
        text += name[i];
      }
    }
    name.remove_prefix(valid);
    if (name.empty()) break;
    escape(static_cast<unsigned char>(name[0]));
    name.remove_prefix(1);
  }
  return text;
}

}  // namespace aid::io::sync

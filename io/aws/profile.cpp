#include "io/aws/profile.h"

#include <cstdlib>

#include "io/aws/secret.h"
#include "io/aws/uri.h"
#include "io/error.h"
#include "io/file.h"

namespace aid::io::aws {
namespace {

// Without the comment that follows white space.
std::string_view without_comment(std::string_view value) {
  for (std::size_t i = 1; i < value.size(); ++i) {
    if ((value[i] == '#' || value[i] == ';') && (value[i - 1] == ' ' || value[i - 1] == '\t')) {
      return trimmed(value.substr(0, i));
    }
  }
  return trimmed(value);
}

std::map<std::string, IniSection> read_ini(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::string text = read_text(path);
  auto sections = parse_ini(text, path.string());
  wipe(text);
  return sections;
}

std::optional<std::string> find(const std::map<std::string, IniSection>& sections, const std::string& section,
                                const std::string& key) {
  const auto found = sections.find(section);
  if (found == sections.end()) return std::nullopt;
  const auto value = found->second.find(key);
  return value == found->second.end() || value->second.empty() ? std::nullopt : std::optional(value->second);
}

std::string section_of_profile(const std::string& profile) {
  return profile == "default" ? profile : "profile " + profile;
}

}  // namespace

std::map<std::string, IniSection> parse_ini(std::string_view text, const std::string& name) {
  std::map<std::string, IniSection> sections;
  IniSection* section = nullptr;
  std::string outer;  // the empty key that indented lines belong to
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (line.front() == '[') {
      const std::size_t close = content.find(']');
      if (close == std::string_view::npos) {
        throw Error(name + ":" + std::to_string(number) + ": a section's name does not end; expected [NAME]");
      }
      // "[profile  x]" and "[profile x]" are one.
      std::string title;
      for (const char c : trimmed(content.substr(1, close - 1))) {
        const bool space = c == ' ' || c == '\t';
        if (!space || !title.ends_with(' ')) title += space ? ' ' : c;
      }
      section = &sections[title];
      outer.clear();
      continue;
    }
    const std::size_t equals = content.find('=');
    if (section == nullptr || equals == std::string_view::npos || equals == 0) continue;
    const std::string key = lower_case(trimmed(content.substr(0, equals)));
    const std::string value(without_comment(content.substr(equals + 1)));
    const bool indented = line.front() == ' ' || line.front() == '\t';
    if (indented && !outer.empty()) {
      (*section)[outer + "." + key] = value;
    } else {
      (*section)[key] = value;
      outer = value.empty() ? key : "";
    }
  }
  return sections;
}

Configuration::Configuration(std::string profile, Lookup lookup)
    : lookup_(std::move(lookup)), profile_(std::move(profile)), profile_named_by_caller_(!profile_.empty()) {
  if (!lookup_) {
    lookup_ = [](const std::string& name) {
      const char* value = std::getenv(name.c_str());
      return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
  }
  const auto file = [&](const char* name, const char* usual) {
    if (const auto path = variable(name)) {
      return path->starts_with("~/") ? home() / path->substr(2) : std::filesystem::path(*path);
    }
    return home() / ".aws" / usual;
  };
  config_ = read_ini(file("AWS_CONFIG_FILE", "config"));
  credentials_ = read_ini(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
  if (profile_.empty()) profile_ = variable("AWS_PROFILE").value_or(variable("AWS_DEFAULT_PROFILE").value_or(""));
  if (profile_.empty()) {
    profile_ = "default";
  } else if (!has_profile(profile_)) {
    throw Error("the profile '" + profile_ + "' is in neither " + file("AWS_CONFIG_FILE", "config").string() + " nor " +
                file("AWS_SHARED_CREDENTIALS_FILE", "credentials").string());
  }
}

std::optional<std::string> Configuration::variable(const std::string& name) const {
  auto value = lookup_(name);
  return value && !value->empty() ? value : std::nullopt;
}

std::optional<std::string> Configuration::value_of(const std::string& profile, const std::string& key) const {
  if (auto value = find(credentials_, profile, key)) return value;
  return find(config_, section_of_profile(profile), key);
}

const IniSection* Configuration::sso_session(const std::string& name) const {
  const auto found = config_.find("sso-session " + name);
  return found == config_.end() ? nullptr : &found->second;
}

std::optional<std::string> Configuration::service_value(const std::string& service, const std::string& key) const {
  const auto services = value("services");
  return services ? find(config_, "services " + *services, service + "." + key) : std::nullopt;
}

bool Configuration::has_profile(const std::string& profile) const {
  return config_.contains(section_of_profile(profile)) || credentials_.contains(profile);
}

std::filesystem::path Configuration::home() const { return variable("HOME").value_or("/"); }

std::string Configuration::region() const {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (const auto value = variable(name)) return *value;
  }
  return value("region").value_or("");
}

std::string Configuration::endpoint_url(const std::string& service) const {
  if (lower_case(variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").value_or("")) == "true") return "";
  for (const std::string& name : {"AWS_ENDPOINT_URL_" + service, std::string("AWS_ENDPOINT_URL")}) {
    if (const auto value = variable(name)) return *value;
  }
  if (const auto own = service_value(lower_case(service), "endpoint_url")) return *own;
  return value("endpoint_url").value_or("");
}

}  // namespace aid::io::aws

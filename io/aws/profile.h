// The AWS command line's shared files and its environment variables.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace aid::io::aws {

// A section's keys in lower case; what is indented below an empty key is "key.inner".
using IniSection = std::map<std::string, std::string>;

// "[section]", "key = value", comments from # or ; at a line's start or after white space, nested lines indented below
// an empty key. BOM and CRLF are tolerated; a line that is none of these is passed over, as the AWS command line does
// for the sake of files that other programs write. Throws Error for a section header that does not end.
// `name` is what errors call the text.
std::map<std::string, IniSection> parse_ini(std::string_view text, const std::string& name);

// Reads variables through a function, so that tests have an environment of their own.
class Configuration {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

  // The process's environment, with AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE or ~/.aws/config and
  // ~/.aws/credentials. profile: empty for AWS_PROFILE, AWS_DEFAULT_PROFILE or "default". Throws Error where a profile
  // that was asked for is in neither file.
  explicit Configuration(std::string profile = "", Lookup lookup = nullptr);

  // Of an environment variable; none where it is unset or empty.
  std::optional<std::string> variable(const std::string& name) const;
  // Of the profile: the credentials file's keys go before the config file's.
  std::optional<std::string> value(const std::string& key) const { return value_of(profile_, key); }
  std::optional<std::string> value_of(const std::string& profile, const std::string& key) const;
  const IniSection* sso_session(const std::string& name) const;
  std::optional<std::string> service_value(const std::string& service, const std::string& key) const;

  bool has_profile(const std::string& profile) const;
  const std::string& profile() const { return profile_; }
  bool profile_named_by_caller() const { return profile_named_by_caller_; }
  std::filesystem::path home() const;

  std::string region() const;  // empty: none is set
  // Of service "S3" or "DYNAMODB"; empty: the service's own.
  std::string endpoint_url(const std::string& service) const;

 private:
  Lookup lookup_;
  std::string profile_;
  bool profile_named_by_caller_ = false;
  std::map<std::string, IniSection> config_, credentials_;
};

}  // namespace aid::io::aws

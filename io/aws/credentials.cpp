#include "io/aws/credentials.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <thread>

#include "io/aws/checksum.h"
#include "io/aws/endpoint.h"
#include "io/aws/times.h"
#include "io/error.h"
#include "io/file.h"

namespace aid::io::aws {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::int64_t kRenewal = 15 * 60;  // seconds before the end
constexpr int kDeepestRoles = 8;

// Without the parser's message: it quotes what it read.
json parse_quietly(const std::string& text, const std::string& what) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) throw Error(what + ": the answer is not a JSON object");
  return parsed;
}

std::string member(const json& object, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
  }
  return "";
}

class FormBody final : public BodyReader {
 public:
  explicit FormBody(std::string text) : text_(std::move(text)) {}
  std::uint64_t size() const override { return text_.size(); }
  std::size_t read(std::span<std::byte> bytes) override {
    const std::size_t count = text_.copy(reinterpret_cast<char*>(bytes.data()), bytes.size(), at_);
    at_ += count;
    return count;
  }
  void rewind() override { at_ = 0; }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

bool is_container_host(const Url& url) {
  return url.is_tls() || url.host == "localhost" || url.host.starts_with("127.") || url.host == "[::1]" ||
         url.host == "169.254.170.2" || url.host == "169.254.170.23" || url.host == "[fd00:ec2::23]";
}

}  // namespace

Freshness freshness_of(const Credentials& credentials, std::int64_t now) {
  if (!credentials.expires || now < *credentials.expires - kRenewal) return Freshness::fresh;
  return now < *credentials.expires ? Freshness::due : Freshness::expired;
}

Credentials parse_credentials_json(const std::string& text, const std::string& what) {
  const json parsed = parse_quietly(text, what);
  // SSO wraps its answer; its names begin in lower case and its times are milliseconds.
  const auto wrapped = parsed.find("roleCredentials");
  const json& object = wrapped != parsed.end() && wrapped->is_object() ? *wrapped : parsed;
  Credentials credentials;
  credentials.access_key_id = member(object, {"AccessKeyId", "accessKeyId"});
  credentials.secret_key = Secret(member(object, {"SecretAccessKey", "secretAccessKey"}));
  credentials.session_token = Secret(member(object, {"Token", "SessionToken", "sessionToken"}));
  credentials.source = what;
  if (credentials.access_key_id.empty() || credentials.secret_key.empty()) {
    const std::string code = member(object, {"Code", "code"}), message = member(object, {"Message", "message"});
    throw Error(what + ": the answer holds no credentials" + (code.empty() ? "" : ": " + code + " " + message));
  }
  const std::string expiration = member(object, {"Expiration"});
  if (const auto time = parse_iso_time(expiration)) credentials.expires = *time / 1'000;
  const auto number = object.find("expiration");
  if (number != object.end() && number->is_number_integer()) credentials.expires = number->get<std::int64_t>() / 1'000;
  return credentials;
}

Credentials CredentialChain::resolve() {
  if (!configuration_.profile_named_by_caller()) {
    if (auto found = from_environment()) return *found;
  }
  const auto web_token = configuration_.variable("AWS_WEB_IDENTITY_TOKEN_FILE");
  const auto web_role = configuration_.variable("AWS_ROLE_ARN");
  const std::string& profile = configuration_.profile();
  if (web_token && web_role && !configuration_.profile_named_by_caller() && !configuration_.value("role_arn")) {
    return from_web_identity(*web_token, *web_role, configuration_.variable("AWS_ROLE_SESSION_NAME").value_or(""));
  }
  if (auto found = from_profile(profile, 0)) return *found;
  if (auto found = from_container()) return *found;
  if (auto found = from_instance()) return *found;
  throw Error(
      "no AWS credentials: looked at AWS_ACCESS_KEY_ID, the profile '" + profile +
      "', the container's endpoint and the instance's metadata. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
      "choose a profile with --profile; for a public bucket give --no-sign-request. (In a container on EC2, the "
      "metadata answers only where the instance's hop limit is at least 2.)");
}

std::optional<Credentials> CredentialChain::from_environment() const {
  const auto id = configuration_.variable("AWS_ACCESS_KEY_ID"), key = configuration_.variable("AWS_SECRET_ACCESS_KEY");
  if (!id && !key) return std::nullopt;
  if (!id || !key) {
    throw Error(std::string(id ? "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY"
                               : "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID") +
                " is not; set both or neither");
  }
  auto token = configuration_.variable("AWS_SESSION_TOKEN");
  if (!token) token = configuration_.variable("AWS_SECURITY_TOKEN");
  Credentials credentials{.access_key_id = *id,
                          .secret_key = Secret(*key),
                          .session_token = Secret(token.value_or("")),
                          .expires = {},
                          .source = "environment variables"};
  if (const auto expires = configuration_.variable("AWS_CREDENTIAL_EXPIRATION")) {
    if (const auto time = parse_iso_time(*expires)) credentials.expires = *time / 1'000;
  }
  return credentials;
}

std::optional<Credentials> CredentialChain::from_profile(const std::string& profile, int depth) {
  if (depth > kDeepestRoles) {
    throw Error("the profile '" + profile + "': its chain of source_profile has no end; expected one that has keys");
  }
  const auto value = [&](const char* key) { return configuration_.value_of(profile, key); };
  if (const auto role = value("role_arn")) {
    if (const auto token_file = value("web_identity_token_file")) {
      return from_web_identity(*token_file, *role, value("role_session_name").value_or(""));
    }
    if (const auto source = value("source_profile")) {
      if (!configuration_.has_profile(*source)) {
        throw Error("the profile '" + profile + "' has source_profile = " + *source + ", which is no profile");
      }
      // A profile may be its own source: then its keys are meant.
      const auto credentials = *source == profile ? from_keys(profile) : from_profile(*source, depth + 1);
      if (!credentials) throw Error("the profile '" + *source + "', source of '" + profile + "', has no credentials");
      return assume_role(profile, *credentials);
    }
    if (const auto source = value("credential_source")) {
      const auto credentials = *source == "Environment"           ? from_environment()
                               : *source == "EcsContainer"        ? from_container()
                               : *source == "Ec2InstanceMetadata" ? from_instance()
                                                                  : std::nullopt;
      if (!credentials) {
        throw Error("the profile '" + profile + "' has credential_source = " + *source +
                    ", which gives no credentials; expected Environment, EcsContainer or Ec2InstanceMetadata");
      }
      return assume_role(profile, *credentials);
    }
    throw Error("the profile '" + profile +
                "' has role_arn; expected source_profile, credential_source or web_identity_token_file with it");
  }
  if (auto found = from_sso(profile)) return found;
  if (auto found = from_keys(profile)) return found;
  return from_process(profile);
}

std::optional<Credentials> CredentialChain::from_keys(const std::string& profile) const {
  const auto id = configuration_.value_of(profile, "aws_access_key_id");
  const auto key = configuration_.value_of(profile, "aws_secret_access_key");
  if (!id && !key) return std::nullopt;
  if (!id || !key) {
    throw Error("the profile '" + profile + "' has only one of aws_access_key_id and aws_secret_access_key");
  }
  return Credentials{.access_key_id = *id,
                     .secret_key = Secret(*key),
                     .session_token = Secret(configuration_.value_of(profile, "aws_session_token").value_or("")),
                     .expires = {},
                     .source = "profile '" + profile + "'"};
}

HttpAnswer CredentialChain::fetch(const HttpRequest& request, int attempts, const std::string& what) {
  HttpAnswer answer;
  for (int attempt = 1;; ++attempt) {
    answer = driver_.fetch(request);
    if (answer.failure == HttpFailure::none && answer.status < 500) return answer;
    if (attempt == attempts || answer.failure == HttpFailure::cancelled) break;
    std::this_thread::sleep_for(milliseconds(200 << attempt));
  }
  if (answer.failure != HttpFailure::none) throw Error(what + " does not answer: " + answer.failure_text);
  return answer;
}

Credentials CredentialChain::call_sts(const Pairs& form, const Credentials* signer, const std::string& source) {
  const std::string region = configuration_.region().empty() ? "us-east-1" : configuration_.region();
  EndpointQuery query;
  query.region = region;
  query.custom_url = configuration_.endpoint_url("STS");
  const Endpoint endpoint = regional_endpoint("sts", query);
  const std::string body = encode_query(form);
  Pairs headers = {{"host", endpoint.url.authority()}, {"content-type", "application/x-www-form-urlencoded"}};
  if (signer != nullptr) {
    const SignableRequest request{.method = "POST",
                                  .path = endpoint.url.path + "/",
                                  .query = {},
                                  .headers = headers,
                                  .payload_hash = sha256_hex(body)};
    const Signature signature =
        Signer().sign(request, *signer, {.region = endpoint.signing_region, .service = "sts"}, unix_now());
    headers.insert(headers.end(), signature.additions.begin(), signature.additions.end());
  }
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint.url.text() + "/";
  request.headers = headers;
  request.body = std::make_shared<FormBody>(body);
  request.total_timeout = milliseconds(20'000);
  const HttpAnswer answer = fetch(request, 3, "STS");

  pugi::xml_document document;
  document.load_buffer(answer.body.data(), answer.body.size());
  const pugi::xml_node root = document.document_element();
  if (answer.status != 200) {
    const pugi::xml_node error = root.child("Error");
    throw Error(source + ": STS refuses: HTTP " + std::to_string(answer.status) + " " + error.child_value("Code") +
                " " + error.child_value("Message"));
  }
  const pugi::xml_node found = root.first_child().child("Credentials");
  Credentials credentials{.access_key_id = found.child_value("AccessKeyId"),
                          .secret_key = Secret(found.child_value("SecretAccessKey")),
                          .session_token = Secret(found.child_value("SessionToken")),
                          .expires = {},
                          .source = source};
  if (credentials.access_key_id.empty() || credentials.secret_key.empty()) {
    throw Error(source + ": the answer of STS holds no credentials");
  }
  if (const auto time = parse_iso_time(found.child_value("Expiration"))) credentials.expires = *time / 1'000;
  return credentials;
}

Credentials CredentialChain::assume_role(const std::string& profile, const Credentials& source) {
  const auto value = [&](const char* key) { return configuration_.value_of(profile, key); };
  if (value("mfa_serial")) {
    throw Error("the profile '" + profile +
                "' wants a code from a device (mfa_serial), which cannot be asked for here; get a session with "
                "`aws sts get-session-token` and use that");
  }
  Pairs form = {{"Action", "AssumeRole"},
                {"Version", "2011-06-15"},
                {"RoleArn", *value("role_arn")},
                {"RoleSessionName", value("role_session_name").value_or("aid-" + std::to_string(unix_now()))}};
  if (const auto id = value("external_id")) form.emplace_back("ExternalId", *id);
  if (const auto seconds = value("duration_seconds")) form.emplace_back("DurationSeconds", *seconds);
  return call_sts(form, &source, "role of profile '" + profile + "'");
}

Credentials CredentialChain::from_web_identity(const std::string& token_file, const std::string& role,
                                               const std::string& session) {
  const std::string token(trimmed(read_text(token_file)));
  return call_sts({{"Action", "AssumeRoleWithWebIdentity"},
                   {"Version", "2011-06-15"},
                   {"RoleArn", role},
                   {"RoleSessionName", session.empty() ? "aid-" + std::to_string(unix_now()) : session},
                   {"WebIdentityToken", token}},
                  nullptr, "web identity");
}

std::optional<Credentials> CredentialChain::from_sso(const std::string& profile) {
  const auto value = [&](const char* key) { return configuration_.value_of(profile, key); };
  const auto account = value("sso_account_id"), role = value("sso_role_name"), session = value("sso_session");
  if (!account || !role || !(session || value("sso_start_url"))) return std::nullopt;
  const std::string login = "; run `aws sso login --profile " + profile + "`";
  std::string region = value("sso_region").value_or("");
  if (session) {
    const IniSection* section = configuration_.sso_session(*session);
    if (section == nullptr)
      throw Error("the profile '" + profile + "' has sso_session = " + *session + ", which is no [sso-session]");
    if (section->contains("sso_region")) region = section->at("sso_region");
  }
  Checksum name(ChecksumAlgorithm::sha1);
  name.update(session ? *session : *value("sso_start_url"));
  const std::filesystem::path file = configuration_.home() / ".aws" / "sso" / "cache" / (name.hex() + ".json");
  std::error_code error;
  if (!std::filesystem::exists(file, error)) throw Error("the profile '" + profile + "' is not logged in" + login);
  const json cached = parse_quietly(read_text(file), file.string());
  const std::string token = member(cached, {"accessToken"});
  const auto expires = parse_iso_time(member(cached, {"expiresAt"}));
  if (token.empty() || !expires || *expires / 1'000 <= unix_now()) {
    throw Error(file.string() + ": the SSO token has expired" + login);
  }
  const std::string custom = configuration_.endpoint_url("SSO");
  if (!is_dns_label(region)) throw Error("the profile '" + profile + "': sso_region '" + region + "' is no region");
  HttpRequest request;
  request.url = (custom.empty() ? "https://portal.sso." + region + ".amazonaws.com" : parse_url(custom).text()) +
                "/federation/credentials?" + encode_query({{"role_name", *role}, {"account_id", *account}});
  request.headers = {{"x-amz-sso_bearer_token", token}};
  request.total_timeout = milliseconds(20'000);
  const HttpAnswer answer = fetch(request, 3, "the SSO portal");
  if (answer.status == 401) throw Error("the SSO portal no longer accepts the token" + login);
  return parse_credentials_json(answer.body, "SSO of profile '" + profile + "'");
}

std::optional<Credentials> CredentialChain::from_process(const std::string& profile) const {
  const auto command = configuration_.value_of(profile, "credential_process");
  if (!command) return std::nullopt;
  const std::string what = "credential_process of profile '" + profile + "'";
  FILE* pipe = ::popen(command->c_str(), "re");
  if (pipe == nullptr) throw Error(what + ": cannot be started");
  std::string output;
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, got);
  const int status = ::pclose(pipe);
  if (status != 0) {
    wipe(output);
    throw Error(what + ": ended with status " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : status));
  }
  Credentials credentials = parse_credentials_json(output, what);
  wipe(output);
  return credentials;
}

std::optional<Credentials> CredentialChain::from_container() {
  const auto relative = configuration_.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const auto full = configuration_.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative && !full) return std::nullopt;
  if (relative && !relative->starts_with('/')) {
    throw Error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is a path; expected one that begins with /");
  }
  HttpRequest request;
  request.url = relative ? "http://169.254.170.2" + *relative : *full;
  if (!relative && !is_container_host(parse_url(redacted(request.url)))) {
    throw Error("AWS_CONTAINER_CREDENTIALS_FULL_URI is " + redacted(request.url) +
                ": expected https, this machine, or a container's or pod's own address");
  }
  std::string token = configuration_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
  // A pod's token is renewed in its file.
  if (const auto file = configuration_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    token = trimmed(read_text(*file));
  }
  if (token.find_first_of("\r\n") != std::string::npos) {
    throw Error("the container's authorization token has a line end inside; expected one line");
  }
  if (!token.empty()) request.headers.emplace_back("Authorization", token);
  request.headers.emplace_back("Accept", "application/json");
  request.total_timeout = request.connect_timeout = milliseconds(2'000);
  const HttpAnswer answer = fetch(request, 3, "the container's credentials endpoint");
  if (answer.status != 200) {
    throw Error("the container's credentials endpoint answers HTTP " + std::to_string(answer.status));
  }
  return parse_credentials_json(answer.body, "container");
}

std::optional<Credentials> CredentialChain::from_instance() {
  if (lower_case(configuration_.variable("AWS_EC2_METADATA_DISABLED").value_or("")) == "true") return std::nullopt;
  const bool ipv6 =
      lower_case(configuration_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or("")) == "ipv6";
  const std::string base = parse_url(configuration_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
                                         .value_or(ipv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254"))
                               .text();
  const auto ask = [&](const char* method, const std::string& path, const Pairs& headers) {
    HttpRequest request;
    request.method = method;
    request.url = base + "/latest/" + path;
    request.headers = headers;
    request.connect_timeout = request.total_timeout = milliseconds(1'000);
    return driver_.fetch(std::move(request));
  };
  const HttpAnswer token = ask("PUT", "api/token", {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  Pairs headers;
  if (token.failure == HttpFailure::none && token.status == 200) {
    headers.emplace_back("x-aws-ec2-metadata-token", std::string(trimmed(token.body)));
  } else if (token.status == 400 || token.failure == HttpFailure::connection ||
             lower_case(configuration_.variable("AWS_EC2_METADATA_V1_DISABLED").value_or("")) == "true") {
    return std::nullopt;
  }
  const std::string list = "meta-data/iam/security-credentials/";
  const HttpAnswer role = ask("GET", list, headers);
  if (role.failure != HttpFailure::none || role.status != 200) return std::nullopt;
  const std::string_view name = trimmed(role.body);
  const HttpAnswer answer = ask("GET", list + percent_encode(name.substr(0, name.find('\n'))), headers);
  if (answer.failure != HttpFailure::none || answer.status != 200) return std::nullopt;
  return parse_credentials_json(answer.body, "instance metadata");
}

}  // namespace aid::io::aws

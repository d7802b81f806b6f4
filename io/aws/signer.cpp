#include "io/aws/signer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <set>

#include "io/aws/checksum.h"
#include "io/error.h"

namespace aid::io::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, 32> digest;
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), digest.data(), &size) == nullptr) {
    throw Error("OpenSSL cannot compute an HMAC-SHA256");
  }
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string scope_text(const std::string& day, const SigningScope& scope) {
  return day + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

// What proxies and libraries add, remove or change on the way.
bool is_signed(const std::string& name) {
  static const std::set<std::string, std::less<>> kUnsigned = {
      "authorization",    "connection", "expect",  "keep-alive", "proxy-authenticate", "proxy-authorization",
      "proxy-connection", "te",         "trailer", "upgrade",    "transfer-encoding",  "user-agent",
      "x-amzn-trace-id"};
  return !kUnsigned.contains(name);
}

// Runs of white space are one space, also those that fold a line.
std::string collapsed(std::string_view value) {
  std::string result;
  for (const char c : trimmed(value)) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!space) {
      result += c;
    } else if (!result.ends_with(' ')) {
      result += ' ';
    }
  }
  return result;
}

// Name and value of each signed header, by name; values of one name stay in their order.
Pairs canonical_headers(const Pairs& headers) {
  Pairs canonical;
  for (const auto& [name, value] : headers) {
    std::string lower = lower_case(name);
    if (is_signed(lower)) canonical.emplace_back(std::move(lower), collapsed(value));
  }
  std::stable_sort(canonical.begin(), canonical.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Pairs joined;
  for (auto& [name, value] : canonical) {
    if (!joined.empty() && joined.back().first == name) {
      (joined.back().second += ',') += value;
    } else {
      joined.emplace_back(std::move(name), std::move(value));
    }
  }
  return joined;
}

std::string signed_names(const Pairs& canonical) {
  std::string names;
  for (const auto& [name, value] : canonical) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

// Sorted as pairs: "a-b=" stands after "a=", though '-' is below '='.
std::string canonical_query(const Pairs& query) {
  Pairs encoded;
  for (const auto& [key, value] : query) encoded.emplace_back(percent_encode(key), percent_encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [key, value] : encoded) {
    if (!text.empty()) text += '&';
    ((text += key) += '=') += value;
  }
  return text;
}

std::string canonical_path(const std::string& path, PathRule rule) {
  if (rule == PathRule::normalised) return percent_encode(normalise_path(path), Slash::kept);
  return path.empty() ? "/" : path;
}

}  // namespace

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, 32> digest;
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw Error("OpenSSL cannot compute a SHA-256");
  }
  return hex_of({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string amz_date(std::int64_t time) {
  const std::time_t seconds = time;
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

Secret Signer::signing_key(const Credentials& credentials, const std::string& day, const SigningScope& scope) {
  const std::string wanted = scope_text(day, scope);
  const std::lock_guard lock(mutex_);
  if (key_scope_ != wanted || !(key_secret_ == credentials.secret_key)) {
    std::string key = "AWS4";
    key += credentials.secret_key.reveal();
    for (const std::string_view part : {std::string_view(day), std::string_view(scope.region),
                                        std::string_view(scope.service), std::string_view("aws4_request")}) {
      std::string next = hmac_sha256(key, part);
      wipe(key);
      key = std::move(next);
    }
    key_ = Secret(key);
    wipe(key);
    key_scope_ = wanted;
    key_secret_ = credentials.secret_key;
  }
  return key_;
}

Signature Signer::finish(const SignableRequest& request, const Pairs& query, const Credentials& credentials,
                         const SigningScope& scope, const std::string& date) {
  const Pairs headers = canonical_headers(request.headers);
  Signature signature;
  std::string& text = signature.canonical_request;
  ((text += request.method) += '\n') += canonical_path(request.path, scope.path_rule);
  ((text += '\n') += canonical_query(query)) += '\n';
  for (const auto& [name, value] : headers) (((text += name) += ':') += value) += '\n';
  (((text += '\n') += signed_names(headers)) += '\n') += request.payload_hash;

  const std::string day = date.substr(0, 8);
  signature.string_to_sign =
      std::string(kAlgorithm) + "\n" + date + "\n" + scope_text(day, scope) + "\n" + sha256_hex(text);
  signature.hex = hex_of(hmac_sha256(signing_key(credentials, day, scope).reveal(), signature.string_to_sign));
  return signature;
}

Signature Signer::sign(const SignableRequest& request, const Credentials& credentials, const SigningScope& scope,
                       std::int64_t time) {
  const std::string date = amz_date(time);
  SignableRequest complete = request;
  Pairs additions = {{"x-amz-date", date}};
  const bool token = !credentials.session_token.empty();
  const auto add_token = [&] { additions.emplace_back("x-amz-security-token", credentials.session_token.reveal()); };
  if (token && scope.token_rule == TokenRule::signed_too) add_token();
  complete.headers.insert(complete.headers.end(), additions.begin(), additions.end());
  Signature signature = finish(complete, complete.query, credentials, scope, date);
  if (token && scope.token_rule == TokenRule::added_after) add_token();
  additions.emplace_back("authorization", std::string(kAlgorithm) + " Credential=" + credentials.access_key_id + "/" +
                                              scope_text(date.substr(0, 8), scope) +
                                              ", SignedHeaders=" + signed_names(canonical_headers(complete.headers)) +
                                              ", Signature=" + signature.hex);
  signature.additions = std::move(additions);
  return signature;
}

Signature Signer::presign(const SignableRequest& request, const Credentials& credentials, const SigningScope& scope,
                          std::int64_t time, int expires_in_seconds) {
  const std::string date = amz_date(time);
  Pairs additions = {{"X-Amz-Algorithm", std::string(kAlgorithm)},
                     {"X-Amz-Credential", credentials.access_key_id + "/" + scope_text(date.substr(0, 8), scope)},
                     {"X-Amz-Date", date},
                     {"X-Amz-SignedHeaders", signed_names(canonical_headers(request.headers))},
                     {"X-Amz-Expires", std::to_string(expires_in_seconds)}};
  const bool token = !credentials.session_token.empty();
  const auto add_token = [&] { additions.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal()); };
  if (token && scope.token_rule == TokenRule::signed_too) add_token();
  Pairs query = request.query;
  query.insert(query.end(), additions.begin(), additions.end());
  Signature signature = finish(request, query, credentials, scope, date);
  if (token && scope.token_rule == TokenRule::added_after) add_token();
  additions.emplace_back("X-Amz-Signature", signature.hex);
  signature.additions = std::move(additions);
  return signature;
}

ChunkSigner::ChunkSigner(Signer& signer, const Credentials& credentials, const SigningScope& scope, std::int64_t time,
                         std::string seed)
    : date_(amz_date(time)),
      scope_(scope_text(date_.substr(0, 8), scope)),
      previous_(std::move(seed)),
      key_(signer.signing_key(credentials, date_.substr(0, 8), scope)) {}

std::string ChunkSigner::next(std::string_view algorithm, std::string_view rest) {
  std::string text(algorithm);
  for (const std::string_view part :
       {std::string_view(date_), std::string_view(scope_), std::string_view(previous_), rest}) {
    (text += '\n') += part;
  }
  return previous_ = hex_of(hmac_sha256(key_.reveal(), text));
}

std::string ChunkSigner::sign_chunk(std::string_view data) {
  return next("AWS4-HMAC-SHA256-PAYLOAD", std::string(kEmptySha256) + "\n" + sha256_hex(data));
}

std::string ChunkSigner::sign_trailer(std::string_view trailer) {
  return next("AWS4-HMAC-SHA256-TRAILER", sha256_hex(trailer));
}

}  // namespace aid::io::aws

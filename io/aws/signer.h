// AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"; Amazon S3 API Reference, "Authenticating
// requests"): in headers, in a query, and chunk by chunk.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "io/aws/secret.h"
#include "io/aws/uri.h"

namespace aid::io::aws {

struct Credentials {
  std::string access_key_id;
  Secret secret_key;
  Secret session_token;                 // empty: none
  std::optional<std::int64_t> expires;  // seconds since 1970-01-01 UTC
  std::string source;                   // for messages: "environment variables"
};

// S3 signs the path as it is sent; every other service its normal form, encoded once more.
enum class PathRule { as_sent, normalised };

// Whether the session token is part of what is signed. A few old services want it added afterwards.
enum class TokenRule { signed_too, added_after };

struct SigningScope {
  std::string region, service;
  PathRule path_rule = PathRule::normalised;
  TokenRule token_rule = TokenRule::signed_too;
};

struct SignableRequest {
  std::string method;
  std::string path;          // as sent
  Pairs query;               // decoded
  Pairs headers;             // with host; a name may repeat
  std::string payload_hash;  // hex SHA-256 of the body, or one of S3's constants
};

inline constexpr std::string_view kEmptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

struct Signature {
  std::string canonical_request, string_to_sign;
  std::string hex;
  Pairs additions;  // the headers, or the query's parameters, to add to the request
};

// "20150830T123600Z" of seconds since 1970-01-01 UTC.
std::string amz_date(std::int64_t time);

// Signs, and keeps the last signing key, which is good for a day, a region and a service. Thread-safe.
class Signer {
 public:
  // Adds x-amz-date, x-amz-security-token and authorization. Headers that proxies change are not signed.
  Signature sign(const SignableRequest& request, const Credentials& credentials, const SigningScope& scope,
                 std::int64_t time);
  // Adds the X-Amz-* parameters; only the host is signed, besides headers that the request already has.
  Signature presign(const SignableRequest& request, const Credentials& credentials, const SigningScope& scope,
                    std::int64_t time, int expires_in_seconds);

 private:
  friend class ChunkSigner;
  Secret signing_key(const Credentials& credentials, const std::string& day, const SigningScope& scope);
  Signature finish(const SignableRequest& request, const Pairs& query, const Credentials& credentials,
                   const SigningScope& scope, const std::string& date);

  std::mutex mutex_;
  std::string key_scope_;
  Secret key_secret_, key_;
};

// The chain of signatures of a body that is sent with Content-Encoding: aws-chunked. Each signs the one before; the
// first is the request's.
class ChunkSigner {
 public:
  ChunkSigner(Signer& signer, const Credentials& credentials, const SigningScope& scope, std::int64_t time,
              std::string seed);

  std::string sign_chunk(std::string_view data);
  // trailer: "name:value\n" for each, names in lower case.
  std::string sign_trailer(std::string_view trailer);

 private:
  std::string next(std::string_view algorithm, std::string_view rest);
  std::string date_, scope_, previous_;
  Secret key_;
};

std::string sha256_hex(std::string_view text);

}  // namespace aid::io::aws

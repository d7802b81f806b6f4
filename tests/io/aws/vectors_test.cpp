// Published vectors: aws-c-auth's signatures, S3's documented examples, botocore's endpoint cases.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/aws/endpoint.h"
#include "io/aws/signer.h"
#include "io/aws/times.h"
#include "io/file.h"
#include "tests/io/test_files.h"

namespace aid::io::aws {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kVectors = fs::path(AID_SHARED_DIR) / "golden/sigv4";

struct Vector {
  json context;
  SignableRequest request;
};

// request.txt: "METHOD TARGET HTTP/1.1", "Name:value" lines (one may be folded), an empty line, the body.
Vector read_vector(const fs::path& folder) {
  Vector vector{.context = json::parse(read_text(folder / "context.json")), .request = {}};
  std::string text = read_text(folder / "request.txt");
  const std::size_t blank = text.find("\n\n");
  const std::string body = blank == std::string::npos ? "" : text.substr(blank + 2);
  std::istringstream lines(text.substr(0, blank));
  std::string line;
  std::getline(lines, line);
  const std::size_t space = line.find(' '), last = line.rfind(' ');
  vector.request.method = line.substr(0, space);
  const std::string target = line.substr(space + 1, last - space - 1);
  const std::size_t mark = std::min(target.find('?'), target.size());
  vector.request.path = target.substr(0, mark);
  if (vector.context["normalize"] == false) {
    vector.request.path = percent_encode(vector.request.path, Slash::kept);
  }
  std::istringstream pairs(target.substr(std::min(mark + 1, target.size())));
  for (std::string pair; std::getline(pairs, pair, '&');) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    vector.request.query.emplace_back(percent_decode(pair.substr(0, equals)).value(),
                                      percent_decode(pair.substr(std::min(equals + 1, pair.size()))).value());
  }
  while (std::getline(lines, line) && !line.empty()) {
    if (line.front() == ' ') {
      vector.request.headers.back().second += "\n" + line;
      continue;
    }
    const std::size_t colon = line.find(':');
    vector.request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  vector.request.payload_hash = sha256_hex(body);
  return vector;
}

TEST(SharedSigV4, AwsCAuth) {
  int count = 0;
  for (const auto& folder : fs::directory_iterator(kVectors / "v4")) {
    SCOPED_TRACE(folder.path().filename().string());
    Vector vector = read_vector(folder.path());
    const json& context = vector.context;
    const json& keys = context["credentials"];
    const Credentials credentials{.access_key_id = keys["access_key_id"],
                                  .secret_key = Secret(keys["secret_access_key"].get<std::string>()),
                                  .session_token = Secret(keys.value("token", "")),
                                  .expires = {},
                                  .source = ""};
    const SigningScope scope{
        .region = context["region"],
        .service = context["service"],
        .path_rule = context["normalize"] == true ? PathRule::normalised : PathRule::as_sent,
        .token_rule = context.value("omit_session_token", false) ? TokenRule::added_after : TokenRule::signed_too};
    const std::int64_t time = parse_iso_time(context["timestamp"]).value() / 1000;
    Signer signer;
    const auto expected = [&](const char* name) { return read_text(folder.path() / name); };

    const Signature query = signer.presign(vector.request, credentials, scope, time, context["expiration_in_seconds"]);
    EXPECT_EQ(query.canonical_request, expected("query-canonical-request.txt"));
    EXPECT_EQ(query.string_to_sign, expected("query-string-to-sign.txt"));
    EXPECT_EQ(query.hex, expected("query-signature.txt"));

    if (context["sign_body"] == true) {
      vector.request.headers.emplace_back("x-amz-content-sha256", vector.request.payload_hash);
    }
    const Signature header = signer.sign(vector.request, credentials, scope, time);
    EXPECT_EQ(header.canonical_request, expected("header-canonical-request.txt"));
    EXPECT_EQ(header.string_to_sign, expected("header-string-to-sign.txt"));
    EXPECT_EQ(header.hex, expected("header-signature.txt"));
    EXPECT_NE(expected("header-signed-request.txt").find(*find_header(header.additions, "authorization")),
              std::string::npos);
    ++count;
  }
  EXPECT_EQ(count, 38);
}

TEST(SharedSigV4, S3Documentation) {
  const json document = json::parse(read_text(kVectors / "s3_doc_vectors.json"));
  const Credentials credentials{.access_key_id = document["access_key_id"],
                                .secret_key = Secret(document["secret_access_key"].get<std::string>()),
                                .session_token = {},
                                .expires = {},
                                .source = ""};
  const SigningScope scope{.region = "us-east-1", .service = "s3", .path_rule = PathRule::as_sent};
  const std::int64_t time = parse_iso_time("2013-05-24T00:00:00Z").value() / 1000;
  Signer signer;
  for (const json& example : document["cases"]) {
    SCOPED_TRACE(example["name"].get<std::string>());
    SignableRequest request{.method = example["method"],
                            .path = example["canonical_uri"],
                            .query = {},
                            .headers = {},
                            .payload_hash = example["payload_hash"]};
    for (const auto& [name, value] : example["headers"].items()) {
      if (name != "x-amz-date") request.headers.emplace_back(name, value.get<std::string>());
    }
    const bool presigned = example["name"] == "presigned-get";
    std::istringstream pairs(presigned ? std::string() : example["canonical_query"].get<std::string>());
    for (std::string pair; std::getline(pairs, pair, '&');) {
      request.query.emplace_back(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
    }
    const Signature signature = presigned ? signer.presign(request, credentials, scope, time, 86400)
                                          : signer.sign(request, credentials, scope, time);
    EXPECT_EQ(signature.canonical_request, example["canonical_request"].get<std::string>());
    EXPECT_EQ(signature.hex, example["signature"].get<std::string>());
  }
  // The documented body of 65 KiB of 'a', in chunks of 64 KiB.
  ChunkSigner chunks(signer, credentials, scope, time,
                     "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  EXPECT_EQ(chunks.sign_chunk(std::string(65536, 'a')),
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
  EXPECT_EQ(chunks.sign_chunk(std::string(1024, 'a')),
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
  EXPECT_EQ(chunks.sign_chunk(""), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

// S3 API Reference, "Signature calculations for trailing headers": the same body with a trailing CRC32C.
TEST(AwsSigV4, TrailingHeaders) {
  const Credentials credentials{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                .secret_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                                .session_token = {},
                                .expires = {},
                                .source = ""};
  const SigningScope scope{.region = "us-east-1", .service = "s3", .path_rule = PathRule::as_sent};
  Signer signer;
  ChunkSigner chunks(signer, credentials, scope, 1369353600,
                     "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
  EXPECT_EQ(chunks.sign_chunk(std::string(65536, 'a')),
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
  EXPECT_EQ(chunks.sign_chunk(std::string(1024, 'a')),
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
  EXPECT_EQ(chunks.sign_chunk(""), "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
  EXPECT_EQ(chunks.sign_trailer("x-amz-checksum-crc32c:sOO8/Q==\n"),
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

TEST(SharedEndpoint, Botocore) {
  const json document = json::parse(read_text(kVectors / "s3_endpoint_tests_core.json"));
  for (const json& example : document["testCases"]) {
    SCOPED_TRACE(example.value("documentation", "") + " " + example["params"].dump());
    const json& params = example["params"];
    const EndpointQuery query{.region = params.value("Region", ""),
                              .bucket = params.value("Bucket", ""),
                              .custom_url = params.value("Endpoint", ""),
                              .path_style = params.value("ForcePathStyle", false),
                              .dual_stack = params.value("UseDualStack", false),
                              .fips = params.value("UseFIPS", false),
                              .accelerate = params.value("Accelerate", false),
                              .global = params.value("UseGlobalEndpoint", false)};
    if (example["expect"].contains("error")) {
      EXPECT_THROW(s3_endpoint(query), Error);
      continue;
    }
    const json& expected = example["expect"]["endpoint"];
    const Endpoint endpoint = s3_endpoint(query);
    EXPECT_EQ(endpoint.url.text(), expected["url"].get<std::string>());
    EXPECT_EQ(endpoint.signing_region,
              expected["properties"]["authSchemes"][0].value("signingRegion", endpoint.signing_region));
  }
}

}  // namespace
}  // namespace aid::io::aws

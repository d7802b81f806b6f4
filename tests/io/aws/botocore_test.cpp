// What botocore signs and where its endpoint rules lead (tests/golden/sigv4.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/aws/endpoint.h"
#include "io/aws/signer.h"
#include "io/error.h"
#include "io/file.h"

namespace aid::io::aws {
namespace {

using nlohmann::json;

const json& golden_cases() {
  static const json cases = json::parse(read_text(AID_SOURCE_DIR "/tests/golden/sigv4.json"));
  return cases;
}

Credentials credentials_with(const std::string& token) {
  return {.access_key_id = golden_cases()["keys"][0],
          .secret_key = Secret(golden_cases()["keys"][1].get<std::string>()),
          .session_token = Secret(token),
          .expires = {},
          .source = ""};
}

TEST(AwsBotocore, Signatures) {
  const std::int64_t time = golden_cases()["time"];
  Signer signer;  // one for all: it must notice that the scope changes
  for (const json& example : golden_cases()["signatures"]) {
    SCOPED_TRACE(example.dump());
    SignableRequest request{.method = example["method"],
                            .path = example["path"],
                            .query = {},
                            .headers = {},
                            .payload_hash = example["payload_hash"]};
    std::istringstream pairs(example["query"].get<std::string>());
    for (std::string pair; std::getline(pairs, pair, '&');) {
      const std::size_t equals = pair.find('=');
      request.query.emplace_back(percent_decode(pair.substr(0, equals)).value(),
                                 percent_decode(pair.substr(equals + 1)).value());
    }
    for (const json& header : example["headers"]) request.headers.emplace_back(header[0], header[1]);
    const SigningScope scope{.region = example["region"],
                             .service = example["service"],
                             .path_rule = example["service"] == "s3" ? PathRule::as_sent : PathRule::normalised};
    const Credentials credentials = credentials_with(example["token"]);
    const Signature signature = example["kind"] == "query"
                                    ? signer.presign(request, credentials, scope, time, example["expires"])
                                    : signer.sign(request, credentials, scope, time);
    EXPECT_EQ(signature.canonical_request, example["canonical_request"].get<std::string>());
    EXPECT_EQ(signature.string_to_sign, example["string_to_sign"].get<std::string>());
    EXPECT_EQ(signature.hex, example["signature"].get<std::string>());
  }
}

TEST(AwsBotocore, Chunks) {
  const json& chain = golden_cases()["chunks"];
  Signer signer;
  ChunkSigner chunks(signer, credentials_with(""),
                     {.region = chain["region"], .service = "s3", .path_rule = PathRule::as_sent},
                     golden_cases()["time"], chain["seed"]);
  for (const json& chunk : chain["chunks"]) {
    std::string data = chunk[0].is_string() ? chunk[0].get<std::string>() : "";
    if (chunk[0].is_array())
      for (int i = 0; i < chunk[0][1].get<int>(); ++i) data += chunk[0][0].get<std::string>();
    EXPECT_EQ(chunks.sign_chunk(data), chunk[1].get<std::string>());
  }
  EXPECT_EQ(chunks.sign_trailer(chain["trailer"][0].get<std::string>()), chain["trailer"][1].get<std::string>());
}

EndpointQuery query_of(const std::string& region, const std::string& url, const std::string& flags) {
  const auto has = [&](char flag) { return flags.find(flag) != std::string::npos; };
  return {.region = region,
          .bucket = "",
          .custom_url = url,
          .path_style = has('p'),
          .dual_stack = has('d'),
          .fips = has('f'),
          .accelerate = has('a'),
          .global = has('g')};
}

// expected: [URL, signing region], or null for a refusal.
template <class Resolve>
void expect_endpoint(const json& example, const json& expected, Resolve&& resolve) {
  SCOPED_TRACE(example.dump());
  try {
    const Endpoint endpoint = resolve();
    if (expected.is_null()) {
      ADD_FAILURE() << "botocore refuses; found " << endpoint.url.text();
      return;
    }
    EXPECT_EQ(endpoint.url.text(), expected[0].get<std::string>());
    if (const auto region = expected[1].get<std::string>(); !region.empty()) {
      EXPECT_EQ(endpoint.signing_region, region);
    }
  } catch (const Error& error) {
    EXPECT_TRUE(expected.is_null()) << error.what();
  }
}

TEST(AwsBotocore, S3Endpoints) {
  for (const json& example : golden_cases()["s3_endpoints"]) {
    expect_endpoint(example, example[4], [&] {
      EndpointQuery query = query_of(example[0], example[2], example[3]);
      query.bucket = example[1];
      return s3_endpoint(query);
    });
  }
}

TEST(AwsBotocore, DynamoDbEndpoints) {
  for (const json& example : golden_cases()["dynamodb_endpoints"]) {
    expect_endpoint(example, example[3],
                    [&] { return regional_endpoint("dynamodb", query_of(example[0], example[1], example[2])); });
  }
}

}  // namespace
}  // namespace aid::io::aws

// The credential chain, with a server on loopback in the place of STS, the SSO portal, a container and an instance.
#include "io/aws/credentials.h"

#include <gtest/gtest.h>

#include <map>

#include "io/aws/profile.h"
#include "tests/io/aws/fault_server.h"
#include "tests/io/test_files.h"

namespace aid::io::aws {
namespace {

using io::test::contains;
using io::test::error_of;
using test::answer;
using test::FaultServer;
using test::Reply;

constexpr std::int64_t kYear2050 = 2'524'608'000;  // 2050-01-01T00:00:00Z

class AwsCredentials : public ::testing::Test {
 protected:
  using Variables = std::map<std::string, std::string>;

  Configuration configuration(Variables environment, const std::string& profile = "") {
    environment["HOME"] = folder_.path().string();
    return Configuration(profile, [environment](const std::string& name) {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    });
  }
  Credentials resolve(const Configuration& configuration) {
    HttpDriver driver{HttpDriver::Options{}};
    return CredentialChain(configuration, driver).resolve();
  }
  void expect_temporary(const Credentials& credentials) {
    EXPECT_EQ(credentials.access_key_id, "ASIATEMPORARY");
    EXPECT_EQ(credentials.secret_key.reveal(), "temporary-secret");
    EXPECT_EQ(credentials.session_token.reveal(), "temporary-token");
    EXPECT_EQ(credentials.expires, kYear2050);
  }
  io::test::TemporaryFolder folder_;
};

std::string sts_xml(const std::string& action) {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>temporary-secret"
         "</SecretAccessKey><SessionToken>temporary-token</SessionToken><Expiration>2050-01-01T00:00:00Z</Expiration>"
         "</Credentials></" +
         action + "Result></" + action + "Response>";
}

const std::string kJson = R"({"Code":"Success","AccessKeyId":"ASIATEMPORARY","SecretAccessKey":"temporary-secret",)"
                          R"("Token":"temporary-token","Expiration":"2050-01-01T00:00:00Z"})";

TEST_F(AwsCredentials, InTheirOrder) {
  io::test::put(folder_ / ".aws/credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n");
  io::test::put(folder_ / ".aws/config",
                "[profile p]\ncredential_process = echo '{\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"s\"}'\n");
  const Variables keys = {{"AWS_ACCESS_KEY_ID", "E"}, {"AWS_SECRET_ACCESS_KEY", "s"}};
  EXPECT_EQ(resolve(configuration(keys)).access_key_id, "E");
  EXPECT_EQ(resolve(configuration({})).access_key_id, "F");
  EXPECT_EQ(resolve(configuration(keys, "p")).access_key_id, "P");
  EXPECT_EQ(resolve(configuration({{"AWS_PROFILE", "p"}})).access_key_id, "P");
  EXPECT_THROW(configuration({}, "missing"), Error);
  EXPECT_THROW(resolve(configuration({{"AWS_ACCESS_KEY_ID", "E"}})), Error);
}

TEST_F(AwsCredentials, ProcessThatFails) {
  io::test::put(folder_ / ".aws/config", "[default]\ncredential_process = echo secret-output; exit 3\n");
  const std::string message = error_of([&] { resolve(configuration({})); });
  EXPECT_TRUE(contains(message, "status 3"));
  EXPECT_EQ(message.find("secret-output"), std::string::npos);
}

TEST_F(AwsCredentials, RoleOfASourceProfile) {
  FaultServer sts([](const std::string& request, int count) {
    if (count == 0) return Reply{.bytes = answer(500, "", "")};
    EXPECT_TRUE(contains(request, "Credential=AKIASOURCE/"));
    EXPECT_TRUE(contains(request, "/eu-west-1/sts/aws4_request"));
    EXPECT_TRUE(contains(request, "Action=AssumeRole&"));
    EXPECT_TRUE(contains(request, "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me"));
    EXPECT_TRUE(contains(request, "ExternalId=x"));
    return Reply{.bytes = answer(200, "", sts_xml("AssumeRole"))};
  });
  io::test::put(folder_ / ".aws/config",
                "[profile r]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = s\nrole_session_name = me\n"
                "external_id = x\nregion = eu-west-1\n"
                "[profile s]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n"
                "[profile ring]\nrole_arn = a\nsource_profile = ring2\n"
                "[profile ring2]\nrole_arn = a\nsource_profile = ring\n"
                "[profile environment]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n"
                "role_session_name = me\nexternal_id = x\nregion = eu-west-1\n"
                "[profile mfa]\nrole_arn = a\nsource_profile = s\nmfa_serial = m\n");
  const Variables variables = {{"AWS_ENDPOINT_URL_STS", sts.url()}};
  expect_temporary(resolve(configuration(variables, "r")));
  EXPECT_EQ(sts.count(), 2);
  Variables source = variables;
  source["AWS_ACCESS_KEY_ID"] = "AKIASOURCE";
  source["AWS_SECRET_ACCESS_KEY"] = "s";
  expect_temporary(resolve(configuration(source, "environment")));
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables, "ring")); }), "no end"));
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables, "mfa")); }), "mfa_serial"));
}

TEST_F(AwsCredentials, WebIdentity) {
  FaultServer sts([](const std::string& request, int count) {
    EXPECT_TRUE(contains(request, "Action=AssumeRoleWithWebIdentity"));
    EXPECT_TRUE(contains(request, "WebIdentityToken=the-token"));
    EXPECT_EQ(request.find("authorization"), std::string::npos);
    if (count > 0) {
      return Reply{.bytes = answer(403, "", "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")};
    }
    return Reply{.bytes = answer(200, "", sts_xml("AssumeRoleWithWebIdentity"))};
  });
  io::test::put(folder_ / "token", "the-token\n");
  io::test::put(folder_ / ".aws/credentials", "[p]\naws_access_key_id=F\naws_secret_access_key=s\n");
  const Variables variables = {{"AWS_ENDPOINT_URL_STS", sts.url()},
                               {"AWS_WEB_IDENTITY_TOKEN_FILE", (folder_ / "token").string()},
                               {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"}};
  expect_temporary(resolve(configuration(variables)));
  const std::string message = error_of([&] { resolve(configuration(variables)); });
  EXPECT_TRUE(contains(message, "AccessDenied"));
  EXPECT_EQ(message.find("the-token"), std::string::npos);
  EXPECT_EQ(resolve(configuration(variables, "p")).access_key_id, "F");
}

TEST_F(AwsCredentials, SsoLogin) {
  FaultServer portal([](const std::string& request, int) {
    EXPECT_TRUE(request.starts_with("GET /federation/credentials?role_name=reader&account_id=123 "));
    EXPECT_TRUE(contains(request, "x-amz-sso_bearer_token: sso-token"));
    return Reply{.bytes = answer(200, "",
                                 R"({"roleCredentials":{"accessKeyId":"ASIATEMPORARY",)"
                                 R"("secretAccessKey":"temporary-secret","sessionToken":"temporary-token",)"
                                 R"("expiration":2524608000000}})")};
  });
  io::test::put(folder_ / ".aws/config",
                "[default]\nsso_session = corp\nsso_account_id = 123\nsso_role_name = reader\n"
                "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n");
  const Variables variables = {{"AWS_ENDPOINT_URL_SSO", portal.url()}};
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "aws sso login"));
  // The SHA-1 of "corp".
  const auto cache = folder_ / ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
  io::test::put(cache, R"({"accessToken":"sso-token","expiresAt":"2001-01-01T00:00:00Z"})");
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "expired"));
  EXPECT_EQ(portal.count(), 0);
  io::test::put(cache, R"({"accessToken":"sso-token","expiresAt":"2050-01-01T00:00:00Z"})");
  expect_temporary(resolve(configuration(variables)));
}

TEST_F(AwsCredentials, Container) {
  FaultServer container([](const std::string& request, int) {
    EXPECT_TRUE(request.starts_with("GET /v2/credentials?id=1 "));
    EXPECT_TRUE(contains(request, "Authorization: pod-token\r\n"));
    return Reply{.bytes = answer(200, "", kJson)};
  });
  io::test::put(folder_ / "pod", "pod-token\n");
  Variables variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url() + "/v2/credentials?id=1"},
                         {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", (folder_ / "pod").string()}};
  expect_temporary(resolve(configuration(variables)));
  io::test::put(folder_ / "pod", "pod-token\r\nX-Other: 1");
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "line end"));
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://evil.example/";
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "expected https"));
  variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "@evil.example/";
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "begins with /"));
}

TEST_F(AwsCredentials, InstanceMetadata) {
  FaultServer instance([](const std::string& request, int) {
    if (request.starts_with("PUT /latest/api/token ")) {
      EXPECT_TRUE(contains(request, "x-aws-ec2-metadata-token-ttl-seconds: 21600"));
      return Reply{.bytes = answer(200, "", "metadata-token")};
    }
    EXPECT_TRUE(contains(request, "x-aws-ec2-metadata-token: metadata-token"));
    const bool list = request.starts_with("GET /latest/meta-data/iam/security-credentials/ ");
    EXPECT_TRUE(list || request.starts_with("GET /latest/meta-data/iam/security-credentials/a-role "));
    return Reply{.bytes = answer(200, "", list ? "a-role\n" : kJson)};
  });
  const Variables variables = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url()}};
  expect_temporary(resolve(configuration(variables)));
  EXPECT_EQ(instance.count(), 3);
  Variables disabled = variables;
  disabled["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(disabled)); }), "no AWS credentials"));
  EXPECT_EQ(instance.count(), 3);
}

// An instance without tokens is asked as it was before there were any, unless that is forbidden.
TEST_F(AwsCredentials, InstanceWithoutTokens) {
  FaultServer instance([](const std::string& request, int) {
    if (request.starts_with("PUT ")) return Reply{.bytes = answer(404, "", "")};
    EXPECT_EQ(request.find("x-aws-ec2-metadata-token"), std::string::npos);
    return Reply{.bytes = answer(200, "", request.find("/a-role ") == std::string::npos ? "a-role" : kJson)};
  });
  Variables variables = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url()}};
  expect_temporary(resolve(configuration(variables)));
  variables["AWS_EC2_METADATA_V1_DISABLED"] = "true";
  EXPECT_TRUE(contains(error_of([&] { resolve(configuration(variables)); }), "no AWS credentials"));
}

TEST(AwsCredentialsFreshness, RenewedBeforeTheirEnd) {
  Credentials credentials;
  EXPECT_EQ(freshness_of(credentials, kYear2050), Freshness::fresh);
  credentials.expires = kYear2050;
  EXPECT_EQ(freshness_of(credentials, kYear2050 - 901), Freshness::fresh);
  EXPECT_EQ(freshness_of(credentials, kYear2050 - 899), Freshness::due);
  EXPECT_EQ(freshness_of(credentials, kYear2050), Freshness::expired);
}

}  // namespace
}  // namespace aid::io::aws

// Whatever a server does: success after retries, or a clear error; never wrong bytes.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <future>
#include <mutex>

#include "io/aws/dynamodb.h"
#include "io/aws/s3.h"
#include "tests/io/aws/fault_server.h"
#include "tests/io/test_files.h"

namespace aid::io::aws {
namespace {

using io::test::contains;
using test::answer;
using test::FaultServer;
using test::Reply;

class StringSink final : public ObjectSink {
 public:
  void begin(const ObjectInfo&) override { bytes.clear(); }
  void write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
  }
  std::string bytes;
};

class Aws : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-SECRET", 1);
    ::setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
  }
  static ClientOptions options(const FaultServer& server) {
    ClientOptions made;
    made.region = "eu-west-1";
    made.endpoint_url = server.url();
    made.backoff = std::chrono::milliseconds(1);
    made.stall_timeout = std::chrono::milliseconds(1000);
    return made;
  }
};

const std::string kBody = "hello, object";
const std::string kCrc = "x-amz-checksum-crc32: " + [] {
  Checksum crc(ChecksumAlgorithm::crc32);
  crc.update("hello, object");
  return crc.base64();
}() + "\r\n";
Reply good() { return {.bytes = answer(200, "ETag: \"x\"\r\n" + kCrc, kBody)}; }

std::string error_xml(const std::string& code, const std::string& more = "") {
  return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>m</Message>" + more + "</Error>";
}

struct FaultCase {
  const char* name;
  Reply reply;
};

TEST_F(Aws, ObjectsSurviveFaults) {
  const std::string whole = good().bytes;
  const FaultCase cases[] = {
      {"reset", {.bytes = whole.substr(0, whole.size() - 5), .reset = true}},
      {"reset before an answer", {.bytes = "", .reset = true}},
      {"closed", {}},
      {"half a body", {.bytes = whole.substr(0, whole.size() - 7)}},
      {"half a head", {.bytes = whole.substr(0, 20)}},
      {"no HTTP", {.bytes = "garbage\r\n\r\n"}},
      {"500", {.bytes = answer(500, "", error_xml("InternalError"))}},
      {"503", {.bytes = answer(503, "", error_xml("SlowDown"))}},
      {"503 without a body", {.bytes = answer(503, "Retry-After: 0\r\n", "")}},
      {"307 to nowhere new",
       {.bytes = answer(307, "Location: http://evil.example/\r\n", error_xml("TemporaryRedirect"))}},
      {"a body longer than announced",
       {.bytes = "HTTP/1.1 200 X\r\nContent-Length: 5\r\n" + kCrc + "\r\n" + kBody, .reset = true}},
      {"400 RequestTimeout", {.bytes = answer(400, "", error_xml("RequestTimeout"))}},
      {"wrong bytes", {.bytes = answer(200, "ETag: \"x\"\r\n" + kCrc, "hellO, object")}},
      {"wrong MD5", {.bytes = answer(200, "ETag: \"5eb63bbbe01eeed093cb22bb8f5acdc3\"\r\n", kBody)}},
      {"a part", {.bytes = answer(206, "Content-Range: bytes 0-12/99\r\n", kBody)}},
      {"drips", {.bytes = whole, .drip_milliseconds = 100}},
  };
  for (const FaultCase& fault : cases) {
    SCOPED_TRACE(fault.name);
    FaultServer server([&](const std::string&, int count) { return count < 2 ? fault.reply : good(); });
    S3Client client(options(server));
    const auto sink = std::make_shared<StringSink>();
    const ObjectInfo info = client.get({.bucket = "bucket", .key = "a b/ñ", .sink = sink});
    EXPECT_EQ(sink->bytes, kBody);
    EXPECT_EQ(info.size, kBody.size());
    EXPECT_EQ(server.count(), 3);
  }
}

TEST_F(Aws, GivesUpWithAClearError) {
  struct Case {
    Reply reply;
    const char* code;
    const char* part;
  };
  const Case cases[] = {{{.bytes = answer(404, "", error_xml("NoSuchKey"))}, "NoSuchKey", "HTTP 404"},
                        {{.bytes = answer(403, "", error_xml("AccessDenied"))}, "AccessDenied", "permissions"},
                        {{.bytes = answer(412, "", error_xml("PreconditionFailed"))}, "PreconditionFailed", "412"},
                        {{.bytes = answer(403, "", error_xml("InvalidObjectState"))}, "InvalidObjectState", "restore"},
                        {{.bytes = answer(200, kCrc, "hellO, object")}, "Integrity", "crc32"},
                        {{}, "Connection", "3 attempts"}};
  for (const Case& fault : cases) {
    SCOPED_TRACE(fault.code);
    FaultServer server([&](const std::string&, int) { return fault.reply; });
    ClientOptions made = options(server);
    made.max_attempts = 3;
    S3Client client(made);
    try {
      client.get({.bucket = "bucket", .key = "key", .sink = std::make_shared<StringSink>()});
      ADD_FAILURE() << "no error";
    } catch (const CallError& error) {
      EXPECT_EQ(error.code(), fault.code);
      EXPECT_TRUE(contains(error.what(), "GetObject s3://bucket/key"));
      EXPECT_TRUE(contains(error.what(), fault.part));
      EXPECT_EQ(std::string(error.what()).find("SECRET"), std::string::npos);
    }
  }
}

// The trailer's checksum and the chunks' frames are of the body's bytes; each repetition starts at its front.
TEST_F(Aws, UploadsAreSentAgain) {
  const std::string body(70'000, 'u');
  const auto crc_of = [&] {
    Checksum crc(ChecksumAlgorithm::crc64nvme);
    crc.update(body);
    return "x-amz-checksum-crc64nvme:" + crc.base64();
  };
  const std::string plain =
      "10000\r\n" + body.substr(0, 65536) + "\r\n1170\r\n" + body.substr(65536) + "\r\n0\r\n" + crc_of() + "\r\n\r\n";
  const std::pair<Payload, std::string> ends[] = {{Payload::signed_hash, "\r\n\r\n" + body},
                                                  {Payload::unsigned_body, "\r\n\r\n" + body},
                                                  {Payload::unsigned_trailer, "\r\n\r\n" + plain},
                                                  {Payload::signed_chunks, "\r\n\r\n"},
                                                  {Payload::signed_trailer, "\r\n\r\n"}};
  for (const auto& [payload, end] : ends) {
    SCOPED_TRACE(static_cast<int>(payload));
    FaultServer server([&, ending = end](const std::string& request, int count) {
      EXPECT_TRUE(request.ends_with(ending)) << request.substr(0, 1000);
      if (count == 0) return Reply{.bytes = "", .reset = true};
      if (count == 1) return Reply{.bytes = answer(503, "", error_xml("SlowDown"))};
      return Reply{.bytes = answer(200, "ETag: \"e\"\r\n", "")};
    });
    S3Client client(options(server));
    const PutResult put =
        client.put({.bucket = "bucket", .key = "key", .body = std::make_shared<MemoryBody>(body), .payload = payload});
    EXPECT_EQ(put.etag, "e");
    EXPECT_EQ(server.count(), 3);
  }
}

TEST_F(Aws, ExpiredCredentialsAreRenewedOnce) {
  FaultServer server([](const std::string& request, int count) {
    if (request.starts_with("GET /credentials ")) {
      return Reply{.bytes = answer(
                       200, "", R"({"AccessKeyId":"KEY)" + std::to_string(count) + R"(","SecretAccessKey":"SECRET"})")};
    }
    if (request.find("Credential=KEY0/") == std::string::npos && request.find("/good ") != std::string::npos) {
      return good();
    }
    return Reply{.bytes = answer(400, "", error_xml("ExpiredToken"))};
  });
  ::unsetenv("AWS_ACCESS_KEY_ID");
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", (server.url() + "/credentials").c_str(), 1);
  S3Client client(options(server));
  const auto sink = std::make_shared<StringSink>();
  client.get({.bucket = "bucket", .key = "good", .sink = sink});
  EXPECT_EQ(sink->bytes, kBody);
  EXPECT_EQ(server.count(), 4);
  EXPECT_THROW(client.get({.bucket = "bucket", .key = "bad", .sink = sink}), CallError);
  EXPECT_EQ(server.count(), 7);  // refused, renewed, refused
  ::unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

std::string time_text(std::int64_t seconds, const char* format) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}
std::string iso_time(std::int64_t seconds) { return time_text(seconds, "%Y-%m-%dT%H:%M:%SZ"); }
std::string http_time(std::int64_t seconds) { return time_text(seconds, "%a, %d %b %Y %H:%M:%S GMT"); }

// A container's credentials KEY0, KEY1, ... that last as long as `lasting` says, and objects for all of them.
class Renewal : public Aws {
 protected:
  void SetUp() override {
    Aws::SetUp();
    ::unsetenv("AWS_ACCESS_KEY_ID");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
    ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", (server_.url() + "/credentials").c_str(), 1);
  }
  void TearDown() override { ::unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"); }
  // Which credentials the call was signed with: "KEY0".
  std::string get(S3Client& client) {
    const auto sink = std::make_shared<StringSink>();
    client.get({.bucket = "bucket", .key = "key", .sink = sink});
    EXPECT_EQ(sink->bytes, kBody);
    const std::lock_guard lock(mutex_);
    return signed_with_;
  }
  // The service's clock goes forward: the next call is refused once.
  void set_clock(std::int64_t seconds_ahead) {
    const std::lock_guard lock(mutex_);
    ahead_ = seconds_ahead;
    refused_ = false;
  }

  std::function<std::string(int)> expiration_;  // of the n-th; empty: an error in the place of credentials
  std::atomic<int> asked_{0};
  std::mutex mutex_;
  std::int64_t ahead_ = 0;
  bool refused_ = true;
  int refusals_ = 0;
  std::string signed_with_, revoked_;
  const std::int64_t now_ = std::time(nullptr);
  FaultServer server_{[this](const std::string& request, int) {
    if (request.starts_with("GET /credentials ")) {
      const int n = asked_++;
      const std::string expiration = expiration_(n);
      if (expiration.empty()) return Reply{.bytes = answer(404, "", "")};
      return Reply{.bytes = answer(200, "",
                                   R"({"AccessKeyId":"KEY)" + std::to_string(n) +
                                       R"(","SecretAccessKey":"s","Expiration":")" + expiration + "\"}")};
    }
    const std::lock_guard lock(mutex_);
    if (!std::exchange(refused_, true)) {
      return Reply{.bytes =
                       answer(403, "Date: " + http_time(now_ + ahead_) + "\r\n", error_xml("RequestTimeTooSkewed"))};
    }
    const std::size_t at = request.find("Credential=") + 11;
    signed_with_ = request.substr(at, request.find('/', at) - at);
    if (signed_with_ == revoked_) {  // every other call learns of it later, when there are new ones
      return Reply{.bytes = answer(400, "", error_xml("ExpiredToken")), .drip_milliseconds = refusals_++ % 2};
    }
    return good();
  }};
};

TEST_F(Renewal, BeforeTheEndWhileTheOldOnesAreUsed) {
  expiration_ = [this](int n) { return iso_time(now_ + (n == 0 ? 7'200 : 20'000)); };
  S3Client client(options(server_));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(client), "KEY0");
  EXPECT_EQ(asked_, 1);
  set_clock(7'200 - 600);  // ten minutes are left
  std::string key = get(client);
  for (int i = 0; i < 2'000 && key == "KEY0"; ++i) key = get(client);
  EXPECT_EQ(key, "KEY1");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get(client), "KEY1");
  EXPECT_EQ(asked_, 2);
  set_clock(30'000);  // those have ended: nothing is sent before there are others
  expiration_ = [this](int) { return iso_time(now_ + 60'000); };
  EXPECT_EQ(get(client), "KEY2");
}

TEST_F(Renewal, ThatFailsIsNotRepeatedWithEveryCall) {
  expiration_ = [this](int n) { return n == 0 ? iso_time(now_ + 7'200) : ""; };
  S3Client client(options(server_));
  get(client);
  set_clock(7'200 - 600);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(get(client), "KEY0");
  EXPECT_LE(asked_, 2);
}

TEST_F(Renewal, OfCredentialsThatNeverLastLongIsNotRepeatedWithEveryCall) {
  expiration_ = [this](int) { return iso_time(now_ + 600); };
  S3Client client(options(server_));
  for (int i = 0; i < 50; ++i) get(client);
  EXPECT_LE(asked_, 2);
}

TEST_F(Renewal, OnceForAllCallsThatAreRefusedTogether) {
  expiration_ = [this](int) { return iso_time(now_ + 7'200); };
  revoked_ = "KEY0";
  ClientOptions made = options(server_);
  made.connections = 16;
  S3Client client(made);
  std::atomic<int> whole{0}, ended{0};
  std::promise<void> all;
  for (int i = 0; i < 16; ++i) {
    const auto sink = std::make_shared<StringSink>();
    client.get({.bucket = "bucket", .key = "key", .sink = sink}, [&, sink](const Outcome<ObjectInfo>& outcome) {
      whole += outcome.ok() && sink->bytes == kBody;
      if (++ended == 16) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(whole, 16);
  EXPECT_EQ(asked_, 2);
}

TEST_F(Renewal, ThatBringsExpiredOnesIsAnError) {
  expiration_ = [this](int) { return iso_time(now_ - 5); };
  S3Client client(options(server_));
  EXPECT_TRUE(contains(io::test::error_of([&] { get(client); }), "expired before they came"));
  EXPECT_EQ(asked_, 1);
}

// The window is narrowed, and every call still ends well.
TEST_F(Aws, ThrottlingSlowsAllCalls) {
  Reply slow = good();
  slow.drip_milliseconds = 1;
  FaultServer* self = nullptr;
  FaultServer server([&](const std::string&, int count) {
    if (count == 40) self->reset_most_at_once();
    return count < 40 ? Reply{.bytes = answer(503, "", error_xml("SlowDown"))} : slow;
  });
  self = &server;
  ClientOptions made = options(server);
  made.connections = 16;
  S3Client client(made);
  std::atomic<int> whole{0}, ended{0};
  std::promise<void> all;
  for (int i = 0; i < 50; ++i) {
    const auto sink = std::make_shared<StringSink>();
    client.get({.bucket = "bucket", .key = "key", .sink = sink}, [&, sink](const Outcome<ObjectInfo>& outcome) {
      whole += outcome.ok() && sink->bytes == kBody;
      if (++ended == 50) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(whole, 50);
  EXPECT_EQ(client.statistics().throttled, 40);
  EXPECT_EQ(client.statistics().attempts, 90);
  // Halved with each round of refusals, 16 has come down to 1 or 2; then one more for each windowful that ends well:
  // after 50 at most sqrt(2 * 2 + 2 * 50), rounded up.
  EXPECT_LE(server.most_at_once(), 11);
}

// A lower bound alone: a call may wait longer than it is asked to, never less.
TEST_F(Aws, WaitsAsLongAsTheServiceAsks) {
  for (const auto& [header, least] : {std::pair("Retry-After: 1\r\n", 1'000), {"x-amz-retry-after: 300\r\n", 300}}) {
    std::chrono::steady_clock::time_point refused;
    std::chrono::milliseconds waited{};
    FaultServer server([&, header = header](const std::string&, int count) {
      const auto now = std::chrono::steady_clock::now();
      if (count == 0) {
        refused = now;
        return Reply{.bytes = answer(503, header, error_xml("SlowDown"))};
      }
      waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - refused);
      return good();
    });
    S3Client client(options(server));
    client.get({.bucket = "bucket", .key = "key", .sink = std::make_shared<StringSink>()});
    EXPECT_GE(waited.count(), least);
  }
}

// Where nearly everything fails, retries stop before they add to the load.
TEST_F(Aws, RetriesAreLimitedForAllCalls) {
  FaultServer server([](const std::string&, int) { return Reply{.bytes = answer(500, "", "")}; });
  ClientOptions made = options(server);
  made.max_attempts = 3;
  S3Client client(made);
  for (int i = 0; i < 52; ++i) {
    try {
      client.head({.bucket = "bucket", .key = "key"});
      ADD_FAILURE() << "no error";
    } catch (const CallError& error) {
      // 500 tokens, 5 a retry, 2 retries a call
      EXPECT_EQ(std::string(error.what()).find("too many calls fail") != std::string::npos, i >= 50) << error.what();
    }
  }
  EXPECT_EQ(client.statistics().retries, 100);
}

TEST_F(Aws, ClockSkewIsCorrected) {
  FaultServer server([](const std::string& head, int count) {
    if (count == 0) {
      return Reply{.bytes = answer(403, "Date: Fri, 24 May 2013 00:00:00 GMT\r\n", error_xml("RequestTimeTooSkewed"))};
    }
    EXPECT_NE(head.find("x-amz-date: 20130524T00000"), std::string::npos) << head;
    return good();
  });
  S3Client client(options(server));
  const auto sink = std::make_shared<StringSink>();
  client.get({.bucket = "bucket", .key = "key", .sink = sink});
  EXPECT_EQ(sink->bytes, kBody);
}

TEST_F(Aws, FollowsABucketToItsRegionAndNowhereElse) {
  FaultServer server([](const std::string& head, int count) {
    if (count == 0) {
      return Reply{.bytes = answer(301, "x-amz-bucket-region: us-west-2\r\nLocation: http://evil.example/\r\n",
                                   error_xml("PermanentRedirect", "<Endpoint>evil.example</Endpoint>"))};
    }
    EXPECT_NE(head.find("/us-west-2/s3/aws4_request"), std::string::npos) << head;
    return good();
  });
  S3Client client(options(server));
  const auto sink = std::make_shared<StringSink>();
  client.get({.bucket = "bucket", .key = "key", .sink = sink});
  EXPECT_EQ(sink->bytes, kBody);
}

// A profile says how buckets are addressed.
TEST_F(Aws, AddressesAsTheProfileSays) {
  std::string seen;
  FaultServer server([&](const std::string& head, int) {
    seen = head.substr(0, head.find("\r\n")) + " " + head.substr(head.find("Host: ") + 6, 17);
    return good();
  });
  const io::test::TemporaryFolder folder;
  const auto ask = [&](const std::string& profile, const std::string& bucket = "bucket") -> std::string {
    io::test::put(folder / "config", "[default]\n" + profile);
    ::setenv("AWS_CONFIG_FILE", (folder / "config").c_str(), 1);
    ClientOptions made = options(server);
    made.endpoint_url = "http://localhost" + server.url().substr(server.url().rfind(':'));
    S3Client client(made);
    return io::test::error_of(
        [&] { client.get({.bucket = bucket, .key = "key", .sink = std::make_shared<StringSink>()}); });
  };
  EXPECT_EQ(ask(""), "");
  EXPECT_TRUE(contains(seen, "GET /bucket/key HTTP/1.1 localhost"));
  EXPECT_EQ(ask("s3 =\n  addressing_style = virtual\n"), "");
  EXPECT_TRUE(contains(seen, "GET /key HTTP/1.1 bucket.localhost"));
  EXPECT_EQ(ask("", "arn:aws:s3:eu-west-1:12:accesspoint/ap"), "");
  EXPECT_TRUE(contains(seen, "GET /key HTTP/1.1 ap-12.localhost"));
  EXPECT_TRUE(contains(ask("use_dualstack_endpoint = true\n"), "dual-stack"));
  EXPECT_TRUE(contains(ask("use_fips_endpoint = true\n"), "FIPS"));
  EXPECT_TRUE(contains(ask("s3 =\n  use_accelerate_endpoint = true\n"), "Accelerate"));
}

TEST_F(Aws, ListsAreWholeOrAskedForAgain) {
  const std::string page =
      "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>a+b%2B%C3%B1</"
      "Key>"
      "<Size>5</Size><ETag>&quot;e&quot;</ETag><LastModified>2013-05-24T00:00:00.500Z</LastModified></Contents>"
      "</ListBucketResult>";
  const std::string broken[] = {page.substr(0, page.size() / 2), error_xml("InternalError"), "", "{}",
                                "<ListBucketResult></ListBucketResult>"};
  FaultServer server(
      [&](const std::string&, int count) { return Reply{.bytes = answer(200, "", count < 5 ? broken[count] : page)}; });
  S3Client client(options(server));
  const ListPage list = client.list({.bucket = "bucket"});
  ASSERT_EQ(list.objects.size(), 1u);
  EXPECT_EQ(list.objects[0].key, "a b+ñ");
  EXPECT_EQ(list.objects[0].etag, "e");
  EXPECT_EQ(list.objects[0].last_modified, 1369353600500);
  EXPECT_EQ(server.count(), 6);
}

TEST_F(Aws, DynamoDbChecksWhatCame) {
  const std::string described = R"({"Table":{"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"ItemCount":1}})";
  const std::string items = R"({"Items":[{"id":{"S":"b"},"n":{"N":"1"}},{"id":{"S":"a"},"l":{"L":[{"S":"\"x"}]}}]})";
  FaultServer server([&](const std::string& head, int count) {
    if (head.find("DescribeTable") != std::string::npos) return Reply{.bytes = answer(200, "", described)};
    if (count == 1) return Reply{.bytes = answer(200, "x-amz-crc32: 1\r\n", items)};
    if (count == 2) return Reply{.bytes = answer(200, "", items.substr(0, 30))};
    if (count == 3) {
      return Reply{.bytes = answer(400, "", R"({"__type":"x#ProvisionedThroughputExceededException"})")};
    }
    return Reply{.bytes = answer(200, "", items)};
  });
  DynamoDbClient client(options(server));
  const Table table = client.scan({.table = "t", .segments = 1});
  EXPECT_EQ(console_csv(table), "\"id\",\"l\",\"n\"\n\"a\",\"[{\"\"S\"\":\"\"\\\"\"x\"\"}]\",\"\"\n\"b\",\"\",\"1\"\n");
  EXPECT_EQ(server.count(), 5);
}

}  // namespace
}  // namespace aid::io::aws

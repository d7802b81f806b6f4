// Not tests by themselves: tests/peers/aws_moto.py runs them against a server, and looks at what they did with boto3.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "io/aws/s3.h"
#include "io/file.h"
#include "tests/io/test_files.h"

namespace aid::io::aws {
namespace {

using nlohmann::json;

class StringSink final : public ObjectSink {
 public:
  void begin(const ObjectInfo&) override { bytes.clear(); }
  void write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
  }
  std::string bytes;
};

ListRequest next_of(const std::string& bucket, const std::string& token) {
  return {.bucket = bucket, .token = token, .max_keys = 7};
}

// The objects of the bucket "theirs" are those of $AID_AWS_FILE's "objects", {key: text}; they are put into "ours" in
// every way, the last key in parts, and the first is deleted again. "versions", {id: text}, are those of the key "v ñ"
// in the bucket "versions", which gets a third.
TEST(PeersAws, DISABLED_Objects) {
  const char* file = std::getenv("AID_AWS_FILE");
  ASSERT_TRUE(file) << "AID_AWS_FILE names the JSON of keys and texts";
  const json given = json::parse(read_text(file));
  const json& expected = given["objects"];
  S3Client client;
  std::vector<std::string> keys;
  std::string token;
  do {
    ListPage page = client.list(next_of("theirs", token));
    for (const ListedObject& object : page.objects) keys.push_back(object.key);
    token = page.next_token;
  } while (!token.empty());
  ASSERT_EQ(keys.size(), expected.size());

  constexpr Payload kPayloads[] = {Payload::signed_hash, Payload::unsigned_body, Payload::unsigned_trailer,
                                   Payload::signed_chunks, Payload::signed_trailer};
  int turn = 0;
  for (const std::string& key : keys) {
    SCOPED_TRACE(key);
    ASSERT_TRUE(expected.contains(key));
    const std::string text = expected[key];
    const auto sink = std::make_shared<StringSink>();
    const ObjectInfo info = client.get({.bucket = "theirs", .key = key, .sink = sink});
    EXPECT_EQ(sink->bytes, text);
    EXPECT_EQ(client.head({.bucket = "theirs", .key = key}).etag, info.etag);
    if (text.size() > 3) {
      client.get({.bucket = "theirs", .key = key, .range = ByteRange{1, 2}, .if_match = info.etag, .sink = sink});
      EXPECT_EQ(sink->bytes, text.substr(1, 2));
    }
    client.put({.bucket = "ours",
                .key = key,
                .body = std::make_shared<MemoryBody>(text),
                .payload = kPayloads[turn++ % std::size(kPayloads)]});
  }
  const std::string& last = keys.back();
  const std::string upload = client.create_upload({.bucket = "ours", .key = last});
  std::vector<UploadedPart> parts;
  for (const std::string& text : {std::string(5 << 20, 'p'), expected[last].get<std::string>()}) {
    parts.push_back(client.upload_part({.bucket = "ours",
                                        .key = last,
                                        .upload_id = upload,
                                        .part = static_cast<int>(parts.size()) + 1,
                                        .body = std::make_shared<MemoryBody>(text)}));
  }
  client.complete_upload({.bucket = "ours", .key = last, .upload_id = upload, .parts = parts});
  client.abort_upload("ours", "aborted", client.create_upload({.bucket = "ours", .key = "aborted"}));
  EXPECT_TRUE(client.remove({.bucket = "ours", .keys = {keys.front()}}).empty());
  EXPECT_NO_THROW(client.head_bucket("ours"));

  for (const auto& [version, text] : given["versions"].items()) {
    const auto sink = std::make_shared<StringSink>();
    client.get({.bucket = "versions", .key = "v ñ", .version_id = version, .sink = sink});
    EXPECT_EQ(sink->bytes, text.get<std::string>());
    const ObjectInfo info = client.head({.bucket = "versions", .key = "v ñ", .version_id = version});
    EXPECT_EQ(info.version_id, version);
    EXPECT_EQ(info.size, sink->bytes.size());
  }
  const PutResult third =
      client.put({.bucket = "versions", .key = "v ñ", .body = std::make_shared<MemoryBody>("third")});
  EXPECT_FALSE(third.version_id.empty() || given["versions"].contains(third.version_id));
}

}  // namespace
}  // namespace aid::io::aws

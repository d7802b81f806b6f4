// What holds without vectors: published check values, identities, and readers that meet random bytes.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "io/aws/checksum.h"
#include "io/aws/chunked_body.h"
#include "io/aws/credentials.h"
#include "io/aws/profile.h"
#include "io/aws/s3.h"
#include "io/aws/s3_xml.h"
#include "io/aws/times.h"

namespace aid::io::aws {
namespace {

TEST(AwsChecksum, CheckValues) {
  const std::pair<ChecksumAlgorithm, const char*> known[] = {{ChecksumAlgorithm::crc32, "y/Q5Jg=="},
                                                             {ChecksumAlgorithm::crc32c, "4waSgw=="},
                                                             {ChecksumAlgorithm::crc64nvme, "rosUhgp5mIg="}};
  for (const auto& [algorithm, base64] : known) {
    Checksum checksum(algorithm);
    checksum.update("123456789");
    EXPECT_EQ(checksum.base64(), base64);
  }
}

// The short pieces go through the table, the long whole through carry-less multiplication.
TEST(AwsChecksum, PiecesAndCombinationsGiveTheWhole) {
  std::mt19937_64 random(1);
  std::string bytes(5000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (const auto algorithm : {ChecksumAlgorithm::crc32, ChecksumAlgorithm::crc32c, ChecksumAlgorithm::crc64nvme}) {
    for (std::size_t size = 0; size <= bytes.size(); size += 97) {
      const std::string_view text = std::string_view(bytes).substr(size % 7, size);
      Checksum whole(algorithm), pieces(algorithm), a(algorithm), b(algorithm);
      whole.update(text);
      for (std::size_t at = 0; at < text.size(); at += 13) pieces.update(text.substr(at, 13));
      a.update(text.substr(0, text.size() / 3));
      b.update(text.substr(text.size() / 3));
      EXPECT_EQ(whole.base64(), pieces.base64());
      EXPECT_EQ(whole.digest(), combine_crcs(algorithm, a.digest(), b.digest(), text.size() - text.size() / 3));
    }
  }
}

TEST(AwsS3, PartSizes) {
  constexpr std::uint64_t kMiB = 1 << 20, kGiB = kMiB << 10, kTiB = kGiB << 10;
  EXPECT_EQ(part_size_for(0), 8 * kMiB);
  EXPECT_EQ(part_size_for(5 * kGiB), 8 * kMiB);
  for (const std::uint64_t size : {80'000 * kMiB, 80'000 * kMiB + 1, 5 * kTiB, 48 * kTiB}) {
    const std::uint64_t part = part_size_for(size);
    EXPECT_LE((size + part - 1) / part, 10'000u);
  }
  EXPECT_THROW(part_size_for(49 * kTiB), Error);
}

TEST(AwsS3, Addresses) {
  EXPECT_EQ(parse_s3_uri("s3://bucket/a/b/").key, "a/b/");
  EXPECT_EQ(parse_s3_uri("s3://bucket").key, "");
  EXPECT_EQ(parse_s3_uri("s3://arn:aws:s3:eu-west-1:1:accesspoint/p/k").bucket, "arn:aws:s3:eu-west-1:1:accesspoint/p");
  for (const char* bad : {"", "s3://", "s3:///key", "bucket/key", "http://x"})
    EXPECT_THROW(parse_s3_uri(bad), Error) << bad;
}

TEST(AwsUri, EncodingIsUndone) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b+*~/ñ"), "a%20b%2B%2A~%2F%C3%B1");
  EXPECT_EQ(percent_decode("%4"), std::nullopt);
  EXPECT_EQ(percent_decode("%zz"), std::nullopt);
}

TEST(AwsUri, SecretsAreLeftOutOfMessages) {
  EXPECT_EQ(redacted("https://user:pass@host/path?X-Amz-Signature=abc#f"), "https://host/path");
}

TEST(AwsTimes, BothForms) {
  EXPECT_EQ(parse_iso_time("2013-05-24T00:00:00.250Z"), 1369353600250);
  EXPECT_EQ(parse_iso_time("2013-05-24T02:00:00+02:00"), 1369353600000);
  EXPECT_EQ(parse_http_time("Fri, 24 May 2013 00:00:00 GMT"), 1369353600000);
  for (const char* bad : {"", "x", "2013-13-24T00:00:00Z", "2013-02-30T00:00:00Z"}) {
    EXPECT_EQ(parse_iso_time(bad), std::nullopt) << bad;
  }
}

TEST(AwsProfile, Ini) {
  const auto sections = parse_ini(
      "\xEF\xBB\xBF# comment\r\n[default]\r\naws_access_key_id = A ; note\r\nkey=a#b\n[profile  x]\ns3 =\n  "
      "endpoint_url = "
      "u\nregion = r\nnonsense\n",
      "file");
  EXPECT_EQ(sections.at("default").at("aws_access_key_id"), "A");
  EXPECT_EQ(sections.at("default").at("key"), "a#b");
  EXPECT_EQ(sections.at("profile x").at("s3.endpoint_url"), "u");
  EXPECT_EQ(sections.at("profile x").at("region"), "r");
}

// Each reader takes or refuses what a few changed bytes make of a good text, and does nothing else.
TEST(AwsReaders, MutatedTexts) {
  const std::string texts[] = {
      ("<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t"
       "</NextContinuationToken><Contents><Key>a%20b</Key><Size>5</Size></Contents></ListBucketResult>"),
      "[default]\nkey = value\n[profile x]\ns3 =\n  a = b\n",
      "https://[::1]:9000/base/path",
      R"({"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"2030-01-01T00:00:00Z"})",
      "s3://bucket/key",
      "<DeleteResult><Error><Key>k</Key><Code>c</Code></Error></DeleteResult>",
  };
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = texts[round % std::size(texts)];
    for (unsigned change = 0; change <= random() % 4; ++change) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, random() % 8);
      } else {
        text[at] = static_cast<char>(random());
      }
      if (text.empty()) text = "x";
    }
    const auto tried = [&](auto reader) {
      try {
        reader();
      } catch (const Error&) {
      }
    };
    tried([&] { parse_list(text); });
    tried([&] { parse_deleted(text); });
    tried([&] { parse_error(text); });
    tried([&] { parse_ini(text, "n"); });
    tried([&] { parse_url(text); });
    tried([&] { parse_credentials_json(text, "n"); });
    tried([&] { parse_s3_uri(text); });
  }
}

}  // namespace
}  // namespace aid::io::aws

// What would be left where the power fails: a name must not reach the disk before the bytes that it stands for, and
// what is told as done must have its name on the disk.
#include <gtest/gtest.h>

#include "io/file.h"
#include "io/sync/sync.h"
#include "tests/io/aws/s3_server.h"
#include "tests/io/system_calls.h"
#include "tests/io/test_files.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;
using io::test::disk;
using io::test::TemporaryFolder;

class PowerLoss : public ::testing::Test {
 protected:
  ~PowerLoss() override { disk.end(); }
  TemporaryFolder folder_;
};

TEST_F(PowerLoss, FetchedFilesHaveTheirBytesBeforeTheirNamesAndTheirNamesBeforeTheyAreNoted) {
  aws::test::S3Server server;
  for (int i = 0; i < 60; ++i) {  // small ones in memory, some in one temporary file, some in parts
    const std::size_t size = i % 10 == 0 ? 300'000 : i % 10 == 1 ? 150'000 : 100;
    server.put("b", "p/a/" + std::to_string(i % 7) + "/x/" + std::to_string(i), std::string(size, 'x'));
  }
  aws::ClientOptions client;
  client.region = "us-east-1";
  client.endpoint_url = server.url();
  client.signing = aws::Signing::anonymous;
  for (const int concurrency : {1, 16}) {  // flushed singly, and many at once
    const fs::path target = folder_ / std::to_string(concurrency);
    fs::create_directory(target);
    Options options{.concurrency = concurrency, .part_size = 200'000};
    options.tell = [&](const std::string& line) { disk.told(target / line.substr(line.find(' ') + 1)); };
    client.connections = concurrency;
    aws::S3Client s3(client);
    disk.begin(target);
    EXPECT_EQ(download(s3, {.bucket = "b", .prefix = "p/", .folders = {"a"}, .target = target}, options).transferred,
              60);
    EXPECT_EQ(disk.faults(), "");
    EXPECT_EQ(disk.renames(), 61);  // and the manifest
    EXPECT_EQ(disk.count_told(), 60);
  }
}

TEST_F(PowerLoss, FilesAndFoldersThatAreReplacedWhole) {
  disk.begin(folder_.path());
  write_atomically(folder_ / "file", "bytes");
  disk.told(folder_ / "file");
  write_atomically(folder_ / "file", "other bytes");
  disk.told(folder_ / "file");
  for (int i = 0; i < 2; ++i) {
    AtomicDirectory model(folder_ / "model");
    std::ofstream(model.path() / "weights") << i;
    fs::create_directory(model.path() / "deep");
    std::ofstream(model.path() / "deep/labels") << i;
    model.commit();
    disk.told(folder_ / "model");
  }
  EXPECT_EQ(disk.faults(), "");
  EXPECT_GE(disk.renames(), 4);
}

}  // namespace
}  // namespace aid::io::sync

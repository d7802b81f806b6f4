// What is sent, and what becomes of uploads that do not end.
#include <unistd.h>

#include "tests/io/sync/sync_fixture.h"

namespace aid::io::sync {
namespace {

TEST_F(Sync, Uploads) {
  for (int i = 0; i < 30; ++i)
    io::test::put(folder_ / ("d/ñ " + std::to_string(i)), random_bytes(static_cast<std::size_t>(i * 100), i));
  io::test::put(folder_ / "large", random_bytes((16 << 20) + 100, 9));
  put("stays", "x");
  settle();
  Report report = send();
  EXPECT_EQ(report.transferred, 31) << problems(report);
  EXPECT_EQ(server_.count("PART"), 3);
  Tree expected = tree_of(folder_.path());
  expected["stays"] = "x";
  EXPECT_EQ(tree_of(server_), expected);

  report = send();
  EXPECT_EQ(report.unchanged, 31);
  EXPECT_EQ(server_.count("PUT") + server_.count("PART"), 0);
  fs::remove_all(folder_ / ".aid-sync");
  report = send();
  EXPECT_EQ(report.adopted, 31);
  EXPECT_EQ(server_.count("PUT") + server_.count("PART"), 0);

  put("d/ñ 5", random_bytes(500, 99));  // there, the same size
  io::test::put(folder_ / "d/ñ 6", random_bytes(600, 98));
  EXPECT_EQ(send().transferred, 2);
  options_.extra = Extra::removed;
  fs::remove(folder_ / "d/ñ 7");
  EXPECT_EQ(send().removed, 2);
  EXPECT_EQ(tree_of(server_), tree_of(folder_.path()));
}

// Changed once more within a tick of the disk's clock, with the same size and time.
TEST_F(Sync, AFileTooYoungForItsTimeToTellIsComparedByContent) {
  const auto soon = fs::file_time_type::clock::now() + std::chrono::hours(1);
  io::test::put(folder_ / "young", "1");
  fs::last_write_time(folder_ / "young", soon);
  EXPECT_EQ(send().transferred, 1);
  io::test::put(folder_ / "young", "2");
  fs::last_write_time(folder_ / "young", soon);
  EXPECT_EQ(send().transferred, 1);
  EXPECT_EQ(tree_of(server_), (Tree{{"young", "2"}}));
  EXPECT_EQ(send().transferred, 0);
}

TEST_F(Sync, AnEmptyFolderDoesNotEmptyABucket) {
  put("a/1", "1");
  options_.extra = Extra::removed;
  EXPECT_TRUE(contains(error_of([&] { send(); }), "is it the right folder?"));
  EXPECT_EQ(tree_of(server_), (Tree{{"a/1", "1"}}));
  io::test::put(folder_ / "2", "2");
  EXPECT_EQ(send().removed, 1);
  EXPECT_EQ(tree_of(server_), (Tree{{"2", "2"}}));
}

TEST_F(Sync, AnUploadInPartsGoesOnWhereItWas) {
  io::test::put(folder_ / "large", random_bytes((40 << 20) + 1, 9));
  options_.concurrency = 1;
  server_.set_fault([](const ServerRequest& request) -> S3Server::Fault {
    const auto part = request.query.find("partNumber");
    return part != request.query.end() && part->second == "3" ? S3Server::Fault{.status = 403, .code = "AccessDenied"}
                                                              : S3Server::Fault{};
  });
  EXPECT_EQ(send().problems.size(), 1u);
  EXPECT_EQ(server_.uploads(), 1u);
  server_.set_fault(nullptr);
  EXPECT_EQ(send().transferred, 1);
  EXPECT_EQ(server_.count("PART"), 1);
  EXPECT_EQ(server_.uploads(), 0u);
  EXPECT_EQ(tree_of(server_), tree_of(folder_.path()));
}

// A run that was cut off before S3's answer with the id came.
TEST_F(Sync, AnUploadWithoutPartsIsEndedByTheNextRunAndNoOtherIs) {
  const std::string name = "large ñ&", key = "p/" + name;
  put("x", "x");
  server_.put("c", "p/x", "x");
  aws::S3Client client(client_options());
  const std::string theirs = client.create_upload({.bucket = "b", .key = key});  // of somebody who sends just now
  client.upload_part({.bucket = "b", .key = key, .upload_id = theirs, .body = std::make_shared<aws::MemoryBody>("1")});
  client.create_upload({.bucket = "b", .key = key + "2"});  // of another key
  for (const bool there : {false, true}) {                  // in either case: the file is gone, or to be sent
    SCOPED_TRACE(there);
    if (there) io::test::put(folder_ / name, random_bytes((16 << 20) + 1, 9));
    client.create_upload({.bucket = "b", .key = key});
    {
      ManifestWriter manifest(folder_.path());
      manifest.begin_partial(name, {.bucket = "b", .key = key, .size = 1, .part_size = 1});
      manifest.finish();
    }
    const Report report = send(there ? "b" : "c");  // wherever the next run sends to
    EXPECT_EQ(report.transferred, there ? 1 : 0) << problems(report);
    EXPECT_EQ(server_.uploads(), 2u);
    EXPECT_TRUE(read_manifest(folder_.path())->partials.empty());
  }
  EXPECT_EQ(client.list_parts({.bucket = "b", .key = key, .upload_id = theirs}).size(), 1u);
}

TEST_F(Sync, AnUploadThatNobodyGoesOnWithIsEnded) {
  const auto refuse = [](const std::string& name, const std::string& value) {
    return [name, value](const ServerRequest& request) -> S3Server::Fault {
      const auto found = request.query.find(name);
      return request.method != "DELETE" && found != request.query.end() && (value.empty() || found->second == value)
                 ? S3Server::Fault{.status = 403, .code = "AccessDenied"}
                 : S3Server::Fault{};
    };
  };
  const auto cut_off = [&](const std::string& bytes) {
    io::test::put(folder_ / "large", bytes);
    settle();
    server_.set_fault(refuse("partNumber", "2"));
    EXPECT_EQ(send().problems.size(), 1u);
    EXPECT_EQ(server_.uploads(), 1u);
    server_.set_fault(nullptr);
  };
  const std::string large = random_bytes((16 << 20) + 1, 9);
  cut_off(large);
  io::test::put(folder_ / "large", "small now");
  EXPECT_EQ(send().transferred, 1);
  EXPECT_EQ(server_.uploads(), 0u);
  cut_off(large);
  io::test::put(folder_ / "large", random_bytes((24 << 20) + 1, 10));
  EXPECT_EQ(send().transferred, 1);
  EXPECT_EQ(server_.uploads(), 0u);
  cut_off(large);
  fs::remove(folder_ / "large");
  EXPECT_EQ(send().transferred, 0);
  EXPECT_EQ(server_.uploads(), 0u);

  // Where the next run sends to another place; where the object is there by then.
  for (const auto& [bucket, prefix] : {std::pair<std::string, std::string>("c", "p/"), {"b", "q/"}}) {
    for (const bool there : {false, true}) {
      cut_off(large);
      server_.put(bucket, prefix + (there ? "large" : "x"), large);
      EXPECT_EQ(send(bucket, prefix).transferred, there ? 0 : 1);
      EXPECT_EQ(server_.uploads(), 0u);
    }
  }
  // Where all parts went and S3 does not make an object of them.
  io::test::put(folder_ / "large", large);
  server_.set_fault([](const ServerRequest& request) -> S3Server::Fault {
    return request.method == "POST" && request.query.contains("uploadId")
               ? S3Server::Fault{.status = 400, .code = "InvalidPart"}
               : S3Server::Fault{};
  });
  EXPECT_EQ(send().problems.size(), 1u);
  EXPECT_EQ(server_.uploads(), 0u);
}

// The files are sent all the same; what stays in the bucket is told.
TEST_F(Sync, AnUploadThatCannotBeEndedIsTold) {
  const auto refuse = [this](const std::string& method, const std::string& name) {
    server_.set_fault([=](const ServerRequest& request) {
      return request.method == method && request.query.contains(name)
                 ? S3Server::Fault{.status = 403, .code = "AccessDenied"}
                 : S3Server::Fault{};
    });
  };
  server_.put("b", "p/x", "x");
  for (const auto& [id, method, query] : {std::tuple("id", "DELETE", "uploadId"), {"", "GET", "uploads"}}) {
    SCOPED_TRACE(method);
    io::test::put(folder_ / "y", random_bytes(9, *method));
    {
      ManifestWriter manifest(folder_.path());
      manifest.begin_partial("large", {.id = id, .bucket = "b", .key = "p/large", .size = 1, .part_size = 1});
      manifest.finish();
    }
    refuse(method, query);
    const Report report = send();
    EXPECT_EQ(report.transferred, 1);
    EXPECT_TRUE(report.problems.empty()) << problems(report);
    ASSERT_EQ(report.left.size(), 1u);
    EXPECT_EQ(report.left[0].path, "s3://b/p/large");
    EXPECT_NE(report.left[0].why.find("AccessDenied"), std::string::npos) << report.left[0].why;
    EXPECT_TRUE(send().left.empty());  // it is not told again
  }
}

TEST_F(Sync, AFolderThatIsReadOnlyIsSentAllTheSame) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  io::test::put(folder_ / "x", "1");
  fs::permissions(folder_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(send().transferred, 1);
  EXPECT_EQ(send().adopted, 1);
  fs::permissions(folder_.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace aid::io::sync

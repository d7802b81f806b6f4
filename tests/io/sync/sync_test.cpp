// What is fetched, what is not, and what is refused.
#include <atomic>

#include "tests/io/sync/sync_fixture.h"

namespace aid::io::sync {
namespace {

TEST_F(Sync, TransfersWhatChangedAndNothingElse) {
  for (int i = 0; i < 40; ++i) put("a/x/" + std::to_string(i), random_bytes(static_cast<std::size_t>(i * i * 200), i));
  put("a/empty", "");
  put("a_other/no", "not below the folder");
  EXPECT_EQ(fetch().transferred, 41);
  Tree expected = tree_of(server_);
  expected.erase("a_other/no");
  EXPECT_EQ(tree_of(folder_.path()), expected);
  const Manifest manifest = read_manifest(folder_.path()).value();
  EXPECT_EQ(manifest.files.size(), 41u);
  EXPECT_TRUE(manifest.partials.empty());
  EXPECT_TRUE(manifest.folders.at("a").complete);
  EXPECT_EQ(manifest.folders.at("a").from, "s3://b/p/a/");
  EXPECT_TRUE(fs::is_empty(folder_ / ".aid-sync/tmp"));

  Report report = fetch();
  EXPECT_EQ(report.unchanged, 41);
  EXPECT_EQ(server_.count("GET") + server_.count("HEAD"), 0);

  const fs::path file = folder_ / "a/x/20";
  const auto time = fs::last_write_time(file);
  put("a/x/20", random_bytes(20 * 20 * 200, 777));  // the same size
  report = fetch();
  EXPECT_EQ(report.transferred, 1);
  EXPECT_EQ(report.unchanged, 40);
  EXPECT_EQ(content_of(file), shown(random_bytes(20 * 20 * 200, 777)));

  io::test::put(file, random_bytes(20 * 20 * 200, 778));  // here, the same size
  EXPECT_EQ(fetch().transferred, 1);
  fs::last_write_time(file, time + std::chrono::hours(1));  // only the time
  report = fetch();
  EXPECT_EQ(report.adopted, 1);
  EXPECT_EQ(server_.count("GET"), 0);
  EXPECT_EQ(fetch().unchanged, 41);
  fs::remove(file);
  EXPECT_EQ(fetch().transferred, 1);
  EXPECT_EQ(content_of(file), shown(random_bytes(20 * 20 * 200, 777)));

  fs::remove_all(folder_ / ".aid-sync");  // the content tells
  report = fetch();
  EXPECT_EQ(report.adopted, 41);
  EXPECT_EQ(server_.count("GET"), 0);
}

TEST_F(Sync, OddKeys) {
  std::string longest;
  while (longest.size() < 1000) longest += std::string(99, 'k') + "/";
  for (const std::string key : {"sp ace", "plus+plus", "100%", "50%25", "ñandú/canción.txt", "emoji 🧾.pdf",
                                "quote'\"", "&<>", "~tilde*!", "@at:colon=eq$", "(p)[b]{c}", "tab\tkey", "new\nline",
                                "日本語", "comma,semi;", "back\\slash", "hash#query?x=1", longest.c_str(), "marker/"}) {
    put(std::string("a/") + key, std::string(key).ends_with('/') && std::string(key).size() < 9 ? "" : key);
  }
  const Report report = fetch();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].path, "a/" + longest);  // ends with '/', and is no empty marker of a folder
  Tree expected = tree_of(server_);
  expected.erase("a/marker/");
  expected.erase("a/" + longest);
  EXPECT_EQ(tree_of(folder_.path()), expected);
  EXPECT_TRUE(fs::is_directory(folder_ / "a/marker"));
  put("a/" + longest + "end", "deep");
  EXPECT_EQ(fetch().transferred, 1);
  EXPECT_EQ(content_of(folder_ / ("a/" + longest + "end")), "deep");
}

TEST_F(Sync, UnsafeKeysAreRefusedByNameAndTheOthersCome) {
  const TemporaryFolder elsewhere;
  put("a/good", "1");
  put("a/../../escaped", "2");
  put("a/x//y", "3");
  put("a/.aid-sync/manifest.jsonl", "4");
  put("a/file", "5");
  put("a/file/below", "6");
  put("a/link/through", "7");
  fs::create_directories(folder_ / "a");
  fs::create_directory_symlink(elsewhere.path(), folder_ / "a/link");
  const Report report = fetch();
  EXPECT_EQ(report.transferred, 2);
  EXPECT_EQ(report.problems.size(), 5u) << problems(report);
  for (const char* name :
       {"a/../../escaped: ", "a/x//y: ", "a/.aid-sync/manifest.jsonl: ", "a/file/below: ", "a/link/through: "}) {
    EXPECT_TRUE(contains(problems(report), name));
  }
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
  EXPECT_FALSE(read_manifest(folder_.path())->folders.at("a").complete);
}

TEST_F(Sync, AFileInTheWayOfAFolderIsNamed) {
  put("a/x/y", "1");
  put("a/z", "2");
  io::test::put(folder_ / "a/x", "in the way");
  fs::create_directories(folder_ / "a/z/full");
  const Report report = fetch();
  EXPECT_EQ(report.problems.size(), 2u);
  EXPECT_TRUE(contains(problems(report), "is a file or a link; a folder is needed there"));
  EXPECT_TRUE(contains(problems(report), "a folder is where a file is needed"));
  EXPECT_EQ(content_of(folder_ / "a/x"), "in the way");
}

TEST_F(Sync, NothingBelowThePrefixListsWhatThereIs) {
  put("a/1", "1");
  put("bb/1", "1");
  EXPECT_TRUE(contains(error_of([&] {
                         fetch({"a", "c"});
                       }),
                       "nothing is below 's3://b/p/c/'; 's3://b/p/' has a/, bb/"));
  EXPECT_TRUE(contains(error_of([&] { fetch({"a/deep/er"}); }), "'s3://b/p/a/' has 1"));
  EXPECT_TRUE(contains(error_of([&] { fetch({"a", "a/b"}); }), "hold the same"));
  EXPECT_TRUE(contains(error_of([&] { fetch({"../a"}); }), "cannot be a folder"));
  EXPECT_TRUE(tree_of(folder_.path()).empty());
  EXPECT_FALSE(fs::exists(folder_ / ".aid-sync"));
}

TEST_F(Sync, LargeObjectsComeInPartsAndGoOnWhereTheyWere) {
  const std::string bytes = random_bytes((64 << 10) * 20 + 5, 1);
  put("a/large", bytes);
  options_.concurrency = 2;
  std::atomic<int> gets{0};
  options_.interrupted = [&] { return gets > 12; };
  server_.set_fault([&](const ServerRequest& request) -> S3Server::Fault {
    gets += request.method == "GET" && !request.key.empty();
    return {};
  });
  Report report = fetch();
  EXPECT_TRUE(report.interrupted);
  EXPECT_TRUE(report.problems.empty()) << problems(report);
  EXPECT_TRUE(tree_of(folder_.path()).empty());
  const std::size_t done = read_manifest(folder_.path())->partials.at("a/large").parts.size();
  EXPECT_GE(done, 8u);
  EXPECT_LT(done, 21u);
  options_.interrupted = nullptr;
  report = fetch();
  EXPECT_EQ(report.transferred, 1);
  EXPECT_EQ(server_.count("GET"), 21 - static_cast<int>(done));
  EXPECT_EQ(content_of(folder_ / "a/large"), shown(bytes));
  EXPECT_TRUE(read_manifest(folder_.path())->partials.empty());
  EXPECT_TRUE(fs::is_empty(folder_ / ".aid-sync/tmp"));
}

TEST_F(Sync, WrongPartsAreFoundByTheChecksumOfTheWhole) {
  aws::test::StoredObject object = aws::test::stored(random_bytes(200'000, 2));
  object.crc64nvme = aws::test::stored("other").crc64nvme;
  server_.put("b", "p/a/lie", object);
  object.crc64nvme.clear();
  object.etag = aws::test::stored("other").etag;
  server_.put("b", "p/a/md5", object);
  const Report report = fetch();
  EXPECT_EQ(report.problems.size(), 2u) << problems(report);
  EXPECT_TRUE(tree_of(folder_.path()).empty());
  put("a/lie", random_bytes(200'000, 2));
  put("a/md5", random_bytes(200'000, 2));
  EXPECT_EQ(fetch().transferred, 2);
}

TEST_F(Sync, AnObjectThatChangesMeanwhileComesAsItIsThen) {
  for (const std::size_t size : {100u, 60'000u, 500'000u}) {
    SCOPED_TRACE(size);
    put("a/moving", random_bytes(size, 1));
    bool once = false;
    server_.set_fault([&](const ServerRequest& request) -> S3Server::Fault {
      const bool get = request.method == "GET" && !request.key.empty();
      if (!get || std::exchange(once, true)) return {};
      return {.status = 412, .code = "PreconditionFailed"};
    });
    const Report report = fetch();
    EXPECT_EQ(report.transferred, 1) << problems(report);
    EXPECT_EQ(content_of(folder_ / "a/moving"), shown(random_bytes(size, 1)));
  }
}

// Listed, and gone when it is asked for: small, whole and in parts.
TEST_F(Sync, AnObjectThatIsRemovedMeanwhileIsNamed) {
  for (const std::size_t size : {100u, 60'000u, 500'000u}) put("a/" + std::to_string(size), random_bytes(size, 1));
  put("a/stays", "1");
  server_.set_fault([&](const ServerRequest& request) -> S3Server::Fault {
    const bool object = request.method != "PUT" && !request.key.empty() && request.key != "p/a/stays";
    return object ? S3Server::Fault{.status = 404, .code = "NoSuchKey"} : S3Server::Fault{};
  });
  const Report report = fetch();
  EXPECT_EQ(report.transferred, 1);
  EXPECT_EQ(report.problems.size(), 3u) << problems(report);
  EXPECT_EQ(tree_of(folder_.path()), (Tree{{"a/stays", "1"}}));
  server_.set_fault(nullptr);
  EXPECT_EQ(fetch().transferred, 3);
}

TEST_F(Sync, FaultsEndInTheRightTree) {
  for (int i = 0; i < 60; ++i) put("a/" + std::to_string(i), random_bytes(static_cast<std::size_t>(i * 3'000), i));
  std::mt19937 random(3);
  server_.set_fault([&](const ServerRequest&) -> S3Server::Fault {
    switch (random() % 12) {
      case 0:
        return {.status = 503, .code = "SlowDown"};
      case 1:
        return {.status = 500, .code = "InternalError"};
      case 2:
        return {.status = -1};
      default:
        return {};
    }
  });
  // A client gives up after so many retries: what failed comes with the next run.
  Report report;
  for (int run = 0; run < 20; ++run) {
    try {
      report = fetch();
    } catch (const Error&) {  // the first page of the list
      continue;
    }
    for (const auto& [path, bytes] : tree_of(folder_.path())) {
      ASSERT_EQ(bytes, shown(*server_.objects("b").at("p/" + path).bytes)) << path;
    }
    if (report.problems.empty()) break;
  }
  EXPECT_TRUE(report.problems.empty()) << problems(report);
  EXPECT_EQ(tree_of(folder_.path()), tree_of(server_));
}

TEST_F(Sync, SingleObjectsThatCannotBeHadAreListed) {
  for (int i = 0; i < 20; ++i) put("a/" + std::to_string(i), "x");
  server_.set_fault([](const ServerRequest& request) -> S3Server::Fault {
    return request.key == "p/a/7" ? S3Server::Fault{.status = 403, .code = "AccessDenied"} : S3Server::Fault{};
  });
  const Report report = fetch();
  EXPECT_EQ(report.transferred, 19);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].path, "a/7");
  EXPECT_TRUE(contains(report.problems[0].why, "AccessDenied"));
}

TEST_F(Sync, ExtrasStayOrGoAsAsked) {
  put("a/1", "1");
  put("a/keep.tmp", "2");
  fetch();
  io::test::put(folder_ / "a/extra/deep/file", "x");
  io::test::put(folder_ / "a/other.tmp", "x");
  io::test::put(folder_ / "other/file", "x");
  fs::create_symlink(folder_ / "other/file", folder_ / "a/link");
  options_.filters = {{Choice::exclude, "*.tmp"}};
  EXPECT_EQ(fetch().removed, 0);
  options_.extra = Extra::removed;
  options_.mode = Mode::dry_run;
  std::vector<std::string> lines;
  options_.tell = [&](const std::string& line) { lines.push_back(line); };
  EXPECT_EQ(fetch().removed, 2);
  EXPECT_EQ(lines, (std::vector<std::string>{"would remove a/extra/deep/file", "would remove a/link"}));
  EXPECT_EQ(tree_of(folder_.path()).size(), 6u);
  options_.mode = Mode::real;
  EXPECT_EQ(fetch().removed, 2);
  EXPECT_EQ(tree_of(folder_.path()),
            (Tree{{"a/1", "1"}, {"a/keep.tmp", "2"}, {"a/other.tmp", "x"}, {"other/file", "x"}}));
  EXPECT_FALSE(fs::exists(folder_ / "a/extra"));
}

TEST_F(Sync, ExtrasStayWhereTheRunWasNotWhole) {
  put("a/1", "1");
  put("a//bad", "1");
  io::test::put(folder_ / "a/extra", "x");
  options_.extra = Extra::removed;
  EXPECT_EQ(fetch().removed, 0);
  EXPECT_TRUE(fs::exists(folder_ / "a/extra"));
}

TEST_F(Sync, ADryRunChangesNothing) {
  put("a/1", "1");
  put("a/2", "2");
  options_.mode = Mode::dry_run;
  std::vector<std::string> lines;
  options_.tell = [&](const std::string& line) { lines.push_back(line); };
  fetch();
  EXPECT_EQ(lines, (std::vector<std::string>{"would get a/1", "would get a/2"}));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(Sync, AHundredThousandKeys) {
  S3Server server;
  const aws::test::StoredObject object = aws::test::stored("x");
  for (int i = 0; i < 100'000; ++i) {
    server.put("b", "p/a/" + std::to_string(i % 100) + "/" + std::to_string(i), object);
  }
  aws::ClientOptions client = client_options();
  client.endpoint_url = server.url();
  aws::S3Client s3(client);
  options_.mode = Mode::dry_run;
  long long told = 0;
  options_.tell = [&](const std::string&) { ++told; };
  download(s3, {.bucket = "b", .prefix = "p/", .folders = {""}, .target = folder_ / "t"}, options_);
  EXPECT_EQ(told, 100'000);
  EXPECT_EQ(server.count("LIST"), 100);
}

TEST_F(Sync, SizesBeyond32Bits) {
  constexpr std::uint64_t kSize = (std::uint64_t{5} << 30) + 3;
  aws::test::StoredObject object = aws::test::stored(random_bytes(1'000'003, 5));
  object.size = kSize;
  server_.put("b", "p/a/huge", object);
  options_.mode = Mode::dry_run;
  Totals totals;
  options_.progress = [&](const Totals& now) { totals = now; };
  fetch();
  EXPECT_EQ(totals.bytes, static_cast<long long>(kSize));
  // The last part, of the size that downloads have.
  struct Sink final : aws::ObjectSink {
    void begin(const aws::ObjectInfo&) override { bytes.clear(); }
    void write(std::span<const std::byte> more) override {
      bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
    }
    std::string bytes;
  };
  const auto sink = std::make_shared<Sink>();
  aws::S3Client client(client_options());
  const std::uint64_t first = std::uint64_t{5} << 30;
  const aws::ObjectInfo info = client.get({.bucket = "b",
                                           .key = "p/a/huge",
                                           .range = aws::ByteRange{.first = first, .count = 3},
                                           .if_match = object.etag,
                                           .sink = sink});
  EXPECT_EQ(info.size, kSize);
  EXPECT_EQ(sink->bytes, object.bytes->substr(first % object.bytes->size(), 3));
}

TEST_F(Sync, OverTls) {
  aws::test::make_certificate(folder_ / "cert", folder_ / "key");
  S3Server server({.certificate = folder_ / "cert", .key = folder_ / "key"});
  for (int i = 0; i < 30; ++i) {
    server.put("b", "p/a/" + std::to_string(i), random_bytes(static_cast<std::size_t>(i * 10'000), i));
  }
  aws::ClientOptions client = client_options();
  client.endpoint_url = server.url();
  const Download what{.bucket = "b", .prefix = "p/", .folders = {""}, .target = folder_ / "t"};
  {
    aws::S3Client untrusting(client);
    EXPECT_NE(error_of([&] { download(untrusting, what, options_); }), "");
  }
  client.ca_bundle = folder_ / "cert";
  aws::S3Client s3(client);
  EXPECT_EQ(download(s3, what, options_).transferred, 30);
  EXPECT_EQ(tree_of(folder_ / "t"), tree_of(server));
}

}  // namespace
}  // namespace aid::io::sync

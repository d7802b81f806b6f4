// `aid sync` as a user runs it, and what is left of a run that is killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <random>
#include <thread>

#include "tests/io/aws/s3_server.h"
#include "tests/tools/program.h"

namespace aid::tools {
namespace {

namespace fs = std::filesystem;
using io::aws::test::S3Server;
using io::test::contains;
using io::test::TemporaryFolder;
using test::Outcome;
using test::quoted;

class SyncProgram : public ::testing::Test {
 protected:
  // In memory where that can be: hundreds of runs that flush to a busy disk take minutes.
  static void SetUpTestSuite() {
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  }
  static void TearDownTestSuite() { ::unsetenv("TMPDIR"); }
  void SetUp() override {
    ::unsetenv("AWS_PROFILE");
    ::setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
  }
  std::string flags() const { return " --no-sign-request --region us-east-1 --endpoint-url " + server_.url(); }
  Outcome sync(const std::string& arguments) const { return test::run_aid("sync " + arguments + flags()); }

  std::string random_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  std::map<std::string, std::string> tree() const {
    std::map<std::string, std::string> found;
    for (fs::recursive_directory_iterator it(folder_.path()), end; it != end; ++it) {
      if (it->path().filename() == ".aid-sync") {
        it.disable_recursion_pending();
      } else if (it->is_regular_file()) {
        found[it->path().lexically_relative(folder_.path()).string()] = io::read_text(it->path());
      }
    }
    return found;
  }
  std::map<std::string, std::string> objects() const {
    std::map<std::string, std::string> found;
    for (const auto& [key, object] : server_.objects("b")) found[key] = *object.bytes;
    return found;
  }

  S3Server server_;
  TemporaryFolder folder_;
  std::mt19937 random_{42};
};

TEST_F(SyncProgram, FetchesSendsAndTells) {
  server_.put("b", "data/train/x/1.txt", "one");
  server_.put("b", "data/train/x/2.log", "two");
  server_.put("b", "data/val/1.txt", "three");
  const std::string target = quoted(folder_ / "t");
  Outcome run = sync("s3://b/data train,val " + target + " --exclude '*' --include '*.txt' --dry-run");
  EXPECT_EQ(run.out, "would get train/x/1.txt\nwould get val/1.txt\n") << run.err;
  EXPECT_FALSE(fs::exists(folder_ / "t"));
  run = sync("s3://b/data/ train,val/ " + target);
  EXPECT_EQ(run.status, 0);
  EXPECT_TRUE(contains(run.err, "aid: 3 files (0.0 MB) fetched, 0 up to date"));
  EXPECT_EQ(tree().size(), 3u);
  run = sync("s3://b/data/ . " + target + " --quiet");
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(sync(target + " s3://b/copy").status, 0);
  EXPECT_EQ(*server_.objects("b").at("copy/train/x/1.txt").bytes, "one");
  run = sync("s3://b/data/ test " + target);
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(contains(run.err, "'s3://b/data/' has train/, val/"));
  server_.put("b", "data/val/../up", "x");
  run = sync("s3://b/data/ val " + target);
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, "val/../up: its name has '..' for a folder"));
  EXPECT_EQ(sync("here there").status, 2);
}

TEST_F(SyncProgram, TakesTheOriginalScriptsArguments) {
  server_.put("b", "data/train/1.txt", "one");
  server_.put("b", "data/val/1.txt", "two");
  const fs::path link = fs::path(AID_PROGRAM).parent_path() / "s3_sync_dataset";
  const std::string command = "cd " + quoted(folder_.path()) + " && AWS_ENDPOINT_URL=" + server_.url() +
                              " AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y AWS_REGION=us-east-1 " + quoted(link) +
                              " s3://b/data/ train,val 2>err";
  EXPECT_EQ(std::system(command.c_str()), 0) << io::read_text(folder_ / "err");
  EXPECT_EQ(io::read_text(folder_ / "temp_data/val/1.txt"), "two");
}

// A process that runs `aid sync`.
class Child {
 public:
  explicit Child(const std::string& command) : child_(::fork()) {
    if (child_ == 0) {
      ::execl("/bin/sh", "sh", "-c", ("exec " + command + " >/dev/null 2>&1").c_str(), nullptr);
      ::_exit(127);
    }
  }
  void end_by(int signal) const { ::kill(child_, signal); }
  int wait() const {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return status;
  }

 private:
  pid_t child_;
};

// To choose moments in it. Not longer than most are: the first may have met a machine that is busy.
std::chrono::microseconds length_of_a_run(const std::string& command) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Child(command).wait(), 0);
  const auto length = std::chrono::steady_clock::now() - begin;
  return std::min(std::chrono::duration_cast<std::chrono::microseconds>(length), std::chrono::microseconds(100'000));
}

TEST_F(SyncProgram, KilledAtAnyMomentItGoesOnToTheSameTree) {
  for (int i = 0; i < 40; ++i) server_.put("b", "x/" + std::to_string(i), random_bytes(random_() % 5'000));
  for (int i = 0; i < 3; ++i) server_.put("b", "large/" + std::to_string(i), random_bytes((2 << 20) + i * 300'000));
  const std::string command =
      AID_PROGRAM " sync s3://b/ . " + quoted(folder_.path()) + " --part-size 1 --quiet" + flags();
  const auto whole = length_of_a_run(command);
  ASSERT_EQ(tree(), objects());

  int killed = 0;
  auto before = objects();
  for (int round = 0; round < 200; ++round) {
    // Something is there to do each time: small objects of the same size and of others, and a large one.
    for (int i = 0; i < 12; ++i) {
      const std::string key = "x/" + std::to_string(random_() % 40);
      server_.put("b", key, random_bytes(round % 2 == 0 ? before.at(key).size() : random_() % 5'000));
    }
    const std::string large = "large/" + std::to_string(round % 3);
    server_.put("b", large, random_bytes(before.at(large).size()));
    const auto after = objects();
    const Child run(command);
    std::this_thread::sleep_for(whole * (random_() % 1'000) / 1'000);
    run.end_by(SIGKILL);
    killed += WIFSIGNALED(run.wait());
    // Each file is whole, as it was or as it is.
    for (const auto& [path, bytes] : tree()) {
      ASSERT_TRUE(bytes == before.at(path) || bytes == after.at(path)) << path << " in round " << round;
    }
    ASSERT_EQ(Child(command).wait(), 0) << "round " << round;
    ASSERT_TRUE(tree() == after) << "round " << round;
    ASSERT_TRUE(fs::is_empty(folder_ / ".aid-sync/tmp")) << "round " << round;
    before = after;
  }
  RecordProperty("killed", killed);
  EXPECT_GT(killed, 0);
}

TEST_F(SyncProgram, KilledWhileItSendsItGoesOnToTheSameObjects) {
  const auto change = [&](const std::string& name, std::size_t size) {
    io::test::put(folder_ / name, random_bytes(size));
    // As if some time had passed since: what was sent is then known by its time.
    fs::last_write_time(folder_ / name, fs::file_time_type::clock::now() - std::chrono::seconds(1));
  };
  for (int i = 0; i < 40; ++i) change("x/" + std::to_string(i), random_() % 5'000);
  server_.put("b", "x/0", "");  // so that there is a bucket
  const std::string command = AID_PROGRAM " sync " + quoted(folder_.path()) + " s3://b/ --quiet" + flags();
  const auto whole = length_of_a_run(command);
  auto before = tree();
  ASSERT_TRUE(objects() == before);

  int killed = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 12; ++i) {
      const std::string name = "x/" + std::to_string(random_() % 40);
      change(name, round % 2 == 0 ? before.at(name).size() : random_() % 5'000);
    }
    const bool large = round % 20 == 0;  // in parts
    if (large) change("large", (16 << 20) + 1'000);
    const auto after = tree();
    const Child run(command);
    std::this_thread::sleep_for(whole * (large ? 4 : 1) * (random_() % 1'000) / 1'000);
    run.end_by(SIGKILL);
    killed += WIFSIGNALED(run.wait());
    for (const auto& [key, bytes] : objects()) {
      const auto old = before.find(key);
      ASSERT_TRUE(bytes == after.at(key) || (old != before.end() && bytes == old->second))
          << key << ", round " << round;
    }
    ASSERT_EQ(Child(command).wait(), 0) << "round " << round;
    ASSERT_TRUE(objects() == after) << "round " << round;
    ASSERT_EQ(server_.uploads(), 0u) << "round " << round;
    before = after;
    if (!large) continue;
    fs::remove(folder_ / "large");
    server_.remove("b", "large");
    before.erase("large");
  }
  RecordProperty("killed", killed);
  EXPECT_GT(killed, 0);
}

// At the moments at which a multipart upload could be left behind for ever: S3 has begun it and the run does not know
// its id yet; the run knows it and no part is done.
TEST_F(SyncProgram, KilledBeforeTheFirstPartItLeavesNoUploadBehind) {
  const std::string bytes = random_bytes((16 << 20) + 1'000);
  io::test::put(folder_ / "large", bytes);
  server_.put("b", "x", "");  // so that there is a bucket
  const std::string command = AID_PROGRAM " sync " + quoted(folder_.path()) + " s3://b/ --quiet" + flags();
  for (const std::string moment : {"uploads", "partNumber"}) {
    SCOPED_TRACE(moment);
    std::promise<void> reached;
    server_.set_fault([&, first = true](const io::aws::test::ServerRequest& request) mutable -> S3Server::Fault {
      if (!request.query.contains(moment)) return {};
      if (std::exchange(first, false)) reached.set_value();
      return {.status = -2};
    });
    const Child run(command);
    reached.get_future().wait();
    run.end_by(SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(run.wait()));
    server_.set_fault(nullptr);
    EXPECT_EQ(server_.uploads(), 1u);
    ASSERT_EQ(Child(command).wait(), 0);
    EXPECT_EQ(server_.uploads(), 0u);
    EXPECT_TRUE(*server_.objects("b").at("large").bytes == bytes);
    server_.remove("b", "large");
  }
}

// Lists of objects, names, the manifest: all that grows with their number.
TEST_F(SyncProgram, AHundredThousandObjectsFitInto100MiB) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's memory is not the program's";
#endif
  const io::aws::test::StoredObject object = io::aws::test::stored("x");
  for (int i = 0; i < 100'000; ++i) {
    server_.put("b", "clasificacion/tipologia " + std::to_string(i % 60) + "/documento-" + std::to_string(i) + ".txt",
                object);
  }
  // Started by a small process: the system counts to a child what its parent had when it was started.
  const auto mebibytes_of = [&](const std::string& arguments) {
    const std::string script =
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[2:], check=True)\n"
        "open(sys.argv[1], \"w\").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))";
    EXPECT_EQ(Child("python3 -c '" + script + "' " + quoted(folder_ / "peak") + " " AID_PROGRAM " sync " + arguments +
                    " --quiet" + flags())
                  .wait(),
              0);
    return std::stoi(io::read_text(folder_ / "peak"));
  };
  const std::string target = quoted(folder_ / "target");
  EXPECT_LT(mebibytes_of("s3://b/ . " + target), 100);
  EXPECT_EQ(server_.count("GET"), 100'000);
  EXPECT_LT(mebibytes_of("s3://b/ . " + target), 100);  // nothing to do
  EXPECT_LT(mebibytes_of(target + " s3://b/"), 100);
  EXPECT_EQ(server_.count("GET") + server_.count("PUT"), 100'000);
}

TEST_F(SyncProgram, APresignedAddressIsNotRepeated) {
  for (const std::string arguments : {"'https://u:PASS@b.s3.amazonaws.com/x?X-Amz-Signature=SECRET' here",
                                      "'https://b.s3.amazonaws.com/x?X-Amz-Signature=SECRET' s3://b/",
                                      "here 'https://b.s3.amazonaws.com/x?X-Amz-Signature=SECRET'",
                                      "s3://b/ . here --endpoint-url 'http://u:PASS@localhost/?token=SECRET'"}) {
    const Outcome run = test::run_aid("sync " + arguments + " --no-sign-request");
    EXPECT_EQ(run.status, 2) << run.err;
    EXPECT_EQ(run.err.find("SECRET"), std::string::npos) << run.err;
    EXPECT_EQ(run.err.find("PASS"), std::string::npos) << run.err;
  }
}

TEST_F(SyncProgram, InterruptedItSaysSoAndGoesOn) {
  for (int i = 0; i < 200; ++i) server_.put("b", std::to_string(i), "x");
  int gets = 0;
  pid_t self = 0;
  // The server interrupts the program in the midst of its work.
  server_.set_fault([&](const io::aws::test::ServerRequest& request) -> S3Server::Fault {
    if (request.method == "GET" && !request.key.empty() && ++gets == 100) ::kill(self, SIGINT);
    return {};
  });
  self = ::fork();
  if (self == 0) {
    const std::string command =
        "exec " AID_PROGRAM " sync s3://b/ . " + quoted(folder_.path()) + flags() + " --concurrency 4 2>/dev/null";
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(self, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const std::size_t there = tree().size();
  EXPECT_LT(there, 200u);
  server_.set_fault(nullptr);
  server_.reset_counts();
  EXPECT_EQ(sync("s3://b/ . " + quoted(folder_.path())).status, 0);
  EXPECT_EQ(tree().size(), 200u);
  EXPECT_EQ(server_.count("GET"), 200 - static_cast<int>(there));
}

}  // namespace
}  // namespace aid::tools

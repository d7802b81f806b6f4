#include "io/file.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "tests/io/system_calls.h"
#include "tests/io/test_files.h"

namespace aid::io {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::error_of;
using test::exchange_unsupported;
using test::put;
using test::TemporaryFolder;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

TEST(File, ReadsWholeFiles) {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\n", 4);
  put(folder / "f", bytes);
  put(folder / "empty", "");
  EXPECT_EQ(read_text(folder / "f"), bytes);
  EXPECT_EQ(read_text(folder / "empty"), "");
  EXPECT_FALSE(read_text("/proc/self/status").empty());  // says that it is empty
  const MappedFile mapped(folder / "f");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()), bytes);
  EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
}

TEST(File, SaysWhatCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(error_of([&] { read_text(folder / "no"); }), "/no': No such file or directory"));
  EXPECT_TRUE(contains(error_of([&] { read_text(folder.path()); }), "Is a directory"));
  EXPECT_TRUE(contains(error_of([&] { MappedFile(folder.path()); }), "Is a directory"));
  EXPECT_TRUE(contains(error_of([&] { MappedFile("/dev/null"); }), "not a regular file"));
}

TEST(AtomicFile, AppearsOnCommitOnly) {
  const TemporaryFolder folder;
  put(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new");
    EXPECT_EQ(read_text(folder / "f"), "old");
  }
  EXPECT_EQ(read_text(folder / "f"), "old");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"f"});
  write_atomically(folder / "f", "new");
  EXPECT_EQ(read_text(folder / "f"), "new");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"f"});
}

TEST(AtomicFile, FollowsLinksAndWritesToDevices) {
  const TemporaryFolder folder;
  put(folder / "real", "old");
  fs::create_symlink("real", folder / "link");
  write_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_text(folder / "real"), "new");
  write_atomically("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(contains(error_of([] { write_atomically("/dev/full", "x"); }),
                       "cannot write '/dev/full': No space left on device (1 bytes needed"));
}

TEST(AtomicFile, SaysWhatCannotBeWritten) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(error_of([&] { write_atomically(folder / "no/f", "x"); }), "no/f': No such file or directory"));
  EXPECT_TRUE(contains(error_of([&] { write_atomically(folder.path(), "x"); }), "it is a folder"));
}

TEST(AtomicFile, RemovesLeftoversOfDeadWritersOnly) {
  const TemporaryFolder folder;
  AtomicFile alive(folder / "f");
  alive.write("alive");
  put(folder / ".f.tmp-0123456789ab", "left by a dead writer");
  put(folder / ".f.tmp-mine", "of a person");
  put(folder / ".g.tmp-0123456789ab", "another file's");
  write_atomically(folder / "f", "second");
  EXPECT_EQ(names_in(folder.path()).count(".f.tmp-0123456789ab"), 0u);
  alive.commit();
  EXPECT_EQ(read_text(folder / "f"), "alive");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"f", ".f.tmp-mine", ".g.tmp-0123456789ab"}));
}

// A limit on file sizes ends in the same place as a full disk, and needs no disk to fill.
TEST(AtomicFile, LeavesTheOldFileWhenAFileCannotGrow) {
  const TemporaryFolder folder;
  put(folder / "f", "old");
  const auto previous_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit previous{};
  ::getrlimit(RLIMIT_FSIZE, &previous);
  const rlimit limit{.rlim_cur = 1 << 20, .rlim_max = previous.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const std::string big(2 << 20, 'x');
  const std::string reserved = error_of([&] { write_atomically(folder / "f", big); });
  const std::string written = error_of([&] {
    AtomicFile file(folder / "f");
    file.write(big);
    file.commit();
  });
  ::setrlimit(RLIMIT_FSIZE, &previous);
  ::signal(SIGXFSZ, previous_handler);
  EXPECT_TRUE(contains(reserved, "/f': File too large (2097152 bytes needed, "));
  EXPECT_TRUE(contains(written, "/f': File too large (2097152 bytes needed, "));
  EXPECT_EQ(read_text(folder / "f"), "old");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"f"});
}

// Runs `body` in a child of its own mount namespace with a 64 KiB file system at `folder`. False where that is not
// allowed.
template <class Body>
bool on_a_small_disk(const fs::path& folder, Body body) {
  constexpr int kNotAllowed = 77;
  const pid_t child = ::fork();
  if (child == 0) {
    if ((::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") != 0) {
      ::_exit(kNotAllowed);
    }
    body();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowed) return false;
  EXPECT_EQ(status, 0);
  return true;
}

TEST(AtomicFile, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const bool allowed = on_a_small_disk(folder.path(), [&] {
    put(folder / "f", "old");
    const std::string big(1 << 20, 'x');
    EXPECT_TRUE(contains(error_of([&] { write_atomically(folder / "f", big); }),
                         "/f': No space left on device (1048576 bytes needed, "));
    EXPECT_TRUE(contains(error_of([&] { AtomicFile(folder / "f").write(big); }),
                         "/f': No space left on device (1048576 bytes needed, "));
    EXPECT_EQ(read_text(folder / "f"), "old");
    EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"f"});
    EXPECT_TRUE(contains(error_of([&] {
                           AtomicDirectory model(folder / "model");
                           write_atomically(model.path() / "f", big);
                         }),
                         "No space left on device"));
    EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"f"});
  });
  if (!allowed) GTEST_SKIP() << "no right to mount a small file system here";
}

TEST(AtomicDirectory, AppearsOnCommitOnly) {
  for (const bool unsupported : {false, true}) {
    exchange_unsupported = unsupported;
    const TemporaryFolder folder;
    {
      AtomicDirectory unfinished(folder / "model");
      write_atomically(unfinished.path() / "f", "x");
    }
    EXPECT_TRUE(names_in(folder.path()).empty());
    for (const std::string text : {"first", "second"}) {
      AtomicDirectory model(folder / "model/");
      fs::create_directory(model.path() / text);
      write_atomically(model.path() / text / "f", text);
      model.commit();
    }
    EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"model"});
    EXPECT_EQ(names_in(folder / "model"), std::set<std::string>{"second"});
    EXPECT_EQ(read_text(folder / "model/second/f"), "second");
  }
  exchange_unsupported = false;
}

TEST(AtomicDirectory, DoesNotReplaceAFile) {
  const TemporaryFolder folder;
  put(folder / "model", "a file");
  EXPECT_TRUE(contains(error_of([&] { AtomicDirectory(folder / "model"); }), "a file of that name is in its place"));
}

TEST(AtomicDirectory, PutsBackWhatADeadWriterHadMovedAway) {
  const TemporaryFolder folder;
  put(folder / ".model.old-0123456789ab/f", "old");
  recover_directory(folder / "model");
  EXPECT_EQ(read_text(folder / "model/f"), "old");
  put(folder / ".model.old-0123456789ab/f", "older");
  recover_directory(folder / "model");
  EXPECT_EQ(read_text(folder / "model/f"), "old");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"model"});
}

// A child replaces a folder of five files over and over; whenever it is killed, the five are there and of one
// generation. The moment is drawn in units of the time that a replacement takes, so that it falls anywhere in one on a
// fast disk and on a slow one.
void kill_at_random_moments(bool unsupported, unsigned seed) {
  constexpr int kRounds = 40;
  const TemporaryFolder folder;
  const fs::path target = folder / "model";
  std::mt19937 random(seed);
  int generation = 0;
  for (int round = 0; round < kRounds; ++round) {
    int done[2];
    ASSERT_EQ(::pipe(done), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      exchange_unsupported = unsupported;
      for (int next = generation + 1;; ++next) {
        AtomicDirectory model(target);
        for (int file = 0; file < 5; ++file)
          write_atomically(model.path() / std::to_string(file), std::to_string(next));
        model.commit();
        if (::write(done[1], "", 1) != 1) ::_exit(1);
      }
    }
    ::close(done[1]);
    const auto start = std::chrono::steady_clock::now();
    char byte = 0;
    ASSERT_EQ(::read(done[0], &byte, 1), 1);  // the first replacement is there
    const auto took = std::chrono::steady_clock::now() - start;
    std::this_thread::sleep_for(took * std::uniform_real_distribution<>(0, 2)(random));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(done[0]);
    ASSERT_TRUE(WIFSIGNALED(status));
    if (unsupported) recover_directory(target);
    const std::string first = read_text(target / "0");
    for (const char* name : {"1", "2", "3", "4"}) EXPECT_EQ(read_text(target / name), first);
    ASSERT_GT(std::stoi(first), generation);
    generation = std::stoi(first);
  }
  recover_directory(target);
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"model"});
}

TEST(AtomicDirectory, IsWholeWheneverItsWriterIsKilled) { kill_at_random_moments(false, 1); }
TEST(AtomicDirectory, IsWholeAfterRecoveryWhereNamesCannotBeExchanged) { kill_at_random_moments(true, 2); }

TEST(LockedDirectory, IsOneProcessAtATime) {
  const TemporaryFolder folder;
  const fs::path path = folder / "a/work";
  {
    const LockedDirectory mine(path);
    EXPECT_TRUE(contains(error_of([&] { LockedDirectory second(path); }),
                         "a/work': another process is working in this folder; wait until it ends"));
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  {
    const LockedDirectory next(path);
    put(path / "f", "kept");
  }
  EXPECT_EQ(read_text(path / "f"), "kept");
  EXPECT_EQ(LockedDirectory(path).path(), path);  // the lock is gone, the file does not matter
  EXPECT_TRUE(contains(error_of([&] { LockedDirectory file(path / "f"); }), "cannot write '"));
}

}  // namespace
}  // namespace aid::io

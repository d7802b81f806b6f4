#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aid::io {

// The whole of a regular file, a pipe or a device. Throws Error.
std::string read_text(const std::filesystem::path& path);

// A regular file mapped for reading. The pages belong to the page cache, so that programs that read the same weights
// share them. Whoever shortens the file while it is mapped ends this program with SIGBUS: AtomicFile never does that.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// Throws what the writers of this page throw for an errno of the system: DiskError where the disk is full or fails,
// else Error. needed: bytes that the file was to have, where they are known.
[[noreturn]] void fail_writing(const std::filesystem::path& path, int error, std::uint64_t needed = 0);

// A temporary file or folder beside its target that belongs to this process as long as it is locked. The kernel drops
// the lock of a process that dies, whatever killed it, so a temporary name that can be locked is a leftover and is
// removed by the next writer of the same target.
class TemporarySibling {
 public:
  enum class Kind { file, directory };

  TemporarySibling(const std::filesystem::path& target, Kind kind);
  ~TemporarySibling();  // removes what then has the temporary name
  TemporarySibling(const TemporarySibling&) = delete;
  TemporarySibling& operator=(const TemporarySibling&) = delete;

  const std::filesystem::path& target() const { return target_; }  // absolute, links followed
  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// A file that appears under its name only when it is whole: written under a temporary name in the same folder; commit()
// flushes it to the disk and renames it. Without commit() the destructor removes it and the old file stays as it was.
// A link's target is replaced, not the link; a pipe or device (/dev/stdout) is written to as it comes.
class AtomicFile {
 public:
  // expected_bytes, where it is known, is reserved at once: a disk too small is found before the work, not after.
  explicit AtomicFile(const std::filesystem::path& path, std::uint64_t expected_bytes = 0);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();

 private:
  std::filesystem::path path_;
  std::optional<TemporarySibling> temporary_;
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
};

void write_atomically(const std::filesystem::path& path, std::string_view text);

// A folder that appears under its name only when it is whole. The caller fills path(); commit() flushes every file in
// it to the disk and puts it in the target's place in one step (renameat2's RENAME_EXCHANGE), so that a kill at any
// moment leaves the old folder or the new one, whole. On the few file systems that cannot exchange two names, the old
// folder is renamed away first; the next recover_directory() undoes it where a kill hit exactly between the two
// renames.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const std::filesystem::path& target);

  const std::filesystem::path& path() const { return temporary_.path(); }
  void commit();

 private:
  TemporarySibling temporary_;
};

// A folder, made where it is missing, in which this process works alone: throws Error where another one has it. The
// kernel drops the lock of a process that dies, whatever killed it. An empty folder goes with its lock.
class LockedDirectory {
 public:
  explicit LockedDirectory(const std::filesystem::path& path);
  ~LockedDirectory();
  LockedDirectory(const LockedDirectory&) = delete;
  LockedDirectory& operator=(const LockedDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// Removes what writers of that folder that died have left beside it, and puts a folder back that one of them had
// renamed away without putting the new one in its place. Writers do this by themselves; a reader of checkpoints calls
// it first.
void recover_directory(const std::filesystem::path& folder);

}  // namespace aid::io

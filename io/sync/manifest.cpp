#include "io/sync/manifest.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "io/error.h"
#include "io/file.h"
#include "io/json_file.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Line = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr std::size_t kPiece = 1 << 20;
constexpr const char* kFileName = "manifest.jsonl";

std::string line_of(const Line& line) { return line.dump() + "\n"; }

std::string header_line() { return line_of({{"aid_sync", kFormat}}); }

std::string file_line(const std::string& path, const SyncedFile& file) {
  return line_of(
      {{"path", path}, {"etag", file.etag}, {"size", file.size}, {"mtime", file.mtime}, {"modified", file.modified}});
}

std::string folder_line(const std::string& path, const SyncedFolder& folder) {
  return line_of({{"folder", path}, {"from", folder.from}, {"time", folder.time}, {"complete", folder.complete}});
}

Line of_partial(const std::string& path, const PartialTransfer& transfer) {
  return {
      {"partial", path},       {"id", transfer.id},     {"bucket", transfer.bucket}, {"key", transfer.key},
      {"etag", transfer.etag}, {"size", transfer.size}, {"mtime", transfer.mtime},   {"part_size", transfer.part_size}};
}

std::string part_line(const std::string& path, const PartialTransfer& transfer, int part, const std::string& etag) {
  Line line = of_partial(path, transfer);
  line["part"] = part;
  line["part_etag"] = etag;
  return line_of(line);
}

template <class Take>
void for_each_line(const Manifest& manifest, Take take) {
  take(header_line());
  for (const auto& [path, folder] : manifest.folders) take(folder_line(path, folder));
  for (const auto& [path, file] : manifest.files) take(file_line(path, file));
  for (const auto& [path, transfer] : manifest.partials) {
    if (transfer.parts.empty()) take(line_of(of_partial(path, transfer)));
    for (const auto& [part, etag] : transfer.parts) take(part_line(path, transfer, part, etag));
  }
}

bool is_same_transfer(const PartialTransfer& a, const PartialTransfer& b) {
  return a.id == b.id && a.bucket == b.bucket && a.key == b.key && a.etag == b.etag && a.size == b.size &&
         a.mtime == b.mtime && a.part_size == b.part_size;
}

// Each returns whether it replaces something that an earlier line said.
bool apply_file(Manifest& manifest, const std::string& path, const SyncedFile& file) {
  const bool had_partial = manifest.partials.erase(path) != 0;
  return !manifest.files.insert_or_assign(path, file).second || had_partial;
}

bool apply_begin(Manifest& manifest, const std::string& path, PartialTransfer transfer) {
  transfer.parts.clear();
  return !manifest.partials.insert_or_assign(path, std::move(transfer)).second;
}

bool apply_part(Manifest& manifest, const std::string& path, const PartialTransfer& transfer, int part,
                const std::string& etag) {
  const auto [at, fresh] = manifest.partials.try_emplace(path, transfer);
  const bool replaced = !fresh && !is_same_transfer(at->second, transfer);
  if (fresh || replaced) {
    at->second = transfer;
    at->second.parts.clear();
  }
  return !at->second.parts.insert_or_assign(part, etag).second || replaced;
}

// nlohmann converts any number to any other; here one that does not fit is a fault.
template <class T>
T whole_number(const json& line, const char* key) {
  const json& value = line.at(key);
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<T>(value.get<std::uint64_t>())
                        : value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  if (!fits) throw std::out_of_range("\"" + std::string(key) + "\" is " + value.dump() + ", no whole number that fits");
  return value.get<T>();
}

bool apply_line(Manifest& manifest, const json& line) {
  if (const auto folder = line.find("folder"); folder != line.end()) {
    return !manifest.folders
                .insert_or_assign(folder->get<std::string>(),
                                  SyncedFolder{.from = line.at("from"),
                                               .time = whole_number<std::int64_t>(line, "time"),
                                               .complete = line.at("complete")})
                .second;
  }
  const bool gone = line.value("gone", false);
  if (const auto partial = line.find("partial"); partial != line.end()) {
    const std::string path = *partial;
    if (gone) return manifest.partials.erase(path), true;
    const PartialTransfer transfer{.id = line.at("id"),
                                   .bucket = line.value("bucket", ""),  // an older aid does not say
                                   .key = line.value("key", ""),
                                   .etag = line.at("etag"),
                                   .size = whole_number<std::uint64_t>(line, "size"),
                                   .mtime = whole_number<std::int64_t>(line, "mtime"),
                                   .part_size = whole_number<std::uint64_t>(line, "part_size")};
    if (!line.contains("part")) return apply_begin(manifest, path, transfer);
    return apply_part(manifest, path, transfer, whole_number<int>(line, "part"), line.at("part_etag"));
  }
  const std::string path = line.at("path");
  if (gone) return manifest.files.erase(path), true;
  return apply_file(manifest, path,
                    {.etag = line.at("etag"),
                     .size = whole_number<std::uint64_t>(line, "size"),
                     .mtime = whole_number<std::int64_t>(line, "mtime"),
                     .modified = whole_number<std::int64_t>(line, "modified")});
}

struct Parsed {
  Manifest manifest;
  bool stale = false;
  std::size_t whole = 0;  // bytes up to the end of the last whole line
};

Parsed parse(std::string_view text, const std::string& name) {
  Parsed parsed;
  int number = 0;
  for (std::size_t end; (end = text.find('\n', parsed.whole)) != std::string_view::npos; parsed.whole = end + 1) {
    const json line = parse_json(text.substr(parsed.whole, end - parsed.whole), name, {.first_line = ++number});
    try {
      if (number == 1) {
        const int format = whole_number<int>(line, "aid_sync");
        if (format != kFormat) {
          throw Error(name + ": format " + std::to_string(format) + " of a manifest; this program knows format " +
                      std::to_string(kFormat) + ": use a newer aid");
        }
      } else {
        parsed.stale = apply_line(parsed.manifest, line) || parsed.stale;
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Error(name + ":" + std::to_string(number) + ": " + error.what() +
                  "; expected a line of a manifest. Without this file every file is compared by its content");
    }
  }
  return parsed;
}

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw Error(what + " '" + path.string() + "': " + std::generic_category().message(errno));
}

fs::path manifest_path(const fs::path& folder) { return folder / kStateFolder / kFileName; }

}  // namespace

std::string to_text(const Manifest& manifest) {
  std::string text;
  for_each_line(manifest, [&](const std::string& line) { text += line; });
  return text;
}

Manifest parse_manifest(std::string_view text, const std::string& name) { return parse(text, name).manifest; }

std::optional<Manifest> read_manifest(const fs::path& folder) {
  const fs::path path = manifest_path(folder);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  return parse_manifest(read_text(path), path.string());
}

std::optional<fs::path> folder_with_manifest(const fs::path& path) {
  std::error_code error;
  fs::path folder = fs::weakly_canonical(path, error);
  if (error) return std::nullopt;
  for (;; folder = folder.parent_path()) {
    if (fs::exists(manifest_path(folder), error)) return folder;
    if (!folder.has_relative_path()) return std::nullopt;
  }
}

ManifestWriter::ManifestWriter(const fs::path& folder) : path_(manifest_path(folder)) {
  const fs::path state = path_.parent_path();
  if (::mkdir(state.c_str(), 0777) != 0 && errno != EEXIST) fail("cannot make the folder", state);
  lock_ = ::open(state.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (lock_ < 0) fail("cannot open the folder", state);
  try {
    // Any other error than "locked": a file system without locks.
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw Error("another `aid sync` works on '" + folder.string() + "': wait for its end");
    }
    file_ = ::openat(lock_, kFileName, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file_ < 0) fail("cannot write", path_);
    Parsed parsed = parse(read_text(path_), path_.string());
    content_ = std::move(parsed.manifest);
    stale_ = parsed.stale;
    // A line that was cut off must not run into the next one.
    if (::ftruncate(file_, static_cast<off_t>(parsed.whole)) != 0) fail("cannot write", path_);
    if (parsed.whole == 0) pending_ = header_line();
  } catch (...) {
    if (file_ >= 0) ::close(file_);
    ::close(lock_);
    throw;
  }
}

ManifestWriter::~ManifestWriter() {
  ::close(file_);
  ::close(lock_);
}

const SyncedFile* ManifestWriter::find(const std::string& path) const {
  const auto at = content_.files.find(path);
  return at == content_.files.end() ? nullptr : &at->second;
}

void ManifestWriter::set_file(const std::string& path, const SyncedFile& file) {
  stale_ = apply_file(content_, path, file) || stale_;
  pending_ += file_line(path, file);
}

void ManifestWriter::forget_file(const std::string& path) {
  if (content_.files.erase(path) == 0) return;
  pending_ += line_of({{"path", path}, {"gone", true}});
  stale_ = true;
}

void ManifestWriter::begin_partial(const std::string& path, const PartialTransfer& transfer) {
  stale_ = apply_begin(content_, path, transfer) || stale_;
  pending_ += line_of(of_partial(path, transfer));
}

void ManifestWriter::add_part(const std::string& path, const PartialTransfer& transfer, int part,
                              const std::string& etag) {
  stale_ = apply_part(content_, path, transfer, part, etag) || stale_;
  pending_ += part_line(path, transfer, part, etag);
}

void ManifestWriter::forget_partial(const std::string& path) {
  if (content_.partials.erase(path) == 0) return;
  pending_ += line_of({{"partial", path}, {"gone", true}});
  stale_ = true;
}

void ManifestWriter::set_folder(const std::string& path, const SyncedFolder& folder) {
  stale_ = !content_.folders.insert_or_assign(path, folder).second || stale_;
  pending_ += folder_line(path, folder);
}

void ManifestWriter::flush() {
  std::string_view left = pending_;
  while (!left.empty()) {
    const ssize_t put = ::write(file_, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write", path_);
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  pending_.clear();
}

void ManifestWriter::finish() {
  flush();
  if (!stale_) {
    if (::fsync(file_) != 0) fail("cannot write", path_);
    return;
  }
  // Piece by piece: the text of all of it is as large again as what is in memory.
  AtomicFile whole(path_);
  std::string piece;
  for_each_line(content_, [&](const std::string& line) {
    piece += line;
    if (piece.size() < kPiece) return;
    whole.write(piece);
    piece.clear();
  });
  whole.write(piece);
  whole.commit();
  const int file = ::openat(lock_, kFileName, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) fail("cannot write", path_);
  ::close(std::exchange(file_, file));
  stale_ = false;
}

}  // namespace aid::io::sync

// What `aid sync` knows about a folder that it keeps equal to S3: for each file the object that it was when it came or
// went. It lies in the folder itself, in .aid-sync/manifest.jsonl: one JSON object a line, the last word about a path
// counts, so that a run that is killed loses at most a line. Paths are relative to the folder, with '/', UTF-8.
//
//   {"aid_sync":1}
//   {"folder":"train","from":"s3://bucket/data_v2/train/","time":1764000000,"complete":true}
//   {"path":"train/cedula/1.txt","etag":"...","size":12,"mtime":1764000000123456789,"modified":1763999999000}
//   {"path":"train/cedula/2.txt","gone":true}
//   {"partial":"a","id":"...","bucket":"","key":"","etag":"...","size":900,"mtime":0,"part_size":99,"part":3,"part_etag":""}
//   {"partial":"b","id":"","bucket":"bucket","key":"data_v2/b","etag":"","size":900,"mtime":0,"part_size":100}
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace aid::io::sync {

inline constexpr std::string_view kStateFolder = ".aid-sync";

struct SyncedFile {
  std::string etag;           // of the object, without quotes
  std::uint64_t size = 0;     // bytes
  std::int64_t mtime = 0;     // of the file, in nanoseconds since 1970-01-01 UTC
  std::int64_t modified = 0;  // the object's Last-Modified, in milliseconds since 1970-01-01 UTC; 0: not known

  bool operator==(const SyncedFile&) const = default;
};

// A large object of which some parts came or went, or were to go, before the run ended.
struct PartialTransfer {
  std::string id;           // the name of the temporary file, or the id of the multipart upload; empty: not known yet
  std::string bucket, key;  // where an upload goes; empty for a download
  std::string etag;         // of the object that is fetched; empty for an upload
  std::uint64_t size = 0;   // of the whole
  std::int64_t mtime = 0;   // of the file that is uploaded; 0 for a download
  std::uint64_t part_size = 0;
  std::map<int, std::string> parts;  // those done, from 1; with their etags for an upload

  bool operator==(const PartialTransfer&) const = default;
};

// Where a folder came from, or went to, last.
struct SyncedFolder {
  std::string from;       // "s3://BUCKET/PREFIX/"
  std::int64_t time = 0;  // seconds since 1970-01-01 UTC, at the end of the run
  bool complete = false;  // every object of the prefix is there, and no other run was cut off since

  bool operator==(const SyncedFolder&) const = default;
};

struct Manifest {
  std::map<std::string, SyncedFile> files;          // by path
  std::map<std::string, PartialTransfer> partials;  // by path
  std::map<std::string, SyncedFolder> folders;      // by path; "" is the folder itself

  bool operator==(const Manifest&) const = default;
};

// The manifest's text: a header, then folders, files and partials, each by rising path. Equal manifests, equal texts.
std::string to_text(const Manifest& manifest);
// A last line without an end is passed over: the run that wrote it was killed. Throws Error naming `name` and the line.
Manifest parse_manifest(std::string_view text, const std::string& name);

// The manifest of `folder`; none where it has none. Throws Error.
std::optional<Manifest> read_manifest(const std::filesystem::path& folder);
// The nearest of `path` and the folders above it that has a manifest.
std::optional<std::filesystem::path> folder_with_manifest(const std::filesystem::path& path);

// The manifest of a folder that is being synchronised: each change is appended to the file, finish() writes it anew in
// order. The folder is locked as long as this lives.
class ManifestWriter {
 public:
  // Throws Error where another run works on the folder, or the manifest cannot be read or written.
  explicit ManifestWriter(const std::filesystem::path& folder);
  ~ManifestWriter();
  ManifestWriter(const ManifestWriter&) = delete;
  ManifestWriter& operator=(const ManifestWriter&) = delete;

  const Manifest& content() const { return content_; }
  const SyncedFile* find(const std::string& path) const;

  void set_file(const std::string& path, const SyncedFile& file);  // ends the partial transfer of that path
  void forget_file(const std::string& path);
  void begin_partial(const std::string& path, const PartialTransfer& transfer);  // before its first part
  // Notes a part done; a transfer that differs in more than its parts from what is known begins anew.
  void add_part(const std::string& path, const PartialTransfer& transfer, int part, const std::string& etag);
  void forget_partial(const std::string& path);
  void set_folder(const std::string& path, const SyncedFolder& folder);

  void flush();   // changes reach the file: what a killed run leaves
  void finish();  // flush(), and the whole file anew where it holds more than the present state

 private:
  std::filesystem::path path_;
  Manifest content_;
  std::string pending_;
  bool stale_ = false;  // the file holds lines that later ones have replaced
  int lock_ = -1, file_ = -1;
};

}  // namespace aid::io::sync

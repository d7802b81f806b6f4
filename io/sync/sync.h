// Keeps a folder and a prefix of a bucket equal, with as little transferred as can be: `aid sync`.
//
// An object is up to date where the folder's manifest (io/sync/manifest.h) has its etag and the file still has the size
// and time noted there. Where the manifest does not know, but the sizes are equal, the file's content is compared with
// the etag. All else is transferred. A file gets its name when it is whole, checked and on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/aws/s3.h"
#include "io/sync/paths.h"

namespace aid::io::sync {

enum class Extra { kept, removed };
enum class Mode { real, dry_run };

struct Totals {
  long long objects = 0, objects_done = 0;  // to be transferred, as far as is known yet
  long long bytes = 0, bytes_done = 0;
};

struct Options {
  std::vector<FilterRule> filters;  // on paths below the prefix, or below the folder that is sent
  int concurrency = 64;             // transfers at a time
  Extra extra = Extra::kept;        // what the target has and the source has not; what the filters leave out stays
  Mode mode = Mode::real;
  std::uint64_t part_size = 16 << 20;  // of downloads: larger objects come in parts
  // Called now and then on the calling thread.
  std::function<void(const Totals&)> progress;
  std::function<bool()> interrupted;  // true ends the run; what is there stays, and the next run goes on from it
  // A line for each thing done, or that would be done: "get train/a.txt".
  std::function<void(const std::string& line)> tell;
};

struct Problem {
  std::string path, why;
};
struct Report {
  long long unchanged = 0, adopted = 0;  // adopted: not in the manifest, but the content was right
  long long transferred = 0, removed = 0;
  long long bytes = 0;            // transferred
  std::vector<Problem> problems;  // single objects that could not be had, in no order
  std::vector<Problem> left;      // uploads in parts that S3 would not let this run end: the bucket keeps their parts
  bool interrupted = false;
};

struct Download {
  std::string bucket, prefix;        // the prefix is empty or ends with '/'
  std::vector<std::string> folders;  // below the prefix; "" for all of it
  std::filesystem::path target;      // gets a folder of each name
};
// Throws Error where nothing can be done: no such bucket or prefix (with a list of what is there), or no such disk.
Report download(aws::S3Client& client, const Download& download, const Options& options);

struct Upload {
  std::filesystem::path source;
  std::string bucket, prefix;  // the prefix is empty or ends with '/'
};
Report upload(aws::S3Client& client, const Upload& upload, const Options& options);

}  // namespace aid::io::sync

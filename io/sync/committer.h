// Brings files from where they arrived to their names, on a thread of its own: what came while the disk was busy is
// flushed together and then renamed, so that ten thousand small files cost a few flushes and not ten thousand.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/aws/checksum.h"
#include "io/sync/manifest.h"
#include "io/sync/tree.h"

namespace aid::io::sync {

struct Arrival {
  std::string path;       // empty: a part, which is flushed and stays where it is
  std::string temporary;  // the name of the temporary file that holds it; empty: it is in `bytes`
  std::string bytes;
  std::int64_t mtime = 0;                    // that the file gets, in nanoseconds
  std::optional<aws::ChecksumValue> verify;  // of the temporary file, where it was not checked as it came
  std::uint64_t size = 0;                    // of what is verified
  // On the committer's thread, once it is on the disk under its name; or with what went wrong.
  std::function<void(const std::string& error)> done;
};

class Committer {
 public:
  explicit Committer(const std::filesystem::path& root);
  ~Committer();  // what waits is done first
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  void add(Arrival arrival);  // from any thread

 private:
  void run();
  void write(Arrival& arrival);
  void commit(std::vector<Arrival>& batch);

  Tree tree_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Arrival> waiting_;
  bool ending_ = false;
  long long written_ = 0;  // for the names of temporary files
  std::thread thread_;
};

}  // namespace aid::io::sync

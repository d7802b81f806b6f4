// The flags that subcommands have in common, and what they mean.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "kernels/core/profile.h"
#include "kernels/core/stream.h"
#include "train/console/progress.h"
#include "train/model/classifier.h"

namespace aid::tools {

enum class DeviceChoice : uint8_t { automatic, cuda, cpu };  // automatic: cuda where there is one

struct CommonOptions {
  DeviceChoice device = DeviceChoice::automatic;
  train::Precision precision = train::Precision::best;
  int threads = 0;
  bool deterministic = false;
  bool quiet = false;
  std::string profile;  // file of the trace, or empty

  Stream::Options stream() const;
  train::Progress::Style progress_style() const {
    return quiet ? train::Progress::Style::quiet : train::Progress::style_of_stderr();
  }
};
// --device --precision --threads --deterministic --quiet --profile
void add_common_options(CLI::App& app, CommonOptions& options);

// How documents become token sequences, where it is not to be as the model was trained.
struct ReadingOptions {
  std::optional<train::LongPolicy> long_policy;
  std::optional<int64_t> max_length, stride, max_windows;
  bool special_tokens_in_text = false;
  std::optional<int64_t> tokens_per_pass;
};
// --long --max-length --stride --max-windows --special-tokens-in-text --pass-tokens
void add_reading_options(CLI::App& app, ReadingOptions& options);

train::OpenOptions open_options(const CommonOptions& common, const ReadingOptions& reading);

// "cpu avx512_bf16, 2 threads, bf16", "cuda (NVIDIA A100-SXM4-80GB, ...), bf16"
std::string describe(const Stream& stream, DType compute);

// Profiles a stream for as long as it lives, where a file was asked for.
class ProfileSession {
 public:
  ProfileSession(std::string trace_file, Stream& stream);
  ~ProfileSession() { stream_.set_profiler(nullptr); }
  ProfileSession(const ProfileSession&) = delete;
  ProfileSession& operator=(const ProfileSession&) = delete;

  // Writes the trace, and the table on stderr.
  void report(DType compute);

 private:
  std::string trace_file_;
  Stream& stream_;
  Profiler profiler_;
};

}  // namespace aid::tools

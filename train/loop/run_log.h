// log.csv: a line per optimizer step and one per evaluation, with the other's fields empty. Readable while the run goes
// on.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "train/metrics/metrics.h"

namespace aid::train {

class RunLog {
 public:
  // A resumed run keeps the lines up to its checkpoint; 0 begin a new log. Throws io::Error.
  RunLog(const std::filesystem::path& file, int64_t lines);

  struct StepLine {
    int64_t step;      // from 1
    double epoch;      // 1.25: a quarter of the second epoch is done
    double loss;       // of the step, mean over its texts
    double lr;         // that the step ran at
    double grad_norm;  // before clipping
    double tokens_per_second;
  };
  void add(const StepLine& line);
  void add(int64_t step, const Metrics& validation);

  int64_t lines() const { return lines_; }

 private:
  void end_line(int written);  // what fprintf() gave

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  int64_t lines_ = 0;
};

}  // namespace aid::train

#include "train/loop/run_log.h"

#include <cerrno>
#include <fstream>

#include "io/file.h"

namespace aid::train {

RunLog::RunLog(const std::filesystem::path& path, int64_t lines) : path_(path) {
  uintmax_t bytes = 0;
  std::ifstream old(path);
  for (std::string line; lines_ < lines && std::getline(old, line); ++lines_) bytes += line.size() + 1;
  if (lines_ > 0) std::filesystem::resize_file(path, bytes);
  file_.reset(std::fopen(path.c_str(), lines_ > 0 ? "ae" : "we"));
  if (file_ == nullptr) io::fail_writing(path, errno);
  if (lines_ > 0) return;
  end_line(
      std::fprintf(file_.get(), "step,epoch,loss,lr,grad_norm,tokens_per_second,val_loss,val_accuracy,val_macro_f1\n"));
}

void RunLog::add(const StepLine& line) {
  end_line(std::fprintf(file_.get(), "%lld,%.6g,%.9g,%.9g,%.9g,%.0f,,,\n", static_cast<long long>(line.step),
                        line.epoch, line.loss, line.lr, line.grad_norm, line.tokens_per_second));
}

void RunLog::add(int64_t step, const Metrics& validation) {
  end_line(std::fprintf(file_.get(), "%lld,,,,,,%.9g,%.9g,%.9g\n", static_cast<long long>(step), validation.log_loss,
                        validation.accuracy, validation.macro.f1));
}

void RunLog::end_line(int written) {
  if (written < 0 || std::fflush(file_.get()) != 0) io::fail_writing(path_, errno);
  ++lines_;
}

}  // namespace aid::train

#include "train/console/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace aid::train {
namespace {

void write_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

constexpr int kBarCells = 24;

std::string bar_text(double share) {
  static const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int filled = static_cast<int>(share * kBarCells * 8);
  std::string text;
  for (int i = 0; i < filled / 8; ++i) text += "█";
  text += eighths[filled % 8];
  const int cells = filled / 8 + (filled % 8 != 0 ? 1 : 0);
  return text + std::string(static_cast<size_t>(kBarCells - cells), ' ');
}

}  // namespace

std::string clock_text(double seconds) {
  const int64_t total = std::llround(seconds);
  char text[48];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(total / 3600),
                  static_cast<long long>(total / 60 % 60), static_cast<long long>(total % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(total / 60),
                  static_cast<long long>(total % 60));
  }
  return text;
}

std::string short_number(double value) {
  char text[32];
  if (value < 1e3) {
    std::snprintf(text, sizeof text, "%.0f ", value);
  } else if (value < 1e6) {
    std::snprintf(text, sizeof text, "%.1f k", value / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.1f M", value / 1e6);
  }
  return text;
}

Progress::Style Progress::style_of_stderr() { return isatty(STDERR_FILENO) != 0 ? Style::bar : Style::lines; }

void Progress::begin(std::string what, int64_t total, int64_t done) {
  end();
  what_ = std::move(what);
  details_.clear();
  total_ = std::max<int64_t>(1, total);
  done_ = done_at_begin_ = done;
  begin_ = last_draw_ = Clock::now();
}

void Progress::update(int64_t done, const std::string& details) {
  done_ = done;
  details_ = details;
  const auto interval = style_ == Style::bar ? std::chrono::milliseconds(100) : std::chrono::seconds(10);
  if (Clock::now() - last_draw_ < interval) return;
  last_draw_ = Clock::now();
  draw();
}

void Progress::end() {
  if (style_ == Style::lines && done_ > done_at_begin_) draw();
  clear_bar();
  total_ = 0;
  done_ = done_at_begin_ = 0;
}

void Progress::note(const std::string& line) {
  if (style_ == Style::quiet) return;
  warn(line);
}

void Progress::warn(const std::string& line) {
  const bool redraw = drawn_;
  clear_bar();
  write_stderr(line + "\n");
  if (redraw) draw();
}

void Progress::draw() {
  if (style_ == Style::quiet || total_ == 0) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const int64_t new_units = done_ - done_at_begin_;
  std::string tail = std::to_string(done_) + "/" + std::to_string(total_) + " " + clock_text(seconds);
  if (new_units > 0 && done_ < total_) {
    tail += ", " + clock_text(seconds / static_cast<double>(new_units) * static_cast<double>(total_ - done_)) + " left";
  }
  if (!details_.empty()) tail += ", " + details_;
  if (style_ == Style::lines) {
    write_stderr(what_ + " " + tail + "\n");
    return;
  }
  const double share = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
  const size_t columns = terminal_columns(), taken = what_.size() + kBarCells + 4;
  // A line longer than the terminal would wrap and could not be drawn over.
  tail.resize(std::min(tail.size(), columns > taken ? columns - taken - 1 : 0));
  write_stderr("\r\x1b[K" + what_ + " ▕" + bar_text(share) + "▏ " + tail);
  drawn_ = true;
}

void Progress::clear_bar() {
  if (drawn_) write_stderr("\r\x1b[K");
  drawn_ = false;
}

}  // namespace aid::train

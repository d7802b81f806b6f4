// Progress on stderr: a bar with the time that is left on a terminal, a plain line now and then otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace aid::train {

class Progress {
 public:
  enum class Style : uint8_t { bar, lines, quiet };
  // bar where stderr is a terminal, else lines.
  static Style style_of_stderr();

  // quiet still shows warnings.
  explicit Progress(Style style) : style_(style) {}
  ~Progress() { end(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Begins `total` units of work of which `done` are done already (a resumed run); ends the one before.
  void begin(std::string what, int64_t total, int64_t done = 0);
  // Where the total is only found on the way.
  void set_total(int64_t total) { total_ = total > 1 ? total : 1; }
  // details: "loss 0.1234, 5.1 ktokens/s". Cheap: it writes at most ten times a second, as lines once in 10 seconds.
  void update(int64_t done, const std::string& details);
  // Clears the bar, or writes the last line.
  void end();

  // Whole lines that stay; a bar is drawn again below.
  void note(const std::string& line);
  void warn(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  void clear_bar();

  Style style_;
  std::string what_, details_;
  int64_t total_ = 0, done_ = 0, done_at_begin_ = 0;
  bool drawn_ = false;
  Clock::time_point begin_, last_draw_;
};

// "1:02:03", "2:03"
std::string clock_text(double seconds);
// "812", "5.1 k", "2.3 M"
std::string short_number(double value);

}  // namespace aid::train

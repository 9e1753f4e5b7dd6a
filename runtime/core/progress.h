// Progress: what long work reports while it runs, and a printer that shows it as a bar, as lines or as JSON events.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/function_ref.h"

namespace assay {

enum class ProgressUnit : std::uint8_t { bytes, items };

// One report: `done` of `total` (0 = not known) in the task of that name. A task ends with done == total or a new name.
struct ProgressEvent {
  std::string_view task;
  ProgressUnit unit = ProgressUnit::bytes;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

// All that library code gets. The answer says whether to go on: false means stop soon and return Code::interrupted.
using ProgressFn = FunctionRef<bool(const ProgressEvent&)>;

// For callers who do not care.
inline constexpr auto ignore_progress = [](const ProgressEvent&) { return true; };

enum class ProgressStyle : std::uint8_t {
  bar,    // one line redrawn in place, for terminals
  lines,  // a plain line now and then, for logs
  json,   // one JSON object a line: {"event":"progress",...}
  none
};
std::optional<ProgressStyle> progress_style_from_name(std::string_view name);

// How far and how fast, for the text forms below.
struct ProgressState {
  ProgressEvent event;
  double elapsed_s = 0;
  double rate = 0;                 // units a second, smoothed; 0 = not known yet
  std::optional<double> left_s{};  // nothing when the total or the rate is not known
};
std::string progress_bar_text(const ProgressState& state, int width, bool with_colour);
std::string progress_line_text(const ProgressState& state);
std::string progress_json_text(const ProgressState& state);

// Sizes in powers of 1000, three digits: "1.50 GB", "23.4 kB", "640 B".
std::string format_bytes(std::uint64_t bytes);
// "0:07", "12:30", "1:02:03"
std::string format_duration(double seconds);

// Shows events on `out` (the application's stderr). Not for library code: that only calls a ProgressFn.
class ProgressPrinter {
 public:
  struct Options {
    ProgressStyle style = ProgressStyle::none;
    bool with_colour = false;
    int width = 80;  // columns of the terminal
  };
  ProgressPrinter(std::FILE* out, Options options) : out_(out), options_(options) {}
  ~ProgressPrinter() { clear(); }
  ProgressPrinter(const ProgressPrinter&) = delete;

  void show(const ProgressEvent& event);
  // Removes a half-drawn bar, so that a message can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void start(const ProgressEvent& event, Clock::time_point now);
  void measure(const ProgressEvent& event, Clock::time_point now);

  std::FILE* out_;
  Options options_;
  std::string task_;
  Clock::time_point started_{}, shown_{}, measured_{};
  std::uint64_t first_done_ = 0, measured_done_ = 0;
  double rate_ = 0;
  bool is_running_ = false, is_drawn_ = false;
};

}  // namespace assay

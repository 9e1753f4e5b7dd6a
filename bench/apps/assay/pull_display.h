// PullDisplay: a pull's events as lines that are redrawn on a terminal, as plain lines in a log, or as JSON for programs.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "runtime/core/progress.h"
#include "runtime/hub/events.h"

namespace assay {

class PullDisplay {
 public:
  // Bars and lines go to `out` (stderr), JSON events to stdout.
  PullDisplay(std::FILE* out, ProgressPrinter::Options options) : out_(out), options_(options) {}
  ~PullDisplay() { clear(); }
  PullDisplay(const PullDisplay&) = delete;

  void show(const PullEvent& event);
  // Removes what is half drawn, so that a message can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  struct File {
    std::string name;
    std::uint64_t first = 0, done = 0, total = 0, measured = 0;
    Clock::time_point started{}, measured_at{}, shown{};
    double rate = 0;
    bool is_active = false, is_verifying = false;
  };

  File& file_of(const PullEvent& event);
  void measure(File& file, Clock::time_point now);
  void print_line(std::string_view text);
  void tell(const PullEvent& event, const File& file);
  void draw();
  std::string bar(const File& file, Clock::time_point now) const;
  File sum() const;

  std::FILE* out_;
  ProgressPrinter::Options options_;
  std::vector<File> files_;
  std::uint64_t planned_total_ = 0;
  Clock::time_point drawn_{};
  int drawn_lines_ = 0;
};

std::string pull_event_json(const PullEvent& event, double bytes_per_second);

}  // namespace assay

// Timing: the one clock of the harness, in milliseconds and seconds.
#pragma once

#include <chrono>

namespace assay {

// Starts on construction. Steady: not moved by changes of the wall clock.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double milliseconds() const { return seconds() * 1e3; }
  void restart() { start_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace assay

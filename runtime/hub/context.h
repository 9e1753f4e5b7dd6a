// HubContext: what all parts of one hub client share: its options, its trust, its stop flag, its rate limit, its
// events.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "runtime/hub/events.h"
#include "runtime/hub/options.h"
#include "runtime/hub/socket.h"

namespace assay {

// Hands out bytes at a fixed rate to all threads together.
class RateLimit {
 public:
  explicit RateLimit(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}
  // Sleeps until `bytes` more may have passed.
  void take(std::uint64_t bytes, const std::atomic<bool>& stop);
  // How many bytes to read at once so that the flow stays even.
  std::size_t piece(std::size_t most) const { return rate_ == 0 ? most : std::clamp<std::size_t>(rate_ / 20, 1, most); }

 private:
  std::uint64_t rate_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point free_at_{};
};

struct HubContext {
  explicit HubContext(HubOptions all) : options(std::move(all)), limit(options.bytes_per_second) {}
  HubContext(const HubContext&) = delete;

  const HubOptions options;
  TlsTrust trust;
  std::atomic<bool> stop{false};
  std::atomic<int> connections{0};  // of all transfers, now
  RateLimit limit;
};

// Tells events from any thread, one at a time; an answer of no raises the stop flag.
class EventTeller {
 public:
  EventTeller(PullEvents events, std::atomic<bool>& stop) : events_(events), stop_(stop) {}
  void tell(const PullEvent& event) {
    const std::lock_guard lock(mutex_);
    if (!events_(event)) stop_.store(true, std::memory_order_relaxed);
  }

 private:
  PullEvents events_;
  std::atomic<bool>& stop_;
  std::mutex mutex_;
};

// Waits between tries: twice as long each time, with jitter so that many clients do not come back together.
class Retry {
 public:
  explicit Retry(const RetryPolicy& policy) : policy_(policy), random_(std::random_device{}()) {}
  // How long to wait before the next try; nothing when it is time to give up. `asked`: what the server wants.
  std::optional<std::chrono::milliseconds> next(std::optional<std::chrono::milliseconds> asked = std::nullopt);
  void made_progress() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  RetryPolicy policy_;
  std::mt19937 random_;
  int failures_ = 0;
};

// "ERROR; trying again in 1.0 s"
std::string retry_text(const Error& error, std::chrono::milliseconds wait);

// False when stop was raised meanwhile.
bool sleep_for(std::chrono::milliseconds time, const std::atomic<bool>& stop);

// What an answer says about coming back: Retry-After in seconds or as a date, or "ratelimit: ...;t=SECONDS".
std::optional<std::chrono::milliseconds> asked_wait(const HttpHead& head);

// The error of an answer that is no success. network: try again; denied, not_found, malformed: do not. `what` is the
// repository or URL that was asked for.
Error status_error(const HttpHead& head, std::string_view what, std::string_view body = {});

}  // namespace assay

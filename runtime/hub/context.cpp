// Rates, waits, and what HTTP statuses of a hub mean to a user.
#include "runtime/hub/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <thread>

namespace assay {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

std::optional<milliseconds> seconds_in(std::string_view text) {
  double seconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (problem != std::errc() || end == text.data() || !(seconds >= 0) || seconds > 1e7) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// "Wed, 21 Oct 2026 07:28:00 GMT" (RFC 9110, 5.6.7)
std::optional<milliseconds> time_until(const std::string& date) {
  std::tm parts{};
  if (::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr) return std::nullopt;
  const std::time_t then = ::timegm(&parts), now = std::time(nullptr);
  return milliseconds(std::max<std::int64_t>(0, then - now) * 1000);
}

Error denied_error(const HttpHead& head, std::string_view what, std::string_view said) {
  const std::string page = head.url.origin() + "/" + std::string(what);
  const std::string_view code = head.header("X-Error-Code");
  if (code == "GatedRepo")
    return Error{Code::denied, std::string(what),
                 fmt::format("is gated: open {} in a browser, accept its conditions, and give a token of that account "
                             "(HF_TOKEN or --token){}",
                             page, said)};
  if (said.find("disabled") != std::string_view::npos)
    return Error{Code::denied, std::string(what), fmt::format("was disabled by the hub{}", said)};
  if (head.status == 401)
    return Error{Code::denied, std::string(what),
                 fmt::format("does not exist, or needs a token: check the name; for a private or gated repository set "
                             "HF_TOKEN or give --token{}",
                             said)};
  return Error{Code::denied, std::string(what),
               fmt::format("may not be read with this token: ask its owner for access, or use another token{}", said)};
}

}  // namespace

std::string_view name_of(PullStep step) {
  constexpr std::string_view kNames[] = {"planned",   "started", "waiting", "progress", "retrying",
                                         "verifying", "done",    "failed",  "note"};
  return kNames[static_cast<std::size_t>(step)];
}

void RateLimit::take(std::uint64_t bytes, const std::atomic<bool>& stop) {
  if (rate_ == 0) return;
  milliseconds wait{0};
  {
    const std::lock_guard lock(mutex_);
    const auto now = steady_clock::now();
    free_at_ = std::max(free_at_, now - milliseconds(100));
    free_at_ += std::chrono::duration_cast<steady_clock::duration>(
        std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_)));
    wait = std::chrono::duration_cast<milliseconds>(free_at_ - now);
  }
  if (wait.count() > 0) sleep_for(wait, stop);
}

bool sleep_for(milliseconds time, const std::atomic<bool>& stop) {
  const auto until = steady_clock::now() + time;
  while (!stop.load(std::memory_order_relaxed)) {
    const auto left = until - steady_clock::now();
    if (left.count() <= 0) return true;
    std::this_thread::sleep_for(std::min<steady_clock::duration>(left, milliseconds(50)));
  }
  return false;
}

std::optional<milliseconds> Retry::next(std::optional<milliseconds> asked) {
  if (++failures_ > policy_.tries) return std::nullopt;
  if (asked && *asked > policy_.longest_asked) return std::nullopt;
  const double factor = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  const std::int64_t doubled = policy_.first_wait.count() << std::min(failures_ - 1, 20);
  const milliseconds wait(static_cast<std::int64_t>(
      factor * static_cast<double>(std::min<std::int64_t>(doubled, policy_.longest_wait.count()))));
  return asked ? std::max(*asked, wait) : wait;
}

std::string retry_text(const Error& error, milliseconds wait) {
  return fmt::format("{}; trying again in {:.1f} s", error.message(), static_cast<double>(wait.count()) / 1000);
}

std::optional<milliseconds> asked_wait(const HttpHead& head) {
  if (const std::string after_text(head.header("Retry-After")); !after_text.empty()) {
    if (const auto seconds = seconds_in(after_text)) return seconds;
    return time_until(after_text);
  }
  const std::string_view limit = head.header("ratelimit");
  if (head.status != 429 || limit.empty()) return std::nullopt;
  const std::size_t at = limit.find("t=");
  return at == std::string_view::npos ? std::nullopt : seconds_in(limit.substr(at + 2));
}

Error status_error(const HttpHead& head, std::string_view what, std::string_view body) {
  std::string said(head.header("X-Error-Message"));
  if (said.empty() && body.size() < 300 && body.find('<') == std::string_view::npos) said = body;
  if (!said.empty()) said = " (the server says: " + said + ")";
  const unsigned status = head.status;
  const std::string_view code = head.header("X-Error-Code");
  const std::string host = head.url.authority();
  if (code == "RevisionNotFound")
    return Error{Code::not_found, std::string(what), "has no such revision; check --revision" + said};
  if (code == "EntryNotFound") return Error{Code::not_found, std::string(what), "has no such file" + said};
  if (status == 401 || status == 403 || code == "GatedRepo") return denied_error(head, what, said);
  if (status == 404 || status == 410)
    return Error{Code::not_found, std::string(what), "was not found at " + host + "; check the name" + said};
  const bool may_pass = status == 408 || status == 425 || status == 429 || status >= 500;
  if (!may_pass)
    return Error{Code::malformed, std::string(what),
                 fmt::format("{} answers {}, which is no answer for a file{}", host, status, said)};
  const auto wait = asked_wait(head);
  const std::string_view meaning = status == 429 ? "too many requests" : "the server has a problem";
  return Error{Code::network, host,
               fmt::format("answers {} ({}{}){}", status, meaning,
                           wait ? fmt::format(", come back in {} s", wait->count() / 1000) : "", said)};
}

}  // namespace assay

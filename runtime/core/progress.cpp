// The texts of progress and the printer that decides when to show them.
#include "runtime/core/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/core/json.h"

namespace assay {
namespace {

constexpr double kBarSeconds = 0.1;   // between redraws
constexpr double kLineSeconds = 5.0;  // between lines in a log
constexpr double kJsonSeconds = 0.5;
constexpr double kMeasureSeconds = 0.2;
constexpr double kSmoothing = 0.3;  // weight of the newest rate

bool is_complete(const ProgressEvent& event) {
  return event.total != 0 && event.done >= event.total;
}

std::string amount(std::uint64_t value, ProgressUnit unit) {
  return unit == ProgressUnit::bytes ? format_bytes(value) : fmt::format("{}", value);
}

std::string rate_text(const ProgressState& state) {
  if (state.rate <= 0) return "";
  if (state.event.unit == ProgressUnit::bytes) return format_bytes(static_cast<std::uint64_t>(state.rate)) + "/s";
  return fmt::format("{:.1f}/s", state.rate);
}

// "1.20 GB of 4.00 GB, 800 MB/s, 0:04 left"
std::string facts_text(const ProgressState& state) {
  std::string text = amount(state.event.done, state.event.unit);
  if (state.event.total != 0) text += " of " + amount(state.event.total, state.event.unit);
  if (const std::string rate = rate_text(state); !rate.empty()) text += ", " + rate;
  if (is_complete(state.event))
    text += ", " + format_duration(state.elapsed_s);
  else if (state.left_s)
    text += ", " + format_duration(*state.left_s) + " left";
  return text;
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::optional<ProgressStyle> progress_style_from_name(std::string_view name) {
  if (name == "bar") return ProgressStyle::bar;
  if (name == "lines") return ProgressStyle::lines;
  if (name == "json") return ProgressStyle::json;
  if (name == "none") return ProgressStyle::none;
  return std::nullopt;
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> units = {"B", "kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, units[unit]);
}

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 359999) return "-:--";
  const int whole = static_cast<int>(std::ceil(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string progress_bar_text(const ProgressState& state, int width, bool with_colour) {
  const std::string facts = facts_text(state);
  std::string head = fmt::format("{} ", state.event.task);
  const int room = width - 1 - static_cast<int>(head.size() + facts.size()) - 8;
  if (state.event.total == 0 || room < 8)
    return (head + facts).substr(0, static_cast<std::size_t>(std::max(width - 1, 1)));
  const double part = std::min(1.0, static_cast<double>(state.event.done) / static_cast<double>(state.event.total));
  const int cells = std::min(room, 40);
  const int filled = static_cast<int>(part * cells);
  std::string bar(static_cast<std::size_t>(filled), '#');
  const std::string rest(static_cast<std::size_t>(cells - filled), '.');
  if (with_colour) bar = "\x1b[32m" + bar + "\x1b[0m";
  return fmt::format("{}[{}{}] {:3.0f}% {}", head, bar, rest, std::floor(part * 100), facts);
}

std::string progress_line_text(const ProgressState& state) {
  if (state.event.total == 0) return fmt::format("{}: {}", state.event.task, facts_text(state));
  const double part = static_cast<double>(state.event.done) / static_cast<double>(state.event.total);
  return fmt::format("{}: {:.0f}%, {}", state.event.task, std::floor(std::min(1.0, part) * 100), facts_text(state));
}

std::string progress_json_text(const ProgressState& state) {
  Json json;
  json.set("event", "progress");
  json.set("task", state.event.task);
  json.set("unit", state.event.unit == ProgressUnit::bytes ? "bytes" : "items");
  json.set("done", state.event.done);
  json.set("total", state.event.total == 0 ? Json() : Json(state.event.total));
  json.set("elapsed_s", state.elapsed_s);
  json.set("rate_per_s", state.rate > 0 ? Json(state.rate) : Json());
  json.set("left_s", state.left_s ? Json(*state.left_s) : Json());
  return to_text(json);
}

void ProgressPrinter::start(const ProgressEvent& event, Clock::time_point now) {
  clear();
  task_ = event.task;
  started_ = measured_ = now;
  shown_ = options_.style == ProgressStyle::lines ? now : now - std::chrono::hours(1);
  first_done_ = measured_done_ = event.done;
  rate_ = 0;
  is_running_ = true;
}

void ProgressPrinter::measure(const ProgressEvent& event, Clock::time_point now) {
  const double since = seconds(now - measured_);
  if (since < kMeasureSeconds || event.done < measured_done_) return;
  const double newest = static_cast<double>(event.done - measured_done_) / since;
  rate_ = rate_ == 0 ? newest : kSmoothing * newest + (1 - kSmoothing) * rate_;
  measured_ = now;
  measured_done_ = event.done;
}

void ProgressPrinter::show(const ProgressEvent& event) {
  if (options_.style == ProgressStyle::none) return;
  const auto now = Clock::now();
  if (!is_running_ || event.task != task_) start(event, now);
  measure(event, now);

  const bool is_last = is_complete(event);
  const double pause = options_.style == ProgressStyle::bar     ? kBarSeconds
                       : options_.style == ProgressStyle::lines ? kLineSeconds
                                                                : kJsonSeconds;
  if (!is_last && seconds(now - shown_) < pause) return;
  shown_ = now;

  ProgressState state{.event = event, .elapsed_s = seconds(now - started_), .rate = rate_};
  if (is_last && state.elapsed_s > 0)
    state.rate = static_cast<double>(event.done - std::min(first_done_, event.done)) / state.elapsed_s;
  if (event.total > event.done && rate_ > 0) state.left_s = static_cast<double>(event.total - event.done) / rate_;

  if (options_.style == ProgressStyle::bar) {
    std::fprintf(out_, "\r\x1b[K%s%s", progress_bar_text(state, options_.width, options_.with_colour).c_str(),
                 is_last ? "\n" : "");
    is_drawn_ = !is_last;
  } else {
    const std::string text =
        options_.style == ProgressStyle::json ? progress_json_text(state) : progress_line_text(state);
    std::fprintf(out_, "%s\n", text.c_str());
  }
  std::fflush(out_);
  if (is_last) is_running_ = false;
}

void ProgressPrinter::clear() {
  if (!is_drawn_) return;
  std::fputs("\r\x1b[K", out_);
  std::fflush(out_);
  is_drawn_ = false;
}

}  // namespace assay

// How a pull looks.
#include "bench/apps/assay/pull_display.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/apps/assay/commands.h"
#include "runtime/core/json.h"

namespace assay {

namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

constexpr milliseconds kDraw{100}, kLine{5000}, kJson{500}, kMeasure{300};
constexpr double kSmoothing = 0.3;  // weight of the newest rate

double seconds(std::chrono::steady_clock::duration time) { return duration<double>(time).count(); }

}  // namespace

std::string pull_event_json(const PullEvent& event, double bytes_per_second) {
  Json json;
  json.set("schema", "assay.pull.v1").set("event", name_of(event.step));
  json.set("file", event.file.empty() ? Json() : Json(event.file));
  json.set("done_bytes", event.done).set("total_bytes", event.total == 0 ? Json() : Json(event.total));
  if (event.step == PullStep::progress) json.set("bytes_per_s", bytes_per_second > 0 ? Json(bytes_per_second) : Json());
  if (!event.message.empty()) json.set("message", event.message);
  if (!event.path.empty()) json.set("path", event.path);
  if (event.step == PullStep::done) json.set("transfer_s", event.transfer_s).set("sync_s", event.sync_s);
  return to_text(json);
}

PullDisplay::File& PullDisplay::file_of(const PullEvent& event) {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const File& file) { return file.name == event.file; });
  if (found != files_.end()) return *found;
  const auto now = Clock::now();
  files_.push_back({.name = std::string(event.file), .first = event.done, .done = event.done, .total = event.total, .measured = event.done,
                    .started = now, .measured_at = now, .shown = now});
  return files_.back();
}

void PullDisplay::measure(File& file, Clock::time_point now) {
  const double since = seconds(now - file.measured_at);
  if (now - file.measured_at < kMeasure || file.done < file.measured) return;
  const double newest = static_cast<double>(file.done - file.measured) / since;
  file.rate = file.rate == 0 ? newest : kSmoothing * newest + (1 - kSmoothing) * file.rate;
  file.measured = file.done;
  file.measured_at = now;
}

void PullDisplay::print_line(std::string_view text) {
  clear();
  std::fprintf(out_, "%s\n", terminal_safe(text).c_str());
  std::fflush(out_);
}

// What is said once: begun, waiting, trying again, done, failed.
void PullDisplay::tell(const PullEvent& event, const File& file) {
  const std::string name = event.file.empty() ? "" : std::string(event.file) + ": ";
  switch (event.step) {
    case PullStep::started:
      if (event.done > 0) print_line(fmt::format("{}going on after {} of {}", name, format_bytes(event.done), format_bytes(event.total)));
      break;
    case PullStep::done:
      if (!event.message.empty()) return print_line(fmt::format("{}{} ({})", name, event.message, format_bytes(event.total)));
      print_line(fmt::format("{}{} in {} ({}/s)", name, format_bytes(event.total), format_duration(seconds(Clock::now() - file.started)),
                             format_bytes(static_cast<std::uint64_t>(static_cast<double>(event.total - std::min(event.total, file.first)) /
                                                                     std::max(event.transfer_s + event.sync_s, 1e-6)))));
      break;
    case PullStep::waiting:
    case PullStep::retrying:
    case PullStep::failed:
    case PullStep::note: print_line(name + std::string(event.message)); break;
    case PullStep::planned:
    case PullStep::progress:
    case PullStep::verifying: break;
  }
}

void PullDisplay::show(const PullEvent& event) {
  if (options_.style == ProgressStyle::none) return;
  const auto now = Clock::now();
  if (event.step == PullStep::planned) planned_total_ = event.total;
  File whole;
  File& file = event.file.empty() ? whole : file_of(event);
  file.done = event.step == PullStep::verifying ? file.total : event.done;
  if (event.total > 0) file.total = event.total;
  file.is_active = event.step != PullStep::done && event.step != PullStep::failed;
  file.is_verifying = event.step == PullStep::verifying;
  if (!event.file.empty()) measure(file, now);

  if (options_.style == ProgressStyle::json) {
    const bool is_frequent = event.step == PullStep::progress || event.step == PullStep::verifying;
    if (is_frequent && now - file.shown < kJson) return;
    file.shown = now;
    fmt::print("{}\n", pull_event_json(event, file.rate));
    std::fflush(stdout);
    return;
  }
  tell(event, file);
  if (options_.style == ProgressStyle::bar && now - drawn_ >= kDraw) draw();
  if (options_.style != ProgressStyle::lines || !file.is_active || event.file.empty() || now - file.shown < kLine) return;
  file.shown = now;
  print_line(bar(file, now));
}

// All files as one.
PullDisplay::File PullDisplay::sum() const {
  File all{.name = "total"};
  for (const File& file : files_) {
    all.first += file.first;
    all.done += file.done;
    all.rate += file.is_active ? file.rate : 0;
    if (all.started == Clock::time_point{} || file.started < all.started) all.started = file.started;
  }
  all.total = planned_total_;
  return all;
}

std::string PullDisplay::bar(const File& file, Clock::time_point now) const {
  ProgressState state{.event = {.task = file.name, .done = file.done, .total = file.total}, .elapsed_s = seconds(now - file.started), .rate = file.rate};
  if (file.total > file.done && file.rate > 0) state.left_s = static_cast<double>(file.total - file.done) / file.rate;
  if (file.is_verifying) return file.name + ": checking the hash";
  return options_.style == ProgressStyle::bar ? progress_bar_text(state, options_.width, options_.with_colour) : progress_line_text(state);
}

void PullDisplay::draw() {
  clear();
  const auto now = Clock::now();
  drawn_ = now;
  for (const File& file : files_) {
    if (!file.is_active) continue;
    std::fprintf(out_, "%s\n", bar(file, now).c_str());
    ++drawn_lines_;
  }
  if (files_.size() > 1 && drawn_lines_ > 0) {
    std::fprintf(out_, "%s\n", bar(sum(), now).c_str());
    ++drawn_lines_;
  }
  std::fflush(out_);
}

void PullDisplay::clear() {
  for (; drawn_lines_ > 0; --drawn_lines_) std::fputs("\x1b[1A\r\x1b[K", out_);
  std::fflush(out_);
}

}  // namespace assay

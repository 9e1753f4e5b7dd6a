// Lines about a pull, and the environment around locate_model().
#include "runtime/registry/locate_here.h"

#include <fmt/format.h>

#include "runtime/core/progress.h"

namespace assay {

namespace {

constexpr std::chrono::seconds kBetweenLines{5};

}  // namespace

std::optional<std::string> PullLines::line(const PullEvent& event) {
  const std::string name(event.file);
  const auto text = [&](std::string what) {
    return std::optional(name + (name.empty() ? "" : ": ") + std::move(what));
  };
  File& file = files_[name];
  const Clock::time_point now = Clock::now();
  switch (event.step) {
    case PullStep::planned:
      return text(fmt::format("{} to download", format_bytes(event.total - std::min(event.total, event.done))));
    case PullStep::started:
      file = {now, now, event.done};
      return text(event.done > 0
                      ? fmt::format("going on at {} of {}", format_bytes(event.done), format_bytes(event.total))
                      : format_bytes(event.total));
    case PullStep::progress: {
      if (name.empty() || now - file.told < kBetweenLines) return std::nullopt;
      file.told = now;
      const double seconds = std::chrono::duration<double>(now - file.started).count();
      const double rate =
          seconds > 0 ? static_cast<double>(event.done - std::min(event.done, file.first)) / seconds : 0;
      std::string out = fmt::format("{} of {}, {}/s", format_bytes(event.done), format_bytes(event.total),
                                    format_bytes(static_cast<std::uint64_t>(rate)));
      if (rate > 0 && event.total > event.done)
        out += ", " + format_duration(static_cast<double>(event.total - event.done) / rate) + " left";
      return text(std::move(out));
    }
    case PullStep::done:
      return name.empty() ? std::nullopt : text("done");
    case PullStep::verifying:
      return std::nullopt;
    case PullStep::waiting:
    case PullStep::retrying:
    case PullStep::failed:
    case PullStep::note:
      return text(std::string(event.message));
  }
  return std::nullopt;
}

Result<LocatedModel> locate_here(Environment environment, const std::filesystem::path& program,
                                 std::string_view argument, PullPolicy policy,
                                 FunctionRef<bool(const std::string& line)> say) {
  ASSAY_TRY(const HubOptions hub, hub_options(environment));
  PullLines lines;
  bool goes_on = true;
  const auto events = [&](const PullEvent& event) {
    if (const auto line = lines.line(event)) goes_on = say(*line) && goes_on;
    return goes_on;
  };
  const auto warn = [&](const std::string& text) { goes_on = say(text) && goes_on; };
  return locate_model(read_places(environment, hub, program), hub, argument, policy, events, warn);
}

}  // namespace assay

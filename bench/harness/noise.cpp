// judge_noise(): can these rounds be trusted, and if not, what was going on.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/harness/case_run.h"

namespace assay {

namespace {

// From here on something is worth telling: a twentieth of a processor, of a clock, of a second.
constexpr double kOtherCpus = 0.10;
constexpr double kStealPercent = 2;
constexpr double kClockPercent = 5;
constexpr double kDriftPercent = 3;
constexpr double kWallJump = 1;
constexpr double kStallShare = 0.05;

template <class Value>
double largest(const std::vector<Round>& rounds, Value&& value) {
  double out = 0;
  for (const Round& round : rounds) out = std::max(out, std::abs(value(round.surroundings)));
  return out;
}

double clock_change(const Surroundings& s) {
  if (!s.clock_before_mhz || !s.clock_after_mhz || *s.clock_before_mhz <= 0) return 0;
  return 100 * (*s.clock_after_mhz / *s.clock_before_mhz - 1);
}

}  // namespace

Noise judge_noise(const CaseRun& run, double target_percent) {
  Noise out;
  for (const auto* metric : {&run.prefill_tps, &run.decode_tps})
    if (*metric) out.interval_percent = std::max(out.interval_percent, interval_percent(**metric));
  const auto& rounds = run.rounds;
  const auto tell = [&](double seen, double from, std::string text) {
    if (seen > from) out.reasons.push_back(std::move(text));
  };
  const double others = largest(rounds, [](const Surroundings& s) { return s.other_cpus.value_or(0); });
  tell(others, kOtherCpus, fmt::format("other processes took up to {:.2f} processors", others));
  const double steal = largest(rounds, [](const Surroundings& s) { return s.steal_percent.value_or(0); });
  tell(steal, kStealPercent, fmt::format("the hypervisor took up to {:.1f} % of a processor", steal));
  const double throttled = largest(rounds, [](const Surroundings& s) { return static_cast<double>(s.throttle_events.value_or(0)); });
  tell(throttled, 0, fmt::format("the processor throttled {:.0f} times in a round", throttled));
  const double clock = largest(rounds, clock_change);
  tell(clock, kClockPercent, fmt::format("the clock changed by up to {:.0f} % within a round", clock));
  const double stalled = largest(rounds, [](const Surroundings& s) { return s.seconds > 0 ? s.pressure.memory_ms.value_or(0) / 1e3 / s.seconds : 0; });
  tell(stalled, kStallShare, fmt::format("tasks waited for memory in up to {:.0f} % of the time", 100 * stalled));
  const double jump = largest(rounds, [](const Surroundings& s) { return s.wall_jump_s; });
  tell(jump, kWallJump, fmt::format("the wall clock jumped by up to {:.0f} s (durations come from a steady clock)", jump));
  for (const auto& [name, metric] : {std::pair("prefill", &run.prefill_tps), std::pair("decode", &run.decode_tps)})
    if (*metric && std::abs((*metric)->drift_percent) > std::max(kDriftPercent, 2 * target_percent))
      out.reasons.push_back(fmt::format("{} drifted by {:+.1f} % from the first round to the last", name, (*metric)->drift_percent));
  // A wide interval is what makes a number doubtful; the reasons say where to look.
  out.is_noisy = run.rounds.size() >= 3 && out.interval_percent > target_percent;
  if (out.is_noisy && out.reasons.empty()) out.reasons.push_back("rounds differ and no cause was seen; measure longer or on a quieter machine");
  return out;
}

}  // namespace assay

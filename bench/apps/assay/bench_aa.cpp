// assay bench --aa: the program compared with itself, as often as asked, to learn how often that raises an alarm.
#include <fmt/format.h>

#include "bench/apps/assay/bench_parts.h"
#include "bench/harness/compare.h"

namespace assay {

namespace {

constexpr const char* kArms[] = {"a", "b"};

// Every case twice, side by side.
BenchPlan doubled(const BenchPlan& plan) {
  BenchPlan out = plan;
  out.cases.clear();
  out.quality.is_wanted = false;
  out.with_cold = false;
  out.max_rounds = out.min_rounds;  // both arms get the same number
  for (const PlannedCase& which : plan.cases)
    for (const char* arm : kArms) out.cases.emplace_back(which).arm = arm;
  return out;
}

struct FalseAlarms {
  int trials = 0, alarms = 0;         // comparisons with any verdict other than "same"
  std::uint64_t metrics = 0, wrong = 0;
  double largest_percent = 0;         // of the medians, however insignificant
};

void add_trial(FalseAlarms& out, const Comparison& comparison) {
  bool is_alarm = false;
  for (const CaseComparison& one : comparison.cases)
    for (const MetricComparison& metric : one.metrics) {
      ++out.metrics;
      out.largest_percent = std::max(out.largest_percent, std::abs(metric.change_percent));
      if (metric.verdict == Verdict::same) continue;
      ++out.wrong;
      is_alarm = true;
    }
  ++out.trials;
  out.alarms += is_alarm ? 1 : 0;
}

}  // namespace

int run_false_alarms(const BenchPlan& plan, const RunnerOptions& options, const BenchArguments& arguments, const std::function<void()>& clear) {
  const CompareOptions compare;
  Runner runner(doubled(plan), options);
  FalseAlarms found;
  Result<> done = runner.prepare();
  for (int trial = 0; done && trial < arguments.aa; ++trial) {
    runner.restart();
    done = runner.measure();
    if (!done) break;
    std::vector<CaseRun> arms[2];
    const std::vector<CaseRun> records = runner.records();
    for (std::size_t i = 0; i < records.size(); ++i) arms[i % 2].push_back(records[i]);
    const Comparison comparison = compare_results(arms[0], arms[1], compare);
    if (comparison.rounds_needed > 0) {
      clear();
      return report_error({Code::usage, "--aa", comparison.reason + "; give --rounds"});
    }
    if (comparison.tests == 0) {
      clear();
      return report_error({Code::unsupported, "--aa", "nothing could be measured: " + (records.empty() ? "no case" : records.front().reason)});
    }
    add_trial(found, comparison);
  }
  clear();
  if (found.trials > 0) {
    Json out{Json::Object{}};
    out.set("schema", "assay.false-alarms/1").set("trials", found.trials).set("alarms", found.alarms).set("rate", static_cast<double>(found.alarms) / found.trials);
    out.set("metrics", found.metrics).set("wrong_metrics", found.wrong).set("largest_change_percent", found.largest_percent);
    out.set("rounds", std::uint64_t{plan.min_rounds}).set("alpha", compare.alpha).set("min_effect_percent", compare.min_effect_percent);
    if (arguments.json) fmt::print("{}\n", to_text(out, 2));
    else fmt::print("{} of {} comparisons of the program with itself raised an alarm ({:.1f} %): {} of {} metrics, {} rounds a side; the medians differed by up to {:.1f} %\n", found.alarms, found.trials,
                    100.0 * found.alarms / found.trials, found.wrong, found.metrics, plan.min_rounds, found.largest_percent);
  }
  return done ? kExitYes : report_error(done.error());
}

}  // namespace assay

// Joining, testing and judging behind compare_results().
#include "bench/harness/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "bench/harness/text_table.h"
#include "bench/significance.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

struct GatedMetric {
  std::string_view name, unit;
  Better better;
  std::optional<Metric> CaseRun::*member;
};
constexpr std::array kGatedMetrics = {
    GatedMetric{"prefill", "tok/s", Better::higher, &CaseRun::prefill_tps}, GatedMetric{"decode", "tok/s", Better::higher, &CaseRun::decode_tps},
    GatedMetric{"TTFT", "ms", Better::lower, &CaseRun::ttft_ms}, GatedMetric{"peak memory", "B", Better::lower, &CaseRun::peak_bytes},
    GatedMetric{"time", "ms", Better::lower, &CaseRun::time_ms}};
// What a peer tells of a joined case.
constexpr GatedMetric kEndToEnd = {"end to end", "tok/s", Better::higher, &CaseRun::end_to_end_tps};

// Facts may move by rounding only.
constexpr double kFactTolerance = 0.001;
constexpr double kPerplexityTolerance = 0.01;

// The same case on any machine: threads, kernels and masks belong to the machine.
std::string portable_key(const CaseRun& run) {
  CaseSettings settings = run.settings;
  settings.threads = 0;
  settings.isa.clear();
  settings.cpu_mask.clear();
  return run.model_sha256 + "\n" + run.engine.name + "\n" + to_text(to_json(settings));
}

bool has_numbers(const CaseRun& run) {
  return run.status == Status::ok && (run.prefill_tps || run.decode_tps || run.end_to_end_tps || run.time_ms);
}

using Newest = std::map<std::string, const CaseRun*>;
template <class KeyOf>
Newest newest_of(const std::vector<CaseRun>& runs, KeyOf&& key_of) {
  Newest out;
  for (const CaseRun& run : runs) {
    const CaseRun*& place = out[key_of(run)];
    if (place == nullptr || place->time <= run.time) place = &run;
  }
  return out;
}

MetricComparison compare_metric(const GatedMetric& which, const Metric& base, const Metric& now) {
  MetricComparison out;
  out.metric = which.name;
  out.unit = which.unit;
  out.base = base.median;
  out.now = now.median;
  out.base_rounds = base.rounds.size();
  out.now_rounds = now.rounds.size();
  out.change_percent = 100 * (now.median / base.median - 1);
  const Interval ratio = bootstrap_ratio(base.rounds, now.rounds);
  out.low_percent = 100 * (ratio.low - 1);
  out.high_percent = 100 * (ratio.high - 1);
  const RankTest test = mann_whitney(base.rounds, now.rounds);
  out.p = test.p;
  out.effect = test.effect;
  return out;
}

void compare_metrics(const CaseRun& base, const CaseRun& now, CaseComparison& out) {
  const auto add = [&](const GatedMetric& which) {
    const auto &before = base.*which.member, &after = now.*which.member;
    if (before && after && before->median > 0 && after->median > 0) out.metrics.push_back(compare_metric(which, *before, *after));
  };
  for (const GatedMetric& which : kGatedMetrics) add(which);
  if (!base.prefill_tps && !base.decode_tps) add(kEndToEnd);
}

FactComparison compare_number(std::string fact, double base, double now, double tolerance, const std::string& base_text, const std::string& now_text) {
  FactComparison out{.fact = std::move(fact), .base = base_text, .now = now_text};
  if (now > base * (1 + tolerance)) out.verdict = Verdict::worse;
  if (now < base * (1 - tolerance)) out.verdict = Verdict::better;
  return out;
}

void compare_facts(const CaseRun& base, const CaseRun& now, const CompareOptions& options, CaseComparison& out) {
  if (base.output_hash && now.output_hash) {
    FactComparison fact{.fact = "output", .base = base.output_hash->substr(0, 12), .now = now.output_hash->substr(0, 12)};
    // Instruction sets add in different orders: a token may then differ where two are as good as equal.
    fact.is_gated = !options.ignores_output && base.resolved.isa == now.resolved.isa;
    if (*base.output_hash != *now.output_hash) fact.verdict = Verdict::changed;
    out.facts.push_back(std::move(fact));
  }
  const auto bytes = [&](const char* name, double before, double after) {
    if (before <= 0 || after <= 0) return;
    out.facts.push_back(compare_number(name, before, after, kFactTolerance, format_bytes(static_cast<std::uint64_t>(before)), format_bytes(static_cast<std::uint64_t>(after))));
  };
  if (base.decode && now.decode) bytes("bytes per token", base.decode->bytes_per_token, now.decode->bytes_per_token);
  const auto planned = [](const CaseRun& run) { return static_cast<double>(run.planned.weights_bytes + run.planned.kv_bytes + run.planned.activation_bytes); };
  bytes("planned memory", planned(base), planned(now));
  if (base.quality && now.quality && base.quality->text_sha256 == now.quality->text_sha256 && base.quality->context == now.quality->context && base.quality->windows == now.quality->windows)
    out.facts.push_back(compare_number("perplexity", base.quality->perplexity, now.quality->perplexity, kPerplexityTolerance, fmt::format("{:.4f}", base.quality->perplexity), fmt::format("{:.4f}", now.quality->perplexity)));
  if (base.status == Status::ok && now.status != Status::ok)
    out.facts.push_back({.fact = "status", .base = "ok", .now = std::string(enum_names(now.status)[static_cast<std::size_t>(now.status)]) + ": " + now.reason, .verdict = Verdict::worse});
}

std::vector<MetricComparison*> all_metrics(Comparison& comparison) {
  std::vector<MetricComparison*> out;
  for (CaseComparison& one : comparison.cases)
    for (MetricComparison& metric : one.metrics) out.push_back(&metric);
  return out;
}

void judge_metrics(Comparison& out, const CompareOptions& options) {
  const std::vector<MetricComparison*> metrics = all_metrics(out);
  out.tests = metrics.size();
  if (metrics.empty()) return;
  out.level = options.alpha / static_cast<double>(metrics.size());
  out.smallest_p = 0;
  std::vector<double> p;
  for (const MetricComparison* metric : metrics) {
    p.push_back(metric->p);
    out.smallest_p = std::max(out.smallest_p, smallest_p(metric->base_rounds, metric->now_rounds));
  }
  if (out.smallest_p > out.level) out.rounds_needed = rounds_needed(options.alpha, metrics.size());
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    MetricComparison& metric = *metrics[i];
    metric.adjusted_p = adjusted[i];
    if (!(metric.adjusted_p < options.alpha) || !(std::abs(metric.change_percent) > options.min_effect_percent)) continue;
    const bool is_up_good = metric.unit == "tok/s";
    metric.verdict = (metric.change_percent > 0) == is_up_good ? Verdict::better : Verdict::worse;
  }
}

void judge(Comparison& out, const CompareOptions& options) {
  std::vector<std::string> worse;
  std::size_t better = 0;
  bool has_same_host = false;
  for (const CaseComparison& one : out.cases) {
    has_same_host |= one.has_same_host;
    for (const MetricComparison& metric : one.metrics) {
      if (metric.verdict == Verdict::worse) worse.push_back(fmt::format("{}: {} {:+.1f} %", one.case_name, metric.metric, metric.change_percent));
      if (metric.verdict == Verdict::better) ++better;
    }
    for (const FactComparison& fact : one.facts)
      if (fact.is_gated && (fact.verdict == Verdict::worse || fact.verdict == Verdict::changed)) worse.push_back(fmt::format("{}: {} {} -> {}", one.case_name, fact.fact, fact.base, fact.now));
  }
  if (out.cases.empty()) {
    out.outcome = Outcome::not_comparable;
    out.reason = "no case is in both: they join on model hash, engine and settings";
  } else if (!worse.empty()) {
    out.outcome = Outcome::regression;
    out.reason = fmt::format("{} worse: {}", worse.size(), fmt::join(worse, "; "));
  } else if (!options.facts_only && !has_same_host) {
    out.outcome = Outcome::not_comparable;
    out.reason = "they were measured on different hosts; speeds cannot be compared (facts that no machine changes are the same)";
  } else if (!options.facts_only && out.tests == 0) {
    out.outcome = Outcome::not_comparable;
    out.reason = "no case has numbers on both sides";
  } else if (!options.facts_only && out.rounds_needed > 0) {
    out.outcome = Outcome::not_comparable;
    out.reason = fmt::format("too few rounds to be sure of anything: the smallest p they could reach is {:.2g}, {} metrics need {:.2g}; need {} rounds a side", out.smallest_p, out.tests, out.level, out.rounds_needed);
  } else {
    out.outcome = Outcome::no_regression;
    out.reason = options.facts_only ? "the facts are the same" : better > 0 ? fmt::format("nothing is worse, {} better", better) : fmt::format("no change above {:g} % is significant", options.min_effect_percent);
  }
}

}  // namespace

Comparison compare_results(const std::vector<CaseRun>& base, const std::vector<CaseRun>& now, const CompareOptions& options) {
  Comparison out;
  out.alpha = options.alpha;
  out.min_effect_percent = options.min_effect_percent;
  const auto exact = [](const CaseRun& run) { return run.key + run.host_fingerprint; };
  const Newest base_exact = newest_of(base, exact), now_exact = newest_of(now, exact);
  const Newest base_portable = newest_of(base, portable_key), now_portable = newest_of(now, portable_key);
  std::set<std::string> joined;
  const auto join = [&](const CaseRun& before, const CaseRun& after, bool has_same_host) {
    CaseComparison one{.case_name = after.case_name, .has_same_host = has_same_host, .note = {}, .metrics = {}, .facts = {}};
    if (options.facts_only) one.note = "facts only";
    else if (!has_same_host) one.note = before.host_fingerprint != after.host_fingerprint ? "measured on different hosts" : "measured with different threads or kernels";
    else if (!has_numbers(before) || !has_numbers(after)) one.note = "no numbers on one side";
    else compare_metrics(before, after, one);
    compare_facts(before, after, options, one);
    joined.insert(portable_key(after));
    out.cases.push_back(std::move(one));
  };
  for (const CaseRun& run : now) {  // in the order of the new results
    const auto newest = now_exact.find(exact(run));
    if (newest->second != &run) continue;
    if (const auto before = base_exact.find(exact(run)); before != base_exact.end()) join(*before->second, run, true);
  }
  for (const CaseRun& run : now) {
    const std::string key = portable_key(run);
    if (joined.contains(key) || now_portable.at(key) != &run) continue;
    if (const auto before = base_portable.find(key); before != base_portable.end()) join(*before->second, run, false);
  }
  for (const auto& [key, run] : base_portable)
    if (!joined.contains(key)) out.only_base.push_back(run->case_name);
  for (const auto& [key, run] : now_portable)
    if (!joined.contains(key)) out.only_new.push_back(run->case_name);
  judge_metrics(out, options);
  judge(out, options);
  return out;
}

ASSAY_JSON_HERE(Comparison)

}  // namespace assay

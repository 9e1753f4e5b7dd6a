// From rounds to figures: medians, rates, shares of limits, latency, memory, start.
#include "bench/harness/case_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/harness/surroundings.h"
#include "bench/significance.h"
#include "runtime/core/sha256.h"
#include "runtime/model/memory_plan.h"

namespace assay {

namespace {

constexpr std::size_t kKeyDigits = 16;

std::string short_hash(const std::string& text) { return sha256_of(std::as_bytes(std::span(text))).substr(0, kKeyDigits); }

// One value a round, from the median of its samples; nothing where a round has none.
template <class Value>
std::optional<Metric> collect(const std::vector<Round>& rounds, Value&& value) {
  std::vector<double> values;
  for (const Round& round : rounds)
    if (const double found = value(round); std::isfinite(found) && found > 0) values.push_back(found);
  if (values.empty() || values.size() != rounds.size()) return std::nullopt;
  return make_metric(std::move(values));
}

template <class Member>
std::optional<double> median_of(const std::vector<Round>& rounds, Member&& member) {
  std::vector<double> values;
  for (const Round& round : rounds)
    if (const std::optional<double> value = member(round)) values.push_back(*value);
  if (values.empty()) return std::nullopt;
  return median(values);
}

void fill_speeds(CaseRun& run) {
  const double prompt = run.settings.prompt_tokens, generated = static_cast<double>(run.settings.generated_tokens) * run.settings.sequences;
  const auto rate = [](double tokens, double ms) { return tokens / ms * 1e3; };
  run.prefill_tps = collect(run.rounds, [&](const Round& r) { return rate(prompt, median(r.prefill_ms)); });
  run.decode_tps = collect(run.rounds, [&](const Round& r) { return rate(generated, median(r.decode_ms)); });
  run.end_to_end_tps = collect(run.rounds, [&](const Round& r) {
    return rate(prompt + generated, r.joined_ms.empty() ? median(r.prefill_ms) + median(r.decode_ms) : median(r.joined_ms));
  });
  run.ttft_ms = collect(run.rounds, [](const Round& r) { return median(r.ttft_ms); });
  run.peak_bytes = collect(run.rounds, [](const Round& r) { return static_cast<double>(r.memory.peak_bytes); });
  if (run.decode_tps) run.ms_per_token = 1e3 / run.decode_tps->median;
  run.tokenize_ms = median_of(run.rounds, [](const Round& r) { return r.tokenize_ms; });
  run.sample_ms = median_of(run.rounds, [](const Round& r) { return r.sample_ms; });
}

void fill_latency(CaseRun& run) {
  TokenLatency out;
  for (const Round& round : run.rounds) {
    out.count += round.latency.count;
    if (round.latency.max_ms) out.max_ms = std::max(out.max_ms.value_or(0), *round.latency.max_ms);
  }
  out.p50_ms = median_of(run.rounds, [](const Round& r) { return r.latency.p50_ms; });
  out.p90_ms = median_of(run.rounds, [](const Round& r) { return r.latency.p90_ms; });
  out.p95_ms = median_of(run.rounds, [](const Round& r) { return r.latency.p95_ms; });
  out.p99_ms = median_of(run.rounds, [](const Round& r) { return r.latency.p99_ms; });
  run.latency = out;
}

void fill_work(CaseRun& run, const CaseFigures& figures) {
  run.prefill.reset();
  run.decode.reset();
  if (figures.bytes_per_token == 0) return;  // a peer does not tell
  const auto set_limit = [](Work& work, std::string name, double reached, const std::optional<double>& limit) {
    work.limit = std::move(name);
    if (limit && *limit > 0) work.limit_percent = 100 * reached / *limit;
  };
  // Rounds have limits of their own, unless they ran on a device.
  const auto set_share = [&](Work& work, std::string name, std::optional<double> Round::*limit, std::vector<double> Round::*times, double amount) {
    const auto share = median_of(run.rounds, [&](const Round& r) -> std::optional<double> {
      if ((r.*times).empty() || (r.*limit).value_or(0) <= 0) return std::nullopt;
      return 100 * amount / median(r.*times) / 1e6 / *(r.*limit);
    });
    if (!share) return false;
    work.limit = std::move(name);
    work.limit_percent = share;
    return true;
  };
  const double weights = static_cast<double>(figures.bytes_per_token);
  const auto cache_read = [&](double positions) {
    return static_cast<double>(figures.kv_bytes_per_position) * positions +
           static_cast<double>(figures.window_kv_bytes_per_position) * std::min(positions, static_cast<double>(figures.window));
  };
  if (run.prefill_tps) {
    const double tokens = run.settings.prompt_tokens, tps = run.prefill_tps->median;
    const double batches = std::ceil(tokens / std::max(1u, std::min(run.settings.batch, run.settings.ubatch)));
    // Weights are read once a batch; what attention reads again and again stays in the caches and is not counted.
    Work work;
    work.bytes_per_token = weights * batches / tokens;
    work.gbps = work.bytes_per_token * tps / 1e9;
    const double macs = MacCount{figures.layer_macs, figures.head_macs, figures.closing_macs}.of_prompt(tokens), gmacs = macs / tokens * tps / 1e9;
    work.gflops = 2 * gmacs;
    const MachineLimits& limits = run.limits;
    const auto& peak = figures.prefill_limit == "int8_dot" ? limits.int8_dot_all_gmacs : figures.prefill_limit == "bf16_dot" ? limits.bf16_dot_all_gmacs : limits.f32_fma_all_gmacs;
    if (!set_share(work, figures.prefill_limit + "_gmacs", &Round::peak_gmacs, &Round::prefill_ms, macs)) set_limit(work, figures.prefill_limit + "_all_gmacs", gmacs, peak);
    run.prefill = work;
  }
  if (run.decode_tps) {
    const double tokens = run.settings.generated_tokens, tps = run.decode_tps->median, together = run.settings.sequences;
    const double first = run.settings.depth + (run.settings.is_joined ? run.settings.prompt_tokens : 0);
    // The token at position p reads p + 1 positions of the cache; sequences decoded together share one reading of the weights.
    Work work;
    work.bytes_per_token = weights / together + cache_read(first + (tokens + 1) / 2);
    work.gbps = work.bytes_per_token * tps / 1e9;
    work.gflops = 2 * (figures.layer_macs + figures.head_macs) * tps / 1e9;
    if (!set_share(work, "read_gbps", &Round::read_gbps, &Round::decode_ms, work.bytes_per_token * tokens * together)) set_limit(work, "read_all_gbps", work.gbps, run.limits.read_all_gbps);
    run.decode = work;
  }
}

void fill_start(CaseRun& run) {
  const auto own = [&](double StartTimes::*member) {
    return median_of(run.rounds, [&](const Round& r) { return r.start ? std::optional((*r.start).*member) : std::nullopt; });
  };
  if (!own(&StartTimes::load_ms)) return;
  StartTimes out = run.start.value_or(StartTimes{});  // keeps what is known of the cold start
  for (double StartTimes::*member : {&StartTimes::open_ms, &StartTimes::bind_ms, &StartTimes::tokenizer_ms, &StartTimes::session_ms, &StartTimes::load_ms, &StartTimes::first_token_ms})
    out.*member = own(member).value_or(0);
  run.start = out;
}

void fill_memory(CaseRun& run) {
  const auto largest = std::max_element(run.rounds.begin(), run.rounds.end(), [](const Round& a, const Round& b) { return a.memory.peak_bytes < b.memory.peak_bytes; });
  run.memory = largest->memory;
  const double planned = static_cast<double>(run.planned.weights_bytes + run.planned.kv_bytes + run.planned.activation_bytes);
  if (planned > 0 && run.peak_bytes) run.plan_error_percent = 100 * (run.peak_bytes->median - planned) / planned;
  Pressure sum;
  const auto add = [](std::optional<double>& to, const std::optional<double>& more) {
    if (more) to = to.value_or(0) + *more;
  };
  for (const Round& round : run.rounds) {
    add(sum.memory_ms, round.surroundings.pressure.memory_ms);
    add(sum.cpu_ms, round.surroundings.pressure.cpu_ms);
    add(sum.io_ms, round.surroundings.pressure.io_ms);
  }
  run.pressure = sum;
  run.energy.sensor = run.rounds.front().energy.sensor;
  run.energy.watts = median_of(run.rounds, [](const Round& r) { return r.energy.watts; });
  run.energy.joules_per_prompt_token = median_of(run.rounds, [](const Round& r) { return r.energy.joules_per_prompt_token; });
  run.energy.joules_per_generated_token = median_of(run.rounds, [](const Round& r) { return r.energy.joules_per_generated_token; });
}

}  // namespace

TokenLatency summarize_latency(std::span<const double> token_ms) {
  std::vector<double> sorted(token_ms.begin(), token_ms.end());
  std::sort(sorted.begin(), sorted.end());
  TokenLatency out;
  out.count = sorted.size();
  if (sorted.empty()) return out;
  out.p50_ms = quantile_of_sorted(sorted, 0.5);
  out.p90_ms = quantile_of_sorted(sorted, 0.9);
  out.p95_ms = quantile_of_sorted(sorted, 0.95);
  out.p99_ms = quantile_of_sorted(sorted, 0.99);
  out.max_ms = sorted.back();
  return out;
}

Metric make_metric(std::vector<double> rounds) {
  const Summary summary = summarize(rounds);
  const Interval interval = bootstrap_median(rounds);
  Metric out{.rounds = {}, .median = summary.median, .mad = summary.mad, .mean = summary.mean, .cv = summary.cv, .min = summary.min, .max = summary.max, .low = interval.low, .high = interval.high};
  if (summary.median > 0) out.drift_percent = 100 * theil_sen_change(rounds) / summary.median;
  out.rounds = std::move(rounds);
  return out;
}

double interval_percent(const Metric& metric) {
  if (metric.rounds.size() < 3 || !(metric.median > 0)) return std::numeric_limits<double>::infinity();
  return 100 * (metric.high - metric.low) / 2 / metric.median;
}

HostState read_host_state(const HostFacts& host) {
  const MachineMoment now = read_moment();
  return {.time = utc_time(), .clock_mhz = now.clock_mhz, .temperature_c = now.temperature_c, .load_1 = now.load_1, .governor = host.governor};
}

std::string test_name(const CaseSettings& settings) {
  std::string out;
  if (settings.prompt_tokens > 0) out = fmt::format("pp{}", settings.prompt_tokens);
  if (settings.generated_tokens > 0) out += fmt::format("{}tg{}", out.empty() ? "" : settings.is_joined ? "+" : " ", settings.generated_tokens);
  if (settings.sequences > 1) out += fmt::format(" x{}", settings.sequences);
  if (settings.depth > 0) out += fmt::format(" @ d{}", settings.depth);
  return out;
}

std::string make_key(const CaseRun& run) {
  CaseSettings settings = run.settings;
  settings.threads = run.resolved.threads > 0 ? run.resolved.threads : settings.threads;
  return short_hash(run.model_sha256 + "\n" + run.engine.name + "\n" + to_text(to_json(settings)));
}

std::string make_fingerprint(const HostFacts& host) {
  std::string text = fmt::format("{}|{}|{}|{}|{}|{}|{}|", host.cpu_model, host.machine, host.isa, host.cores, host.hardware_threads, host.allowed_threads, host.numa_nodes);
  for (const CacheFacts& cache : host.caches) text += fmt::format("{}{}{}/{},", cache.level, cache.kind, cache.bytes, cache.shared_by);
  // Whole gigabytes: what a kernel keeps for itself changes from version to version.
  text += fmt::format("|{}|{}|{}", (host.memory_bytes + (1u << 29)) >> 30, host.virtual_machine.value_or(""), host.governor.value_or(""));
  return short_hash(text);
}

CaseRun facts_only(const CaseRun& run) {
  CaseRun out;
  out.case_name = run.case_name;
  out.test = run.test;
  out.status = run.status;
  out.reason = run.reason;
  out.engine.name = run.engine.name;
  out.model = run.model;
  out.model_sha256 = run.model_sha256;
  out.settings = run.settings;
  out.resolved.isa = run.resolved.isa;
  out.output_hash = run.output_hash;
  out.planned = run.planned;
  out.quality = run.quality;
  if (out.quality) out.quality->seconds = 0;
  if (run.decode) {
    out.decode.emplace();
    out.decode->bytes_per_token = run.decode->bytes_per_token;
  }
  return out;
}

void finish_case(CaseRun& run, const CaseFigures& figures, double target_percent) {
  run.key = make_key(run);
  if (run.rounds.empty()) return;
  fill_speeds(run);
  fill_latency(run);
  fill_work(run, figures);
  fill_start(run);
  fill_memory(run);
  run.noise = judge_noise(run, target_percent);
}

ASSAY_JSON_HERE(CaseSettings)
ASSAY_JSON_HERE(Round)
ASSAY_JSON_HERE(CaseRun)

}  // namespace assay

// From records to a report, and its plain forms.
#include "reports/render/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bench/harness/compare.h"
#include "bench/harness/sweep.h"
#include "bench/harness/text_table.h"
#include "reports/render/report_json.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

constexpr std::size_t kLatencySteps = 20;

std::optional<ReportMetric> metric_of(const std::optional<Metric>& metric) {
  if (!metric) return std::nullopt;
  ReportMetric out{metric->median, metric->low, metric->high, {}};
  if (metric->rounds.size() >= 3) out.percent = interval_percent(*metric);
  return out;
}
std::optional<double> median_of(const std::optional<Metric>& metric) { return metric ? std::optional(metric->median) : std::nullopt; }
std::optional<double> limit_of(const std::optional<Work>& work) { return work ? work->limit_percent : std::nullopt; }

std::vector<double> latency_of(const CaseRun& run) {
  std::vector<double> all, out;
  for (const Round& round : run.rounds) all.insert(all.end(), round.token_ms.begin(), round.token_ms.end());
  if (all.size() < kLatencySteps) return out;
  std::sort(all.begin(), all.end());
  // The last step ends at 99: the slowest of all tokens would hide the rest.
  for (std::size_t i = 0; i <= kLatencySteps; ++i) out.push_back(quantile_of_sorted(all, std::min(0.99, static_cast<double>(i) / kLatencySteps)));
  return out;
}

std::string answer_of(const CaseRun& run) {
  if (!run.agreement) return "";
  return fmt::format("{}: top-1 {:.0f} % of {}, rms {:.2g}, {}", run.agreement->passed ? "agrees" : "differs", 100 * run.agreement->top1, run.agreement->positions, run.agreement->rms_relative, run.agreement->against);
}

ReportRow row_of(const CaseRun& run) {
  ReportRow row;
  row.model = run.model.name;
  row.test = run.test;
  row.engine = run.engine.name;
  row.commit = run.engine.commit + (run.engine.name == "assay" && run.build.is_dirty ? "+" : "");
  row.tag = run.tag;
  row.time = run.time;
  row.status = enum_names(run.status)[static_cast<std::size_t>(run.status)];
  row.reason = run.reason;
  row.answer = answer_of(run);
  row.format = run.model.kind + (run.model.formats.empty() ? "" : " " + run.model.formats.front().format);
  row.key = run.key + run.host_fingerprint;
  row.noise = run.noise.reasons;
  row.is_noisy = run.noise.is_noisy;
  row.prefill = metric_of(run.prefill_tps);
  row.decode = metric_of(run.decode_tps);
  row.end_to_end = metric_of(run.end_to_end_tps);
  row.ttft_ms = median_of(run.ttft_ms);
  row.p50_ms = run.latency.p50_ms;
  row.p99_ms = run.latency.p99_ms;
  row.peak_bytes = median_of(run.peak_bytes);
  row.plan_error_percent = run.plan_error_percent;
  if (run.start) row.load_ms = run.start->load_ms, row.cold_ms = run.start->cold_load_ms;
  if (row.cold_ms && run.start->cold_first_token_ms) *row.cold_ms += *run.start->cold_first_token_ms;
  row.prefill_limit = limit_of(run.prefill);
  row.decode_limit = limit_of(run.decode);
  if (run.quality) row.perplexity = run.quality->perplexity, row.kl = run.quality->kl_mean;
  row.joules = run.energy.joules_per_generated_token;
  row.latency_ms = latency_of(run);
  row.bits = run.model.bits_per_weight;
  row.depth = run.settings.depth;
  row.generated = run.settings.generated_tokens;
  row.rounds = run.rounds.size();
  return row;
}

std::vector<std::pair<std::string, std::string>> host_of(const CaseRun& run) {
  const HostFacts& host = run.host;
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](const char* name, std::string value) {
    if (!value.empty()) out.emplace_back(name, std::move(value));
  };
  const auto number = [](const std::optional<double>& value, const char* unit) { return value ? fmt::format("{:.4g}{}", *value, unit) : std::string(); };
  add("Processor", host.cpu_model);
  if (host.hardware_threads > 0) add("Cores", fmt::format("{} cores, {} threads, {} allowed, {} NUMA node{}", host.cores, host.hardware_threads, host.allowed_threads, host.numa_nodes, host.numa_nodes == 1 ? "" : "s"));
  add("Instruction sets", host.isa);
  std::string caches;
  for (const CacheFacts& cache : host.caches) caches += fmt::format("{}L{} {} {}", caches.empty() ? "" : ", ", cache.level, cache.kind, format_bytes(cache.bytes));
  add("Caches", caches);
  if (host.memory_bytes > 0) add("Memory", fmt::format("{}{}", format_bytes(host.memory_bytes), host.memory_limit_bytes ? ", limited to " + format_bytes(*host.memory_limit_bytes) : ""));
  if (run.limits.read_all_gbps) add("Measured limits", fmt::format("read {:.1f} GB/s, int8 {:.0f} GMAC/s", *run.limits.read_all_gbps, run.limits.int8_dot_all_gmacs.value_or(0)));
  add("Governor", host.governor.value_or(""));
  add("Clock before, after", number(run.host_before.clock_mhz, " MHz") + (run.host_after.clock_mhz ? ", " + number(run.host_after.clock_mhz, " MHz") : ""));
  if (run.host_before.temperature_c) add("Temperature before, after", number(run.host_before.temperature_c, " C") + ", " + number(run.host_after.temperature_c, " C"));
  if (run.host_before.load_1) add("Load before, after", fmt::format("{:.2f}, {:.2f}", *run.host_before.load_1, run.host_after.load_1.value_or(0)));
  add("System", host.os + (host.kernel.empty() ? "" : ", " + host.kernel));
  std::string inside = host.virtual_machine ? "virtual machine (" + *host.virtual_machine + ")" : "";
  if (host.container) inside += (inside.empty() ? "" : ", ") + std::string("container (") + *host.container + ")";
  add("Inside", inside);
  if (!run.build.compiler.empty()) add("Built with", fmt::format("{}, {} {}", run.build.compiler, run.build.build_type, run.build.flags));
  add("Fingerprint", run.host_fingerprint);
  return out;
}

template <class Value>
const ReportRow* best_of(const Report& report, Value&& value, bool is_high) {
  const ReportRow* best = nullptr;
  for (const ReportRow& row : report.rows) {
    if (row.status != "ok" || !value(row)) continue;
    if (best == nullptr || (is_high ? *value(row) > *value(*best) : *value(row) < *value(*best))) best = &row;
  }
  return best;
}

std::string summarize(const Report& report) {
  std::set<std::string> models;
  std::size_t failed = 0, noisy = 0;
  for (const ReportRow& row : report.rows) {
    models.insert(row.model);
    failed += row.status != "ok" ? 1 : 0;
    noisy += row.is_noisy ? 1 : 0;
  }
  const auto plural = [](std::size_t count, const char* word) { return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s"); };
  std::string out = fmt::format("{} of {}", plural(report.rows.size(), "case"), plural(models.size(), "model"));
  const auto decode = [](const ReportRow& row) { return row.decode ? std::optional(row.decode->median) : std::nullopt; };
  if (const ReportRow* row = best_of(report, decode, true)) out += fmt::format("; fastest generation {} tok/s ({})", figure(row->decode->median), row->model);
  if (const ReportRow* row = best_of(report, [](const ReportRow& r) { return r.peak_bytes; }, false)) out += fmt::format(", least memory {} ({})", format_bytes(static_cast<std::uint64_t>(*row->peak_bytes)), row->model);
  out += ". " + (failed == 0 ? std::string("Nothing failed") : plural(failed, "case") + " failed");
  return out + (noisy > 0 ? fmt::format("; {} noisy.", noisy == 1 ? "1 is" : fmt::format("{} are", noisy)) : ".");
}

std::string metric_text(const std::optional<ReportMetric>& metric) { return !metric ? "" : metric->percent ? figure_within(metric->median, *metric->percent) : figure(metric->median); }
std::string number_text(const std::optional<double>& value) { return value ? figure(*value) : ""; }

TextTable table_of(const Report& report) {
  TextTable table({{"Model"}, {"Test"}, {"Settings"}, {"Engine"}, {"Prefill tok/s", Align::right}, {"Decode tok/s", Align::right}, {"TTFT ms", Align::right}, {"p99 ms", Align::right}, {"Peak", Align::right}, {"of limit", Align::right}, {"Perplexity", Align::right}, {"Rounds", Align::right}, {"Status"}});
  for (const ReportRow& row : report.rows) {
    const std::optional<double>& limit = row.decode_limit ? row.decode_limit : row.prefill_limit;
    table.add({row.model, row.test, row.variant, row.engine, row.end_to_end && !row.prefill && !row.decode ? "e2e " + metric_text(row.end_to_end) : metric_text(row.prefill), metric_text(row.decode), number_text(row.ttft_ms), number_text(row.p99_ms),
               row.peak_bytes ? format_bytes(static_cast<std::uint64_t>(*row.peak_bytes)) : "", limit.has_value() ? fmt::format("{:.0f} %", limit.value_or(0)) : "", number_text(row.perplexity), std::to_string(row.rounds),
               row.status == "ok" ? row.is_noisy ? "ok, noisy" : "ok" : row.status + ": " + row.reason});
  }
  return table;
}

std::string junit_of(const Report& report) {
  std::string body;
  std::size_t failures = 0;
  for (const ReportRow& row : report.rows) {
    body += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml_text(row.model), xml_text(row.test + (row.variant.empty() ? "" : ", " + row.variant)));
    if (row.status == "ok") {
      body += "/>\n";
      continue;
    }
    ++failures;
    body += fmt::format(">\n      <failure type=\"{}\" message=\"{}\"/>\n    </testcase>\n", xml_text(row.status), xml_text(row.reason));
  }
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"assay bench\" tests=\"{}\" failures=\"{}\">\n{}  </testsuite>\n</testsuites>\n", report.rows.size(), failures, body);
}

}  // namespace

Report make_report(const std::vector<CaseRun>& records) {
  Report out;
  std::vector<CaseSettings> settings;
  for (const CaseRun& run : records) settings.push_back(run.settings);
  const std::vector<std::string> variants = name_variants(settings);
  std::set<std::string> hosts;
  for (std::size_t i = 0; i < records.size(); ++i) {
    out.rows.push_back(row_of(records[i]));
    out.rows.back().variant = variants[i];
    if (hosts.insert(records[i].host_fingerprint).second) out.hosts.push_back(host_of(records[i]));
  }
  out.summary = summarize(out);
  const BuildFacts build = build_facts();
  out.made = fmt::format("Made by assay {} (commit {}) on {}.", build.version, build.commit, utc_time());
  return out;
}

std::optional<ReportFormat> report_format_from_name(std::string_view name) {
  const auto found = std::find(kReportFormats.begin(), kReportFormats.end(), name);
  if (found == kReportFormats.end()) return std::nullopt;
  return static_cast<ReportFormat>(found - kReportFormats.begin());
}

std::string report_markdown(const Report& report) {
  std::string out = fmt::format("## {}\n\n{}\n\n{}", markdown_cell(report.title), markdown_cell(report.summary), table_of(report).markdown());
  std::string noise;
  for (const ReportRow& row : report.rows)
    if (row.is_noisy) noise += fmt::format("- {} {}: {}\n", markdown_cell(row.model), row.test, markdown_cell(fmt::format("{}", fmt::join(row.noise, "; "))));
  if (!noise.empty()) out += "\nNoisy cases:\n\n" + noise;
  for (const auto& host : report.hosts) {
    out += "\n";
    for (const auto& [name, value] : host) out += fmt::format("- {}: {}\n", name, markdown_cell(value));
  }
  return out;
}

std::string render(const Report& report, ReportFormat format) {
  switch (format) {
    case ReportFormat::html: return report_html(report);
    case ReportFormat::md: return report_markdown(report);
    case ReportFormat::json: return to_text(report_json(report), 1) + "\n";
    case ReportFormat::csv: return table_of(report).csv();
    case ReportFormat::junit: break;
  }
  return junit_of(report);
}

}  // namespace assay

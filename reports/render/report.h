// A report of results: one value in, a page out: HTML, Markdown, JSON, CSV or JUnit.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/harness/case_run.h"

namespace assay {

// One number with its interval.
struct ReportMetric {
  double median = 0, low = 0, high = 0;
  std::optional<double> percent;  // half the interval of the median; nothing below three rounds
};

// What a report shows of one case. Nothing where it is not known.
struct ReportRow {
  std::string model, test, variant, engine, commit, tag, time, status, reason, answer, format, key;
  std::vector<std::string> noise;
  bool is_noisy = false;
  std::optional<ReportMetric> prefill, decode, end_to_end;
  std::optional<double> ttft_ms, p50_ms, p99_ms, peak_bytes, plan_error_percent, load_ms, cold_ms;
  std::optional<double> prefill_limit, decode_limit, perplexity, kl, joules;
  std::vector<double> latency_ms;  // percentiles 0, 5, ... 95, 99 of the time between tokens
  double bits = 0;
  std::uint32_t depth = 0, generated = 0;
  std::size_t rounds = 0;
};

struct Report {
  std::string title = "Assay benchmark report";
  std::string summary;  // one or two sentences
  std::string made;     // by which program, when
  std::vector<ReportRow> rows;
  std::vector<std::vector<std::pair<std::string, std::string>>> hosts;  // name and value, a list a machine
};
Report make_report(const std::vector<CaseRun>& records);

enum class ReportFormat : std::uint8_t { html, md, json, csv, junit };
inline constexpr std::array<std::string_view, 5> kReportFormats = {"html", "md", "json", "csv", "junit"};
std::optional<ReportFormat> report_format_from_name(std::string_view name);

std::string render(const Report& report, ReportFormat format);
// One file that needs nothing else: style, Chart.js, data and code are inside.
std::string report_html(const Report& report);
std::string report_markdown(const Report& report);

}  // namespace assay

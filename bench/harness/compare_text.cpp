// A comparison as text, Markdown and JUnit.
#include <fmt/format.h>

#include "bench/harness/compare.h"
#include "bench/harness/text_table.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

std::string value_text(const MetricComparison& metric, double value) {
  return metric.unit == "B" ? format_bytes(static_cast<std::uint64_t>(value)) : figure(value) + " " + metric.unit;
}
std::string_view name_of(Verdict verdict) { return kVerdictNames[static_cast<std::size_t>(verdict)]; }
std::string_view name_of(Outcome outcome) { return kOutcomeNames[static_cast<std::size_t>(outcome)]; }
std::string p_text(double p) { return p < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p); }

TextTable metric_table(const Comparison& comparison) {
  TextTable table({{"Case"}, {"Metric"}, {"Base", Align::right}, {"New", Align::right}, {"Change", Align::right}, {"95 %", Align::right}, {"p (Holm)", Align::right}, {"Verdict"}});
  for (const CaseComparison& one : comparison.cases)
    for (const MetricComparison& m : one.metrics)
      table.add({one.case_name, m.metric, value_text(m, m.base), value_text(m, m.now), fmt::format("{:+.1f} %", m.change_percent), fmt::format("{:+.1f} to {:+.1f} %", m.low_percent, m.high_percent), p_text(m.adjusted_p), std::string(name_of(m.verdict))});
  return table;
}

TextTable fact_table(const Comparison& comparison, bool only_changes) {
  TextTable table({{"Case"}, {"Fact"}, {"Base"}, {"New"}, {"Verdict"}});
  for (const CaseComparison& one : comparison.cases)
    for (const FactComparison& fact : one.facts)
      if (!only_changes || fact.verdict != Verdict::same) table.add({one.case_name, fact.fact, fact.base, fact.now, std::string(name_of(fact.verdict)) + (fact.is_gated ? "" : " (other kernels)")});
  return table;
}

std::string method(const Comparison& c) {
  if (c.tests == 0) return "";
  return fmt::format("Mann-Whitney U over rounds, Holm over {} metrics at {:g}; a change counts from {:g} % on. Smallest p these rounds could reach: {:.2g} (needed: {:.2g}).", c.tests, c.alpha, c.min_effect_percent, c.smallest_p, c.level);
}

std::string notes(const Comparison& c, const char* bullet) {
  std::string out;
  for (const CaseComparison& one : c.cases)
    if (!one.note.empty() && one.note != "facts only") out += fmt::format("{}{}: {}\n", bullet, one.case_name, one.note);
  for (const std::string& name : c.only_base) out += fmt::format("{}only in the base: {}\n", bullet, name);
  for (const std::string& name : c.only_new) out += fmt::format("{}only in the new: {}\n", bullet, name);
  return out;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
  std::string out;
  if (const TextTable table = metric_table(comparison); !table.empty()) out += table.text() + "\n";
  if (const TextTable table = fact_table(comparison, true); !table.empty()) out += table.text() + "\n";
  out += notes(comparison, "");
  if (const std::string text = method(comparison); !text.empty()) out += text + "\n";
  out += std::string(name_of(comparison.outcome)) + ": " + comparison.reason + "\n";
  return out;
}

std::string comparison_markdown(const Comparison& comparison) {
  constexpr std::string_view kSigns[] = {"✅", "❌", "⚠️"};
  std::string out = fmt::format("### {} {}: {} → {}\n\n{}\n\n", kSigns[static_cast<std::size_t>(comparison.outcome)], name_of(comparison.outcome), markdown_cell(comparison.base_name), markdown_cell(comparison.new_name), markdown_cell(comparison.reason));
  if (const TextTable table = metric_table(comparison); !table.empty()) out += table.markdown() + "\n";
  if (const TextTable table = fact_table(comparison, true); !table.empty()) out += table.markdown() + "\n";
  if (const std::string text = notes(comparison, "- "); !text.empty()) out += text + "\n";
  if (const std::string text = method(comparison); !text.empty()) out += "<sub>" + text + "</sub>\n";
  return out;
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string comparison_junit(const Comparison& comparison) {
  std::string body;
  std::size_t tests = 0, failures = 0;
  const auto add = [&](const std::string& case_name, const std::string& name, bool is_failure, const std::string& text) {
    ++tests;
    body += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml_text(case_name), xml_text(name));
    if (!is_failure) {
      body += "/>\n";
      return;
    }
    ++failures;
    body += fmt::format(">\n      <failure message=\"{}\"/>\n    </testcase>\n", xml_text(text));
  };
  for (const CaseComparison& one : comparison.cases) {
    for (const MetricComparison& m : one.metrics)
      add(one.case_name, m.metric, m.verdict == Verdict::worse, fmt::format("{} to {}, {:+.1f} % ({:+.1f} to {:+.1f} %), p {}", value_text(m, m.base), value_text(m, m.now), m.change_percent, m.low_percent, m.high_percent, p_text(m.adjusted_p)));
    for (const FactComparison& fact : one.facts)
      add(one.case_name, fact.fact, fact.is_gated && (fact.verdict == Verdict::worse || fact.verdict == Verdict::changed), fact.base + " to " + fact.now);
  }
  if (comparison.outcome == Outcome::not_comparable) add("comparison", "comparable", true, comparison.reason);
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"assay compare {} {}\" tests=\"{}\" failures=\"{}\">\n{}  </testsuite>\n</testsuites>\n", xml_text(comparison.base_name), xml_text(comparison.new_name), tests, failures, body);
}

}  // namespace assay

// Rows with short names and five figures: a page of 500 rows stays small.
#include "reports/render/report_json.h"

#include <cmath>

namespace assay {

namespace {

Json rounded(double value) {
  if (!std::isfinite(value)) return {};
  if (value == 0) return Json(0);
  const double scale = std::pow(10.0, 5 - std::ceil(std::log10(std::abs(value))));
  return Json(std::round(value * scale) / scale);
}
Json rounded(const std::optional<double>& value) { return value ? rounded(*value) : Json(); }

// [median, low, high, percent]
Json metric(const std::optional<ReportMetric>& value) {
  if (!value) return {};
  Json out{Json::Array{}};
  out.push(rounded(value->median)).push(rounded(value->low)).push(rounded(value->high)).push(rounded(value->percent));
  return out;
}

Json texts(const std::vector<std::string>& list) {
  Json out{Json::Array{}};
  for (const std::string& text : list) out.push(text);
  return out;
}

Json row_json(const ReportRow& row) {
  Json out{Json::Object{}};
  out.set("model", row.model).set("test", row.test).set("variant", row.variant).set("engine", row.engine).set("commit", row.commit).set("tag", row.tag).set("time", row.time);
  out.set("status", row.status).set("reason", row.reason).set("answer", row.answer).set("format", row.format).set("key", row.key).set("noisy", row.is_noisy).set("noise", texts(row.noise));
  out.set("prefill", metric(row.prefill)).set("decode", metric(row.decode)).set("e2e", metric(row.end_to_end));
  out.set("ttft", rounded(row.ttft_ms)).set("p50", rounded(row.p50_ms)).set("p99", rounded(row.p99_ms)).set("peak", rounded(row.peak_bytes)).set("plan_error", rounded(row.plan_error_percent));
  out.set("load", rounded(row.load_ms)).set("cold", rounded(row.cold_ms)).set("prefill_limit", rounded(row.prefill_limit)).set("decode_limit", rounded(row.decode_limit));
  out.set("perplexity", rounded(row.perplexity)).set("kl", rounded(row.kl)).set("joules", rounded(row.joules)).set("bits", rounded(row.bits));
  out.set("depth", std::uint64_t{row.depth}).set("generated", std::uint64_t{row.generated}).set("rounds", std::uint64_t{row.rounds});
  Json latency{Json::Array{}};
  for (const double ms : row.latency_ms) latency.push(rounded(ms));
  out.set("latency", row.latency_ms.empty() ? Json() : std::move(latency));
  return out;
}

}  // namespace

Json report_json(const Report& report) {
  Json rows{Json::Array{}}, hosts{Json::Array{}}, out{Json::Object{}};
  for (const ReportRow& row : report.rows) rows.push(row_json(row));
  for (const auto& host : report.hosts) {
    Json facts{Json::Array{}};
    for (const auto& [name, value] : host) facts.push(texts({name, value}));
    hosts.push(std::move(facts));
  }
  out.set("schema", "assay.report/1").set("title", report.title).set("summary", report.summary).set("made", report.made);
  return std::move(out.set("rows", std::move(rows)).set("hosts", std::move(hosts)));
}

}  // namespace assay

// Comparison: is NEW slower than BASE: rank tests over rounds, corrected for their number, and facts that no machine changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/harness/case_run.h"
#include "runtime/core/error.h"

namespace assay {

struct CompareOptions {
  double alpha = 0.05;             // chance of any false alarm over all metrics of the comparison
  double min_effect_percent = 3;   // smaller changes do not count, however sure
  bool facts_only = false;         // speeds are left alone; hosts may differ
  bool ignores_output = false;     // a changed output hash is told and no more
};

enum class Verdict : std::uint8_t { same, better, worse, changed };
inline constexpr std::array<std::string_view, 4> kVerdictNames = {"same", "better", "worse", "changed"};
constexpr std::span<const std::string_view> enum_names(Verdict) { return kVerdictNames; }

// One gated metric of one case.
struct MetricComparison {
  std::string metric, unit;
  double base = 0, now = 0;      // medians
  std::uint64_t base_rounds = 0, now_rounds = 0;
  double change_percent = 0;     // of the median
  double low_percent = 0, high_percent = 0;  // bootstrap interval of the change, 95 %
  double p = 1, adjusted_p = 1;  // Mann-Whitney, and after Holm
  double effect = 0;             // rank-biserial, -1 to 1
  Verdict verdict = Verdict::same;

  static constexpr void fields(auto visit) {
    using M = MetricComparison;
    constexpr Better none = Better::none;
    visit("metric", "", none, &M::metric);
    visit("unit", "", none, &M::unit);
    visit("base", "", none, &M::base);
    visit("new", "", none, &M::now);
    visit("base_rounds", "", none, &M::base_rounds);
    visit("new_rounds", "", none, &M::now_rounds);
    visit("change_percent", "%", none, &M::change_percent);
    visit("low_percent", "%", none, &M::low_percent);
    visit("high_percent", "%", none, &M::high_percent);
    visit("p", "", none, &M::p);
    visit("adjusted_p", "", none, &M::adjusted_p);
    visit("effect", "", none, &M::effect);
    visit("verdict", "", none, &M::verdict);
  }
};

// A fact that does not depend on the machine.
struct FactComparison {
  std::string fact, base, now;
  Verdict verdict = Verdict::same;
  bool is_gated = true;

  static constexpr void fields(auto visit) {
    using F = FactComparison;
    constexpr Better none = Better::none;
    visit("fact", "", none, &F::fact);
    visit("base", "", none, &F::base);
    visit("new", "", none, &F::now);
    visit("verdict", "", none, &F::verdict);
    visit("is_gated", "", none, &F::is_gated);
  }
};

struct CaseComparison {
  std::string case_name;
  bool has_same_host = false;
  std::string note;  // why it has no metrics
  std::vector<MetricComparison> metrics;
  std::vector<FactComparison> facts;

  static constexpr void fields(auto visit) {
    using C = CaseComparison;
    constexpr Better none = Better::none;
    visit("case", "", none, &C::case_name);
    visit("has_same_host", "", none, &C::has_same_host);
    visit("note", "", none, &C::note);
    visit("metrics", "", none, &C::metrics);
    visit("facts", "", none, &C::facts);
  }
};

enum class Outcome : std::uint8_t { no_regression, regression, not_comparable };
inline constexpr std::array<std::string_view, 3> kOutcomeNames = {"no regression", "regression", "not comparable"};
constexpr std::span<const std::string_view> enum_names(Outcome) { return kOutcomeNames; }

struct Comparison {
  std::string schema = "assay.comparison/1";
  std::string base_name, new_name;  // as asked for
  Outcome outcome = Outcome::no_regression;
  std::string reason;               // one sentence
  double alpha = 0, min_effect_percent = 0;
  std::uint64_t tests = 0;          // metrics compared
  double level = 0;                 // alpha over their number: what the least p must reach
  double smallest_p = 1;            // the largest, over the metrics, of the least p their rounds can give
  std::uint64_t rounds_needed = 0;  // a side, where these are too few
  std::vector<CaseComparison> cases;
  std::vector<std::string> only_base, only_new;

  static constexpr void fields(auto visit) {
    using C = Comparison;
    constexpr Better none = Better::none;
    visit("schema", "", none, &C::schema);
    visit("base", "", none, &C::base_name);
    visit("new", "", none, &C::new_name);
    visit("outcome", "", none, &C::outcome);
    visit("reason", "", none, &C::reason);
    visit("alpha", "", none, &C::alpha);
    visit("min_effect_percent", "%", none, &C::min_effect_percent);
    visit("tests", "", none, &C::tests);
    visit("level", "", none, &C::level);
    visit("smallest_p", "", none, &C::smallest_p);
    visit("rounds_needed", "", none, &C::rounds_needed);
    visit("cases", "", none, &C::cases);
    visit("only_base", "", none, &C::only_base);
    visit("only_new", "", none, &C::only_new);
  }
};

// Cases are joined on model hash, engine and settings; speeds also on the host. A case that stands in a list several times
// counts once, the newest.
Comparison compare_results(const std::vector<CaseRun>& base, const std::vector<CaseRun>& now, const CompareOptions& options);

// The four forms of a comparison.
std::string comparison_text(const Comparison& comparison);  // its last line begins with the outcome
std::string comparison_markdown(const Comparison& comparison);
std::string comparison_junit(const Comparison& comparison);

// Text inside XML: & < > " ' and characters that XML 1.0 cannot hold.
std::string xml_text(std::string_view text);

ASSAY_JSON_ELSEWHERE(Comparison)

}  // namespace assay

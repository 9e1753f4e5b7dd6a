// Comparisons: joining, verdicts, too few rounds, other hosts, facts, forms.
#include "bench/harness/compare.h"

#include <gtest/gtest.h>

#include "tests/bench/made_runs.h"

namespace assay {
namespace {

using test::made_run;

const std::vector<double> kPrefill = {1000, 1004, 998, 1002, 996, 1001, 999, 1003, 997, 1005};
const std::vector<double> kDecode = {25, 25.1, 24.9, 25.05, 24.95, 25.02, 24.98, 25.08, 24.92, 25.03};
std::vector<double> scaled(std::vector<double> values, double by) {
  for (double& value : values) value *= by;
  return values;
}
const MetricComparison& metric(const Comparison& comparison, std::string_view name) {
  static const MetricComparison none;
  for (const CaseComparison& one : comparison.cases)
    for (const MetricComparison& m : one.metrics)
      if (m.metric == name) return m;
  ADD_FAILURE() << name;
  return none;
}

TEST(Compare, SameIsNoRegression) {
  const Comparison c = compare_results({made_run("m", kPrefill, kDecode)}, {made_run("m", kPrefill, kDecode)}, {});
  EXPECT_EQ(c.outcome, Outcome::no_regression) << c.reason;
  EXPECT_EQ(c.tests, 4u);
  EXPECT_NEAR(c.level, 0.05 / 4, 1e-12);
  EXPECT_NEAR(c.smallest_p, 2.0 / 184756, 1e-12);
}

TEST(Compare, SlowerDecodeIsARegressionAndFasterIsNot) {
  const CaseRun base = made_run("m", kPrefill, kDecode);
  const Comparison slower = compare_results({base}, {made_run("m", kPrefill, scaled(kDecode, 0.9))}, {});
  EXPECT_EQ(slower.outcome, Outcome::regression);
  EXPECT_EQ(metric(slower, "decode").verdict, Verdict::worse);
  EXPECT_EQ(metric(slower, "prefill").verdict, Verdict::same);
  EXPECT_NEAR(metric(slower, "decode").change_percent, -10, 0.1);
  EXPECT_LT(metric(slower, "decode").high_percent, -9);
  EXPECT_NE(slower.reason.find("decode -10.0 %"), std::string::npos) << slower.reason;
  const Comparison faster = compare_results({base}, {made_run("m", scaled(kPrefill, 1.2), kDecode)}, {});
  EXPECT_EQ(faster.outcome, Outcome::no_regression);
  EXPECT_EQ(metric(faster, "TTFT").verdict, Verdict::better) << "less time is better";
}

TEST(Compare, SmallChangesDoNotCountHoweverSure) {
  const CaseRun base = made_run("m", kPrefill, kDecode), now = made_run("m", kPrefill, scaled(kDecode, 0.98));
  EXPECT_EQ(compare_results({base}, {now}, {}).outcome, Outcome::no_regression);
  EXPECT_LT(metric(compare_results({base}, {now}, {}), "decode").adjusted_p, 0.01);
  EXPECT_EQ(compare_results({base}, {now}, {.min_effect_percent = 1}).outcome, Outcome::regression);
}

TEST(Compare, TooFewRoundsAreToldWithTheNumberNeeded) {
  const std::vector<double> three(kPrefill.begin(), kPrefill.begin() + 3), decode(kDecode.begin(), kDecode.begin() + 3);
  const Comparison c = compare_results({made_run("m", three, decode)}, {made_run("m", three, scaled(decode, 0.5))}, {});
  EXPECT_EQ(c.outcome, Outcome::not_comparable);
  EXPECT_EQ(c.rounds_needed, 5u);
  EXPECT_NE(c.reason.find("need 5 rounds"), std::string::npos) << c.reason;
  EXPECT_NE(c.reason.find("0.1"), std::string::npos) << "the smallest p of three against three";
}

TEST(Compare, OtherHostsAreNotComparableButTheirFactsAre) {
  const CaseRun base = made_run("m", kPrefill, kDecode);
  CaseRun other = made_run("m", kPrefill, scaled(kDecode, 0.5));
  other.host_fingerprint = "another";
  EXPECT_EQ(compare_results({base}, {other}, {}).outcome, Outcome::not_comparable);
  EXPECT_EQ(compare_results({base}, {other}, {.facts_only = true}).outcome, Outcome::no_regression);
  other.planned.kv_bytes *= 10;
  const Comparison c = compare_results({base}, {other}, {.facts_only = true});
  EXPECT_EQ(c.outcome, Outcome::regression);
  EXPECT_NE(c.reason.find("planned memory"), std::string::npos) << c.reason;
}

TEST(Compare, FactsAreGated) {
  const CaseRun base = made_run("m", kPrefill, kDecode);
  CaseRun now = base;
  now.output_hash = "fedcba9876543210";
  EXPECT_EQ(compare_results({base}, {now}, {}).outcome, Outcome::regression);
  EXPECT_EQ(compare_results({base}, {now}, {.ignores_output = true}).outcome, Outcome::no_regression);
  now.resolved.isa = "scalar";  // adds in another order
  EXPECT_EQ(compare_results({base}, {now}, {.facts_only = true}).outcome, Outcome::no_regression);
  now = base;
  now.decode->bytes_per_token *= 1.01;
  EXPECT_EQ(compare_results({base}, {now}, {.facts_only = true}).outcome, Outcome::regression);
  CaseRun before = base;
  before.quality = now.quality = QualityFacts{.text = "t", .text_sha256 = "x", .context = 256, .windows = 2, .perplexity = 10};
  now = before;
  now.quality->perplexity = 10.05;
  EXPECT_EQ(compare_results({before}, {now}, {.facts_only = true}).outcome, Outcome::no_regression);
  now.quality->perplexity = 10.5;
  EXPECT_EQ(compare_results({before}, {now}, {.facts_only = true}).outcome, Outcome::regression);
}

TEST(Compare, CaseThatFailsNowIsWorse) {
  CaseRun failed = test::failed_run("m", Status::oom, "no memory");
  const CaseRun base = made_run("m", kPrefill, kDecode);
  const Comparison c = compare_results({base}, {failed}, {});
  EXPECT_EQ(c.outcome, Outcome::regression);
  EXPECT_NE(c.reason.find("oom"), std::string::npos);
}

TEST(Compare, CasesThatDoNotJoinAreNamed) {
  const Comparison c = compare_results({made_run("a", kPrefill, kDecode)}, {made_run("b", kPrefill, kDecode)}, {});
  EXPECT_EQ(c.outcome, Outcome::not_comparable);
  EXPECT_EQ(c.only_base, std::vector<std::string>({"a pp512 tg128"}));
  EXPECT_EQ(c.only_new, std::vector<std::string>({"b pp512 tg128"}));
}

TEST(Compare, NewestResultOfACaseCounts) {
  CaseRun old = made_run("m", kPrefill, scaled(kDecode, 0.5)), fresh = made_run("m", kPrefill, kDecode);
  old.time = "2025-01-01T00:00:00Z";
  EXPECT_EQ(compare_results({made_run("m", kPrefill, kDecode)}, {fresh, old}, {}).outcome, Outcome::no_regression);
}

TEST(Compare, FormsCarryTheVerdictAndEscapeNames) {
  const std::string name = "<script>|\"&";
  Comparison c = compare_results({made_run(name, kPrefill, kDecode)}, {made_run(name, kPrefill, scaled(kDecode, 0.8))}, {});
  c.base_name = "base";
  c.new_name = "new";
  const std::string markdown = comparison_markdown(c), junit = comparison_junit(c), text = comparison_text(c);
  EXPECT_EQ(markdown.find("<script>"), std::string::npos);
  EXPECT_NE(markdown.find("| worse"), std::string::npos) << markdown;
  EXPECT_NE(junit.find("failures=\"1\""), std::string::npos) << junit;
  EXPECT_EQ(junit.find("<script>"), std::string::npos);
  EXPECT_NE(junit.find("tests=\""), std::string::npos);
  EXPECT_NE(text.find("regression: 1 worse"), std::string::npos) << text;
  const auto again = from_json<Comparison>(to_json(c));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, Outcome::regression);
}

}  // namespace
}  // namespace assay

// What follows from rounds: rates, limits, plan error, keys, fingerprints, noise, and the record as JSON.
#include "bench/harness/case_run.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/harness/local_score.h"
#include "tests/bench/made_runs.h"

namespace assay {
namespace {

using test::made_run;

TEST(CaseRun, FiguresFollowFromRounds) {
  const CaseRun run = made_run("m", {1000, 1010, 990, 1005, 995}, {25, 25.5, 24.5, 25.2, 24.8});
  ASSERT_TRUE(run.prefill_tps && run.decode_tps && run.ttft_ms && run.end_to_end_tps && run.prefill && run.decode);
  EXPECT_NEAR(run.prefill_tps->median, 1000, 1e-6);
  EXPECT_NEAR(run.decode_tps->median, 25, 1e-6);
  EXPECT_NEAR(run.ttft_ms->median, 513, 1e-6);
  EXPECT_NEAR(run.ms_per_token.value(), 40, 1e-6);
  EXPECT_LE(run.decode_tps->low, 25);
  EXPECT_GE(run.decode_tps->high, 25);
  // 600 MB and 64.5 positions of 1 kB a token, 25 times a second, of 20 GB/s.
  EXPECT_NEAR(run.decode->bytes_per_token, 600'064'500, 1);
  EXPECT_NEAR(run.decode->gbps, 15.0016, 1e-3);
  EXPECT_NEAR(run.decode->limit_percent.value(), 75.008, 1e-2);
  EXPECT_NEAR(run.decode->gflops, 2 * 25, 1e-9);
  // 512 tokens in one batch of 512: the weights are read once.
  EXPECT_NEAR(run.prefill->bytes_per_token, 600e6 / 512, 1);
  EXPECT_NEAR(run.prefill->limit_percent.value(), 100 * (9e8 * 512 + 1e8) / 512 * 1000 / 1e9 / 500, 1e-6);
  EXPECT_NEAR(run.plan_error_percent.value(), 100.0 * (620 - 603) / 603, 1e-6);
  EXPECT_EQ(run.latency.count, 5u * 24);
  EXPECT_LE(run.latency.p50_ms.value(), run.latency.p99_ms.value());
}

// Memory drifts: what reading reached beside each round is what that round is held against.
TEST(CaseRun, DecodingIsHeldAgainstTheReadingOfItsRounds) {
  CaseRun run = made_run("m", {1000, 1000, 1000}, {25, 20, 10});
  for (std::size_t i = 0; i < 3; ++i) run.rounds[i].read_gbps = std::vector<double>{20, 18, 8}[i];
  finish_case(run, {.layer_macs = 9e8, .head_macs = 1e8, .bytes_per_token = 600'000'000, .kv_bytes_per_position = 1000, .prefill_limit = "int8_dot"}, 2);
  EXPECT_EQ(run.decode->limit, "read_gbps");
  EXPECT_NEAR(run.decode->limit_percent.value(), 100 * 0.6000645 * 10 / 8, 1e-6) << "the median of 75.0, 66.7 and 75.0 percent";
}

// A probe that was disturbed is one of several.
TEST(CaseRun, PrefillIsHeldAgainstThePeaksOfItsRounds) {
  CaseRun run = made_run("m", {1000, 1000, 1000}, {25, 25, 25});
  for (std::size_t i = 0; i < 3; ++i) run.rounds[i].peak_gmacs = std::vector<double>{1000, 300, 1200}[i];
  finish_case(run, {.layer_macs = 9e8, .head_macs = 1e8, .bytes_per_token = 600'000'000, .kv_bytes_per_position = 1000, .prefill_limit = "int8_dot"}, 2);
  EXPECT_EQ(run.prefill->limit, "int8_dot_gmacs");
  EXPECT_NEAR(run.prefill->limit_percent.value(), 100 * (9e8 * 512 + 1e8) / 512 * 1000 / 1e9 / 1000, 1e-6);
}

TEST(CaseRun, RecordSurvivesJson) {
  const CaseRun run = made_run("m", {1000, 1010, 990}, {25, 26, 24});
  const auto again = from_json<CaseRun>(to_json(run));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(to_text(to_json(*again)), to_text(to_json(run)));
  // As text the last digit of a number may move.
  const auto read = from_json<CaseRun>(*parse_json(to_text(to_json(run))));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->key, run.key);
  EXPECT_EQ(make_key(*read), run.key);
  EXPECT_EQ(read->rounds.size(), 3u);
  EXPECT_DOUBLE_EQ(read->end_to_end_tps->median, run.end_to_end_tps->median);
}

TEST(CaseRun, KeysAreEqualForTheSameMeasurementOnly) {
  const CaseRun run = made_run("m", {1000}, {25});
  CaseRun other = run;
  other.time = "2027-01-01T00:00:00Z";
  other.rounds.clear();
  EXPECT_EQ(make_key(other), run.key);
  other.settings.depth = 1;
  EXPECT_NE(make_key(other), run.key);
  other = run;
  other.model_sha256 = "another";
  EXPECT_NE(make_key(other), run.key);
  other = run;
  other.resolved.threads = 1;
  EXPECT_NE(make_key(other), run.key);
}

TEST(CaseRun, FingerprintIsStableUnderWhatChangesEveryDay) {
  HostFacts host = read_host_facts();
  const std::string fingerprint = make_fingerprint(host);
  host.load_1 = 99;
  host.clock_mhz = 1;
  host.memory_available_bytes = 5;
  host.kernel = "another";
  host.memory_bytes += 1 << 20;
  EXPECT_EQ(make_fingerprint(host), fingerprint);
  host.cpu_model = "another";
  EXPECT_NE(make_fingerprint(host), fingerprint);
}

TEST(CaseRun, TestNamesAreLlamaBenchs) {
  CaseSettings s;
  s.prompt_tokens = 512;
  EXPECT_EQ(test_name(s), "pp512");
  s.generated_tokens = 128;
  s.depth = 4096;
  EXPECT_EQ(test_name(s), "pp512 tg128 @ d4096");
  s.is_joined = true;
  s.sequences = 4;
  EXPECT_EQ(test_name(s), "pp512+tg128 x4 @ d4096");
}

TEST(CaseRun, NoiseHasReasons) {
  CaseRun run = made_run("m", {1000, 1300, 900, 1300, 1000}, {25, 25, 25, 25, 25});
  run.noise = judge_noise(run, 2);
  EXPECT_TRUE(run.noise.is_noisy);
  ASSERT_FALSE(run.noise.reasons.empty());
  EXPECT_NE(run.noise.reasons[0].find("no cause was seen"), std::string::npos) << run.noise.reasons[0];
  run.rounds[1].surroundings = {.seconds = 1, .other_cpus = 0.8, .steal_percent = 7, .clock_before_mhz = 3000, .clock_after_mhz = 2000, .temperature_c = {}, .throttle_events = 4, .load_1 = {}, .wall_jump_s = 3600, .pressure = {.memory_ms = 500, .cpu_ms = {}, .io_ms = {}}};
  const Noise noise = judge_noise(run, 2);
  for (const char* part : {"other processes", "hypervisor", "throttled 4", "clock changed by up to 33", "waited for memory", "wall clock jumped"})
    EXPECT_TRUE(std::any_of(noise.reasons.begin(), noise.reasons.end(), [&](const std::string& reason) { return reason.find(part) != std::string::npos; })) << part;
  EXPECT_FALSE(judge_noise(made_run("m", {1000, 1001, 1000, 999, 1000}, {25, 25, 25, 25, 25}), 2).is_noisy);
}

TEST(CaseRun, DriftIsNamed) {
  const Noise noise = judge_noise(made_run("m", {1000, 970, 940, 910, 880, 850}, {25, 25, 25, 25, 25, 25}), 2);
  EXPECT_TRUE(noise.is_noisy);
  EXPECT_NE(noise.reasons.front().find("prefill drifted by -1"), std::string::npos) << noise.reasons.front();
}

TEST(CaseRun, FactsHoldNothingOfTheMachine) {
  CaseRun run = made_run("m", {1000, 1010, 990}, {25, 26, 24});
  run.model.path = "models/m.gguf";
  const std::string text = to_text(to_json(facts_only(run)));
  EXPECT_EQ(text.find("Test CPU"), std::string::npos);
  EXPECT_EQ(text.find("2026"), std::string::npos);
  EXPECT_NE(text.find(run.model_sha256), std::string::npos);
}

TEST(LocalScore, IsTheFormulaOverAllNineTestsOrNothing) {
  // 512 tokens at 1000 a second and one more at 25: 552 ms to the first token.
  const CaseRun run = made_run("m", {1000, 1000, 1000}, {25, 25, 25});
  const CaseRun failed = test::failed_run("m", Status::unsupported, "context");
  std::vector<const CaseRun*> tests(9, &run);
  const auto score = local_score(tests);
  ASSERT_TRUE(score);
  EXPECT_NEAR(score->ttft_ms, 552, 1e-6);
  EXPECT_NEAR(score->score, 10 * std::cbrt(1000 * 25 * 1000 / 552.0), 1e-6);
  tests[4] = &failed;
  EXPECT_FALSE(local_score(tests));
  tests.pop_back();
  EXPECT_FALSE(local_score(tests));
}

}  // namespace
}  // namespace assay

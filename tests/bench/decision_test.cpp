// The decision of assay compare on recorded rounds: how often it cries wolf, and what it finds.
#include <gtest/gtest.h>

#include <random>

#include "bench/harness/compare.h"
#include "tests/bench/made_runs.h"
#include "tests/support/data.h"

namespace assay {
namespace {

// Rounds of real runs of the fixtures on a shared two-core machine (recorded_rounds.json says how): prefill and decode in tokens
// a second, one pair a round, in the order in which they were measured.
struct Recording {
  std::string name;
  std::vector<double> prefill, decode;
};
// The first third of them met a busy neighbour: rounds at half speed, several in a row. `with_neighbour`: the whole recording,
// else the calm rest.
std::vector<Recording> recordings(bool with_neighbour = false) {
  std::vector<Recording> out;
  const Json all = test::read_json(std::filesystem::path(ASSAY_SOURCE_DIR) / "tests/bench/recorded_rounds.json");
  for (const Json& one : *all.find("recordings")->array()) {
    Recording& recording = out.emplace_back();
    recording.name = *one.find("case")->string();
    for (const Json& value : *one.find("prefill_tps")->array()) recording.prefill.push_back(value.number().value_or(0));
    for (const Json& value : *one.find("decode_tps")->array()) recording.decode.push_back(value.number().value_or(0));
    if (with_neighbour) continue;
    const auto calm = static_cast<std::ptrdiff_t>(all.find("calm_from")->integer().value_or(0));
    recording.prefill.erase(recording.prefill.begin(), recording.prefill.begin() + calm);
    recording.decode.erase(recording.decode.begin(), recording.decode.begin() + calm);
  }
  return out;
}

constexpr std::size_t kRounds = 20;
constexpr int kTrials = 200;

// What is done to the new side's decode.
struct Change {
  double factor = 1;         // on speed
  double drift = 0;          // over the whole window, on both sides
  double outlier_share = 0;  // of rounds that take three times as long, on both sides
};

struct Rates {
  int found = 0, alarms = 0, trials = 0;
};

// Windows of consecutive rounds, dealt out in turn as the runner interleaves them.
Rates decide(const Recording& recording, const Change& change, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Rates out;
  const std::size_t last = recording.decode.size() - 2 * kRounds;
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::size_t first = random() % (last + 1);
    std::vector<double> prefill[2], decode[2];
    for (std::size_t i = 0; i < 2 * kRounds; ++i) {
      // Which side goes first changes from pair to pair.
      const std::size_t side = (i / 2 % 2 == 0) == (i % 2 == 0) ? 0 : 1;
      double value = recording.decode[first + i] * (1 + change.drift * static_cast<double>(i) / (2 * kRounds));
      if (std::uniform_real_distribution<double>(0, 1)(random) < change.outlier_share) value /= 3;
      prefill[side].push_back(recording.prefill[first + i]);
      decode[side].push_back(side == 1 ? value * change.factor : value);
    }
    const Comparison comparison = compare_results({test::made_run("m", prefill[0], decode[0])}, {test::made_run("m", prefill[1], decode[1])}, {});
    ++out.trials;
    bool is_alarm = false;
    for (const MetricComparison& metric : comparison.cases.at(0).metrics) {
      if (metric.metric == "decode" && metric.verdict == Verdict::worse) ++out.found;
      is_alarm |= metric.verdict == Verdict::worse || metric.verdict == Verdict::better;
    }
    out.alarms += is_alarm ? 1 : 0;
  }
  return out;
}

TEST(Decision, UnchangedProgramRaisesAlarmsInLessThanFivePercent) {
  for (const bool with_neighbour : {false, true})
    for (const Recording& recording : recordings(with_neighbour)) {
      const Rates rates = decide(recording, {}, 1);
      RecordProperty(std::string(with_neighbour ? "neighbour_alarms_" : "calm_alarms_") + recording.name.substr(0, 4), rates.alarms);
      EXPECT_LT(rates.alarms, rates.trials / 20) << recording.name << with_neighbour;
    }
}

TEST(Decision, SlowdownOfFivePercentIsFoundInTwentyRounds) {
  for (const Recording& recording : recordings()) {
    const Rates rates = decide(recording, {.factor = 1 / 1.05}, 2);
    RecordProperty("found_" + recording.name.substr(0, 4), rates.found);
    EXPECT_GE(rates.found, rates.trials * 95 / 100) << recording.name;
  }
}

TEST(Decision, SlowdownOfTwentyPercentIsAlwaysFound) {
  for (const Recording& recording : recordings()) EXPECT_EQ(decide(recording, {.factor = 1 / 1.2}, 3).found, kTrials) << recording.name;
}

TEST(Decision, DriftThatMeetsBothSidesIsNoAlarm) {
  for (const Recording& recording : recordings()) {
    const Rates rates = decide(recording, {.drift = -0.10}, 4);
    EXPECT_LT(rates.alarms, rates.trials / 20) << recording.name;
  }
}

TEST(Decision, OutliersNeitherAlarmNorHide) {
  for (const Recording& recording : recordings()) {
    const Rates calm = decide(recording, {.outlier_share = 0.1}, 5);
    EXPECT_LT(calm.alarms, calm.trials / 20) << recording.name;
    const Rates slower = decide(recording, {.factor = 1 / 1.2, .outlier_share = 0.1}, 6);
    EXPECT_GE(slower.found, slower.trials * 95 / 100) << recording.name;
  }
}

}  // namespace
}  // namespace assay

// The statistics of comparisons against values worked out elsewhere and by brute force.
#include "bench/significance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "bench/statistics.h"

namespace assay {
namespace {

// Every split of the values, one by one.
double brute_force_p(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  const auto sum_of_ranks = [&](unsigned chosen) {
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((chosen >> i & 1) == 0) continue;
      double below = 0, equal = 0;
      for (const double other : all) below += other < all[i], equal += other == all[i];
      sum += below + (equal + 1) / 2;
    }
    return sum;
  };
  unsigned own = 0;
  for (std::size_t i = a.size(); i < all.size(); ++i) own |= 1u << i;
  const double middle = static_cast<double>(b.size() * (all.size() + 1)) / 2, distance = std::abs(sum_of_ranks(own) - middle);
  double extreme = 0, count = 0;
  for (unsigned chosen = 0; chosen < 1u << all.size(); ++chosen) {
    if (static_cast<std::size_t>(__builtin_popcount(chosen)) != b.size()) continue;
    ++count;
    extreme += std::abs(sum_of_ranks(chosen) - middle) >= distance - 1e-9;
  }
  return extreme / count;
}

TEST(Significance, ExactRankTestIsTheShareOfSplitsAtLeastAsExtreme) {
  EXPECT_NEAR(mann_whitney(std::vector{1.0, 2.0, 3.0}, std::vector{4.0, 5.0, 6.0}).p, 0.1, 1e-12);
  // 1/252 of the splits at either end: 5 against 5 without overlap.
  EXPECT_NEAR(mann_whitney(std::vector{1.0, 2.0, 3.0, 4.0, 5.0}, std::vector{6.0, 7.0, 8.0, 9.0, 10.0}).p, 2.0 / 252, 1e-12);
  std::mt19937 random(7);
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<double> a(3 + random() % 4), b(3 + random() % 4);
    for (double& v : a) v = static_cast<double>(random() % 6);  // many ties
    for (double& v : b) v = static_cast<double>(1 + random() % 6);
    EXPECT_NEAR(mann_whitney(a, b).p, brute_force_p(a, b), 1e-9) << trial;
  }
}

TEST(Significance, LargeSamplesAgreeWithTheExactTest) {
  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  std::vector<double> a(30), b(30), more;
  for (double& v : a) v = normal(random);
  for (double& v : b) v = normal(random) + 0.6;
  const double exact = mann_whitney(a, b).p;
  a.push_back(median(a));  // 61 values: the normal approximation
  const double approximate = mann_whitney(a, b).p;
  EXPECT_NEAR(std::log(exact), std::log(approximate), 0.35) << exact << " " << approximate;  // one more value near the middle
}

TEST(Significance, RankTestHasTheRightSideAndSize) {
  EXPECT_DOUBLE_EQ(mann_whitney(std::vector{1.0, 2.0}, std::vector{3.0, 4.0}).effect, 1);
  EXPECT_DOUBLE_EQ(mann_whitney(std::vector{3.0, 4.0}, std::vector{1.0, 2.0}).effect, -1);
  EXPECT_DOUBLE_EQ(mann_whitney(std::vector{1.0, 1.0}, std::vector{1.0, 1.0}).p, 1);
  EXPECT_DOUBLE_EQ(mann_whitney({}, std::vector{1.0}).p, 1);
}

TEST(Significance, SmallestPAndRoundsNeeded) {
  EXPECT_NEAR(smallest_p(5, 5), 2.0 / 252, 1e-12);
  EXPECT_NEAR(smallest_p(3, 3), 0.1, 1e-12);
  EXPECT_DOUBLE_EQ(smallest_p(0, 5), 1);
  EXPECT_EQ(rounds_needed(0.05, 1), 4u);   // 2 / 70 = 0.029
  EXPECT_EQ(rounds_needed(0.05, 4), 5u);   // 0.0079 < 0.0125
  EXPECT_EQ(rounds_needed(0.05, 20), 6u);  // 2 / 924 = 0.0022 < 0.0025
}

TEST(Significance, HolmIsHolm) {
  const std::vector<double> adjusted = holm(std::vector{0.01, 0.04, 0.03, 0.005});
  const std::vector<double> expected = {0.03, 0.06, 0.06, 0.02};  // 3 x 0.01, then never less than the one before
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-12) << i;
  EXPECT_DOUBLE_EQ(holm(std::vector{0.9, 0.8})[0], 1);
}

TEST(Significance, BootstrapIntervalsCoverTheTruth) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(100, 2);
  int covered = 0;
  constexpr int kTrials = 200;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> samples(20);
    for (double& v : samples) v = normal(random);
    const Interval interval = bootstrap_median(samples);
    EXPECT_LE(interval.low, median(samples));
    EXPECT_GE(interval.high, median(samples));
    covered += interval.low <= 100 && 100 <= interval.high;
  }
  // 95 % of 200 is 190; the binomial spread is 3, and a percentile bootstrap of a median is a little wide or narrow.
  EXPECT_GE(covered, 180);
  EXPECT_LE(bootstrap_median(std::vector{5.0}).high, 5);
}

TEST(Significance, BootstrapRatioOfScaledSamplesIsTheScale) {
  const std::vector<double> a = {9.9, 10, 10.1, 10.05, 9.95}, b = {10.9, 11, 11.1, 11.05, 10.95};
  const Interval ratio = bootstrap_ratio(a, b);
  EXPECT_GT(ratio.low, 1.08);
  EXPECT_LT(ratio.high, 1.12);
}

TEST(Significance, TheilSenIgnoresOutliers) {
  EXPECT_NEAR(theil_sen_change(std::vector{1.0, 2.0, 3.0, 100.0, 5.0, 6.0, 7.0}), 6, 1e-9);
  EXPECT_DOUBLE_EQ(theil_sen_change(std::vector{3.0}), 0);
}

}  // namespace
}  // namespace assay

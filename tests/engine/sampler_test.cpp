// Sampling: what may be drawn and how often.
#include "runtime/engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace assay {
namespace {

const std::vector<float> kLogits = {0.0f, 2.0f, 1.0f, 2.0f, -1.0f};

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdAmongEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.next(kLogits, {}), 1);
}

TEST(Sampler, NeverChoosesNaN) {
  const std::vector<float> logits = {NAN, -5.0f, NAN};
  EXPECT_EQ(Sampler({}).next(logits, {}), 1);
  EXPECT_EQ(Sampler({.temperature = 1.0f}).next(logits, {}), 1);
}

std::map<std::int32_t, int> draws(const SamplerOptions& options, int count) {
  Sampler sampler(options);
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < count; ++i) ++counts[sampler.next(kLogits, {})];
  return counts;
}

TEST(Sampler, DrawsInProportionToTheSoftmax) {
  constexpr int kCount = 20000;
  const auto counts = draws({.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .seed = 7}, kCount);
  double total = 0;
  for (float logit : kLogits) total += std::exp(logit);
  for (std::size_t i = 0; i < kLogits.size(); ++i) {
    const double expected = std::exp(kLogits[i]) / total;
    // Five standard deviations of a binomial count.
    EXPECT_NEAR(counts.at(static_cast<std::int32_t>(i)), expected * kCount, 5 * std::sqrt(kCount * expected * (1 - expected))) << i;
  }
}

TEST(Sampler, TheSameSeedGivesTheSameDraws) {
  Sampler a({.temperature = 1.0f, .seed = 3}), b({.temperature = 1.0f, .seed = 3});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(kLogits, {}), b.next(kLogits, {}));
}

TEST(Sampler, TopKLeavesOnlyTheLikeliest) {
  const auto counts = draws({.temperature = 1.0f, .top_k = 2, .top_p = 1.0f, .min_p = 0.0f}, 500);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(1) && counts.contains(3));
}

TEST(Sampler, TopPKeepsTheFewestThatReachTheShare) {
  // The two largest hold 2 * 7.39 of 18.9 = 78 %.
  EXPECT_EQ(draws({.temperature = 1.0f, .top_k = 0, .top_p = 0.7f, .min_p = 0.0f}, 500).size(), 2u);
  EXPECT_EQ(draws({.temperature = 1.0f, .top_k = 0, .top_p = 0.01f, .min_p = 0.0f}, 500).size(), 1u);
}

TEST(Sampler, MinPIsAShareOfTheLikeliest) {
  // exp(1 - 2) = 0.37, exp(0 - 2) = 0.14.
  EXPECT_EQ(draws({.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.2f}, 2000).size(), 3u);
}

TEST(Sampler, RepetitionPenaltyLooksAtTheWindowOnly) {
  const std::vector<std::int32_t> history = {3, 1};
  EXPECT_EQ(Sampler({.repetition_penalty = 3.0f}).next(kLogits, history), 2);
  EXPECT_EQ(Sampler({.repetition_penalty = 3.0f, .repetition_window = 1}).next(kLogits, history), 3);
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  EXPECT_EQ(check(SamplerOptions{.temperature = -1}).error().subject, "--temp");
  EXPECT_EQ(check(SamplerOptions{.temperature = NAN}).error().subject, "--temp");
  EXPECT_EQ(check(SamplerOptions{.top_p = 0}).error().subject, "--top-p");
  EXPECT_EQ(check(SamplerOptions{.min_p = 1}).error().subject, "--min-p");
  EXPECT_EQ(check(SamplerOptions{.repetition_penalty = 0}).error().subject, "--repeat-penalty");
  EXPECT_TRUE(check(SamplerOptions{}));
}

}  // namespace
}  // namespace assay

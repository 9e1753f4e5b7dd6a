// The comparison of logits: what passes, what does not, and why.
#include "bench/check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "bench/check_process.h"
#include "bench/model_suite.h"
#include "tests/support/data.h"

namespace assay {
namespace {

constexpr std::size_t kVocabulary = 100;
constexpr AgreementBounds kBounds{.rms_relative = 0.05};

// 50 positions of normal logits of spread 2.
std::vector<float> true_logits() {
  std::mt19937 bits(1);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> out(50 * kVocabulary);
  for (float& v : out) v = normal(bits);
  return out;
}

std::vector<float> with_noise(std::vector<float> logits, float deviation) {
  std::mt19937 bits(2);
  std::normal_distribution<float> normal(0, deviation);
  for (float& v : logits) v += normal(bits);
  return logits;
}

TEST(Check, EqualLogitsAgreeFully) {
  const auto truth = true_logits();
  const Agreement same = compare_logits(truth, truth, kVocabulary, kBounds);
  EXPECT_TRUE(same.passed);
  EXPECT_EQ(same.positions, 50u);
  EXPECT_EQ(same.top1, 1);
  EXPECT_EQ(same.rms, 0);
  EXPECT_EQ(same.max, 0);
}

TEST(Check, SmallNoisePassesAndItsSizeIsReported) {
  const auto truth = true_logits();
  const Agreement noisy = compare_logits(truth, with_noise(truth, 0.05f), kVocabulary, kBounds);
  EXPECT_TRUE(noisy.passed) << noisy.reason;
  EXPECT_NEAR(noisy.rms, 0.05, 0.003);             // 5000 samples: 1 % of statistical error, three of them and a bit
  EXPECT_NEAR(noisy.rms_relative, 0.025, 0.0015);
}

TEST(Check, NoiseBeyondTheBoundIsAWrongAnswer) {
  const auto truth = true_logits();
  const Agreement wrong = compare_logits(truth, with_noise(truth, 0.3f), kVocabulary, kBounds);
  EXPECT_FALSE(wrong.passed);
  EXPECT_NE(wrong.reason.find("rms"), std::string::npos);
}

TEST(Check, OneLogitFarOffIsAWrongAnswer) {
  const auto truth = true_logits();
  auto answer = truth;
  answer[777] += 1.5f;  // the rms of this is 0.02, below the bound
  const Agreement wrong = compare_logits(truth, answer, kVocabulary, kBounds);
  EXPECT_FALSE(wrong.passed);
  EXPECT_NE(wrong.reason.find("one logit"), std::string::npos);
}

TEST(Check, OtherTokensAreAWrongAnswerUnlessTheyWereATie) {
  std::vector<float> truth(50 * kVocabulary, 0), near = truth, far = truth;
  for (std::size_t at = 0; at < truth.size(); at += kVocabulary) {
    for (std::size_t i = 0; i < kVocabulary; ++i) truth[at + i] = near[at + i] = far[at + i] = i % 2 ? 1.0f : -1.0f;  // spread 1
    truth[at + 1] = 1.2f, truth[at + 3] = 1.19f;
    near[at + 1] = 1.19f, near[at + 3] = 1.2f;   // 0.01 apart: a coin's choice at a bound of 0.05
    truth[at + 5] = 1.4f, near[at + 5] = 1.4f;
    far[at + 1] = 1.2f, far[at + 3] = 1.19f, far[at + 5] = 1.1f;  // 0.2 lost
  }
  EXPECT_EQ(compare_logits(truth, near, kVocabulary, kBounds).top1, 1);
  const Agreement wrong = compare_logits(truth, far, kVocabulary, kBounds);
  EXPECT_EQ(wrong.top1, 0);
  EXPECT_FALSE(wrong.passed);
  EXPECT_NE(wrong.reason.find("most likely token"), std::string::npos);
}

TEST(Check, LogitsThatAreNotFiniteNeverPass) {
  const auto truth = true_logits();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto answer = truth;
    answer[123] = bad;
    EXPECT_FALSE(compare_logits(truth, answer, kVocabulary, kBounds).passed);
    EXPECT_FALSE(compare_logits(answer, answer, kVocabulary, kBounds).passed);
  }
}

TEST(Check, WrongSizesNeverPass) {
  const auto truth = true_logits();
  EXPECT_FALSE(compare_logits(truth, std::span(truth).first(kVocabulary), kVocabulary, kBounds).passed);
  EXPECT_FALSE(compare_logits({}, {}, kVocabulary, kBounds).passed);
  EXPECT_FALSE(compare_logits(truth, truth, 0, kBounds).passed);
}

TEST(Check, EveryFixtureAgreesWithTheReference) {
  for (const char* name : {"nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf",
                           "nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf", "nano-frankenstein/hf-sharded", "nano-frankenstein/mlx-4bit",
                           "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"}) {
    const CheckReply reply = check_model({.path = test::fixture("models").string() + "/" + name, .session = {}, .golden = "", .tokens = 40});
    EXPECT_EQ(reply.error, "") << name;
    ASSERT_TRUE(reply.agreement) << name;
    EXPECT_TRUE(reply.agreement->passed) << name << ": " << reply.agreement->reason;
    EXPECT_EQ(reply.agreement->against, "reference");
    EXPECT_EQ(reply.tokens.size(), 40u);
  }
}

TEST(Check, FixturesAgreeWithTheGoldensOfAnotherImplementation) {
  struct Row {
    const char* model;
    const char* golden;
  };
  for (const Row& row : {Row{"nano-frankenstein/hf-sharded", "nano-frankenstein/logits.f32.bin"},
                         Row{"nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf", "nano-frankenstein/logits_q4_k_m.f32.bin"},
                         Row{"nano-frankenstein/mlx-4bit", "nano-frankenstein/logits_mlx4.f32.bin"},
                         Row{"tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tiny-frankenstein/logits_q4_k_m.f32.bin"}}) {
    const CheckReply reply = check_model({.path = test::fixture("models").string() + "/" + row.model,
                                          .session = {},
                                          .golden = test::fixture("golden").string() + "/" + row.golden,
                                          .tokens = 1});
    ASSERT_TRUE(reply.agreement) << row.model << ": " << reply.error;
    EXPECT_TRUE(reply.agreement->passed) << row.model << ": " << reply.agreement->reason;
  }
}

TEST(Check, GoldenOfAnotherModelIsAnError) {
  const CheckReply reply = check_model({.path = test::fixture("models/nano-frankenstein/hf-sharded").string(),
                                        .session = {},
                                        .golden = test::fixture("golden/tiny-frankenstein/logits.f32.bin").string(),
                                        .tokens = 1});
  EXPECT_FALSE(reply.agreement);
  EXPECT_NE(reply.error.find("another model"), std::string::npos) << reply.error;
}

TEST(Check, ModelNamesAreAsShortAsTellingThemApartAllows) {
  EXPECT_EQ(name_models({"a/model.gguf"}), (std::vector<std::string>{"model"}));
  EXPECT_EQ(name_models({"a/model.gguf", "b/model.gguf", "b/other/"}), (std::vector<std::string>{"a/model", "b/model", "other"}));
  EXPECT_EQ(name_models({"x/a/m.gguf", "y/a/m.gguf"}), (std::vector<std::string>{"x/a/m", "y/a/m"}));
  EXPECT_EQ(name_models({"m.gguf", "m.gguf"})[0].substr(name_models({"m.gguf", "m.gguf"})[0].size() - 2), "#1");
  EXPECT_EQ(name_models({"v1.5/"}), (std::vector<std::string>{"v1.5"}));
}

}  // namespace
}  // namespace assay

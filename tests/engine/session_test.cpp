// Sessions: positions, contexts, batches and threads.
#include "runtime/engine/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "tests/engine/session_support.h"

namespace assay {
using namespace test;
namespace {

class NanoSession : public SessionTest {
 protected:
  void SetUp() override { open_fixture(fixture("models/nano-frankenstein") / GetParam()); }
  static std::vector<std::int32_t> tokens(std::size_t count) {
    std::vector<std::int32_t> ids(count);
    for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::int32_t>(i * 37 % 511);
    return ids;
  }
};

TEST_P(NanoSession, LogitsAreTheSameBitsAtAnyThreadCount) {
  const auto ids = tokens(100);
  std::vector<float> one;
  for (const int threads : {1, 2, 3, 8}) {
    SCOPED_TRACE(threads);
    Session session = open({.threads = threads});
    std::vector<float> logits = copy(session.feed(ids, LogitsWanted::all));
    const std::vector<float> next = copy(session.feed(tokens(1), LogitsWanted::last));
    logits.insert(logits.end(), next.begin(), next.end());
    if (one.empty()) one = logits;
    EXPECT_TRUE(std::equal(one.begin(), one.end(), logits.begin(), logits.end()));
  }
}

TEST_P(NanoSession, LastRowIsTheLastOfAllRows) {
  const auto ids = tokens(33);
  Session session = open({});
  const auto all = copy(session.feed(ids, LogitsWanted::all));
  session.rewind();
  const auto last = copy(session.feed(ids, LogitsWanted::last));
  ASSERT_EQ(last.size(), model_->config.vocabulary);
  // The head sees one row or many: mat-vec and mat-mul kernels add in another order, round the inputs of K-quants and of MLX below eight
  // bits with a scale per 32 or per 64 values, those of BF16 not at all or to BF16, and spread weights' levels or not. Another row would be
  // off by more than 1.
  const std::string_view name = GetParam();
  const double bound = name.find("Q4_K") != name.npos || name == "mlx-4bit" || name == "hf-sharded" ? 0.15 : 1e-3;
  for (std::size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(last[i], all[all.size() - last.size() + i], bound) << i;
}

TEST_P(NanoSession, RewindForgets) {
  Session session = open({});
  const auto first = copy(session.feed(tokens(20), LogitsWanted::last));
  copy(session.feed(tokens(5), LogitsWanted::none));
  EXPECT_EQ(session.position(), 25u);
  session.rewind(10);
  EXPECT_EQ(session.position(), 10u);
  session.rewind();
  EXPECT_EQ(copy(session.feed(tokens(20), LogitsWanted::last)), first);
}

TEST_P(NanoSession, RefusesMoreTokensThanTheContextAndComputesNothing) {
  Session session = open({.context = 16});
  EXPECT_FALSE(session.feed(tokens(17), LogitsWanted::last));
  EXPECT_EQ(session.position(), 0u);
  EXPECT_TRUE(session.feed(tokens(16), LogitsWanted::last));
  const auto full = session.feed(tokens(1), LogitsWanted::last);
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message().find("context of 16"), std::string::npos) << full.error().message();
}

TEST_P(NanoSession, RefusesIdsOutsideTheVocabulary) {
  Session session = open({});
  for (const std::int32_t id : {-1, 512, 2147483647}) {
    const auto result = session.feed({&id, 1}, LogitsWanted::last);
    ASSERT_FALSE(result) << id;
    EXPECT_EQ(result.error().code, Code::range);
  }
}

TEST_P(NanoSession, NoTokensGiveNoLogits) {
  Session session = open({});
  EXPECT_TRUE(copy(session.feed({}, LogitsWanted::all)).empty());
  EXPECT_EQ(session.position(), 0u);
}

// Every batch width goes through another mix of kernels and narrow panels.
TEST_P(NanoSession, BatchWidthMovesLogitsOnlyByRounding) {
  const auto ids = tokens(60);
  Session whole = open({.kv = KvType::f32});
  const auto expected = copy(whole.feed(ids, LogitsWanted::all));
  for (const std::uint32_t batch : {1u, 2u, 3u, 4u, 5u, 7u, 12u, 13u, 25u}) {
    SCOPED_TRACE(batch);
    Session session = open({.batch = batch, .kv = KvType::f32});
    const auto logits = copy(session.feed(ids, LogitsWanted::all));
    ASSERT_EQ(logits.size(), expected.size());
    double squares = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) squares += std::pow(static_cast<double>(logits[i]) - expected[i], 2);
    // Sums in another order now and then move an 8-bit input by one level. Of K-quants and MLX below eight bits, mat-mul and mat-vec also
    // round inputs in different groups, and mat-mul Q6_K's scales: each is about 0.04 from exact logits (README), in its own way.
    const std::string_view name = GetParam();
    const bool is_coarse = name.find("Q4_K") != name.npos || name == "mlx-4bit";
    EXPECT_LE(std::sqrt(squares / static_cast<double>(logits.size())), is_coarse ? 0.04 * std::numbers::sqrt2 : 0.05);
  }
}

// Sequences of different lengths, decoded together, see what each sees alone. A few sequences go through
// mat-vecs, many through mat-muls, which for K-quants and MLX below eight bits round inputs by 64 values and not by 32: single rows of them differ by up
// to 0.08, other texts by more than 1.
TEST_P(NanoSession, SequencesDecodedTogetherSeeOnlyTheirOwnText) {
  const auto ids = tokens(60);
  for (const BackendKind backend : {BackendKind::cpu, BackendKind::reference})
    for (const std::uint32_t count : {1u, 2u, 3u, 5u, 8u, 13u}) {
      SCOPED_TRACE(std::string(name_of(backend)) + " " + std::to_string(count));
      const SessionOptions alone{.backend = backend, .context = 64, .kv = KvType::f32};
      SessionOptions together = alone;
      together.sequences = count;
      Session session = open(together);
      std::vector<std::int32_t> next(count);
      for (std::uint32_t sequence = 0; sequence < count; ++sequence) {
        ASSERT_TRUE(session.feed(std::span(ids).subspan(sequence, 3 + 2 * sequence), LogitsWanted::none, sequence));
        next[sequence] = ids[3 + 3 * sequence];
      }
      const auto logits = copy(session.step(next));
      ASSERT_EQ(logits.size(), std::size_t{count} * model_->config.vocabulary);
      for (std::uint32_t sequence = 0; sequence < count; ++sequence) {
        EXPECT_EQ(session.position(sequence), 4 + 2 * sequence);
        Session one = open(alone);
        ASSERT_TRUE(one.feed(std::span(ids).subspan(sequence, 3 + 2 * sequence), LogitsWanted::none));
        const auto expected = copy(one.feed({&next[sequence], 1}, LogitsWanted::last));
        double squares = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) squares += std::pow(static_cast<double>(logits[sequence * expected.size() + i]) - expected[i], 2);
        EXPECT_LE(std::sqrt(squares / static_cast<double>(expected.size())), backend == BackendKind::cpu ? 0.1 : 1e-5) << sequence;
      }
    }
}

TEST_P(NanoSession, StepRefusesWhatDoesNotFitAndComputesNothing) {
  Session session = open({.context = 8, .sequences = 2});
  ASSERT_TRUE(session.feed(tokens(8), LogitsWanted::none, 1));
  for (const std::vector<std::int32_t>& step : {std::vector<std::int32_t>{1, 1}, {1, 1, 1}, {-1}, {1 << 20}}) {
    const auto result = session.step(step);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::range);
    EXPECT_EQ(session.position(0), 0u);
  }
  EXPECT_TRUE(session.step(tokens(1)));
  EXPECT_EQ(session.position(0), 1u);
  EXPECT_EQ(session.position(1), 8u);
}

// Eight bits keep keys and values within half a level, 0.4 % of the largest of 32: logits move by less than Q8_0 weights move them.
TEST_P(NanoSession, EightBitCacheStaysCloseToTheFloatCache) {
  const auto ids = tokens(100);
  Session exact = open({.kv = KvType::f32}), rounded = open({.kv = KvType::q8_0});
  const auto expected = copy(exact.feed(ids, LogitsWanted::all)), logits = copy(rounded.feed(ids, LogitsWanted::all));
  ASSERT_EQ(logits.size(), expected.size());
  double squares = 0, size = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) squares += std::pow(static_cast<double>(logits[i]) - expected[i], 2), size += std::pow(static_cast<double>(expected[i]), 2);
  EXPECT_GT(squares, 0);
  EXPECT_LE(std::sqrt(squares / size), 0.02);
  EXPECT_LT(rounded.plan().kv_bytes, exact.plan().kv_bytes * 3 / 10);
}

INSTANTIATE_TEST_SUITE_P(Formats, NanoSession,
                         ::testing::Values("gguf/nano-frankenstein-F16.gguf", "gguf/nano-frankenstein-Q8_0.gguf", "gguf/nano-frankenstein-Q4_K_M.gguf",
                                           "hf-sharded", "mlx-4bit"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace_if(name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace assay

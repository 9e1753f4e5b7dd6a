// Perplexity and KL divergence against the golden values of other implementations.
#include "bench/harness/measure_quality.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bench/harness/sample_text.h"
#include "tests/support/data.h"

namespace assay {
namespace {

// fixtures/golden/MODEL/perplexity.json: "files" by quantisation.
double golden(std::string_view model, std::string_view file, std::string_view key, std::string_view inner = {}) {
  const Json json = test::read_json(test::fixture("golden") / model / "perplexity.json");
  const Json* value = json.find("files")->find(file)->find(key);
  if (!inner.empty()) value = value->find(inner);
  return value->number().value();
}
std::string nano(std::string_view file) { return (test::fixture("models/nano-frankenstein/gguf") / file).string(); }

struct Case {
  const char* model;
  const char* file;
  const char* quant;
};

Result<QualityFacts> measure(const Case& c, BackendKind backend, const std::filesystem::path& text, std::string reference = {}) {
  const auto path = test::fixture("models") / c.model / "gguf" / c.file;
  SessionOptions options{.backend = backend};
  return measure_quality(path.string(), options, {.is_wanted = true, .text_file = text.string(), .context = 256, .windows = 0, .reference = std::move(reference)});
}

TEST(Quality, CpuBackendMeetsTheGoldenPerplexityWithinHalfAPercent) {
  for (const Case& c : {Case{"nano-frankenstein", "nano-frankenstein-Q4_K_M.gguf", "Q4_K_M"}, Case{"nano-frankenstein", "nano-frankenstein-Q8_0.gguf", "Q8_0"},
                        Case{"nano-frankenstein", "nano-frankenstein-F16.gguf", "F16"}, Case{"tiny-frankenstein", "tiny-frankenstein-Q4_K_M.gguf", "Q4_K_M"}}) {
    ASSAY_SHARED_OR_SKIP(text, std::string("golden/") + c.model + "/heldout.txt");
    const auto facts = measure(c, BackendKind::cpu, text);
    ASSERT_TRUE(facts) << facts.error().message();
    const double truth = golden(c.model, c.quant, "llama_cpp_ppl");
    EXPECT_NEAR(facts->perplexity, truth, 0.005 * truth) << c.file;
    EXPECT_NEAR(facts->perplexity_error, golden(c.model, c.quant, "llama_cpp_ppl_stderr"), 0.01 * facts->perplexity_error) << c.file;
    RecordProperty(c.file, std::to_string(facts->perplexity));
  }
}

TEST(Quality, ReferenceBackendMeetsTheGoldenPerplexityWithinATenthOfAPercent) {
  const Case c{"nano-frankenstein", "nano-frankenstein-Q4_K_M.gguf", "Q4_K_M"};
  ASSAY_SHARED_OR_SKIP(text, "golden/nano-frankenstein/heldout.txt");
  const auto facts = measure(c, BackendKind::reference, text);
  ASSERT_TRUE(facts) << facts.error().message();
  const double truth = golden(c.model, c.quant, "torch_ppl");
  EXPECT_NEAR(facts->perplexity, truth, 0.001 * truth);
  EXPECT_EQ(facts->scored_tokens, 9144u);
}

TEST(Quality, DivergenceMeetsTheGoldenWithinTenPercent) {
  ASSAY_SHARED_OR_SKIP(text, "golden/nano-frankenstein/heldout.txt");
  for (const char* quant : {"Q4_K_M", "Q8_0"}) {
    const std::string file = std::string("nano-frankenstein-") + quant + ".gguf";
    const auto facts = measure({"nano-frankenstein", file.c_str(), quant}, BackendKind::cpu, text, nano("nano-frankenstein-F16.gguf"));
    ASSERT_TRUE(facts) << facts.error().message();
    const double truth = golden("nano-frankenstein", quant, "kl_vs_F16_llama_cpp", "mean");
    EXPECT_NEAR(facts->kl_mean.value(), truth, std::max(0.1 * truth, 1e-4)) << quant;
    // A share of 9144 positions has a binomial spread of a third of a percent.
    EXPECT_NEAR(facts->top1_percent.value(), golden("nano-frankenstein", quant, "kl_vs_F16_llama_cpp", "same_top_percent"), 1) << quant;
    EXPECT_GE(facts->kl_max.value(), facts->kl_p99.value());
    EXPECT_GE(facts->kl_p99.value(), facts->kl_median.value());
  }
}

TEST(Quality, ModelAgainstItselfDoesNotDiverge) {
  const auto facts = measure_quality(nano("nano-frankenstein-Q8_0.gguf"), {}, {.is_wanted = true, .text_file = {}, .context = 64, .windows = 4, .reference = nano("nano-frankenstein-Q8_0.gguf")});
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->kl_max, 0);
  EXPECT_EQ(facts->top1_percent, 100);
  EXPECT_EQ(facts->worst_token, 0);
  EXPECT_DOUBLE_EQ(facts->perplexity, facts->reference_perplexity.value());
  EXPECT_EQ(facts->text, "built-in");
  EXPECT_EQ(facts->scored_tokens, 4u * 31);
}

TEST(Quality, MistakesAreNamed) {
  const std::string model = nano("nano-frankenstein-Q8_0.gguf");
  const auto error = [&](QualityPlan plan) {
    plan.is_wanted = true;
    const auto facts = measure_quality(model, {}, plan);
    EXPECT_FALSE(facts);
    return facts ? std::string() : facts.error().message();
  };
  EXPECT_NE(error({.context = 100000}).find("512"), std::string::npos);
  EXPECT_NE(error({.text_file = "/no/such/text"}).find("/no/such/text"), std::string::npos);
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "short.txt") << "Too short.";
  EXPECT_NE(error({.text_file = (folder.path() / "short.txt").string(), .context = 256}).find("fewer than one window"), std::string::npos);
  const std::string other = (test::fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf")).string();
  EXPECT_NE(error({.context = 64, .reference = other}).find("same model"), std::string::npos);
}

TEST(Quality, SampleTextIsAFewThousandWordsOfCleanText) {
  const std::string_view text = benchmark_text();
  std::size_t words = 0;
  bool was_space = true;
  for (const char c : text) {
    EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f)) << static_cast<int>(c);
    const bool is_space = c == ' ' || c == '\n';
    words += was_space && !is_space ? 1 : 0;
    was_space = is_space;
  }
  EXPECT_GT(words, 2000u);
}

}  // namespace
}  // namespace assay

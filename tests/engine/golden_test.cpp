// Logits and greedy continuations against golden values from outside implementations: every model, backend and instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "runtime/kernels/cpu/table.h"
#include "tests/engine/golden.h"

namespace assay {
using namespace test;
namespace {

class Architecture : public ::testing::TestWithParam<Case> {
 protected:
  void expect_golden(SessionOptions options, const Bounds& bounds) {
    const auto folder = fixture("architectures");
    const auto file = open_model(folder / GetParam().model);
    ASSERT_TRUE(file) << file.error().message();
    const auto model = bind_model(*file);
    ASSERT_TRUE(model) << model.error().message();
    const std::string label = options.backend == BackendKind::reference ? "reference" : options.isa.empty() ? "cpu" : std::string(options.isa);
    compare_with_golden(*model, GetParam().runs, options, bounds).expect_within(bounds, label);
  }
};

class FloatArchitecture : public Architecture {};

TEST_P(Architecture, ReferenceBackendGivesGoldenLogits) { expect_golden({.backend = BackendKind::reference}, kReference); }

TEST_P(Architecture, CpuBackendGivesGoldenLogitsOnEveryIsa) {
  for (const Kernels* kernels : all_kernels()) {
    SCOPED_TRACE(kernels->name);
    if (kernels_named(kernels->name) == nullptr) continue;  // not on this processor
    const bool rounds_inputs = GetParam().model.find("bf16") != std::string::npos && kernels->name == "avx512_bf16";
    expect_golden({.threads = 2, .isa = kernels->name}, GetParam().quantised ? kQuantised : rounds_inputs ? kBfloatInputs : kHalfCache);
  }
}

// float32 weights and a float32 cache leave only the order of additions and the exponential's 3e-7.
TEST_P(FloatArchitecture, CpuBackendWithFloatCacheIsAsExactAsTheReference) {
  for (const Kernels* kernels : all_kernels()) {
    SCOPED_TRACE(kernels->name);
    if (kernels_named(kernels->name) == nullptr || kernels->name == "avx512_bf16") continue;  // the latter rounds inputs
    expect_golden({.threads = 2, .kv = KvType::f32, .isa = kernels->name}, kReference);
  }
}

// One token at a time takes the mat-vec kernels; a batch takes the mat-mul kernels.
TEST_P(Architecture, TokensOneByOneGiveGoldenLogits) {
  expect_golden({.threads = 2, .batch = 1}, GetParam().quantised ? kQuantised : kHalfCache);
}

// For the last token alone the last layer is left early; with float32 everywhere that leaves the order of additions.
TEST_P(FloatArchitecture, LastTokensLogitsAreThoseOfAllTokens) {
  const auto file = open_model(fixture("architectures") / GetParam().model);
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  for (const BackendKind backend : {BackendKind::reference, BackendKind::cpu}) {
    auto session = Session::open(*model, {.backend = backend, .threads = 2, .batch = 16, .kv = KvType::f32});
    ASSERT_TRUE(session) << session.error().message();
    std::vector<std::int32_t> ids(21);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 37 % model->config.vocabulary);
    const auto all = session->feed(ids, LogitsWanted::all);
    ASSERT_TRUE(all) << all.error().message();
    const std::size_t vocabulary = model->config.vocabulary;
    const std::vector<float> expected(all->end() - static_cast<std::ptrdiff_t>(vocabulary), all->end());
    session->rewind();
    const auto last = session->feed(ids, LogitsWanted::last);  // two batches: of the first, nothing is wanted
    ASSERT_TRUE(last) << last.error().message();
    Comparison comparison(vocabulary);
    comparison.add(*last, expected);
    comparison.expect_within(kReference, backend == BackendKind::cpu ? "cpu" : "reference");
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Architecture, ::testing::ValuesIn(architecture_cases()), [](const auto& param) { return param.param.name; });
INSTANTIATE_TEST_SUITE_P(Goldens, FloatArchitecture, ::testing::ValuesIn(float_cases()), [](const auto& param) { return param.param.name; });

// The trained models, in every layout. `greedy` names the entry of greedy.json that holds for the file's own weights.
struct Trained {
  std::string name, model, folder, logits, greedy;
  bool quantised;
};
const std::vector<Trained> kTrained = {
    {"NanoF16", "nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "nano-frankenstein", "logits.f32.bin", "torch_fp32", false},
    {"NanoSharded", "nano-frankenstein/hf-sharded", "nano-frankenstein", "logits.f32.bin", "torch_fp32", false},
    {"NanoQ4KM", "nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf", "nano-frankenstein", "logits_q4_k_m.f32.bin", "Q4_K_M", true},
    {"NanoMlx4", "nano-frankenstein/mlx-4bit", "nano-frankenstein", "logits_mlx4.f32.bin", "mlx-4bit", true},
    {"TinyQ4KM", "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tiny-frankenstein", "logits_q4_k_m.f32.bin", "Q4_K_M", true},
};

class TrainedModel : public ::testing::TestWithParam<Trained> {
 protected:
  void expect_sequences(const SessionOptions& options, const Bounds& bounds) {
    const auto file = open_model(fixture("models") / GetParam().model);
    ASSERT_TRUE(file) << file.error().message();
    const auto model = bind_model(*file);
    ASSERT_TRUE(model) << model.error().message();
    const auto folder = fixture("golden") / GetParam().folder;
    const Json index = read_json(folder / "logits.json");
    const std::vector<float> golden = read_values<float>(folder / GetParam().logits);
    auto session = Session::open(*model, options);
    ASSERT_TRUE(session) << session.error().message();
    Comparison comparison(model->config.vocabulary);
    std::size_t at = 0;
    for (const Json& sequence : *index.find("sequences")->array()) {
      session->rewind();
      const auto logits = session->feed(ids_of(*sequence.find("ids")), LogitsWanted::all);
      ASSERT_TRUE(logits) << logits.error().message();
      ASSERT_LE(at + logits->size(), golden.size());
      comparison.add(*logits, std::span(golden).subspan(at, logits->size()));
      at += logits->size();
    }
    EXPECT_EQ(at, golden.size());
    comparison.expect_within(bounds, session->isa());
  }
};

TEST_P(TrainedModel, ReferenceBackendGivesGoldenLogits) { expect_sequences({.backend = BackendKind::reference}, kReference); }

// F16 and BF16 weights are widened exactly; what is left is the F16 cache, smaller here than on random weights.
TEST_P(TrainedModel, CpuBackendGivesGoldenLogits) { expect_sequences({.threads = 2}, GetParam().quantised ? kQuantised : kHalfCache); }

TEST_P(TrainedModel, ReferenceBackendContinuesAsTheGolden) {
  const auto file = open_model(fixture("models") / GetParam().model);
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  const Json greedy = read_json(fixture("golden") / GetParam().folder / "greedy.json");
  const Json& prompts = *greedy.find("prompts");
  const Json* same_weights = greedy.find("torch_same_weights")->find(GetParam().greedy);
  for (std::size_t i = 0; i < prompts.array()->size(); ++i) {
    const Json& prompt = (*prompts.array())[i];
    const std::vector<std::int32_t> expected = ids_of(same_weights ? *(*same_weights->array())[i].find("ids") : *prompt.find("torch_fp32"));
    auto session = Session::open(*model, {.backend = BackendKind::reference});
    ASSERT_TRUE(session) << session.error().message();
    auto logits = session->feed(ids_of(*prompt.find("ids")), LogitsWanted::last);
    ASSERT_TRUE(logits) << logits.error().message();
    for (std::size_t step = 0; step < expected.size(); ++step) {
      std::vector<float> sorted(logits->begin(), logits->end());
      std::nth_element(sorted.begin(), sorted.begin() + 1, sorted.end(), std::greater<>());
      const float margin = *std::max_element(sorted.begin(), sorted.begin() + 1) - sorted[1];
      if (margin < kReference.greedy_margin) break;
      const std::int32_t next = most_likely(*logits);
      ASSERT_EQ(next, expected[step]) << "prompt " << i << ", step " << step << ", margin " << margin;
      logits = session->feed({&next, 1}, LogitsWanted::last);
      ASSERT_TRUE(logits) << logits.error().message();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, TrainedModel, ::testing::ValuesIn(kTrained), [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace assay

// Families in layouts that no golden file is in: the golden weights wrapped anew, as folders and inside multi-modal repositories.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "runtime/engine/forward.h"
#include "runtime/engine/vulkan_backend.h"
#include "tests/engine/wrapped.h"

namespace assay {
using namespace test;
namespace {

class WrappedAnew : public ::testing::TestWithParam<Wrapped> {};

TEST_P(WrappedAnew, GivesTheGoldenLogits) {
  const OpenFolder folder(GetParam());
  ASSERT_NE(folder.model, nullptr);
  const std::vector<GoldenRun> runs = runs_of(GetParam());
  ASSERT_FALSE(runs.empty());
  compare_with_golden(*folder.model, runs, {.backend = BackendKind::reference}, kReference).expect_within(kReference, "reference");
  const Bounds& exact = GetParam().is_quantised() ? kQuantised : kReference, &usual = GetParam().is_quantised() ? kQuantised : kHalfCache;
  compare_with_golden(*folder.model, runs, {.threads = 2, .kv = KvType::f32, .isa = "scalar"}, exact).expect_within(exact, "scalar");
  compare_with_golden(*folder.model, runs, {.threads = 2}, usual).expect_within(usual, "cpu");
}

// Keys, names, fused and stacked tensors, row orders: what the converter makes of a folder is the golden model again.
TEST_P(WrappedAnew, ConvertsToAGgufFileWithTheGoldenLogits) {
  const OpenFolder folder(GetParam());
  ASSERT_NE(folder.model, nullptr);
  const AsGguf gguf(*folder.file);
  ASSERT_TRUE(gguf.model);
  compare_with_golden(*gguf.model, runs_of(GetParam()), {.backend = BackendKind::reference}, kReference).expect_within(kReference, "converted");
}

TEST_P(WrappedAnew, AsMlxFolderOfEightBitsIsItsOwnWeightsAndStaysNearTheGoldenLogits) {
  const OpenFolder folder(GetParam());
  ASSERT_NE(folder.model, nullptr);
  const MlxFolder mlx(*folder.file);
  ASSERT_TRUE(mlx.model);
  EXPECT_TRUE(mlx.file->is_mlx);
  expect_eight_bits(*mlx.model, *mlx.file, runs_of(GetParam()));
}

// MLX's own programs would turn GPT-2's matrices once more if the names did not begin so.
TEST(MlxFolder, OfGpt2HasMlxNamesAndMatricesTheRightWayRound) {
  const auto wrapped = std::find_if(kFolders.begin(), kFolders.end(), [](const Wrapped& w) { return w.name == "gpt2"; });
  const OpenFolder folder(*wrapped);
  ASSERT_NE(folder.file, nullptr);
  EXPECT_EQ(folder.file->find("h.0.mlp.c_fc.weight")->shape, (std::vector<std::uint64_t>{64, 160}));
  const MlxFolder mlx(*folder.file);
  ASSERT_TRUE(mlx.model);
  const TensorView* matrix = mlx.file->find("model.h.0.mlp.c_fc.weight");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (std::vector<std::uint64_t>{160, 64}));
  EXPECT_TRUE(mlx.model->copies.empty());
  EXPECT_TRUE(mlx.model->made_bytes.empty()) << "nothing is copied";
}

INSTANTIATE_TEST_SUITE_P(Families, WrappedAnew, ::testing::ValuesIn(all_wrapped()), [](const auto& param) { return param.param.name; });

class Repository : public ::testing::TestWithParam<Wrapped> {};

TEST_P(Repository, ListsItsImageTensorsAsNotUsedAndRefusesImages) {
  const OpenFolder folder(GetParam());
  ASSERT_NE(folder.model, nullptr);
  EXPECT_EQ(folder.model->unused.size(), GetParam().others.size());
  const std::string refusal = image_refusal(*folder.model).message();
  EXPECT_NE(refusal.find(std::to_string(GetParam().others.size()) + " tensors"), std::string::npos) << refusal;
  EXPECT_NE(refusal.find(folder.model->config.wrapper->hf_model_type), std::string::npos) << refusal;
}

INSTANTIATE_TEST_SUITE_P(Families, Repository, ::testing::ValuesIn(kRepositories), [](const auto& param) { return param.param.name; });

TEST(Repository, ATextModelSaysThatItHasNoImageEncoder) {
  const auto file = open_model(fixture("architectures/llama/hf"));
  ASSERT_TRUE(file);
  const auto model = bind_model(*file);
  ASSERT_TRUE(model);
  EXPECT_TRUE(model->unused.empty());
  EXPECT_NE(image_refusal(*model).message().find("no image encoder"), std::string::npos);
}

// The published files of Gemma 3 and Pixtral leave out what transformers' classes take for granted.
TEST(Repository, MissingDimensionsOfWrappedModelsAreTransformersDefaults) {
  ModelFile file;
  file.kind = FileKind::safetensors;
  file.config = *parse_json(R"({"model_type": "gemma3", "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}})");
  const auto gemma = read_config(file);
  ASSERT_TRUE(gemma) << gemma.error().message();
  EXPECT_EQ(gemma->heads, 8u);
  EXPECT_EQ(gemma->kv_heads, 4u);
  EXPECT_EQ(gemma->head_dim, 256u);
  EXPECT_EQ(gemma->vocabulary, 262208u);
  EXPECT_EQ(gemma->rope.base, 1e6f);
  EXPECT_TRUE(gemma->layer_slides(4));
  EXPECT_FALSE(gemma->layer_slides(5));
  // On its own the same gap is an error.
  file.config = *parse_json(R"({"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34})");
  EXPECT_EQ(read_config(file).error().subject, "num_attention_heads");
}

// The plain verbs are enough for llama and qwen3; a backend with nothing more refuses others by what they need.
TEST(Abilities, NameWhatABackendLacks) {
  const std::map<std::string, std::string> needs = {{"llama", ""}, {"qwen3", ""}, {"qwen3-yarn", ""}, {"qwen2", "biases"}, {"llama-moe", "experts"}, {"deepseek2", "latent attention"},
                                                    {"gpt-oss", "sinks"}, {"gemma2", "score scales and soft caps"}, {"gemma3", "sliding windows"}, {"gpt2", "learned positions"},
                                                    {"phi3-longrope", "longrope"}, {"smollm3", "layers without"}, {"starcoder2", "layer norm"}, {"granite", "scales of embedding or logits"}};
  for (const auto& [family, need] : needs) {
    const auto file = open_model(fixture("architectures") / family / "model.gguf");
    ASSERT_TRUE(file);
    const auto model = bind_model(*file);
    ASSERT_TRUE(model) << model.error().message();
    const auto allowed = check_abilities(*model, PlainVerbs::kAbilities, "plain");
    EXPECT_EQ(static_cast<bool>(allowed), need.empty()) << family;
    if (!need.empty() && !allowed) {
      EXPECT_NE(allowed.error().message().find(need), std::string::npos) << allowed.error().message();
    }
  }
}

}  // namespace
}  // namespace assay

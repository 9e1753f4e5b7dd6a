// From one kind of file to another and back, for every family; and what has no golden file.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/engine/wrapped.h"

namespace assay {
using namespace test;
namespace {

// What GGUF files of every family become as folders, and the folders as files again: keys, names, orders, and no value lost. The goldens
// of quantised files are those of their values, which the folder holds as float32.
class FolderOfGguf : public ::testing::TestWithParam<Case> {};

TEST_P(FolderOfGguf, GivesTheGoldenLogitsAndTheSameFileAgain) {
  const auto source = open_model(fixture("architectures") / GetParam().model);
  ASSERT_TRUE(source);
  const TemporaryFolder folder;
  ConvertOptions options;
  options.kind = ConvertKind::safetensors;
  options.format = FormatId::F32;
  const auto report = convert_model(*source, folder.path() / "hf", options, ignore_progress);
  ASSERT_TRUE(report) << report.error().message();
  const auto file = open_model(folder.path() / "hf");
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  compare_with_golden(*model, GetParam().runs, {.backend = BackendKind::reference}, kReference).expect_within(kReference, "folder");
  const AsGguf again(*file);
  ASSERT_TRUE(again.model);
  for (const TensorView& tensor : source->tensors) {
    if (tensor.name.ends_with("rope_freqs.weight")) continue;  // computed anew, a few units in the last place off
    const TensorView* other = again.file->find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    // Norms that folders hold less one lose the last bit.
    const float loss = model->config.arch->hf_norms_less_one && tensor.shape.size() == 1 ? 1.2e-7f : 0.0f;
    const std::vector<float> ours = values_of(*other), theirs = values_of(tensor);
    ASSERT_EQ(ours.size(), theirs.size()) << tensor.name;
    for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], loss) << tensor.name << " " << i;
  }
  EXPECT_EQ(again.file->tensors.size(), source->tensors.size());
}

class EightBitTwin : public ::testing::TestWithParam<Case> {};

TEST_P(EightBitTwin, IsItsOwnWeightsAndStaysNearTheGoldenLogits) {
  const auto source = open_model(fixture("architectures") / GetParam().model);
  ASSERT_TRUE(source);
  const AsGguf quantised(*source, "Q8_0");
  ASSERT_TRUE(quantised.model);
  expect_eight_bits(*quantised.model, *quantised.file, GetParam().runs);
}

std::vector<Case> cases_that_end(std::string_view end) {
  std::vector<Case> cases = architecture_cases();
  std::erase_if(cases, [&](const Case& c) { return !c.model.ends_with(end); });
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Families, FolderOfGguf, ::testing::ValuesIn(cases_that_end(".gguf")), [](const auto& param) { return param.param.name; });
INSTANTIATE_TEST_SUITE_P(Families, EightBitTwin, ::testing::ValuesIn(cases_that_end("/model.gguf")), [](const auto& param) { return param.param.name; });

// A router of DeepSeek-V3 in the golden model of DeepSeek-V2. No golden logits of such exist: the routing itself is reckoned anew in
// windows_test.cpp; here it is the same through every kind of file, and another than the golden's.
TEST(DeepSeekV3, RoutesTheSameFromFoldersAndGgufFiles) {
  const Wrapped wrapped{"deepseek_v3", "deepseek2",
                        R"({"model_type": "deepseek_v3", "kv_lora_rank": 32, "q_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16, "first_k_dense_replace": 1, "moe_intermediate_size": 24,
                            "n_routed_experts": 6, "n_shared_experts": 1, "norm_topk_prob": true, "num_experts_per_tok": 2, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_group": 3, "topk_group": 2,
                            "rope_scaling": {"type": "yarn", "factor": 4, "mscale": 0.707, "mscale_all_dim": 0.707, "original_max_position_embeddings": 1024}})",
                        "", "", {{"model.layers.1.mlp.gate.e_score_correction_bias", {6}, 0.2f}}};
  const OpenFolder folder(wrapped);
  ASSERT_NE(folder.model, nullptr);
  EXPECT_NE(folder.model->layers[1].router_correction, nullptr);
  EXPECT_TRUE(folder.model->unused.empty());
  const std::vector<GoldenRun> runs = runs_of(wrapped);
  EXPECT_GT(compare_models(*folder.model, *AsGguf(*open_model(fixture("architectures/deepseek2/model.gguf"))).model, runs, {.backend = BackendKind::reference}).rms(), 0.05);
  compare_models(*folder.model, *folder.model, runs, {.threads = 2, .kv = KvType::f32, .isa = "scalar"}).expect_within(kReference, "scalar");

  const AsGguf gguf(*folder.file);
  ASSERT_TRUE(gguf.model);
  EXPECT_EQ(gguf.model->config.experts.gating, Gating::sigmoid);
  compare_models(*gguf.model, *folder.model, runs, {.backend = BackendKind::reference}).expect_within(kReference, "gguf");
  const TemporaryFolder again;
  ConvertOptions options;
  options.kind = ConvertKind::safetensors;
  options.format = FormatId::F32;
  const auto report = convert_model(*gguf.file, again.path() / "hf", options, ignore_progress);
  ASSERT_TRUE(report) << report.error().message();
  const auto file = open_model(again.path() / "hf");
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->config.arch->name, "deepseek3");
  compare_models(*model, *folder.model, runs, {.backend = BackendKind::reference}).expect_within(kReference, "folder again");
}

// Codes and exponents move between their two layouts; no value is rounded anew.
TEST(GptOss, Mxfp4PassesThroughAFolderBitForBit) {
  const auto* const wrapped = &*std::find_if(kFolders.begin(), kFolders.end(), [](const Wrapped& w) { return w.name == "gpt_oss_mxfp4"; });
  const OpenFolder folder(*wrapped);
  ASSERT_NE(folder.model, nullptr);
  const AsGguf gguf(*folder.file, "MXFP4_MOE");
  ASSERT_TRUE(gguf.model);
  const auto golden = open_model(fixture("architectures/gpt-oss/model-mxfp4.gguf"));
  ASSERT_TRUE(golden);
  std::size_t compared = 0;
  for (const TensorView& tensor : golden->tensors) {
    if (tensor.format != FormatId::MXFP4) continue;
    const TensorView* ours = gguf.file->find(tensor.name);
    ASSERT_NE(ours, nullptr) << tensor.name;
    ASSERT_EQ(ours->format, FormatId::MXFP4) << tensor.name;
    EXPECT_TRUE(std::equal(ours->data.begin(), ours->data.end(), tensor.data.begin(), tensor.data.end())) << tensor.name;
    ++compared;
  }
  EXPECT_GE(compared, 6u);

  const auto count = [](const ModelFile& file) {
    std::uint64_t sum = 0;
    for (const TensorView& tensor : file.tensors) sum += parameters_of(tensor, file);
    return sum;
  };
  EXPECT_EQ(count(*folder.file), count(*golden)) << "codes are counted, and exponents are not";
  const OpenFolder words(*std::find_if(kFolders.begin(), kFolders.end(), [](const Wrapped& w) { return w.name == "gpt_oss_mlx_mxfp4"; }));
  EXPECT_EQ(count(*words.file), count(*golden));
}

// DeepSeek's published files hold kv_b_proj as FP8, GPT-2's matrices lie on their side: quantised, they are taken apart as float32.
TEST(Copies, OfQuantisedMatricesAreTheirValues) {
  for (const char* name : {"deepseek_v2", "gpt2"}) {
    const auto wrapped = std::find_if(kFolders.begin(), kFolders.end(), [&](const Wrapped& w) { return w.name == name; });
    const OpenFolder folder(*wrapped);
    ASSERT_NE(folder.model, nullptr);
    for (const FormatId format : {FormatId::F8_E4M3, FormatId::NF4}) {
      SCOPED_TRACE(std::string(name) + " " + std::string(name_of(format)));
      const TemporaryFolder out;
      ConvertOptions options;
      options.kind = ConvertKind::safetensors;
      options.format = format;
      const auto report = convert_model(*folder.file, out.path() / "small", options, ignore_progress);
      ASSERT_TRUE(report) << report.error().message();
      const auto file = open_model(out.path() / "small");
      ASSERT_TRUE(file) << file.error().message();
      const auto model = bind_model(*file);
      ASSERT_TRUE(model) << model.error().message();
      const LayerWeights& layer = model->layers[0];
      EXPECT_EQ((layer.k_b != nullptr ? layer.k_b : layer.up)->format, FormatId::F32);
      const AsGguf widened(*file);
      ASSERT_TRUE(widened.model);
      compare_models(*model, *widened.model, runs_of(*wrapped), {.backend = BackendKind::reference}).expect_within(kReference, name);
    }
  }
}

// What is copied is known before it is, and is part of the plan as memory that stays.
TEST(Copies, ArePlannedBeforeTheyAreMade) {
  const auto* const wrapped = &*std::find_if(kFolders.begin(), kFolders.end(), [](const Wrapped& w) { return w.name == "gpt_oss_mxfp4"; });
  const OpenFolder folder(*wrapped);
  ASSERT_NE(folder.model, nullptr);
  auto planned = bind_model(*folder.file, Copies::planned);
  ASSERT_TRUE(planned);
  EXPECT_FALSE(planned->copies.empty());
  const PlanOptions options{.context = 64, .batch = 8};
  const MemoryPlan plan = plan_memory(*planned, options), made = plan_memory(*folder.model, options);
  EXPECT_EQ(plan.copied_bytes, made.copied_bytes);
  EXPECT_EQ(plan.weights_bytes, made.weights_bytes);
  EXPECT_GT(plan.copied_bytes, 0u);
  EXPECT_LT(plan.copied_bytes, plan.weights_bytes);
  make_copies(*planned);
  EXPECT_TRUE(planned->copies.empty());
  compare_with_golden(*planned, runs_of(*wrapped), {.backend = BackendKind::reference}, kReference).expect_within(kReference, "made later");
  const auto gguf = open_model(fixture("architectures/gpt-oss/model.gguf"));
  EXPECT_EQ(plan_memory(*bind_model(*gguf), options).copied_bytes, 0u);
}

// GGUF has no key for either; the file is written all the same.
TEST(ToGguf, SaysWhatIsLostOnTheWay) {
  const OpenFolder mistral({"mistral", "llama-nemo", R"({"model_type": "mistral", "sliding_window": 16})"});
  ASSERT_NE(mistral.model, nullptr);
  EXPECT_EQ(mistral.model->config.window, 16u);
  const AsGguf gguf(*mistral.file);
  ASSERT_FALSE(gguf.notes.empty());
  EXPECT_NE(gguf.notes[0].find("the sliding window of 16 positions is lost"), std::string::npos) << gguf.notes[0];
  EXPECT_EQ(gguf.model->config.window, 0u);
  Wrapped exact = *std::find_if(kFolders.begin(), kFolders.end(), [](const Wrapped& w) { return w.name == "gpt_oss"; });
  exact.config.insert(exact.config.find("\"factor\""), "\"truncate\": false, ");
  const OpenFolder oss(exact);
  ASSERT_NE(oss.model, nullptr);
  EXPECT_FALSE(oss.model->config.rope.rounds_ramp);
  const AsGguf rounded(*oss.file);
  const auto told = [&](std::string_view part) { return std::any_of(rounded.notes.begin(), rounded.notes.end(), [&](const std::string& note) { return note.find(part) != std::string::npos; }); };
  EXPECT_TRUE(told("rope_scaling.truncate false is lost"));
}

}  // namespace
}  // namespace assay

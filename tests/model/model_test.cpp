// Configurations, weight binding and memory plans: from good files, from bad ones, and the same from every layout.
#include "runtime/model/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "runtime/model/memory_plan.h"
#include "runtime/model/weights.h"
#include "tests/support/data.h"

namespace assay::test {
namespace {

Result<Model> open_and_bind(std::optional<ModelFile>& keep, const std::filesystem::path& path) {
  auto file = open_model(path);
  if (!file) return std::move(file).error();
  keep.emplace(std::move(*file));
  return bind_model(*keep);
}

TEST(BindModel, EveryFixtureBinds) {
  for (const char* name : {"models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "models/nano-frankenstein/hf-sharded", "models/nano-frankenstein/mlx-4bit",
                           "models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "architectures/llama/hf", "architectures/qwen3/hf", "architectures/qwen3-yarn/model.gguf"}) {
    std::optional<ModelFile> file;
    const auto model = open_and_bind(file, fixture(name));
    EXPECT_TRUE(model) << name << ": " << model.error().message();
  }
}

TEST(BindModel, LayoutsOfOneModelHaveOneConfig) {
  std::optional<ModelFile> gguf_file, hf_file;
  const auto gguf = open_and_bind(gguf_file, fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf"));
  const auto hf = open_and_bind(hf_file, fixture("models/nano-frankenstein/hf-sharded"));
  ASSERT_TRUE(gguf && hf);
  const Config &a = gguf->config, &b = hf->config;
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.embedding, b.embedding);
  EXPECT_EQ(a.feed_forward, b.feed_forward);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.vocabulary, b.vocabulary);
  EXPECT_EQ(a.context, b.context);
  EXPECT_EQ(a.norm_epsilon, b.norm_epsilon);
  EXPECT_EQ(a.rope.base, b.rope.base);
  EXPECT_EQ(a.rope.dims, b.rope.dims);
  EXPECT_TRUE(a.rope.adjacent_pairs);   // rows permuted in GGUF
  EXPECT_FALSE(b.rope.adjacent_pairs);  // original order
  EXPECT_TRUE(gguf->is_tied() && hf->is_tied());
}

// Files whose defect lies in keys or tensors: the container opens, the model must be refused with a sentence.
TEST(BindModel, RefusesEveryModelDefectOfTheCorruptSet) {
  const std::set<std::string> binding_rules = {"architecture", "hyperparameter", "missing-tensor", "shape"};
  const Json manifest = read_json(fixture("corrupt/gguf/manifest.json"));
  int refused = 0;
  for (const Json& entry : *manifest.array()) {
    if (*entry.find("level")->string() != "model") continue;
    const std::string name = *entry.find("file")->string(), expect = *entry.find("expect")->string();
    SCOPED_TRACE(name + ": " + *entry.find("what")->string());
    std::optional<ModelFile> file;
    const auto model = open_and_bind(file, fixture("corrupt/gguf/" + name));
    if (expect == "accept") {
      EXPECT_TRUE(model) << model.error().message();
    }
    if (expect == "reject" && binding_rules.contains(*entry.find("rule")->string())) {
      ++refused;
      ASSERT_FALSE(model);
      EXPECT_FALSE(model.error().subject.empty()) << model.error().message();
      EXPECT_NE(model.error().message().find(name), std::string::npos) << model.error().message();
    }
  }
  EXPECT_GE(refused, 9);
}

TEST(BindModel, NamesTheKnownArchitectures) {
  std::optional<ModelFile> file;
  const auto model = open_and_bind(file, fixture("corrupt/gguf/arch_unknown.gguf"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::unsupported);
  EXPECT_NE(model.error().message().find("frobnicator"), std::string::npos);
  EXPECT_NE(model.error().message().find(known_architectures()), std::string::npos);
}

TEST(BindModel, TellsSeveralMismatchesAtOnce) {
  std::optional<ModelFile> file;
  const auto model = open_and_bind(file, fixture("corrupt/gguf/embedding_length_mismatch.gguf"));
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message().find("; "), std::string::npos) << model.error().message();
  EXPECT_NE(model.error().message().find("more"), std::string::npos) << model.error().message();
}

// config.json with one member replaced; the weights are those of the sharded fixture.
Result<Config> config_with(std::string_view key, Json value) {
  auto file = open_model(fixture("models/nano-frankenstein/hf-sharded"));
  EXPECT_TRUE(file);
  file->config.set(key, std::move(value));  // the last one of two equal keys counts
  return read_config(*file);
}

TEST(HfConfig, RefusesWhatItDoesNotKnowByName) {
  EXPECT_EQ(config_with("model_type", "frobnicator").error().subject, "model_type");
  EXPECT_EQ(config_with("hidden_act", "gelu").error().subject, "hidden_act");
  EXPECT_EQ(config_with("num_attention_heads", 0).error().code, Code::range);
  EXPECT_EQ(config_with("num_attention_heads", "four").error().code, Code::type);
  EXPECT_EQ(config_with("hidden_size", 1e300).error().code, Code::type);
  EXPECT_EQ(config_with("num_key_value_heads", 3).error().code, Code::range);
  EXPECT_EQ(config_with("rms_norm_eps", -1.0).error().subject, "rms_norm_eps");
  EXPECT_EQ(config_with("rope_scaling", Json().set("rope_type", "frobnicator")).error().subject, "rope_scaling.rope_type");
  EXPECT_EQ(config_with("rope_scaling", Json().set("rope_type", "llama3").set("factor", 8.0)).error().code, Code::missing);
}

TEST(HfConfig, SaysWhichOptionOfAKnownFamilyIsNotSupported) {
  EXPECT_EQ(config_with("kv_lora_rank", 512).error().subject, "kv_lora_rank");
  EXPECT_EQ(config_with("use_parallel_residual", true).error().subject, "use_parallel_residual");
  EXPECT_EQ(config_with("use_sliding_window", true).error().subject, "use_sliding_window");
  const auto of_family = [](std::string_view text) {
    ModelFile file;
    file.kind = FileKind::safetensors;
    file.config = *parse_json(text);
    const auto config = read_config(file);
    return config ? std::string("accepted") : config.error().subject;
  };
  const std::string common = R"("hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 256)";
  EXPECT_EQ(of_family(R"({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, )" + common + "}"), "accepted");
  EXPECT_EQ(of_family(R"({"model_type": "qwen3_moe", "num_experts_per_tok": 2, )" + common + "}"), "num_experts");
  EXPECT_EQ(of_family(R"({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 9, )" + common + "}"), "num_experts_per_tok");
  EXPECT_EQ(of_family(R"({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "decoder_sparse_step": 2, )" + common + "}"), "decoder_sparse_step");
  EXPECT_EQ(of_family(R"({"model_type": "deepseek", "n_routed_experts": 8, "num_experts_per_tok": 2, "scoring_func": "tanh", )" + common + "}"), "scoring_func");
  EXPECT_EQ(of_family(R"({"model_type": "deepseek", "n_routed_experts": 8, "num_experts_per_tok": 2, "topk_method": "random", )" + common + "}"), "topk_method");
  EXPECT_EQ(of_family(R"({"model_type": "deepseek", "n_routed_experts": 8, "num_experts_per_tok": 3, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 1, )" + common + "}"), "expert_group_count");
  EXPECT_EQ(of_family(R"({"model_type": "mixtral", "num_local_experts": 4096, "num_experts_per_tok": 2, "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 1024, "num_attention_heads": 4, "vocab_size": 256})"), "expert_count")
      << "a few bytes of config.json must not ask for millions of tensors";
  EXPECT_EQ(of_family(R"({"model_type": "gpt_oss", "num_local_experts": 8, "num_experts_per_tok": 2, "swiglu_limit": 5.0, )" + common + "}"), "swiglu_limit");
  EXPECT_EQ(of_family(R"({"model_type": "deepseek_v2", "n_routed_experts": 8, "num_experts_per_tok": 2, "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 16, )"
                      R"("rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64, "mscale": 1.0, "mscale_all_dim": 0.5}, )" + common + "}"), "rope_scaling.mscale");
  EXPECT_EQ(of_family(R"({"model_type": "qwen2", "num_experts": 8, )" + common + "}"), "num_experts");
  EXPECT_EQ(of_family(R"({"model_type": "gemma3_text", "sliding_window": 16, "layer_types": ["full_attention", "chunked"], )" + common + "}"), "layer_types");
  EXPECT_EQ(of_family(R"({"model_type": "gemma2", "hidden_activation": "gelu", )" + common + "}"), "hidden_act");
  EXPECT_EQ(of_family(R"({"model_type": "smollm3", "no_rope_layers": [1], )" + common + "}"), "no_rope_layers");
  EXPECT_EQ(of_family(R"({"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1], "original_max_position_embeddings": 64}, )" + common + "}"), "rope_scaling");
  EXPECT_EQ(of_family(R"({"model_type": "llava", "text_config": 3})"), "text_config");
  EXPECT_EQ(of_family(R"({"model_type": "llava", "text_config": {"model_type": "frobnicator"}})"), "model_type");
}

// The numbers of DeepSeek-V3's published config.json: latent attention, and experts chosen by corrected sigmoids of the best groups.
TEST(HfConfig, ReadsLatentAttentionAndRouting) {
  ModelFile file;
  file.kind = FileKind::safetensors;
  file.config = *parse_json(R"({"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
    "vocab_size": 129280, "max_position_embeddings": 163840, "first_k_dense_replace": 3, "moe_layer_freq": 1, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4,
    "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 2.5, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1}})");
  const auto config = read_config(file);
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->head_dim, 576u);
  EXPECT_EQ(config->value_dim, 512u);
  EXPECT_EQ(config->kv_heads, 1u);
  EXPECT_EQ(config->latent.key_dim, 192u);
  EXPECT_EQ(config->rope.offset, 512u);
  EXPECT_TRUE(config->rope.adjacent_pairs);
  const double stretch = 1 + 0.1 * std::log(40.0);
  EXPECT_NEAR(config->attention_scale, stretch * stretch / std::sqrt(192.0), 1e-6);
  const ExpertConfig& experts = config->experts;
  EXPECT_EQ(experts.gating, Gating::sigmoid);
  EXPECT_EQ(experts.group_score, GroupScore::best_two);
  EXPECT_TRUE(experts.has_correction && experts.renormalises);
  EXPECT_EQ(experts.groups, 8u);
  EXPECT_EQ(experts.used_groups, 4u);
  EXPECT_EQ(experts.scale, 2.5f);
  // V2 without ranks is DeepSeek-VL2's plain attention.
  file.config = *parse_json(R"({"model_type": "deepseek_v2", "kv_lora_rank": null, "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 256, "n_routed_experts": 8, "num_experts_per_tok": 2})");
  EXPECT_EQ(read_config(file)->arch->name, "deepseek2-ocr");
}

// config.json's list of kinds wins over the family's rule.
TEST(HfConfig, ReadsWhichLayersSlide) {
  ModelFile file;
  file.kind = FileKind::safetensors;
  file.config = *parse_json(R"({"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 256, "sliding_window": 16,
                                "layer_types": ["full_attention", "sliding_attention", "full_attention"]})");
  const auto config = read_config(file);
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->window, 16u);
  EXPECT_EQ(config->slides, (std::vector<bool>{false, true, false}));
}

TEST(HfConfig, ReadsEveryRopeScaling) {
  const auto linear = config_with("rope_scaling", Json().set("type", "linear").set("factor", 4.0));
  ASSERT_TRUE(linear);
  EXPECT_EQ(linear->rope.scaling, RopeScaling::linear);
  EXPECT_EQ(linear->rope.factor, 4.0f);
  const auto llama3 = config_with("rope_scaling", Json().set("rope_type", "llama3").set("factor", 32.0).set("low_freq_factor", 1.0).set("high_freq_factor", 4.0).set("original_max_position_embeddings", 8192));
  ASSERT_TRUE(llama3);
  EXPECT_EQ(llama3->rope.scaling, RopeScaling::llama3);
  EXPECT_EQ(llama3->rope.original_context, 8192u);
  const auto yarn = config_with("rope_scaling", Json().set("rope_type", "yarn").set("factor", 4.0).set("original_max_position_embeddings", 32768));
  ASSERT_TRUE(yarn);
  EXPECT_EQ(yarn->rope.attention_factor, 1.0f);
}

TEST(MemoryPlan, CountsTiedWeightsOnceAndScalesWithTheContext) {
  std::optional<ModelFile> file;
  const auto model = open_and_bind(file, fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf"));
  ASSERT_TRUE(model);
  const MemoryPlan plan = plan_memory(*model, {.context = 512, .batch = 512, .kv = KvType::f16});
  std::uint64_t stored = 0;
  for (const TensorView& tensor : file->tensors) stored += tensor.stored_bytes();
  EXPECT_EQ(plan.weights_bytes, stored);
  // 2 layers x 512 positions x (64 + 64) values x 2 bytes.
  EXPECT_EQ(plan.kv_bytes, 2u * 512 * 128 * 2);
  EXPECT_EQ(plan_memory(*model, {.context = 1024, .kv = KvType::f32}).kv_bytes, 4 * plan.kv_bytes);
  EXPECT_EQ(plan.kv_bytes_per_position * 512, plan.kv_bytes);
  EXPECT_GT(plan.activation_bytes, 0u);
}

TEST(WeightNames, PutTheLayerIn) {
  EXPECT_EQ(weight_name("blk.{}.attn_q.weight", 12), "blk.12.attn_q.weight");
  EXPECT_EQ(weight_name("output.weight", 3), "output.weight");
}

}  // namespace
}  // namespace assay::test

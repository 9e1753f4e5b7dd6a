// Golden models in layouts that no golden file is in: what they are wrapped as, and conversions of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/model/convert.h"
#include "tests/engine/golden.h"
#include "tests/support/rewrap.h"

namespace assay::test {


// A folder made of a golden GGUF model. `config`: what config.json says beside the dimensions that every family has; `wrapper`: the
// outer config.json, into whose `key` the language model's goes.
struct Wrapped {
  std::string name, family, config;
  std::string wrapper{}, key{};
  std::vector<OtherTensor> others{};
  Layout layout = Layout::hf;
  std::string model = "model.gguf";  // of the family; a quantised one is held to the bounds of such
  bool is_quantised() const { return model != "model.gguf"; }
};

inline const std::vector<Wrapped> kFolders = {
    {"mixtral", "llama-moe", R"({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": null})"},
    {"mixtral_stacked", "llama-moe", R"({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": null})", "", "", {}, Layout::mlx},
    {"qwen3_moe", "qwen3moe", R"({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24, "norm_topk_prob": true, "decoder_sparse_step": 1, "use_sliding_window": false})"},
    {"phi3", "phi3", R"({"model_type": "phi3", "rope_scaling": null, "sliding_window": 2047, "original_max_position_embeddings": 512})"},
    {"phi3_longrope", "phi3-longrope", R"({"model_type": "phi3", "partial_rotary_factor": 0.75, "original_max_position_embeddings": 256, "rope_scaling": {"type": "longrope", "short_factor": [], "long_factor": []}})"},
    {"gemma3_text", "gemma3", R"({"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 24, "rope_local_base_freq": 10000.0, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 16, "sliding_window_pattern": 6})"},
    {"deepseek", "deepseek", R"({"model_type": "deepseek", "first_k_dense_replace": 1, "moe_intermediate_size": 24, "moe_layer_freq": 1, "n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 2, "norm_topk_prob": false, "scoring_func": "softmax"})"},
    {"starcoder2", "starcoder2", R"({"model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-05, "use_bias": true, "sliding_window": null})"},
    {"stablelm", "stablelm", R"({"model_type": "stablelm", "layer_norm_eps": 1e-05, "partial_rotary_factor": 0.25, "use_parallel_residual": false, "use_qkv_bias": true, "qk_layernorm": false})"},
    {"olmo2", "olmo2", R"({"model_type": "olmo2"})"},
    {"granite", "granite", R"({"model_type": "granite", "attention_multiplier": 0.4, "embedding_multiplier": 6.0, "logits_scaling": 0.7, "residual_multiplier": 0.4})"},
    {"smollm3", "smollm3", R"({"model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0, 1], "use_sliding_window": false})"},
    {"gpt2", "gpt2", R"({"model_type": "gpt2", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "n_embd": 64, "n_head": 4, "n_inner": 160, "n_layer": 2, "n_positions": 256})"},
    {"falcon", "falcon", R"({"model_type": "falcon", "alibi": false, "bias": false, "ffn_hidden_size": 160, "layer_norm_epsilon": 1e-05, "multi_query": true, "new_decoder_architecture": false, "num_kv_heads": 4, "parallel_attn": true})"},
    {"seed_oss", "qwen2", R"({"model_type": "seed_oss", "attention_bias": true, "attention_out_bias": false, "mlp_bias": false})"},
    {"qwen3_yarn", "qwen3-yarn", R"({"model_type": "qwen3", "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}})"},
    {"deepseek_v2", "deepseek2",
     R"({"model_type": "deepseek_v2", "kv_lora_rank": 32, "q_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16, "first_k_dense_replace": 1, "moe_intermediate_size": 24, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 6, "n_shared_experts": 1, "norm_topk_prob": false, "num_experts_per_tok": 2, "routed_scaling_factor": 1.0, "scoring_func": "softmax", "topk_group": 1, "topk_method": "greedy",
         "rope_scaling": {"type": "yarn", "factor": 4, "mscale": 0.707, "mscale_all_dim": 0.707, "original_max_position_embeddings": 1024, "beta_fast": 32, "beta_slow": 1}})"},
    {"deepseek_v2_absorbed", "deepseek2",
     R"({"model_type": "deepseek_v2", "kv_lora_rank": 32, "q_lora_rank": 48, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16, "first_k_dense_replace": 1, "moe_intermediate_size": 24, "n_routed_experts": 6, "n_shared_experts": 1, "norm_topk_prob": false, "num_experts_per_tok": 2, "topk_method": "greedy",
         "rope_scaling": {"type": "yarn", "factor": 4, "mscale": 0.707, "mscale_all_dim": 0.707, "original_max_position_embeddings": 1024}})",
     "", "", {}, Layout::mlx},
    {"gpt_oss", "gpt-oss",
     R"({"model_type": "gpt_oss", "attention_bias": true, "num_local_experts": 4, "num_experts_per_tok": 2, "experts_per_token": 2, "sliding_window": 16, "swiglu_limit": 7.0, "layer_types": ["sliding_attention", "full_attention"], "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 512}})"},
    {"gpt_oss_mxfp4", "gpt-oss",
     R"({"model_type": "gpt_oss", "attention_bias": true, "num_local_experts": 4, "num_experts_per_tok": 2, "experts_per_token": 2, "sliding_window": 16, "swiglu_limit": 7.0, "layer_types": ["sliding_attention", "full_attention"], "quantization_config": {"quant_method": "mxfp4"}, "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 512}})",
     "", "", {}, Layout::hf, "model-mxfp4.gguf"},
    {"gpt_oss_mlx_mxfp4", "gpt-oss",
     R"({"model_type": "gpt_oss", "attention_bias": true, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16, "swiglu_limit": 7.0, "layer_types": ["sliding_attention", "full_attention"], "quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}, "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 512}})",
     "", "", {}, Layout::mlx, "model-mxfp4.gguf"},
    {"glm", "chatglm", R"({"model_type": "glm", "partial_rotary_factor": 0.5, "attention_bias": true})"},
};

inline const std::vector<Wrapped> kRepositories = {
    {"pixtral", "llama-nemo", R"({"model_type": "mistral", "sliding_window": null})", R"({"model_type": "llava", "image_token_index": 10, "vision_config": {"model_type": "pixtral"}})", "text_config",
     {{"vision_tower.patch_conv.weight", {8, 3, 4, 4}}, {"vision_tower.transformer.layers.0.attention.q_proj.weight", {8, 8}}, {"multi_modal_projector.linear_1.weight", {64, 8}}, {"multi_modal_projector.linear_1.bias", {64}}}},
    {"gemma3_vision", "gemma3",
     R"({"model_type": "gemma3_text", "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 16})", R"({"model_type": "gemma3", "mm_tokens_per_image": 4, "vision_config": {"model_type": "siglip_vision_model"}})",
     "text_config", {{"vision_tower.vision_model.embeddings.patch_embedding.weight", {8, 3, 2, 2}}, {"vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias", {8}}, {"multi_modal_projector.mm_input_projection_weight", {8, 64}}}},
    {"deepseek_vl2", "deepseek2-ocr",
     R"({"model_type": "deepseek_v2", "use_mla": false, "kv_lora_rank": null, "q_lora_rank": null, "qk_nope_head_dim": 0, "first_k_dense_replace": 1, "moe_intermediate_size": 24, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 3, "topk_method": "greedy"})",
     R"({"model_type": "deepseek_vl_v2", "tile_tag": "2D", "vision_config": {"model_type": "vision"}, "projector_config": {"model_type": "mlp_projector"}})", "language_config",
     {{"vision.blocks.0.attn.qkv.weight", {24, 8}}, {"vision.blocks.0.attn.qkv.bias", {24}}, {"projector.layers.0.weight", {64, 8}}, {"image_newline", {64}}, {"view_seperator", {64}}}},
    {"glm_edge_v", "chatglm", R"({"model_type": "glm", "partial_rotary_factor": 0.5, "attention_bias": true, "boi_token_id": 7, "vision_config": {"hidden_size": 8}})", "", "",
     {{"model.vision.transformer.layers.0.mlp.fc1.bias", {8}}, {"model.vision.adapter.conv.weight", {64, 8, 2, 2}}}},
};

// The dimensions as every config.json gives them.
inline Json config_json(const Wrapped& wrapped, const Model& model) {
  const Config& config = model.config;
  Json json = *parse_json(wrapped.config);
  const bool has_own_names = json.find("n_embd") != nullptr || json.find("multi_query") != nullptr;
  const auto set = [&](std::string_view key, Json value) {
    const bool is_counted_otherwise = has_own_names && (key == "intermediate_size" || key == "num_key_value_heads");
    if (json.find(key) == nullptr && !is_counted_otherwise) json.set(key, std::move(value));
  };
  set("hidden_size", std::uint64_t{config.embedding});
  set("intermediate_size", std::uint64_t{config.feed_forward});
  set("num_hidden_layers", std::uint64_t{config.layers});
  set("num_attention_heads", std::uint64_t{config.heads});
  set("num_key_value_heads", std::uint64_t{config.kv_heads});
  set("head_dim", std::uint64_t{config.head_dim});
  set("vocab_size", std::uint64_t{config.vocabulary});
  set("max_position_embeddings", std::uint64_t{config.context});
  set("rope_theta", static_cast<double>(config.rope.base));
  if (config.arch->norm == NormKind::rms) set("rms_norm_eps", static_cast<double>(config.norm_epsilon));
  set("tie_word_embeddings", model.is_tied());
  if (config.rope.scaling == RopeScaling::longrope) {
    Json& scaling = std::find_if(json.object()->begin(), json.object()->end(), [](const auto& member) { return member.first == "rope_scaling"; })->second;
    for (const auto& [key, factors] : {std::pair{"short_factor", &config.rope.short_factors}, std::pair{"long_factor", &config.rope.long_factors}}) {
      Json list(Json::Array{});
      for (const float factor : *factors) list.push(static_cast<double>(factor));
      scaling.set(key, std::move(list));  // the last of two equal keys counts
    }
  }
  if (wrapped.wrapper.empty()) return json;
  Json outer = *parse_json(wrapped.wrapper);
  outer.set(wrapped.key, std::move(json));
  return outer;
}

inline std::vector<GoldenRun> runs_of(const Wrapped& wrapped) {
  for (const Case& known : architecture_cases())
    if (known.family == wrapped.family && known.model == wrapped.family + "/" + wrapped.model) return known.runs;
  return {};
}

// The golden model of `wrapped` as a folder, open and bound.
struct OpenFolder {
  explicit OpenFolder(const Wrapped& wrapped) {
    auto golden_file = open_model(fixture("architectures") / wrapped.family / wrapped.model);
    if (!golden_file) return;
    auto golden = bind_model(*golden_file);
    if (!golden) return;
    write_folder(*golden, config_json(wrapped, *golden), wrapped.others, wrapped.layout, folder.path());
    auto opened = open_model(folder.path());
    if (!opened) {
      ADD_FAILURE() << opened.error().message();
      return;
    }
    file = std::make_unique<ModelFile>(std::move(*opened));
    auto bound = bind_model(*file);
    if (!bound) {
      ADD_FAILURE() << bound.error().message();
      return;
    }
    model = std::make_unique<Model>(std::move(*bound));
  }
  TemporaryFolder folder;
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Model> model;
};

inline std::vector<Wrapped> all_wrapped() {
  std::vector<Wrapped> all = kFolders;
  all.insert(all.end(), kRepositories.begin(), kRepositories.end());
  return all;
}

// The logits of `model` against those of the reference backend on `truth`, over the tokens of golden runs.
inline Comparison compare_models(const Model& model, const Model& truth, const std::vector<GoldenRun>& runs, SessionOptions options) {
  Comparison comparison(model.config.vocabulary);
  for (const GoldenRun& run : runs) {
    const std::vector<std::int32_t> tokens = read_golden(fixture("architectures") / run.file).tokens;
    auto expected = Session::open(truth, {.backend = BackendKind::reference, .context = run.context});
    options.context = run.context;
    auto session = Session::open(model, options);
    if (!expected || !session) {
      ADD_FAILURE() << (expected ? session.error().message() : expected.error().message());
      continue;
    }
    comparison.add(*session->feed(tokens, LogitsWanted::all), *expected->feed(tokens, LogitsWanted::all), options.backend == BackendKind::reference ? std::vector<bool>() : near_ties(truth, tokens));
  }
  return comparison;
}

// Any model as a GGUF file.
struct AsGguf {
  explicit AsGguf(const ModelFile& source, std::string_view mix = "F32") {
    ConvertOptions options;
    options.mix = *mix_from_name(mix);
    const auto report = convert_model(source, folder.path() / "out.gguf", options, ignore_progress);
    EXPECT_TRUE(report) << (report ? "" : report.error().message());
    if (!report) return;
    notes = report->notes;
    file.emplace(std::move(*open_model(folder.path() / "out.gguf")));
    auto bound = bind_model(*file);
    EXPECT_TRUE(bound) << (bound ? "" : bound.error().message());
    if (bound) model.emplace(std::move(*bound));
  }
  TemporaryFolder folder;
  std::vector<std::string> notes;
  std::optional<ModelFile> file;
  std::optional<Model> model;
};

// The folder as MLX's, 8 bits in groups of 32; nothing when it cannot be.
struct MlxFolder {
  explicit MlxFolder(const ModelFile& source) {
    ConvertOptions options;
    options.kind = ConvertKind::mlx;
    options.format = FormatId::MLX_Q8;
    options.group = 32;
    const auto report = convert_model(source, folder.path() / "mlx", options, [](const ProgressEvent&) { return true; });
    EXPECT_TRUE(report) << (report ? "" : report.error().message());
    if (!report) return;
    auto opened = open_model(folder.path() / "mlx");
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
    if (!opened) return;
    file.emplace(std::move(*opened));
    auto bound = bind_model(*file);
    EXPECT_TRUE(bound) << (bound ? "" : bound.error().message());
    if (bound) model.emplace(std::move(*bound));
  }
  TemporaryFolder folder;
  std::optional<ModelFile> file;
  std::optional<Model> model;
};

// Eight bits of a weight lose about 0.4 % of its group's largest: on random weights logits move by tenths, and a token whose experts are
// chosen anew has another row, which is why the largest difference says little. A tensor in the wrong place moves all rows by units.
inline constexpr Bounds kEightBits{8.0, 0.4, 0.8, 1e9};
// 8-bit activations beside 8-bit weights, against float32 ones beside the same weights: as quantised files move (0.12), and more where
// another expert is chosen.
inline constexpr Bounds kEightBitActivations{1.0, 0.12, 0.85, 0}, kEightBitChoices{5.0, 0.3, 0.85, 0};

// A model of 8-bit weights. Against the golden logits the difference is what eight bits lose; against those of the same weights as
// float32 it is what the runtime adds.
inline void expect_eight_bits(const Model& model, const ModelFile& file, const std::vector<GoldenRun>& runs) {
  compare_with_golden(model, runs, {.backend = BackendKind::reference}, kEightBits).expect_within(kEightBits, "golden");
  const AsGguf widened(file);
  ASSERT_TRUE(widened.model);
  compare_models(model, *widened.model, runs, {.backend = BackendKind::reference}).expect_within(kReference, "reference");
  const Bounds& bounds = model.config.experts.count > 0 ? kEightBitChoices : kEightBitActivations;
  compare_models(model, *widened.model, runs, {.threads = 2}).expect_within(bounds, "cpu");
}

}  // namespace assay::test

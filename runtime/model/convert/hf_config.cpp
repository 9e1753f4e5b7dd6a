// config.json of a folder made of a GGUF file: what transformers calls the numbers of each family.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/model/convert/hf_files.h"
#include "runtime/quant/dequantize.h"

namespace assay::convert {
namespace {

// What a family's config.json has beside the dimensions: names of keys, and keys whose values never change.
struct FolderFamily {
  std::string_view family;  // ArchTraits::name
  std::string_view class_name;
  std::string_view epsilon_key = "rms_norm_eps";
  std::string_view activation_key = "hidden_act";
  std::string_view activation = "silu";
  std::string_view always = "{}";
  std::string_view experts_key = "n_routed_experts";
  std::string_view bias_key = "attention_bias";  // of Q, K and V, where some models of the family have it
};
constexpr std::array kFolderFamilies = {
    FolderFamily{.family = "llama", .class_name = "LlamaForCausalLM", .always = R"({"attention_bias": false, "mlp_bias": false})"},
    FolderFamily{.family = "mixtral", .class_name = "MixtralForCausalLM", .always = R"({"sliding_window": null})", .experts_key = "num_local_experts"},
    FolderFamily{.family = "qwen2", .class_name = "Qwen2ForCausalLM", .always = R"({"use_sliding_window": false})"},
    FolderFamily{.family = "seed_oss", .class_name = "SeedOssForCausalLM", .always = R"({"attention_bias": true, "attention_out_bias": false, "mlp_bias": false})"},
    FolderFamily{.family = "qwen3", .class_name = "Qwen3ForCausalLM", .always = R"({"attention_bias": false, "use_sliding_window": false})"},
    FolderFamily{.family = "qwen3moe", .class_name = "Qwen3MoeForCausalLM", .always = R"({"attention_bias": false, "use_sliding_window": false, "decoder_sparse_step": 1, "mlp_only_layers": []})", .experts_key = "num_experts"},
    FolderFamily{.family = "phi2", .class_name = "PhiForCausalLM", .epsilon_key = "layer_norm_eps", .activation = "gelu_new", .always = R"({"qk_layernorm": false})"},
    FolderFamily{.family = "phi3", .class_name = "Phi3ForCausalLM", .always = R"({"sliding_window": null})"},
    FolderFamily{.family = "gemma2", .class_name = "Gemma2ForCausalLM", .activation_key = "hidden_activation", .activation = "gelu_pytorch_tanh"},
    FolderFamily{.family = "gemma3", .class_name = "Gemma3ForCausalLM", .activation_key = "hidden_activation", .activation = "gelu_pytorch_tanh"},
    FolderFamily{.family = "glm", .class_name = "GlmForCausalLM"},
    FolderFamily{.family = "glm4", .class_name = "Glm4ForCausalLM"},
    FolderFamily{.family = "deepseek", .class_name = "DeepseekForCausalLM", .always = R"({"moe_layer_freq": 1, "scoring_func": "softmax"})"},
    FolderFamily{.family = "deepseek2", .class_name = "DeepseekV2ForCausalLM", .always = R"({"moe_layer_freq": 1, "scoring_func": "softmax"})"},
    FolderFamily{.family = "deepseek2-ocr", .class_name = "DeepseekV2ForCausalLM", .always = R"({"moe_layer_freq": 1, "scoring_func": "softmax", "use_mla": false, "kv_lora_rank": null, "q_lora_rank": null})"},
    FolderFamily{.family = "deepseek3", .class_name = "DeepseekV3ForCausalLM", .always = R"({"moe_layer_freq": 1, "scoring_func": "sigmoid"})"},
    FolderFamily{.family = "starcoder2", .class_name = "Starcoder2ForCausalLM", .epsilon_key = "norm_epsilon", .activation = "gelu_pytorch_tanh", .always = R"({"use_bias": true, "sliding_window": null})"},
    FolderFamily{.family = "stablelm", .class_name = "StableLmForCausalLM", .epsilon_key = "layer_norm_eps", .always = R"({"use_parallel_residual": false, "qk_layernorm": false})", .bias_key = "use_qkv_bias"},
    FolderFamily{.family = "olmo2", .class_name = "Olmo2ForCausalLM"},
    FolderFamily{.family = "granite", .class_name = "GraniteForCausalLM"},
    FolderFamily{.family = "smollm3", .class_name = "SmolLM3ForCausalLM", .always = R"({"use_sliding_window": false})"},
    FolderFamily{.family = "gpt-oss", .class_name = "GptOssForCausalLM", .always = R"({"attention_bias": true, "swiglu_limit": 7.0})", .experts_key = "num_local_experts"},
    FolderFamily{.family = "gpt2", .class_name = "GPT2LMHeadModel", .epsilon_key = "layer_norm_epsilon", .activation_key = "activation_function", .activation = "gelu_new"},
    FolderFamily{.family = "falcon", .class_name = "FalconForCausalLM", .epsilon_key = "layer_norm_epsilon", .activation_key = "activation", .activation = "gelu",
                 .always = R"({"alibi": false, "bias": false, "multi_query": true, "new_decoder_architecture": false, "parallel_attn": true})"},
};

// Numbers print as the shortest text that reads back as the same float.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

// rope_freqs.weight says what llama3 scaling did, not its parameters: they are looked for among the published ones.
Result<Json> llama3_scaling(const Config& config, const TensorView& factors) {
  std::vector<float> values(factors.count());
  ASSAY_TRY_VOID(check_dequantizable(factors));
  dequantize_row(factors, 0, values);
  RopeConfig rope = config.rope;
  rope.dims = static_cast<std::uint32_t>(2 * values.size());
  rope.factor = values.empty() ? 1.0f : *std::ranges::max_element(values);
  rope.low_frequency_factor = 1;
  rope.high_frequency_factor = 4;
  for (std::uint32_t context = 64; context <= 1u << 20; context *= 2) {
    rope.original_context = context;
    const std::vector<float> made = llama3_factors(rope);
    const bool fits = std::ranges::equal(made, values, [](float a, float b) { return std::fabs(a - b) <= 1e-4f * std::fabs(b); });
    if (!fits) continue;
    Json scaling;
    scaling.set("rope_type", "llama3").set("factor", shortest(rope.factor)).set("low_freq_factor", 1.0).set("high_freq_factor", 4.0);
    scaling.set("original_max_position_embeddings", std::uint64_t{context});
    return scaling;
  }
  return Error{Code::unsupported, factors.name, "its factors are not llama3 scaling as config.json can say it; convert to GGUF instead"};
}

Json list_of(const std::vector<float>& values) {
  Json list(Json::Array{});
  for (const float value : values) list.push(shortest(value));
  return list;
}

Result<std::vector<float>> factors_of(const ModelFile& in, std::string_view name) {
  const TensorView* tensor = in.find(name);
  if (tensor == nullptr) return Error{Code::missing, std::string(name), "the file needs it for longrope scaling"};
  ASSAY_TRY_VOID(check_dequantizable(*tensor));
  std::vector<float> values(tensor->cols());
  dequantize_row(*tensor, 0, values);
  return values;
}

Result<Json> rope_scaling(const ModelFile& in, const Config& config) {
  if (const TensorView* factors = in.find("rope_freqs.weight")) return llama3_scaling(config, *factors);
  const RopeConfig& rope = config.rope;
  Json scaling;
  if (rope.scaling == RopeScaling::longrope) {
    ASSAY_TRY(const std::vector<float> longer, factors_of(in, "rope_factors_long.weight"));
    ASSAY_TRY(const std::vector<float> shorter, factors_of(in, "rope_factors_short.weight"));
    scaling.set("type", "longrope").set("attention_factor", shortest(rope.attention_factor));
    scaling.set("long_factor", list_of(longer)).set("short_factor", list_of(shorter));
  }
  if (rope.scaling == RopeScaling::linear) scaling.set("rope_type", "linear").set("factor", shortest(rope.factor));
  if (rope.scaling == RopeScaling::yarn) {
    scaling.set("rope_type", "yarn").set("factor", shortest(rope.factor));
    scaling.set("original_max_position_embeddings", std::uint64_t{rope.original_context});
    if (rope.log_multiplier > 0) scaling.set("mscale", shortest(10 * rope.log_multiplier)).set("mscale_all_dim", shortest(10 * rope.log_multiplier));
    if (rope.attention_factor != 1.0f)
      scaling.set("attention_factor", shortest(rope.attention_factor * (1.0f + 0.1f * std::log(rope.factor))));
  }
  return scaling;
}

void set_dimensions(const Config& config, const FolderFamily& family, Json& json) {
  const auto set = [&](std::string_view name, std::uint32_t value) { json.set(name, std::uint64_t{value}); };
  json.set(family.activation_key, family.activation).set(family.epsilon_key, shortest(config.norm_epsilon));
  set("vocab_size", config.vocabulary);
  if (config.arch->has_learned_positions) {  // GPT-2
    set("n_layer", config.layers), set("n_embd", config.embedding), set("n_head", config.heads);
    return set("n_inner", config.feed_forward), set("n_positions", config.context);
  }
  set("hidden_size", config.embedding), set("num_hidden_layers", config.layers), set("num_attention_heads", config.heads);
  set("max_position_embeddings", config.context);
  if (config.arch->is_parallel && config.arch->hf_ffn_factor > 0) return set("ffn_hidden_size", config.feed_forward);  // Falcon
  set("intermediate_size", config.feed_forward);
  set("num_key_value_heads", config.is_latent() ? config.heads : config.kv_heads);
  if (!config.is_latent()) set("head_dim", config.head_dim);
}

void set_experts(const Config& config, const FolderFamily& family, Json& json) {
  const ExpertConfig& experts = config.experts;
  if (experts.count == 0) return;
  const auto set = [&](std::string_view name, std::uint32_t value) { json.set(name, std::uint64_t{value}); };
  set(family.experts_key, experts.count), set("num_experts_per_tok", experts.used);
  if (family.experts_key == "num_local_experts") return;  // all of the width that intermediate_size says
  set("moe_intermediate_size", experts.feed_forward);
  json.set("norm_topk_prob", experts.renormalises);
  if (family.experts_key != "n_routed_experts") return;
  set("n_shared_experts", experts.shared), set("first_k_dense_replace", experts.dense_layers);
  json.set("routed_scaling_factor", shortest(experts.scale));
  const bool has_groups = experts.groups > 1;
  json.set("topk_method", experts.has_correction ? "noaux_tc" : has_groups ? "group_limited_greedy" : "greedy");
  set("n_group", experts.groups), set("topk_group", experts.used_groups);
}

void set_latent(const Config& config, Json& json) {
  const LatentConfig& latent = config.latent;
  json.set("kv_lora_rank", std::uint64_t{latent.kv_rank}).set("q_lora_rank", latent.query_rank > 0 ? Json(std::uint64_t{latent.query_rank}) : Json());
  json.set("qk_nope_head_dim", std::uint64_t{latent.key_dim} - config.rope.dims).set("qk_rope_head_dim", std::uint64_t{config.rope.dims}).set("v_head_dim", std::uint64_t{latent.value_dim});
}

// Windows, and layers that do not rotate.
void set_layers(const Config& config, Json& json) {
  if (config.window > 0) {
    Json kinds(Json::Array{});
    for (std::uint32_t layer = 0; layer < config.layers; ++layer) kinds.push(config.layer_slides(layer) ? "sliding_attention" : "full_attention");
    json.set("sliding_window", std::uint64_t{config.window}).set("layer_types", std::move(kinds));
  }
  if (config.arch->no_rope_period == 0) return;
  Json rotates(Json::Array{});
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) rotates.push(std::uint64_t{config.layer_rotates(layer)});
  json.set("no_rope_layers", std::move(rotates));
}

// A number that was written and squared or divided since, as it was most likely written.
double plain_number(double value) { return std::fabs(value - std::round(value)) <= 1e-5 * std::fabs(value) ? std::round(value) : shortest(static_cast<float>(value)); }

Result<> set_scales(const Config& config, Json& json) {
  const bool has_query_scalar = config.arch->full_layer_period > 0 && config.arch->scales_embedding, has_multipliers = config.arch->name == "granite";
  const bool is_usual = config.is_latent() || config.attention_scale == 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  if (has_query_scalar) json.set("query_pre_attn_scalar", plain_number(1.0 / (static_cast<double>(config.attention_scale) * config.attention_scale)));
  const auto cap = [](float value) { return value > 0 ? Json(shortest(value)) : Json(); };
  if (has_query_scalar) json.set("attn_logit_softcapping", cap(config.attention_soft_cap)).set("final_logit_softcapping", cap(config.final_soft_cap));
  if (has_multipliers) {
    json.set("attention_multiplier", shortest(config.attention_scale)).set("embedding_multiplier", shortest(config.embedding_scale));
    json.set("residual_multiplier", shortest(config.residual_scale)).set("logits_scaling", shortest(1.0f / config.logit_scale));
  }
  const bool has_scales = config.residual_scale != 1 || config.logit_scale != 1 || (config.embedding_scale != 1 && !config.arch->scales_embedding) || !is_usual;
  const bool has_caps = config.attention_soft_cap > 0 || config.final_soft_cap > 0;
  if ((has_scales && !has_multipliers && !(has_query_scalar && config.residual_scale == 1 && config.logit_scale == 1)) || (has_caps && !has_query_scalar))
    return Error{Code::unsupported, std::string(config.arch->name), "the file scales or caps what config.json of this family cannot say; convert to GGUF instead"};
  return success();
}

Result<> set_rope(const ModelFile& in, const Config& config, Json& json) {
  if (config.arch->has_learned_positions) return success();
  ASSAY_TRY(Json scaling, rope_scaling(in, config));
  json.set("rope_scaling", std::move(scaling)).set("rope_theta", shortest(config.rope.base));
  if (config.rope.scaling == RopeScaling::longrope) json.set("original_max_position_embeddings", std::uint64_t{config.rope.original_context});
  if (config.arch->has_local_rope) json.set("rope_local_base_freq", shortest(config.local_rope.base));
  const float fraction = static_cast<float>(config.rope.dims) / static_cast<float>(config.head_dim);
  if (!config.is_latent() && fraction != config.arch->hf_rotary_fraction) json.set("partial_rotary_factor", shortest(fraction));
  else if (config.arch->hf_rotary_fraction != 1) json.set("partial_rotary_factor", shortest(config.arch->hf_rotary_fraction));
  return success();
}

void set_token_id(Json& json, std::string_view name, const Metadata& metadata, std::string_view key) {
  if (const auto id = metadata.unsigned_integer(key)) json.set(name, *id);
}

}  // namespace

Result<Json> config_json(const ModelFile& in, const Config& config) {
  const auto* const family = std::ranges::find(kFolderFamilies, config.arch->name, &FolderFamily::family);
  if (family == kFolderFamilies.end()) return Error{Code::unsupported, std::string(config.arch->name), "no folder is made of this family; convert to GGUF", in.path.string()};
  ASSAY_TRY(Json json, parse_json(family->always));
  json.set("architectures", Json(Json::Array{Json(family->class_name)})).set("model_type", config.arch->hf_model_type);
  set_token_id(json, "bos_token_id", in.metadata, "tokenizer.ggml.bos_token_id");
  set_token_id(json, "eos_token_id", in.metadata, "tokenizer.ggml.eos_token_id");
  set_dimensions(config, *family, json);
  set_experts(config, *family, json);
  if (config.is_latent()) set_latent(config, json);
  set_layers(config, json);
  if (config.arch->qkv_bias == Presence::maybe) json.set(family->bias_key, in.find("blk.0.attn_q.bias") != nullptr || in.find("blk.0.attn_qkv.bias") != nullptr);
  ASSAY_TRY_VOID(set_scales(config, json));
  ASSAY_TRY_VOID(set_rope(in, config, json));
  json.set("tie_word_embeddings", in.find("output.weight") == nullptr).set("use_cache", true);
  return json;
}

}  // namespace assay::convert

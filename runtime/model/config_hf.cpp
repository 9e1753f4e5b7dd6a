// Config from config.json, of a language model or of a repository that wraps one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/model/config_parts.h"

namespace assay::configs {

namespace {

// Members of config.json.
class JsonKeys {
 public:
  explicit JsonKeys(const Json& json) : json_(json) {}

  const Json* find(std::string_view name) const {
    const Json* value = json_.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  Result<std::uint32_t> count(std::string_view name, std::uint32_t limit) const {
    const Json* value = find(name);
    if (value == nullptr) return Error{Code::missing, std::string(name), "config.json lacks this key"};
    const auto number = value->unsigned_integer();
    if (!number) return Error{Code::type, std::string(name), "config.json holds something other than a whole number here"};
    if (*number == 0 || *number > limit) return Error{Code::range, std::string(name), fmt::format("config.json says {}, expected 1 to {}", *number, limit)};
    return static_cast<std::uint32_t>(*number);
  }
  Result<std::uint32_t> count_or(std::string_view name, std::uint32_t limit, std::uint32_t otherwise) const {
    if (find(name) == nullptr) return otherwise;
    return count(name, limit);
  }
  // The first of several names of one thing that is there.
  Result<std::uint32_t> count(std::initializer_list<std::string_view> names, std::uint32_t limit) const {
    for (const std::string_view name : names)
      if (find(name) != nullptr) return count(name, limit);
    return count(*names.begin(), limit);
  }
  Result<std::uint32_t> count_or(std::initializer_list<std::string_view> names, std::uint32_t limit, std::uint32_t otherwise) const {
    for (const std::string_view name : names)
      if (find(name) != nullptr) return count(name, limit);
    return otherwise;
  }
  bool says(std::string_view name, bool otherwise) const {
    const Json* value = find(name);
    return value == nullptr ? otherwise : value->boolean().value_or(otherwise);
  }
  Result<float> positive_or(std::string_view name, float otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const auto number = value->number();
    if (!number || !(*number > 0) || !std::isfinite(*number)) return Error{Code::range, std::string(name), "config.json holds something other than a positive number here"};
    return static_cast<float>(*number);
  }
  Result<std::vector<float>> positives(std::string_view name) const {
    std::vector<float> out;
    const Json* value = find(name);
    if (value == nullptr || value->array() == nullptr) return Error{Code::missing, std::string(name), "config.json lacks this list"};
    for (const Json& each : *value->array()) {
      const auto number = each.number();
      if (!number || !(*number > 0) || !std::isfinite(*number)) return Error{Code::range, std::string(name), "config.json holds something other than positive numbers here"};
      out.push_back(static_cast<float>(*number));
    }
    return out;
  }
  Result<std::string> text_or(std::string_view name, std::string otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    const std::string* text = value->string();
    if (text == nullptr) return Error{Code::type, std::string(name), "config.json holds something other than a string here"};
    return *text;
  }

 private:
  const Json& json_;
};

Result<> read_longrope(const JsonKeys& keys, const JsonKeys& outer, Config& config) {
  RopeConfig& rope = config.rope;
  rope.scaling = RopeScaling::longrope;
  ASSAY_TRY(rope.short_factors, keys.positives("short_factor"));
  ASSAY_TRY(rope.long_factors, keys.positives("long_factor"));
  // Phi-3 keeps the original context beside rope_scaling.
  ASSAY_TRY(const std::uint32_t beside, outer.count_or("original_max_position_embeddings", kMaxContext, rope.original_context));
  rope.original_context = beside;
  if (rope.original_context == 0) return Error{Code::missing, "original_max_position_embeddings", "config.json needs it for longrope scaling"};
  const double stretch = std::max(1.0, static_cast<double>(config.context) / rope.original_context);
  const double natural = std::sqrt(1.0 + std::log(stretch) / std::log(static_cast<double>(rope.original_context)));
  ASSAY_TRY(rope.attention_factor, keys.positive_or("attention_factor", static_cast<float>(natural)));
  return success();
}

Result<> read_rope_scaling(const Json& scaling, const JsonKeys& outer, Config& config) {
  RopeConfig& rope = config.rope;
  const JsonKeys keys(scaling);
  ASSAY_TRY(const std::string old_name, keys.text_or("type", "default"));
  ASSAY_TRY(const std::string type, keys.text_or("rope_type", old_name));
  if (type == "default") return success();
  ASSAY_TRY(rope.factor, keys.positive_or("factor", 1.0f));
  ASSAY_TRY(rope.original_context, keys.count_or("original_max_position_embeddings", kMaxContext, 0));
  if (type == "longrope" || type == "su") return read_longrope(keys, outer, config);
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    ASSAY_TRY(rope.low_frequency_factor, keys.positive_or("low_freq_factor", 1.0f));
    ASSAY_TRY(rope.high_frequency_factor, keys.positive_or("high_freq_factor", 4.0f));
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    ASSAY_TRY(rope.beta_fast, keys.positive_or("beta_fast", 32.0f));
    ASSAY_TRY(rope.beta_slow, keys.positive_or("beta_slow", 1.0f));
    rope.rounds_ramp = keys.says("truncate", true);
    // DeepSeek: what multiplies cosines and sines where mscale differs from mscale_all_dim, and the scale of scores.
    ASSAY_TRY(const float all, keys.positive_or("mscale_all_dim", 0.0f));
    ASSAY_TRY(const float rotation, keys.positive_or("mscale", all));
    if (config.arch->is_latent && (all == 0 || rotation != all))
      return Error{Code::unsupported, "rope_scaling.mscale", fmt::format("config.json says {} with mscale_all_dim {}; only equal ones are supported", rotation, all)};
    rope.log_multiplier = 0.1f * all;
    // Here the key, where present, is the whole factor; RopeConfig keeps what stands beside 1 + 0.1 ln(factor).
    const float natural = 1.0f + 0.1f * std::log(rope.factor);
    ASSAY_TRY(const float whole, keys.positive_or("attention_factor", natural));
    rope.attention_factor = whole / natural;
  } else {
    return Error{Code::unsupported, "rope_scaling.rope_type", fmt::format("\"{}\" is not supported; known: default, linear, llama3, yarn, longrope", type)};
  }
  if (rope.scaling != RopeScaling::linear && rope.original_context == 0)
    return Error{Code::missing, "rope_scaling.original_max_position_embeddings", fmt::format("config.json needs it for {} scaling", type)};
  return success();
}

Result<> read_rope(const JsonKeys& keys, Config& config) {
  RopeConfig& rope = config.rope;
  ASSAY_TRY(const float fraction, keys.positive_or("partial_rotary_factor", config.arch->hf_rotary_fraction));
  if (fraction > 1) return Error{Code::range, "partial_rotary_factor", fmt::format("config.json says {}, expected up to 1", fraction)};
  rope.dims = static_cast<std::uint32_t>(static_cast<float>(config.head_dim) * fraction);
  rope.adjacent_pairs = config.arch->hf_adjacent_pairs;
  ASSAY_TRY(const float ratio, keys.positive_or("rope_ratio", 1.0f));  // ChatGLM
  rope.base *= ratio;
  config.local_rope = rope;
  ASSAY_TRY(config.local_rope.base, keys.positive_or("rope_local_base_freq", 10000.0f));
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const Json* scaling = keys.find(key)) {
      ASSAY_TRY_VOID(read_rope_scaling(*scaling, keys, config));
      ASSAY_TRY(rope.base, JsonKeys(*scaling).positive_or("rope_theta", rope.base));
    }
  return success();
}

Result<> read_routing(const JsonKeys& keys, ExpertConfig& experts) {
  ASSAY_TRY(const std::string scoring, keys.text_or("scoring_func", "softmax"));
  if (scoring != "softmax" && scoring != "sigmoid") return Error{Code::unsupported, "scoring_func", fmt::format("\"{}\" is not supported; known: softmax, sigmoid", scoring)};
  experts.gating = scoring == "sigmoid" ? Gating::sigmoid : Gating::softmax;
  ASSAY_TRY(const std::string method, keys.text_or("topk_method", experts.gating == Gating::sigmoid ? "noaux_tc" : "greedy"));
  if (method != "greedy" && method != "group_limited_greedy" && method != "noaux_tc")
    return Error{Code::unsupported, "topk_method", fmt::format("\"{}\" is not supported; known: greedy, group_limited_greedy, noaux_tc", method)};
  experts.has_correction = method == "noaux_tc";
  if (method == "greedy") return success();  // whatever n_group says
  experts.group_score = method == "noaux_tc" ? GroupScore::best_two : GroupScore::best;
  ASSAY_TRY(experts.groups, keys.count_or("n_group", experts.count, 1));
  ASSAY_TRY(experts.used_groups, keys.count_or("topk_group", experts.groups, experts.groups));
  return success();
}

Result<> read_experts(const JsonKeys& keys, Config& config) {
  const ArchTraits& arch = *config.arch;
  ExpertConfig& experts = config.experts;
  ASSAY_TRY(const std::uint32_t count, keys.count_or({"num_local_experts", "num_experts", "n_routed_experts"}, kMaxExperts, 0));
  if (count == 0 && arch.experts != Presence::yes) return success();
  if (arch.experts == Presence::no) return Error{Code::unsupported, "num_experts", fmt::format("config.json says {}; {} with experts is not supported", count, arch.name)};
  if (count == 0) return Error{Code::missing, "num_experts", fmt::format("config.json lacks this key, which {} needs", arch.name)};
  experts.count = count;
  ASSAY_TRY(experts.used, keys.count({"num_experts_per_tok", "experts_per_token"}, experts.count));
  ASSAY_TRY(experts.feed_forward, keys.count_or("moe_intermediate_size", kMaxWidth, config.feed_forward));
  ASSAY_TRY(experts.shared, keys.count_or("n_shared_experts", kMaxExperts, 0));
  const Json* dense = keys.find("first_k_dense_replace");
  if (dense != nullptr) experts.dense_layers = static_cast<std::uint32_t>(std::min<std::uint64_t>(dense->unsigned_integer().value_or(0), config.layers));
  ASSAY_TRY(experts.scale, keys.positive_or("routed_scaling_factor", 1.0f));
  experts.renormalises = keys.says("norm_topk_prob", arch.renormalises_experts);
  for (const char* name : {"decoder_sparse_step", "moe_layer_freq"}) {
    ASSAY_TRY(const std::uint32_t said, keys.count_or(name, kMaxExperts, 1));
    if (said != 1) return Error{Code::unsupported, name, fmt::format("config.json says {}; only 1 is supported", said)};
  }
  return read_routing(keys, experts);
}

// DeepSeek-VL2's text model says nothing of ranks and has plain attention; V2 and V3 have multi-head latent attention.
bool has_latent_attention(const JsonKeys& keys) {
  const Json* rank = keys.find("kv_lora_rank");
  return rank != nullptr && rank->unsigned_integer().value_or(0) > 0 && keys.says("use_mla", true);
}

Result<> read_latent(const JsonKeys& keys, Config& config) {
  LatentConfig& latent = config.latent;
  ASSAY_TRY(latent.kv_rank, keys.count("kv_lora_rank", kMaxWidth));
  ASSAY_TRY(latent.query_rank, keys.count_or("q_lora_rank", kMaxWidth, 0));
  ASSAY_TRY(const std::uint32_t rotated, keys.count("qk_rope_head_dim", kMaxWidth));
  ASSAY_TRY(const std::uint32_t rest, keys.count("qk_nope_head_dim", kMaxWidth));
  ASSAY_TRY(latent.value_dim, keys.count("v_head_dim", kMaxWidth));
  latent.key_dim = rest + rotated;
  config.kv_heads = 1;
  config.head_dim = latent.kv_rank + rotated;
  config.value_dim = latent.kv_rank;
  config.rope.dims = rotated;
  if (!keys.says("rope_interleave", true)) return Error{Code::unsupported, "rope_interleave", "config.json says false, which is not supported for latent attention"};
  set_latent_rope(config);
  return success();
}

// SmolLM3 lists which layers rotate; the family's rule is the same where it does not.
Result<> read_rotating_layers(const JsonKeys& keys, Config& config) {
  const Json* list = keys.find("no_rope_layers");
  if (config.arch->no_rope_period == 0 || list == nullptr || list->array() == nullptr || list->array()->empty()) return success();
  if (list->array()->size() != config.layers) return Error{Code::range, "no_rope_layers", fmt::format("config.json lists {} for {} layers", list->array()->size(), config.layers)};
  for (const Json& rotates : *list->array()) config.rotates.push_back(rotates.unsigned_integer().value_or(1) != 0);
  return success();
}

// Which layers slide: a list of their kinds, every nth, or all of Mistral's.
Result<> read_windows(const JsonKeys& keys, Config& config) {
  const bool has_windows = config.arch->full_layer_period > 0, is_mistral = config.arch->name == "mistral" || config.arch->name == "mixtral";
  if (keys.says("use_sliding_window", false)) {
    ASSAY_TRY(const std::uint32_t first, keys.count_or("max_window_layers", kMaxLayers, 0));
    if (first < config.layers) return Error{Code::unsupported, "use_sliding_window", fmt::format("config.json says true from layer {} on, which is not supported for {}", first, config.arch->name)};
  }
  if ((!has_windows && !is_mistral) || keys.find("sliding_window") == nullptr) return success();
  ASSAY_TRY(config.window, keys.count("sliding_window", kMaxContext));
  if (is_mistral) config.slides.assign(config.layers, true);
  ASSAY_TRY(const std::uint32_t period, keys.count_or("sliding_window_pattern", kMaxLayers, config.arch->full_layer_period));
  for (std::uint32_t layer = 0; has_windows && layer < config.layers; ++layer) config.slides.push_back((layer + 1) % period != 0);
  const Json* kinds = keys.find("layer_types");
  if (kinds == nullptr || kinds->array() == nullptr || is_mistral) return success();
  if (kinds->array()->size() != config.layers) return Error{Code::range, "layer_types", fmt::format("config.json lists {} for {} layers", kinds->array()->size(), config.layers)};
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    const std::string* kind = (*kinds->array())[layer].string();
    if (kind == nullptr || (*kind != "sliding_attention" && *kind != "full_attention"))
      return Error{Code::unsupported, "layer_types", "config.json lists a kind other than sliding_attention and full_attention"};
    config.slides[layer] = *kind == "sliding_attention";
  }
  return success();
}

Result<> read_scales(const JsonKeys& keys, Config& config) {
  ASSAY_TRY(const float query_scalar, keys.positive_or("query_pre_attn_scalar", 0.0f));
  if (query_scalar > 0) config.attention_scale = 1.0f / std::sqrt(query_scalar);
  ASSAY_TRY(config.attention_scale, keys.positive_or("attention_multiplier", config.attention_scale));
  ASSAY_TRY(config.embedding_scale, keys.positive_or("embedding_multiplier", 1.0f));
  ASSAY_TRY(config.residual_scale, keys.positive_or("residual_multiplier", 1.0f));
  ASSAY_TRY(const float divisor, keys.positive_or("logits_scaling", 1.0f));
  config.logit_scale = 1.0f / divisor;
  ASSAY_TRY(config.attention_soft_cap, keys.positive_or("attn_logit_softcapping", 0.0f));
  ASSAY_TRY(config.final_soft_cap, keys.positive_or("final_logit_softcapping", 0.0f));
  return success();
}

Result<> check_activation(const JsonKeys& keys, const ArchTraits& arch) {
  ASSAY_TRY(const std::string oldest, keys.text_or("activation_function", ""));  // GPT-2
  ASSAY_TRY(const std::string older, keys.text_or("hidden_act", oldest));
  ASSAY_TRY(const std::string name, keys.text_or("hidden_activation", older));
  if (name.empty()) return success();
  const bool is_gelu = name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast", is_silu = name == "silu" || name == "swiglu";
  if (arch.activation == Activation::gelu ? is_gelu : is_silu) return success();
  return Error{Code::unsupported, "hidden_act", fmt::format("\"{}\" is not supported for {}; known: {}", name, arch.name, arch.activation == Activation::gelu ? "gelu_pytorch_tanh" : "silu")};
}

// `defaults`: of a language model inside another repository, whose configuration leaves out what transformers takes for granted.
Result<> read_dimensions(const JsonKeys& keys, const HfDefaults& defaults, Config& config) {
  const auto count_else = [&](std::initializer_list<std::string_view> names, std::uint32_t limit, std::uint32_t otherwise) {
    return otherwise > 0 ? keys.count_or(names, limit, otherwise) : keys.count(names, limit);
  };
  ASSAY_TRY(config.layers, keys.count({"num_hidden_layers", "num_layers", "n_layer"}, kMaxLayers));
  ASSAY_TRY(config.embedding, keys.count({"hidden_size", "n_embd"}, kMaxWidth));
  ASSAY_TRY(config.feed_forward, count_else({"intermediate_size", "ffn_hidden_size", "n_inner"}, kMaxWidth, config.arch->hf_ffn_factor * config.embedding));
  ASSAY_TRY(config.heads, count_else({"num_attention_heads", "n_head"}, kMaxWidth, defaults.heads));
  ASSAY_TRY(config.kv_heads, keys.count_or({"num_key_value_heads", "multi_query_group_num"}, kMaxWidth, defaults.kv_heads > 0 ? defaults.kv_heads : config.heads));
  if (keys.says("multi_query", false)) config.kv_heads = 1;  // Falcon
  const std::uint32_t head_dim = defaults.head_dim > 0 ? defaults.head_dim : std::max(1u, config.embedding / config.heads);
  ASSAY_TRY(config.head_dim, keys.count_or({"head_dim", "kv_channels"}, kMaxWidth, head_dim));
  config.value_dim = config.head_dim;
  ASSAY_TRY(config.vocabulary, count_else({"padded_vocab_size", "vocab_size"}, std::numeric_limits<std::uint32_t>::max(), defaults.vocabulary));
  ASSAY_TRY(config.context, keys.count_or({"max_position_embeddings", "seq_length", "n_positions"}, kMaxContext, defaults.context > 0 ? defaults.context : 2048));
  ASSAY_TRY(config.rope.base, keys.positive_or("rope_theta", defaults.rope_base));
  config.norm_epsilon = config.arch->norm == NormKind::rms ? 1e-6f : 1e-5f;
  for (const char* name : {"rms_norm_eps", "layer_norm_eps", "norm_epsilon", "layernorm_epsilon", "layer_norm_epsilon"}) {
    ASSAY_TRY(config.norm_epsilon, keys.positive_or(name, config.norm_epsilon));
  }
  return success();
}

// Options that change the decoder in a way no row describes.
Result<> refuse_options(const JsonKeys& keys, const ArchTraits& arch) {
  const auto refuse = [&](std::string_view name) { return Error{Code::unsupported, std::string(name), fmt::format("config.json says true, which is not supported for {}", arch.name)}; };
  for (const std::string_view name : {"use_parallel_residual", "qk_layernorm", "alibi", "apply_residual_connection_post_layernorm", "new_decoder_architecture", "scale_attn_by_inverse_layer_idx"})
    if (keys.says(name, false) && !(name == "use_parallel_residual" && arch.is_parallel)) return refuse(name);
  if (arch.is_parallel && !keys.says("parallel_attn", true)) return Error{Code::unsupported, "parallel_attn", fmt::format("config.json says false, which is not supported for {}", arch.name)};
  if (has_latent_attention(keys) && !arch.is_latent) return Error{Code::unsupported, "kv_lora_rank", fmt::format("multi-head latent attention is not supported for {}", arch.name)};
  ASSAY_TRY(const float limit, keys.positive_or("swiglu_limit", 7.0f));
  if (limit != 7.0f) return Error{Code::unsupported, "swiglu_limit", fmt::format("config.json says {}; only 7 is supported", limit)};
  return success();
}

}  // namespace

Result<Config> read_hf(const ModelFile& file) {
  ASSAY_TRY(const LanguageConfig language, language_config(file));
  const JsonKeys keys(*language.json);
  Config config;
  config.wrapper = language.wrapper;
  config.arch = arch_from_hf(language.model_type, has_latent_attention(keys));
  if (config.arch == nullptr)
    return Error{Code::unsupported, "model_type", fmt::format("\"{}\" is not an architecture Assay runs; known: {}", language.model_type, known_architectures())};
  ASSAY_TRY_VOID(check_activation(keys, *config.arch));
  ASSAY_TRY_VOID(refuse_options(keys, *config.arch));
  const HfDefaults* defaults = config.wrapper != nullptr ? hf_defaults(language.model_type) : nullptr;
  ASSAY_TRY_VOID(read_dimensions(keys, defaults != nullptr ? *defaults : HfDefaults{"", 0, 0, 0, 0, 0, 10000.0f}, config));
  ASSAY_TRY_VOID(read_experts(keys, config));
  ASSAY_TRY_VOID(read_rope(keys, config));
  if (config.arch->is_latent) ASSAY_TRY_VOID(read_latent(keys, config));
  ASSAY_TRY_VOID(read_windows(keys, config));
  ASSAY_TRY_VOID(read_rotating_layers(keys, config));
  ASSAY_TRY_VOID(read_scales(keys, config));
  return config;
}

}  // namespace assay::configs

namespace assay {

Result<LanguageConfig> language_config(const ModelFile& file) {
  if (!file.config.is_object()) return Error{Code::missing, "config.json", "not found beside the weights; it holds the model's dimensions, download it too"};
  LanguageConfig language{&file.config, "", nullptr};
  ASSAY_TRY(language.model_type, configs::JsonKeys(file.config).text_or("model_type", ""));
  language.wrapper = wrapper_from_hf(language.model_type);
  if (language.wrapper == nullptr || language.wrapper->config_key.empty()) return language;
  const std::string key(language.wrapper->config_key);
  language.json = file.config.find(key);
  if (language.json == nullptr || !language.json->is_object())
    return Error{Code::missing, key, fmt::format("config.json of a {} repository describes its language model here", language.model_type)};
  ASSAY_TRY(language.model_type, configs::JsonKeys(*language.json).text_or("model_type", std::string(language.wrapper->default_model_type)));
  return language;
}

}  // namespace assay

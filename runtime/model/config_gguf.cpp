// Config from the keys of a GGUF file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/model/config_parts.h"

namespace assay::configs {

namespace {

// Keys of one GGUF architecture: "llama." + name.
class GgufKeys {
 public:
  GgufKeys(const Metadata& metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix)) {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  bool has(std::string_view name) const { return metadata_.has(key(name)); }

  Result<std::uint32_t> count(std::string_view name, std::uint32_t limit) const {
    ASSAY_TRY(const std::uint64_t value, metadata_.unsigned_integer(key(name)));
    if (value == 0 || value > limit) return Error{Code::range, key(name), fmt::format("is {}, expected 1 to {}", value, limit)};
    return static_cast<std::uint32_t>(value);
  }
  Result<std::uint32_t> count_or(std::string_view name, std::uint32_t limit, std::uint32_t otherwise) const {
    if (!has(name)) return otherwise;
    return count(name, limit);
  }
  // 0 where the key is absent.
  Result<std::uint32_t> zero_or_count(std::string_view name, std::uint32_t limit) const {
    if (!has(name)) return 0u;
    ASSAY_TRY(const std::uint64_t value, metadata_.unsigned_integer(key(name)));
    if (value > limit) return Error{Code::range, key(name), fmt::format("is {}, expected 0 to {}", value, limit)};
    return static_cast<std::uint32_t>(value);
  }
  // Finite and above zero.
  Result<float> positive(std::string_view name) const {
    ASSAY_TRY(const double value, metadata_.number(key(name)));
    if (!(value > 0) || !std::isfinite(value)) return Error{Code::range, key(name), fmt::format("is {}, expected a positive number", value)};
    return static_cast<float>(value);
  }
  Result<float> positive_or(std::string_view name, float otherwise) const {
    if (!has(name)) return otherwise;
    return positive(name);
  }
  // A count that some files give once per layer: all entries must agree.
  Result<std::uint32_t> uniform_count(std::string_view name, std::uint32_t limit) const {
    const MetaEntry* entry = metadata_.find(key(name));
    if (entry == nullptr || entry->type != MetaType::array) return count(name, limit);
    ASSAY_TRY(const std::vector<std::int64_t> values, metadata_.integers(key(name)));
    for (std::int64_t value : values)
      if (value != values.front()) return Error{Code::unsupported, key(name), "differs from layer to layer, which is not supported yet"};
    if (values.empty() || values.front() < 1 || values.front() > limit) return Error{Code::range, key(name), fmt::format("expected 1 to {}", limit)};
    return static_cast<std::uint32_t>(values.front());
  }

 private:
  const Metadata& metadata_;
  std::string prefix_;
};

Result<> read_rope(const GgufKeys& keys, const ModelFile& file, Config& config) {
  const Metadata& metadata = file.metadata;
  RopeConfig& rope = config.rope;
  rope.adjacent_pairs = config.arch->gguf_adjacent_pairs;
  ASSAY_TRY(rope.dims, keys.count_or("rope.dimension_count", config.head_dim, config.head_dim));
  ASSAY_TRY(rope.base, keys.positive_or("rope.freq_base", 10000.0f));
  config.local_rope = rope;
  ASSAY_TRY(config.local_rope.base, keys.positive_or("rope.freq_base_swa", 10000.0f));
  if (keys.has("rope.scale_linear")) {  // old files
    rope.scaling = RopeScaling::linear;
    ASSAY_TRY(rope.factor, keys.positive("rope.scale_linear"));
  }
  ASSAY_TRY(rope.attention_factor, keys.positive_or("rope.scaling.attn_factor", 1.0f));
  const bool has_factors = file.find("rope_factors_long.weight") != nullptr;  // longrope, whether or not a key says so
  if (!keys.has("rope.scaling.type") && !has_factors) return success();
  std::string_view type = "longrope";
  if (!has_factors) {
    ASSAY_TRY(type, metadata.string(keys.key("rope.scaling.type")));
  }
  if (type == "none") {
    rope.scaling = RopeScaling::none;
    return success();
  }
  if (type == "longrope") {
    rope.scaling = RopeScaling::longrope;
    ASSAY_TRY(rope.original_context, keys.count("rope.scaling.original_context_length", kMaxContext));
    return success();
  }
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    ASSAY_TRY(rope.original_context, keys.count("rope.scaling.original_context_length", kMaxContext));
  } else {
    return Error{Code::unsupported, keys.key("rope.scaling.type"), fmt::format("\"{}\" is not supported; known: none, linear, yarn, longrope", type)};
  }
  ASSAY_TRY(rope.factor, keys.positive("rope.scaling.factor"));
  return success();
}

// How routers choose. Without the key DeepSeek's files mean softmax, and sigmoid where experts have a correction: only those have it.
Result<> read_routing(const GgufKeys& keys, const ModelFile& file, Config& config) {
  ExpertConfig& experts = config.experts;
  constexpr std::uint32_t kSoftmax = 1, kSigmoid = 2, kSoftmaxOfChosen = 3;
  experts.has_correction = file.find(fmt::format("blk.{}.exp_probs_b.bias", experts.dense_layers)) != nullptr;
  ASSAY_TRY(std::uint32_t gating, keys.zero_or_count("expert_gating_func", 255));
  if (gating == 0) gating = experts.has_correction ? kSigmoid : config.arch->chooses_before_softmax ? kSoftmaxOfChosen : kSoftmax;
  if (gating != kSoftmax && gating != kSigmoid && !(config.arch->chooses_before_softmax && gating == kSoftmaxOfChosen))
    return Error{Code::unsupported, keys.key("expert_gating_func"), fmt::format("is {}; experts chosen by softmax (1) and sigmoid (2) are supported", gating)};
  experts.gating = gating == kSigmoid ? Gating::sigmoid : Gating::softmax;
  ASSAY_TRY(experts.groups, keys.zero_or_count("expert_group_count", experts.count));
  experts.groups = std::max(1u, experts.groups);
  ASSAY_TRY(experts.used_groups, keys.zero_or_count("expert_group_used_count", experts.groups));
  if (experts.used_groups == 0) experts.used_groups = experts.groups;
  // No key says it: DeepSeek-V2 (softmax) goes by a group's best expert, V3 (sigmoid) by its best two.
  experts.group_score = experts.gating == Gating::sigmoid ? GroupScore::best_two : GroupScore::best;
  return success();
}

Result<> read_experts(const GgufKeys& keys, const ModelFile& file, Config& config) {
  const Metadata& metadata = file.metadata;
  const ArchTraits& arch = *config.arch;
  std::uint64_t count = 0;
  if (keys.has("expert_count")) {
    ASSAY_TRY(count, metadata.unsigned_integer(keys.key("expert_count")));
  }
  if (count == 0 && arch.experts != Presence::yes) return success();
  if (arch.experts == Presence::no)
    return Error{Code::unsupported, keys.key("expert_count"), fmt::format("is {}; {} with experts is not supported", count, arch.name)};
  ExpertConfig& experts = config.experts;
  ASSAY_TRY(experts.count, keys.count("expert_count", kMaxExperts));
  ASSAY_TRY(experts.used, keys.count("expert_used_count", experts.count));
  ASSAY_TRY(experts.feed_forward, keys.count_or("expert_feed_forward_length", kMaxWidth, config.feed_forward));
  ASSAY_TRY(experts.shared, keys.zero_or_count("expert_shared_count", kMaxExperts));
  ASSAY_TRY(experts.dense_layers, keys.zero_or_count("leading_dense_block_count", config.layers));
  ASSAY_TRY(experts.scale, keys.positive_or("expert_weights_scale", 1.0f));
  experts.renormalises = arch.renormalises_experts;
  if (keys.has("expert_weights_norm")) {
    ASSAY_TRY(experts.renormalises, metadata.boolean(keys.key("expert_weights_norm")));
  }
  return read_routing(keys, file, config);
}

// DeepSeek-V2: the cache holds the compressed row of all heads, which is why the file says one key-value head.
Result<> read_latent(const GgufKeys& keys, Config& config) {
  LatentConfig& latent = config.latent;
  ASSAY_TRY(latent.kv_rank, keys.count("attention.kv_lora_rank", kMaxWidth));
  ASSAY_TRY(latent.query_rank, keys.zero_or_count("attention.q_lora_rank", kMaxWidth));
  if (!keys.has("attention.key_length_mla"))
    return Error{Code::unsupported, keys.key("attention.key_length_mla"), "is absent: the file was made by an old converter that stores keys decompressed; convert or download it again"};
  ASSAY_TRY(latent.key_dim, keys.count("attention.key_length_mla", kMaxWidth));
  ASSAY_TRY(latent.value_dim, keys.count("attention.value_length_mla", kMaxWidth));
  if (config.kv_heads != 1 || config.head_dim != std::uint64_t{latent.kv_rank} + config.rope.dims || config.value_dim != latent.kv_rank || latent.key_dim <= config.rope.dims)
    return Error{Code::range, keys.key("attention.key_length"), fmt::format("is {} with {} key-value heads; multi-head latent attention has {} + {} and one", config.head_dim, config.kv_heads, latent.kv_rank, config.rope.dims)};
  ASSAY_TRY(config.rope.log_multiplier, keys.positive_or("rope.scaling.yarn_log_multiplier", 0.0f));
  set_latent_rope(config);
  return success();
}

// Which layers slide, where the file says so: every nth does not, or one answer for each layer.
Result<> read_windows(const GgufKeys& keys, const Metadata& metadata, Config& config) {
  if (config.arch->full_layer_period == 0) return success();  // phi3 has the key and ignores it
  ASSAY_TRY(config.window, keys.zero_or_count("attention.sliding_window", kMaxContext));
  const std::string key = keys.key("attention.sliding_window_pattern");
  const MetaEntry* entry = metadata.find(key);
  if (entry == nullptr || config.window == 0) return success();
  if (entry->type != MetaType::array) {
    ASSAY_TRY(const std::uint32_t period, keys.count("attention.sliding_window_pattern", kMaxLayers));
    for (std::uint32_t layer = 0; layer < config.layers; ++layer) config.slides.push_back((layer + 1) % period != 0);
    return success();
  }
  ASSAY_TRY(const std::vector<std::int64_t> values, metadata.integers(key));
  if (values.size() != config.layers) return Error{Code::range, key, fmt::format("has {} entries for {} layers", values.size(), config.layers)};
  for (const std::int64_t value : values) config.slides.push_back(value != 0);
  return success();
}

Result<> read_scales(const GgufKeys& keys, Config& config) {
  ASSAY_TRY(config.attention_scale, keys.positive_or("attention.scale", config.attention_scale));
  ASSAY_TRY(config.embedding_scale, keys.positive_or("embedding_scale", 1.0f));
  ASSAY_TRY(config.residual_scale, keys.positive_or("residual_scale", 1.0f));
  ASSAY_TRY(const float divisor, keys.positive_or("logit_scale", 1.0f));
  config.logit_scale = 1.0f / divisor;
  ASSAY_TRY(config.attention_soft_cap, keys.positive_or("attn_logit_softcapping", 0.0f));
  ASSAY_TRY(config.final_soft_cap, keys.positive_or("final_logit_softcapping", 0.0f));
  return success();
}

Result<> read_dimensions(const GgufKeys& keys, Config& config) {
  ASSAY_TRY(config.layers, keys.count("block_count", kMaxLayers));
  ASSAY_TRY(config.embedding, keys.count("embedding_length", kMaxWidth));
  ASSAY_TRY(config.feed_forward, keys.uniform_count("feed_forward_length", kMaxWidth));
  ASSAY_TRY(config.heads, keys.uniform_count("attention.head_count", kMaxWidth));
  config.kv_heads = config.heads;
  if (keys.has("attention.head_count_kv")) {
    ASSAY_TRY(config.kv_heads, keys.uniform_count("attention.head_count_kv", kMaxWidth));
  }
  ASSAY_TRY(config.head_dim, keys.count_or("attention.key_length", kMaxWidth, std::max(1u, config.embedding / config.heads)));
  ASSAY_TRY(config.value_dim, keys.count_or("attention.value_length", kMaxWidth, config.head_dim));
  if (config.value_dim != config.head_dim && !config.arch->is_latent)
    return Error{Code::unsupported, keys.key("attention.value_length"), fmt::format("is {}, the key length is {}; different sizes are not supported for {}", config.value_dim, config.head_dim, config.arch->name)};
  ASSAY_TRY(config.context, keys.count("context_length", kMaxContext));
  ASSAY_TRY(config.norm_epsilon, keys.positive(config.arch->norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"));
  return success();
}

}  // namespace

Result<Config> read_gguf(const ModelFile& file) {
  const Metadata& metadata = file.metadata;
  ASSAY_TRY(const std::string_view name, metadata.string("general.architecture"));
  Config config;
  config.arch = arch_from_gguf(name);
  if (config.arch == nullptr)
    return Error{Code::unsupported, "general.architecture", fmt::format("\"{}\" is not an architecture Assay runs; known: {}", name, known_architectures())};

  const GgufKeys keys(metadata, std::string(name) + ".");
  ASSAY_TRY_VOID(read_dimensions(keys, config));
  ASSAY_TRY_VOID(read_experts(keys, file, config));
  ASSAY_TRY_VOID(read_rope(keys, file, config));
  if (config.arch->is_latent) ASSAY_TRY_VOID(read_latent(keys, config));
  ASSAY_TRY_VOID(read_windows(keys, metadata, config));
  ASSAY_TRY_VOID(read_scales(keys, config));
  const std::string parallel = keys.key("use_parallel_residual");
  if (metadata.has(parallel)) {
    ASSAY_TRY(const bool is_parallel, metadata.boolean(parallel));
    if (is_parallel != config.arch->is_parallel) return Error{Code::unsupported, parallel, fmt::format("is {}, which is not supported for {}", is_parallel, name)};
  }

  // The token embedding decides the vocabulary; the key and the tokenizer are held against it by the weight table.
  const TensorView* embedding = file.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    return Error{Code::missing, "token_embd.weight", "no token embedding matrix in the file; without it the vocabulary is unknown"};
  config.vocabulary = static_cast<std::uint32_t>(std::min<std::uint64_t>(embedding->shape[0], UINT32_MAX));
  return config;
}

}  // namespace assay::configs

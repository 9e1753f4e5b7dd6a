// The keys of a GGUF file, one after the other.
#include "runtime/model/gguf_config.h"

#include <cmath>
#include <string>
#include <vector>

namespace assay {

namespace {

void set_rope_keys(const Config& config, const std::string& prefix, GgufWriter& writer) {
  const RopeConfig& rope = config.rope;
  writer.set_f32(prefix + "rope.freq_base", rope.base);
  writer.set_u32(prefix + "rope.dimension_count", rope.dims);
  if (config.arch->has_local_rope) writer.set_f32(prefix + "rope.freq_base_swa", config.local_rope.base);
  if (rope.scaling == RopeScaling::none || rope.scaling == RopeScaling::llama3) return;  // llama3: rope_freqs.weight
  if (rope.scaling == RopeScaling::longrope) {
    writer.set_string(prefix + "rope.scaling.type", "longrope");
    writer.set_u32(prefix + "rope.scaling.original_context_length", rope.original_context);
    writer.set_f32(prefix + "rope.scaling.attn_factor", rope.attention_factor);
    return;
  }
  writer.set_string(prefix + "rope.scaling.type", rope.scaling == RopeScaling::yarn ? "yarn" : "linear");
  writer.set_f32(prefix + "rope.scaling.factor", rope.factor);
  if (rope.scaling != RopeScaling::yarn) return;
  if (rope.log_multiplier > 0) writer.set_f32(prefix + "rope.scaling.yarn_log_multiplier", rope.log_multiplier);
  writer.set_u32(prefix + "rope.scaling.original_context_length", rope.original_context);
  if (std::fabs(rope.attention_factor - 1.0f) > 1e-6f) writer.set_f32(prefix + "rope.scaling.attn_factor", rope.attention_factor);
}

void set_expert_keys(const ExpertConfig& experts, const std::string& prefix, GgufWriter& writer) {
  if (experts.count == 0) return;
  writer.set_u32(prefix + "expert_count", experts.count);
  writer.set_u32(prefix + "expert_used_count", experts.used);
  writer.set_u32(prefix + "expert_feed_forward_length", experts.feed_forward);
  writer.set_u32(prefix + "expert_shared_count", experts.shared);
  writer.set_u32(prefix + "leading_dense_block_count", experts.dense_layers);
  writer.set_f32(prefix + "expert_weights_scale", experts.scale);
  writer.set_bool(prefix + "expert_weights_norm", experts.renormalises);
  if (experts.gating == Gating::sigmoid) writer.set_u32(prefix + "expert_gating_func", 2);
  if (experts.groups <= 1) return;
  writer.set_u32(prefix + "expert_group_count", experts.groups);
  writer.set_u32(prefix + "expert_group_used_count", experts.used_groups);
}

void set_latent_keys(const Config& config, const std::string& prefix, GgufWriter& writer) {
  const LatentConfig& latent = config.latent;
  writer.set_u32(prefix + "attention.kv_lora_rank", latent.kv_rank);
  if (latent.query_rank > 0) writer.set_u32(prefix + "attention.q_lora_rank", latent.query_rank);
  writer.set_u32(prefix + "attention.key_length_mla", latent.key_dim);
  writer.set_u32(prefix + "attention.value_length_mla", latent.value_dim);
}

// What only some families have is written where it is not as in all others.
void set_rule_keys(const Config& config, const std::string& prefix, GgufWriter& writer) {
  const auto set = [&](std::string_view name, float value, float usual) {
    if (value != usual) writer.set_f32(prefix + std::string(name), value);
  };
  if (config.is_latent()) set_latent_keys(config, prefix, writer);
  else set("attention.scale", config.attention_scale, 1.0f / std::sqrt(static_cast<float>(config.head_dim)));
  if (!config.arch->scales_embedding) set("embedding_scale", config.embedding_scale, 1.0f);
  set("residual_scale", config.residual_scale, 1.0f);
  set("logit_scale", 1.0f / config.logit_scale, 1.0f);
  set("attn_logit_softcapping", config.attention_soft_cap, 0.0f);
  set("final_logit_softcapping", config.final_soft_cap, 0.0f);
  if (config.window == 0) return;
  writer.set_u32(prefix + "attention.sliding_window", config.window);
  std::vector<std::int32_t> slides(config.slides.begin(), config.slides.end()), usual;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) usual.push_back(config.arch->full_layer_period > 0 && (layer + 1) % config.arch->full_layer_period != 0);
  if (slides != usual) writer.set_i32s(prefix + "attention.sliding_window_pattern", slides);
}

}  // namespace

void write_gguf_config(const Config& config, GgufWriter& writer) {
  const std::string architecture(config.arch->gguf_name);
  const std::string prefix = architecture + ".";
  writer.set_string("general.architecture", architecture);
  writer.set_u32(prefix + "context_length", config.context);
  writer.set_u32(prefix + "embedding_length", config.embedding);
  writer.set_u32(prefix + "block_count", config.layers);
  writer.set_u32(prefix + "feed_forward_length", config.feed_forward);
  writer.set_u32(prefix + "attention.head_count", config.heads);
  writer.set_u32(prefix + "attention.head_count_kv", config.kv_heads);
  writer.set_f32(prefix + (config.arch->norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"), config.norm_epsilon);
  writer.set_u32(prefix + "attention.key_length", config.head_dim);
  writer.set_u32(prefix + "attention.value_length", config.value_dim);
  set_rope_keys(config, prefix, writer);
  set_expert_keys(config.experts, prefix, writer);
  set_rule_keys(config, prefix, writer);
  writer.set_u32(prefix + "vocab_size", config.vocabulary);
}

}  // namespace assay

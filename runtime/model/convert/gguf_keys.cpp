// Model keys of a GGUF result.
#include "runtime/model/convert/gguf_keys.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace assay::convert {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of the block layouts, ggml's number

constexpr std::array<std::string_view, 6> kNotCopied = {"general.file_type", "general.quantization_version", "general.alignment",
                                                        "split.no",          "split.count",                  "split.tensors.count"};

void set_weight_keys(const ConvertOptions& options, GgufWriter& writer) {
  if (dtype_of(options.mix.base).block_values > 1) writer.set_u32("general.quantization_version", kQuantizationVersion);
  writer.set_u32("general.file_type", options.mix.file_type);
}

// "models/Llama-3.2-1B/" -> "Llama-3.2-1B"
std::string folder_name(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(folder, ignored);
  return whole.filename().string();
}

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
}

// What only some families have is written where it is not as in all others.
void set_rule_keys(const Config& config, const std::string& prefix, GgufWriter& writer) {
  const auto set = [&](std::string_view name, float value, float usual) {
    if (value != usual) writer.set_f32(prefix + std::string(name), value);
  };
  set("attention.scale", config.attention_scale, 1.0f / std::sqrt(static_cast<float>(config.head_dim)));
  if (!config.arch->scales_embedding) set("embedding_scale", config.embedding_scale, 1.0f);
  set("residual_scale", config.residual_scale, 1.0f);
  set("logit_scale", 1.0f / config.logit_scale, 1.0f);
  set("attn_logit_softcapping", config.attention_soft_cap, 0.0f);
  set("final_logit_softcapping", config.final_soft_cap, 0.0f);
  if (config.window > 0) writer.set_u32(prefix + "attention.sliding_window", config.window);
}

}  // namespace

void copy_gguf_keys(const ModelFile& in, const ConvertOptions& options, GgufWriter& writer) {
  for (const MetaEntry& entry : in.metadata.entries())
    if (std::ranges::find(kNotCopied, entry.key) == kNotCopied.end()) writer.copy(entry);
  set_weight_keys(options, writer);
}

Result<> set_model_keys(const ModelFile& in, const Config& config, const ConvertOptions& options, GgufWriter& writer) {
  const std::string architecture(config.arch->gguf_name);
  const std::string prefix = architecture + ".";
  writer.set_string("general.architecture", architecture);
  writer.set_string("general.type", "model");
  writer.set_string("general.name", folder_name(in.folder));
  writer.set_u32(prefix + "context_length", config.context);
  writer.set_u32(prefix + "embedding_length", config.embedding);
  writer.set_u32(prefix + "block_count", config.layers);
  writer.set_u32(prefix + "feed_forward_length", config.feed_forward);
  writer.set_u32(prefix + "attention.head_count", config.heads);
  writer.set_u32(prefix + "attention.head_count_kv", config.kv_heads);
  writer.set_f32(prefix + (config.arch->norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"), config.norm_epsilon);
  writer.set_u32(prefix + "attention.key_length", config.head_dim);
  writer.set_u32(prefix + "attention.value_length", config.head_dim);
  set_rope_keys(config, prefix, writer);
  set_expert_keys(config.experts, prefix, writer);
  set_rule_keys(config, prefix, writer);
  writer.set_u32(prefix + "vocab_size", config.vocabulary);
  set_weight_keys(options, writer);
  return success();
}

}  // namespace assay::convert

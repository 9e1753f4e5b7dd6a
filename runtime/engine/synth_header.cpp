// GGUF keys and config.json of a synthetic model.
#include "runtime/engine/synth_header.h"

#include <fmt/format.h>

#include <string>

#include "runtime/model/gguf_config.h"

namespace assay {
namespace {

void set_tokenizer_keys(GgufWriter& writer, const ModelShape& shape, const Vocabulary& vocabulary) {
  const bool is_spm = shape.tokenizer == VocabularyKind::spm;
  writer.set_string("tokenizer.ggml.model", is_spm ? "llama" : "gpt2");
  writer.set_string("tokenizer.ggml.pre", is_spm ? "default" : shape.pre_tokenizer);
  writer.set_strings("tokenizer.ggml.tokens", vocabulary.tokens);
  if (is_spm)
    writer.set_f32s("tokenizer.ggml.scores", vocabulary.scores);
  else
    writer.set_strings("tokenizer.ggml.merges", vocabulary.merges);
  writer.set_i32s("tokenizer.ggml.token_type", vocabulary.types);
  if (shape.bos.id >= 0) writer.set_u32("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(shape.bos.id));
  if (shape.eos.id >= 0) writer.set_u32("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(shape.eos.id));
  if (is_spm) writer.set_u32("tokenizer.ggml.unknown_token_id", 0);
  writer.set_bool("tokenizer.ggml.add_bos_token", shape.adds_bos);
  if (is_spm) writer.set_bool("tokenizer.ggml.add_space_prefix", true);
}

Json rope_scaling_json(const ModelShape& shape) {
  if (shape.scaling != RopeScaling::llama3) return {};
  Json out;
  out.set("rope_type", "llama3").set("factor", static_cast<double>(shape.rope_factor));
  out.set("low_freq_factor", static_cast<double>(shape.low_frequency_factor));
  out.set("high_freq_factor", static_cast<double>(shape.high_frequency_factor));
  return out.set("original_max_position_embeddings", std::uint64_t{shape.original_context});
}

void set_expert_members(Json& out, const ExpertConfig& experts) {
  if (experts.count == 0) return;
  out.set("num_experts", std::uint64_t{experts.count}).set("num_experts_per_tok", std::uint64_t{experts.used});
  out.set("moe_intermediate_size", std::uint64_t{experts.feed_forward});
  if (experts.shared > 0) out.set("n_shared_experts", std::uint64_t{experts.shared});
  if (experts.dense_layers > 0) out.set("first_k_dense_replace", std::uint64_t{experts.dense_layers});
  out.set("norm_topk_prob", experts.renormalises);
}

// The decimal number people write for a float such as 1e-5f.
double plain(float value) {
  return std::stod(fmt::format("{}", value));
}

std::string_view torch_name(FormatId format) {
  if (format == FormatId::F32) return "float32";
  if (format == FormatId::F16) return "float16";
  return "bfloat16";
}

}  // namespace

void set_gguf_keys(GgufWriter& writer, const ModelShape& shape, const Vocabulary& vocabulary, const SynthPlan& plan) {
  write_gguf_config(config_of(shape), writer);
  writer.set_string("general.type", "model");
  writer.set_string("general.name", fmt::format("{} with random weights", shape.name));
  writer.set_string("general.description",
                    "Random weights in a real model's shape, for measuring speed; its text means nothing");
  writer.set_u32("general.file_type", plan.mix.file_type);
  writer.set_u32("general.quantization_version", 2);
  set_tokenizer_keys(writer, shape, vocabulary);
}

void set_split_keys(GgufWriter& writer, std::uint32_t part, std::uint32_t parts, std::uint64_t tensors) {
  // These types are what loaders insist on.
  writer.copy({.key = "split.no", .type = MetaType::u16, .value = std::uint64_t{part}});
  writer.copy({.key = "split.count", .type = MetaType::u16, .value = std::uint64_t{parts}});
  writer.set_i32("split.tensors.count", static_cast<std::int32_t>(tensors));
}

Json hf_config_json(const ModelShape& shape, const SynthPlan& plan) {
  Json out;
  out.set("architectures", Json::Array{shape.hf_class}).set("model_type", shape.hf_model_type);
  const Config config = config_of(shape);
  const bool is_gelu = config.arch->activation == Activation::gelu;
  out.set("attention_bias", false).set("attention_dropout", 0.0);
  out.set("hidden_act", is_gelu ? "gelu_pytorch_tanh" : "silu");
  if (shape.bos.id >= 0) out.set("bos_token_id", shape.bos.id);
  if (shape.eos.id >= 0) out.set("eos_token_id", shape.eos.id);
  out.set("hidden_size", std::uint64_t{shape.embedding}).set("intermediate_size", std::uint64_t{shape.feed_forward});
  out.set("num_hidden_layers", std::uint64_t{shape.layers}).set("num_attention_heads", std::uint64_t{shape.heads});
  out.set("num_key_value_heads", std::uint64_t{shape.kv_heads}).set("head_dim", std::uint64_t{shape.head_dim});
  out.set("vocab_size", std::uint64_t{shape.vocabulary}).set("max_position_embeddings", std::uint64_t{shape.context});
  out.set(config.arch->norm == NormKind::rms ? "rms_norm_eps" : "layer_norm_eps", plain(shape.norm_epsilon));
  out.set("rope_theta", plain(shape.rope_base));
  if (shape.rotary_fraction != 1) out.set("partial_rotary_factor", plain(shape.rotary_fraction));
  if (shape.window > 0) out.set("sliding_window", std::uint64_t{shape.window});
  if (shape.attention_soft_cap > 0) out.set("attn_logit_softcapping", plain(shape.attention_soft_cap));
  if (shape.final_soft_cap > 0) out.set("final_logit_softcapping", plain(shape.final_soft_cap));
  set_expert_members(out, shape.experts);
  out.set("rope_scaling", rope_scaling_json(shape)).set("tie_word_embeddings", shape.is_tied);
  if (shape.hf_model_type == "mistral") out.set("sliding_window", nullptr);
  out.set("torch_dtype", torch_name(plan.element)).set("use_cache", true);
  if (plan.mlx_bits != 0)
    for (const char* key : {"quantization", "quantization_config"}) {
      Json quantization;
      out.set(key, quantization.set("group_size", std::uint64_t{kMlxGroup}).set("bits", std::uint64_t{plan.mlx_bits}));
    }
  return out;
}

}  // namespace assay

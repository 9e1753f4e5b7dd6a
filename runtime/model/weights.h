// The weight table: one row per weight, its name in every layout and its shape. Loader, converter and messages all read it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/model/config.h"
#include "runtime/model/model.h"

namespace assay {

// A width that a weight's shape is made of.
enum class Width : std::uint8_t { none, embedding, query, key_value, feed_forward, head, vocabulary, half_rope };
std::uint64_t width_of(Width width, const Config& config);

enum class Need : std::uint8_t { required, when_qk_norm, optional };

// `{}` in a name stands for the layer index. An empty name: that layout has no such weight. One member pointer is set.
struct WeightRow {
  std::string_view gguf;
  std::string_view hf;
  Width rows;  // none: a vector
  Width cols;
  Need need;
  const TensorView* LayerWeights::*in_layer = nullptr;
  const TensorView* Model::*in_model = nullptr;
};

inline constexpr std::array kWeights = {
    WeightRow{"token_embd.weight", "model.embed_tokens.weight", Width::vocabulary, Width::embedding, Need::required, nullptr, &Model::embedding},
    WeightRow{"output_norm.weight", "model.norm.weight", Width::none, Width::embedding, Need::required, nullptr, &Model::output_norm},
    WeightRow{"output.weight", "lm_head.weight", Width::vocabulary, Width::embedding, Need::optional, nullptr, &Model::output},
    WeightRow{"rope_freqs.weight", "", Width::none, Width::half_rope, Need::optional, nullptr, &Model::rope_factors},
    WeightRow{"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", Width::none, Width::embedding, Need::required, &LayerWeights::attention_norm},
    WeightRow{"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", Width::query, Width::embedding, Need::required, &LayerWeights::q},
    WeightRow{"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", Width::key_value, Width::embedding, Need::required, &LayerWeights::k},
    WeightRow{"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", Width::key_value, Width::embedding, Need::required, &LayerWeights::v},
    WeightRow{"blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight", Width::none, Width::head, Need::when_qk_norm, &LayerWeights::q_norm},
    WeightRow{"blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight", Width::none, Width::head, Need::when_qk_norm, &LayerWeights::k_norm},
    WeightRow{"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", Width::embedding, Width::query, Need::required, &LayerWeights::attention_out},
    WeightRow{"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", Width::none, Width::embedding, Need::required, &LayerWeights::ffn_norm},
    WeightRow{"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", Width::feed_forward, Width::embedding, Need::required, &LayerWeights::gate},
    WeightRow{"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", Width::feed_forward, Width::embedding, Need::required, &LayerWeights::up},
    WeightRow{"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", Width::embedding, Width::feed_forward, Need::required, &LayerWeights::down},
};

// The pattern with the layer index put in.
std::string weight_name(std::string_view pattern, std::uint32_t layer);

}  // namespace assay

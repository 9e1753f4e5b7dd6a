// The weight table: one row per weight, its name in every layout and its shape. Loader, validator, converter and synth read it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/config.h"
#include "runtime/model/model.h"

namespace assay {

// A width that a weight's shape is made of.
enum class Width : std::uint8_t {
  none, embedding, query, key_value, attended, feed_forward, head, heads, vocabulary, half_rope, positions,
  experts, expert_feed_forward, shared_feed_forward, query_rank, kv_rank, latent_key, latent_query, latent_key_rest, latent_value
};
std::uint64_t width_of(Width width, const Config& config);

// Which models, and which of their layers, have a weight.
enum class Need : std::uint8_t {
  required, tied, positions, norm_bias, head_bias, rope_factors, long_rope,
  pre_norm, pre_norm_bias, ffn_norm, ffn_norm_bias, post_norm,
  attention, qkv_bias, head_norm, row_norm, sinks, out_bias,
  gate, ffn, ffn_bias, router, router_bias, router_correction, expert, expert_bias, shared,
  latent, latent_query, plain_latent_query
};
Presence presence_of(Need need, const Config& config, std::uint32_t layer);

// `{}` in a name stands for the layer index, `#` for the expert's. An empty name: that layout has no such weight. One member pointer
// is set. Shape: [stack][rows][cols], `none` left out; of an expert, GGUF stacks all in one tensor.
struct WeightRow {
  std::string_view gguf;
  std::string_view hf;
  Width rows;
  Width cols;
  Need need;
  const TensorView* LayerWeights::*in_layer = nullptr;
  const TensorView* Model::*in_model = nullptr;
  const TensorView* ExpertWeights::*in_expert = nullptr;
  Width stack = Width::none;
};

using L = LayerWeights;
using X = ExpertWeights;
inline constexpr std::array kWeights = {
    WeightRow{"token_embd.weight", "model.embed_tokens.weight", Width::vocabulary, Width::embedding, Need::required, nullptr, &Model::embedding},
    WeightRow{"position_embd.weight", "model.embed_positions.weight", Width::positions, Width::embedding, Need::positions, nullptr, &Model::positions},
    WeightRow{"output_norm.weight", "model.norm.weight", Width::none, Width::embedding, Need::required, nullptr, &Model::output_norm},
    WeightRow{"output_norm.bias", "model.norm.bias", Width::none, Width::embedding, Need::norm_bias, nullptr, &Model::output_norm_bias},
    WeightRow{"output.weight", "lm_head.weight", Width::vocabulary, Width::embedding, Need::tied, nullptr, &Model::output},
    WeightRow{"output.bias", "lm_head.bias", Width::none, Width::vocabulary, Need::head_bias, nullptr, &Model::output_bias},
    WeightRow{"rope_freqs.weight", "", Width::none, Width::half_rope, Need::rope_factors, nullptr, &Model::rope_factors},
    WeightRow{"rope_factors_long.weight", "", Width::none, Width::half_rope, Need::long_rope, nullptr, &Model::long_rope_factors},
    WeightRow{"rope_factors_short.weight", "", Width::none, Width::half_rope, Need::long_rope, nullptr, &Model::short_rope_factors},
    WeightRow{"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", Width::none, Width::embedding, Need::pre_norm, &L::attention_norm},
    WeightRow{"blk.{}.attn_norm.bias", "model.layers.{}.input_layernorm.bias", Width::none, Width::embedding, Need::pre_norm_bias, &L::attention_norm_bias},
    WeightRow{"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", Width::query, Width::embedding, Need::attention, &L::q},
    WeightRow{"blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias", Width::none, Width::query, Need::qkv_bias, &L::q_bias},
    WeightRow{"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", Width::key_value, Width::embedding, Need::attention, &L::k},
    WeightRow{"blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias", Width::none, Width::key_value, Need::qkv_bias, &L::k_bias},
    WeightRow{"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight", Width::key_value, Width::embedding, Need::attention, &L::v},
    WeightRow{"blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias", Width::none, Width::key_value, Need::qkv_bias, &L::v_bias},
    WeightRow{"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", Width::latent_query, Width::embedding, Need::plain_latent_query, &L::q},
    WeightRow{"blk.{}.attn_q_a.weight", "model.layers.{}.self_attn.q_a_proj.weight", Width::query_rank, Width::embedding, Need::latent_query, &L::q_a},
    WeightRow{"blk.{}.attn_q_a_norm.weight", "model.layers.{}.self_attn.q_a_layernorm.weight", Width::none, Width::query_rank, Need::latent_query, &L::q_a_norm},
    WeightRow{"blk.{}.attn_q_b.weight", "model.layers.{}.self_attn.q_b_proj.weight", Width::latent_query, Width::query_rank, Need::latent_query, &L::q_b},
    WeightRow{"blk.{}.attn_kv_a_mqa.weight", "model.layers.{}.self_attn.kv_a_proj_with_mqa.weight", Width::latent_key, Width::embedding, Need::latent, &L::kv_a},
    WeightRow{"blk.{}.attn_kv_a_norm.weight", "model.layers.{}.self_attn.kv_a_layernorm.weight", Width::none, Width::kv_rank, Need::latent, &L::kv_a_norm},
    WeightRow{"blk.{}.attn_k_b.weight", "model.layers.{}.self_attn.embed_q.weight", Width::kv_rank, Width::latent_key_rest, Need::latent, &L::k_b, nullptr, nullptr, Width::heads},
    WeightRow{"blk.{}.attn_v_b.weight", "model.layers.{}.self_attn.unembed_out.weight", Width::latent_value, Width::kv_rank, Need::latent, &L::v_b, nullptr, nullptr, Width::heads},
    WeightRow{"blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight", Width::none, Width::head, Need::head_norm, &L::q_norm},
    WeightRow{"blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight", Width::none, Width::head, Need::head_norm, &L::k_norm},
    WeightRow{"blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight", Width::none, Width::query, Need::row_norm, &L::q_norm},
    WeightRow{"blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight", Width::none, Width::key_value, Need::row_norm, &L::k_norm},
    WeightRow{"blk.{}.attn_sinks.weight", "model.layers.{}.self_attn.sinks", Width::none, Width::heads, Need::sinks, &L::sinks},
    WeightRow{"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight", Width::embedding, Width::attended, Need::required, &L::attention_out},
    WeightRow{"blk.{}.attn_output.bias", "model.layers.{}.self_attn.o_proj.bias", Width::none, Width::embedding, Need::out_bias, &L::attention_out_bias},
    WeightRow{"blk.{}.post_attention_norm.weight", "model.layers.{}.post_self_attn_layernorm.weight", Width::none, Width::embedding, Need::post_norm, &L::post_attention_norm},
    WeightRow{"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight", Width::none, Width::embedding, Need::ffn_norm, &L::ffn_norm},
    WeightRow{"blk.{}.ffn_norm.bias", "model.layers.{}.post_attention_layernorm.bias", Width::none, Width::embedding, Need::ffn_norm_bias, &L::ffn_norm_bias},
    WeightRow{"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight", Width::feed_forward, Width::embedding, Need::gate, &L::gate},
    WeightRow{"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight", Width::feed_forward, Width::embedding, Need::ffn, &L::up},
    WeightRow{"blk.{}.ffn_up.bias", "model.layers.{}.mlp.up_proj.bias", Width::none, Width::feed_forward, Need::ffn_bias, &L::up_bias},
    WeightRow{"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight", Width::embedding, Width::feed_forward, Need::ffn, &L::down},
    WeightRow{"blk.{}.ffn_down.bias", "model.layers.{}.mlp.down_proj.bias", Width::none, Width::embedding, Need::ffn_bias, &L::down_bias},
    WeightRow{"blk.{}.ffn_gate_inp.weight", "model.layers.{}.mlp.gate.weight", Width::experts, Width::embedding, Need::router, &L::router},
    WeightRow{"blk.{}.ffn_gate_inp.bias", "model.layers.{}.mlp.gate.bias", Width::none, Width::experts, Need::router_bias, &L::router_bias},
    WeightRow{"blk.{}.exp_probs_b.bias", "model.layers.{}.mlp.gate.e_score_correction_bias", Width::none, Width::experts, Need::router_correction, &L::router_correction},
    WeightRow{"blk.{}.ffn_gate_exps.weight", "model.layers.{}.mlp.experts.#.gate_proj.weight", Width::expert_feed_forward, Width::embedding, Need::expert, nullptr, nullptr, &X::gate},
    WeightRow{"blk.{}.ffn_gate_exps.bias", "model.layers.{}.mlp.experts.#.gate_proj.bias", Width::none, Width::expert_feed_forward, Need::expert_bias, nullptr, nullptr, &X::gate_bias},
    WeightRow{"blk.{}.ffn_up_exps.weight", "model.layers.{}.mlp.experts.#.up_proj.weight", Width::expert_feed_forward, Width::embedding, Need::expert, nullptr, nullptr, &X::up},
    WeightRow{"blk.{}.ffn_up_exps.bias", "model.layers.{}.mlp.experts.#.up_proj.bias", Width::none, Width::expert_feed_forward, Need::expert_bias, nullptr, nullptr, &X::up_bias},
    WeightRow{"blk.{}.ffn_down_exps.weight", "model.layers.{}.mlp.experts.#.down_proj.weight", Width::embedding, Width::expert_feed_forward, Need::expert, nullptr, nullptr, &X::down},
    WeightRow{"blk.{}.ffn_down_exps.bias", "model.layers.{}.mlp.experts.#.down_proj.bias", Width::none, Width::embedding, Need::expert_bias, nullptr, nullptr, &X::down_bias},
    WeightRow{"blk.{}.ffn_gate_shexp.weight", "model.layers.{}.mlp.shared_experts.gate_proj.weight", Width::shared_feed_forward, Width::embedding, Need::shared, &L::shared_gate},
    WeightRow{"blk.{}.ffn_up_shexp.weight", "model.layers.{}.mlp.shared_experts.up_proj.weight", Width::shared_feed_forward, Width::embedding, Need::shared, &L::shared_up},
    WeightRow{"blk.{}.ffn_down_shexp.weight", "model.layers.{}.mlp.shared_experts.down_proj.weight", Width::embedding, Width::shared_feed_forward, Need::shared, &L::shared_down},
    WeightRow{"blk.{}.post_ffw_norm.weight", "model.layers.{}.post_mlp_layernorm.weight", Width::none, Width::embedding, Need::post_norm, &L::post_ffn_norm},
};

// Several weights in one tensor, their rows one after the other.
struct FusedRow {
  std::string_view gguf, hf;
  std::array<const TensorView* LayerWeights::*, 3> parts;
};
inline constexpr std::array kFused = {
    FusedRow{"blk.{}.attn_qkv.weight", "model.layers.{}.self_attn.qkv_proj.weight", {&L::q, &L::k, &L::v}},
    FusedRow{"blk.{}.attn_qkv.bias", "model.layers.{}.self_attn.qkv_proj.bias", {&L::q_bias, &L::k_bias, &L::v_bias}},
    FusedRow{"blk.{}.ffn_up.weight", "model.layers.{}.mlp.gate_up_proj.weight", {&L::gate, &L::up}},
};

// MLX's folders have Hugging Face's names; experts are stacked, matrices are never transposed, latent attention is absorbed.
enum class Layout : std::uint8_t { gguf, hf, mlx };
inline Layout layout_of(const ModelFile& file) { return file.kind == FileKind::gguf ? Layout::gguf : file.is_mlx ? Layout::mlx : Layout::hf; }

// How the names of a family's files differ from the table's, in one layout: replacements, made in order. `fuses_*`: which fused
// tensors the family's files hold; a file may do otherwise and is read all the same. `stacked_experts`: where MLX has what it stacks.
// `alternates_experts`: Hugging Face's files hold all experts of a layer as [experts][inputs][outputs], or as MXFP4 codes and exponents
// [experts][outputs][inputs], rows of gate and up in turns.
struct Rename {
  std::string_view ours, theirs;
};
struct Dialect {
  std::string_view family;  // ArchTraits::name
  Layout layout;
  bool fuses_qkv = false, fuses_gate_up = false;
  std::array<Rename, 10> renames{};
  std::string_view stacked_experts = "switch_mlp";
  bool alternates_experts = false;
};
inline constexpr std::array kDialects = {
    Dialect{"gpt-oss", Layout::gguf, false, false, {{{"ffn_norm", "post_attention_norm"}}}},
    Dialect{"seed_oss", Layout::gguf, false, false, {{{"ffn_norm", "post_attention_norm"}}}},
    Dialect{"gpt2", Layout::gguf, true, false},
    Dialect{"falcon", Layout::gguf, true, false},
    Dialect{"phi3", Layout::gguf, true, true},
    Dialect{"chatglm", Layout::gguf, true, true},
    Dialect{"glm4", Layout::gguf, false, true},
    Dialect{"gpt-oss", Layout::hf, false, false, {{{"mlp.gate", "mlp.router"}}}, "experts", true},
    Dialect{"mixtral", Layout::hf, false, false,
            {{{"mlp.gate", "block_sparse_moe.gate"}, {"mlp.experts", "block_sparse_moe.experts"}, {"gate_proj", "w1"}, {"down_proj", "w2"}, {"up_proj", "w3"}}}},
    Dialect{"phi2", Layout::hf, false, false,
            {{{"self_attn.o_proj", "self_attn.dense"}, {"mlp.up_proj", "mlp.fc1"}, {"mlp.down_proj", "mlp.fc2"}, {"model.norm", "model.final_layernorm"}}}},
    Dialect{"phi3", Layout::hf, true, true},
    Dialect{"gemma2", Layout::hf, false, false,
            {{{"post_attention_layernorm", "pre_feedforward_layernorm"}, {"post_self_attn_layernorm", "post_attention_layernorm"}, {"post_mlp_layernorm", "post_feedforward_layernorm"}}}},
    Dialect{"gemma3", Layout::hf, false, false,
            {{{"post_attention_layernorm", "pre_feedforward_layernorm"}, {"post_self_attn_layernorm", "post_attention_layernorm"}, {"post_mlp_layernorm", "post_feedforward_layernorm"}}}},
    Dialect{"chatglm", Layout::hf, true, true,
            {{{"model.layers", "transformer.encoder.layers"}, {"self_attn.qkv_proj", "self_attention.query_key_value"}, {"self_attn.o_proj", "self_attention.dense"},
              {"mlp.gate_up_proj", "mlp.dense_h_to_4h"}, {"mlp.down_proj", "mlp.dense_4h_to_h"}, {"model.embed_tokens", "transformer.embedding.word_embeddings"},
              {"model.norm", "transformer.encoder.final_layernorm"}, {"lm_head", "transformer.output_layer"}}}},
    Dialect{"falcon", Layout::hf, true, false,
            {{{"model.layers", "transformer.h"}, {"self_attn.qkv_proj", "self_attention.query_key_value"}, {"self_attn.o_proj", "self_attention.dense"}, {"mlp.up_proj", "mlp.dense_h_to_4h"},
              {"mlp.down_proj", "mlp.dense_4h_to_h"}, {"model.embed_tokens", "transformer.word_embeddings"}, {"model.norm", "transformer.ln_f"}}}},
    Dialect{"gpt2", Layout::hf, true, false,
            {{{"model.layers", "h"}, {"self_attn.qkv_proj", "attn.c_attn"}, {"self_attn.o_proj", "attn.c_proj"}, {"mlp.up_proj", "mlp.c_fc"}, {"mlp.down_proj", "mlp.c_proj"},
              {"model.embed_tokens", "wte"}, {"model.embed_positions", "wpe"}, {"model.norm", "ln_f"}, {"input_layernorm", "ln_1"}, {"post_attention_layernorm", "ln_2"}}}},
    Dialect{"glm", Layout::hf, false, true},
    Dialect{"glm4", Layout::hf, false, true},
    Dialect{"starcoder2", Layout::hf, false, false, {{{"mlp.up_proj", "mlp.c_fc"}, {"mlp.down_proj", "mlp.c_proj"}}}},
    Dialect{"olmo2", Layout::hf, false, false, {{{"post_self_attn_layernorm", "post_attention_layernorm"}, {"post_mlp_layernorm", "post_feedforward_layernorm"}}}},
};

// Ends of the names of tensors that every reader ignores.
inline constexpr std::array<std::string_view, 4> kLeftovers = {"rotary_emb.inv_freq", "rope_freqs.weight", "attn.masked_bias", "attn.bias"};
// Whether a tensor belongs to the image part of the repository that the language model lies in.
bool is_of_image_part(std::string_view name, const Config& config);

// How many weights a tensor of a file stands for: its values; of MXFP4 codes in bytes or words those packed there, of their exponents none.
std::uint64_t parameters_of(const TensorView& tensor, const ModelFile& file);

// The pattern with the layer index put in.
std::string weight_name(std::string_view pattern, std::uint32_t layer);

// A tensor that a model's file holds: one row of the table, or several fused, or one of an expert.
struct ExpectedTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  bool is_needed = true;  // else the file may lack it
  bool is_transposed = false;  // the file holds [cols][rows], as `shape` says
  bool alternates = false;     // the rows of two parts in turns, instead of one after the other
  bool splits_heads = false;   // each head has its rows of both parts (DeepSeek's kv_b_proj)
  // MXFP4 codes in bytes or words, of which `shape` is that; these are their exponents. Neither tensor is a weight by itself.
  std::string exponents{};
  std::vector<std::uint64_t> exponents_shape{};
  std::array<const WeightRow*, 3> parts{};
  std::uint32_t layer = 0;
  std::int32_t expert = -1;  // -1 with an expert's row: all of them, stacked
  bool in_layer() const { return parts[0]->in_model == nullptr; }
  bool is_mxfp4() const { return !exponents.empty(); }
};

// Every tensor of a model in a layout; of layers [0, layers). `file`: what it holds decides between fused tensors and their parts;
// nullptr: the family's own way.
std::vector<ExpectedTensor> list_weights(const Config& config, Layout layout, const ModelFile* file);

}  // namespace assay

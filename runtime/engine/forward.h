// THE decoder: one program for every architecture and every backend, in about two dozen verbs.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/core/assert.h"
#include "runtime/model/model.h"

namespace assay {

// The rows of floats that a forward pass moves between verbs; a backend owns the memory. One row per token.
enum class Slot : std::uint8_t {
  residual,  // [embedding]
  normed,    // [embedding]
  query,     // [heads * head_dim]
  key,       // [kv_heads * head_dim]
  value,     // [kv_heads * head_dim]
  attended,  // [heads * value_dim]
  gate,      // [feed_forward], or the width of the experts that all tokens share; also the activation's result
  up,        // [feed_forward]
  branch,    // [embedding]: what attention or FFN gives, before it is added
  router,    // [experts]
  latent,    // [query_rank]: compressed queries
  heads,     // [heads * key_dim or value_dim]: before and after absorbed matrices
  logits,    // [vocabulary]
  kCount
};

// Tokens of a pass that follow each other in one sequence, from `position` on.
struct Segment {
  std::uint32_t sequence = 0;
  std::uint32_t position = 0;
  std::uint32_t tokens = 0;
};

// Moves the last row of each segment to the front: [segments][columns].
inline void keep_last_rows(float* rows, std::span<const Segment> segments, std::size_t columns) {
  std::size_t end = 0, kept = 0;
  for (const Segment& segment : segments) {
    end += segment.tokens;
    if (end - 1 != kept) std::copy_n(rows + (end - 1) * columns, columns, rows + kept * columns);
    ++kept;
  }
}

// One product of a projection: `to` = `weight` x the projection's input, plus `bias` where there is one.
struct Product {
  const TensorView* weight;
  Slot to;
  const TensorView* bias = nullptr;
};

// What a backend must be able to do. Verbs are carried out in order; a backend may defer or fuse them.
template <class B>
concept PlainBackend = requires(B& backend, std::span<const Segment> segments, std::span<const std::int32_t> tokens, const TensorView& weight, Slot slot, std::uint32_t n,
                                std::initializer_list<Product> products, std::initializer_list<Slot> slots) {
  backend.begin(segments);                     // what the tokens of this pass are, in their order; no sequence twice
  backend.embed(weight, tokens);               // rows of the embedding -> residual
  backend.norm(slot, slot, weight);            // to, from: RMS norm times weight
  backend.project(slot, products);             // from: several products of one input
  backend.project_add(slot, weight);           // from: residual += weight x from
  backend.head_norm(slot, weight);             // RMS norm of the first weight.cols() values of each head of a query or key
  backend.rope(slot);                          // rotate each head of a query or key by its token's position
  backend.store_kv(n);                         // layer: key and value go into the cache
  backend.attend(n);                           // layer: query x cache -> attended
  backend.gate_up();                           // gate = activation(gate) * up
  backend.keep_last(slots);                    // only the last token of each segment goes on from here, with these rows of it
};

// What some families need beyond that.
template <class B>
concept Backend = PlainBackend<B> && requires(B& backend, const TensorView& weight, const TensorView* bias, Slot slot, std::uint32_t n, float factor) {
  backend.layer_norm(slot, slot, weight, bias);  // to, from: LayerNorm times weight, plus bias where there is one
  backend.activate();                            // gate = activation(gate)
  backend.add(slot, factor);                     // residual += factor * slot
  backend.scale(slot, factor);                   // slot *= factor
  backend.soft_cap(slot, factor);                // slot = cap * tanh(slot / cap)
  backend.add_positions(weight);                 // residual += the row of each token's position
  backend.local_rope(slot);                      // rope with the angles of sliding layers
  backend.experts(n);                            // layer: residual += chosen experts of normed, by the weights that router gives
  backend.project_heads(slot, slot, weight);     // from, to: each head times its own matrix; columns that it does not take are copied behind
  { B::kAbilities } -> std::convertible_to<std::uint32_t>;
};

// What a model may ask of a backend beyond the plain verbs, one bit each. A session is refused where the backend lacks one.
enum Ability : std::uint32_t {
  kBiases = 1u << 0,         // Product::bias
  kLayerNorm = 1u << 1,      // layer_norm
  kActivations = 1u << 2,    // gate_up with GELU or clamped SiLU; activate
  kBranches = 1u << 3,       // add; norm of Slot::branch
  kScales = 1u << 4,         // scale, soft_cap of logits
  kScoreRules = 1u << 5,     // attend with a scale of the model's own or a soft cap
  kWindows = 1u << 6,        // sliding windows
  kSinks = 1u << 7,          // attention sinks
  kPositions = 1u << 8,      // add_positions
  kRopeRules = 1u << 9,      // longrope, local_rope, layers without rope
  kExperts = 1u << 10,       // experts
  kLatent = 1u << 11,        // multi-head latent attention: project_heads, rope behind an offset, values that are part of keys
  kRouting = 1u << 12,       // experts chosen by sigmoid, by groups, or with a correction
  kAllAbilities = (1u << 13) - 1
};
std::uint32_t abilities_needed(const Model& model);
// "biases, layer norm"
std::string ability_names(std::uint32_t abilities);
// Error: unsupported, naming what `backend` lacks of what the model needs.
Result<> check_abilities(const Model& model, std::uint32_t offered, std::string_view backend);

// For backends without the further verbs: their sessions are refused before one is called.
struct PlainVerbs {
  static constexpr std::uint32_t kAbilities = 0;
  void layer_norm(Slot, Slot, const TensorView&, const TensorView*) { ASSAY_CHECK(false); }
  void activate() { ASSAY_CHECK(false); }
  void add(Slot, float) { ASSAY_CHECK(false); }
  void scale(Slot, float) { ASSAY_CHECK(false); }
  void soft_cap(Slot, float) { ASSAY_CHECK(false); }
  void add_positions(const TensorView&) { ASSAY_CHECK(false); }
  void local_rope(Slot) { ASSAY_CHECK(false); }
  void experts(std::uint32_t) { ASSAY_CHECK(false); }
  void project_heads(Slot, Slot, const TensorView&) { ASSAY_CHECK(false); }
};

template <Backend B>
void norm_with(const Config& config, B& backend, Slot to, Slot from, const TensorView& weight, const TensorView* bias) {
  if (config.arch->norm == NormKind::layer) return backend.layer_norm(to, from, weight, bias);
  backend.norm(to, from, weight);
}

// residual += what `weight` makes of `from`, in the family's way.
template <Backend B>
void close_branch(const Config& config, B& backend, Slot from, const TensorView& weight, const TensorView* bias, const TensorView* post_norm) {
  if (bias == nullptr && post_norm == nullptr && config.residual_scale == 1.0f) return backend.project_add(from, weight);
  backend.project(from, {{&weight, Slot::branch, bias}});
  if (post_norm != nullptr) backend.norm(Slot::branch, Slot::branch, *post_norm);
  backend.add(Slot::branch, config.residual_scale);
}

// Query and key of every head from one compressed row; what the cache holds is that row (DeepSeek-V2's multi-head latent attention,
// with the decompressing matrices absorbed into query and output).
template <Backend B>
void latent_queries_and_keys(const LayerWeights& w, B& backend, Slot input) {
  if (w.q_a != nullptr) {
    backend.project(input, {{w.q_a, Slot::latent}, {w.kv_a, Slot::key}});
    backend.norm(Slot::latent, Slot::latent, *w.q_a_norm);
    backend.project(Slot::latent, {{w.q_b, Slot::heads}});
  } else {
    backend.project(input, {{w.q, Slot::heads}, {w.kv_a, Slot::key}});
  }
  backend.project_heads(Slot::heads, Slot::query, *w.k_b);
  backend.head_norm(Slot::key, *w.kv_a_norm);
}

// Queries of this pass, and its keys and values into the cache.
template <Backend B>
void attention_inputs(const Model& model, B& backend, std::uint32_t layer, Slot input) {
  const Config& config = model.config;
  const LayerWeights& w = model.layers[layer];
  if (config.is_latent()) {
    latent_queries_and_keys(w, backend, input);
  } else {
    backend.project(input, {{w.q, Slot::query, w.q_bias}, {w.k, Slot::key, w.k_bias}, {w.v, Slot::value, w.v_bias}});
    for (const auto& [slot, weight] : {std::pair{Slot::query, w.q_norm}, std::pair{Slot::key, w.k_norm}}) {
      if (weight == nullptr) continue;
      if (config.arch->qk_norm == QkNorm::row)
        backend.norm(slot, slot, *weight);
      else
        backend.head_norm(slot, *weight);
    }
  }
  if (config.layer_rotates(layer)) {
    const bool is_local = config.arch->has_local_rope && config.layer_slides(layer);
    for (const Slot slot : {Slot::query, Slot::key}) {
      if (is_local)
        backend.local_rope(slot);
      else
        backend.rope(slot);
    }
  }
  backend.store_kv(layer);
}

template <Backend B>
void attention_output(const Config& config, const LayerWeights& w, B& backend) {
  if (config.is_latent()) backend.project_heads(Slot::attended, Slot::heads, *w.v_b);
  close_branch(config, backend, config.is_latent() ? Slot::heads : Slot::attended, *w.attention_out, w.attention_out_bias, w.post_attention_norm);
}

template <Backend B>
void ffn_branch(const Model& model, B& backend, std::uint32_t layer, Slot input) {
  const Config& config = model.config;
  const LayerWeights& w = model.layers[layer];
  if (config.has_experts(layer)) {
    backend.project(input, {{w.router, Slot::router, w.router_bias}});
    backend.experts(layer);
    if (w.shared_gate == nullptr) return;
    backend.project(input, {{w.shared_gate, Slot::gate}, {w.shared_up, Slot::up}});
    backend.gate_up();
    return backend.project_add(Slot::gate, *w.shared_down);
  }
  if (config.arch->is_gated) {
    backend.project(input, {{w.gate, Slot::gate}, {w.up, Slot::up, w.up_bias}});
    backend.gate_up();
  } else {
    backend.project(input, {{w.up, Slot::gate, w.up_bias}});
    backend.activate();
  }
  close_branch(config, backend, Slot::gate, *w.down, w.down_bias, w.post_ffn_norm);
}

enum class LogitsWanted : std::uint8_t { none, last, all };

// Layers [first, last) on tokens whose residual rows the backend already holds. Of the model's last layer only what is wanted is computed:
// for `none` what the cache holds, for `last` the rest for the last token of each segment.
template <Backend B>
void forward_layers(const Model& model, B& backend, std::uint32_t first, std::uint32_t last, LogitsWanted wanted) {
  const Config& config = model.config;
  const Slot input = config.arch->has_pre_norms ? Slot::normed : Slot::residual;
  for (std::uint32_t layer = first; layer < last; ++layer) {
    const LayerWeights& w = model.layers[layer];
    const bool is_final = layer + 1 == config.layers;
    if (w.attention_norm != nullptr) norm_with(config, backend, Slot::normed, Slot::residual, *w.attention_norm, w.attention_norm_bias);
    attention_inputs(model, backend, layer, input);
    if (is_final && wanted == LogitsWanted::none) return;
    backend.attend(layer);
    if (is_final && wanted == LogitsWanted::last) {
      const bool is_parallel = input == Slot::normed && w.ffn_norm == nullptr;
      if (is_parallel)
        backend.keep_last({Slot::residual, Slot::attended, Slot::normed});
      else
        backend.keep_last({Slot::residual, Slot::attended});
    }
    attention_output(config, w, backend);
    if (w.ffn_norm != nullptr) norm_with(config, backend, Slot::normed, Slot::residual, *w.ffn_norm, w.ffn_norm_bias);
    ffn_branch(model, backend, layer, input);
  }
}

// The embedding of `tokens`, segment after segment, and layers [0, last): residual rows that forward_from() on another backend goes on with.
template <Backend B>
void forward_until(const Model& model, B& backend, std::span<const std::int32_t> tokens, std::span<const Segment> segments, std::uint32_t last) {
  const Config& config = model.config;
  backend.begin(segments);
  backend.embed(*model.embedding, tokens);
  if (config.embedding_scale != 1.0f) backend.scale(Slot::residual, config.embedding_scale);
  if (model.positions != nullptr) backend.add_positions(*model.positions);
  forward_layers(model, backend, 0, last, LogitsWanted::all);
}

// Layers from `first` on and the output; logits end up in Slot::logits, one row per token wanted (`last`: of each segment).
template <Backend B>
void forward_from(const Model& model, B& backend, std::uint32_t first, LogitsWanted wanted) {
  const Config& config = model.config;
  forward_layers(model, backend, first, config.layers, wanted);
  if (wanted == LogitsWanted::none) return;
  norm_with(config, backend, Slot::normed, Slot::residual, *model.output_norm, model.output_norm_bias);
  backend.project(Slot::normed, {{model.output, Slot::logits, model.output_bias}});
  if (config.logit_scale != 1.0f) backend.scale(Slot::logits, config.logit_scale);
  if (config.final_soft_cap > 0) backend.soft_cap(Slot::logits, config.final_soft_cap);
}

// Through the whole model.
template <Backend B>
void forward(const Model& model, B& backend, std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted) {
  forward_until(model, backend, tokens, segments, 0);
  forward_from(model, backend, 0, wanted);
}

}  // namespace assay

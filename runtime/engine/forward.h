// THE decoder: one program for every architecture and every backend, in about a dozen verbs.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "runtime/model/model.h"

namespace assay {

// The rows of floats that a forward pass moves between verbs; a backend owns the memory. One row per token.
enum class Slot : std::uint8_t {
  residual,  // [embedding]
  normed,    // [embedding]
  query,     // [heads * head_dim]
  key,       // [kv_heads * head_dim]
  value,     // [kv_heads * head_dim]
  attended,  // [heads * head_dim]
  gate,      // [feed_forward]; also gate * up afterwards
  up,        // [feed_forward]
  logits,    // [vocabulary]
  kCount
};

// Tokens of a pass that follow each other in one sequence, from `position` on.
struct Segment {
  std::uint32_t sequence = 0;
  std::uint32_t position = 0;
  std::uint32_t tokens = 0;
};

// Moves the last row of each segment to the front: [segments][columns]. Returns how many.
inline std::uint32_t keep_last_rows(float* rows, std::span<const Segment> segments, std::size_t columns) {
  std::size_t end = 0;
  std::uint32_t kept = 0;
  for (const Segment& segment : segments) {
    end += segment.tokens;
    std::copy_n(rows + (end - 1) * columns, columns, rows + kept++ * columns);
  }
  return kept;
}

// One product of a projection: `to` = `weight` x the projection's input.
struct Product {
  const TensorView* weight;
  Slot to;
};

// What a backend must be able to do. Verbs are carried out in order; a backend may defer or fuse them.
template <class B>
concept Backend = requires(B& backend, std::span<const Segment> segments, std::span<const std::int32_t> tokens, const TensorView& weight, Slot slot, std::uint32_t n,
                           std::initializer_list<Product> products) {
  backend.begin(segments);                     // what the tokens of this pass are, in their order; no sequence twice
  backend.embed(weight, tokens);               // rows of the embedding -> residual
  backend.norm(slot, slot, weight);            // to, from: RMS norm times weight
  backend.project(slot, products);             // from: several products of one input
  backend.project_add(slot, weight);           // from: residual += weight x from
  backend.head_norm(slot, weight);             // RMS norm of each head of a query or key
  backend.rope(slot);                          // rotate each head of a query or key by its token's position
  backend.store_kv(n);                         // layer: key and value go into the cache
  backend.attend(n);                           // layer: query x cache -> attended
  backend.gate_up();                           // gate = silu(gate) * up
  backend.keep_last();                         // only the last token of each segment goes on from here
};

// Layers [first, last) on tokens whose residual rows the backend already holds.
template <Backend B>
void forward_layers(const Model& model, B& backend, std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t layer = first; layer < last; ++layer) {
    const LayerWeights& w = model.layers[layer];
    backend.norm(Slot::normed, Slot::residual, *w.attention_norm);
    backend.project(Slot::normed, {{w.q, Slot::query}, {w.k, Slot::key}, {w.v, Slot::value}});
    if (w.q_norm != nullptr) backend.head_norm(Slot::query, *w.q_norm);
    if (w.k_norm != nullptr) backend.head_norm(Slot::key, *w.k_norm);
    backend.rope(Slot::query);
    backend.rope(Slot::key);
    backend.store_kv(layer);
    backend.attend(layer);
    backend.project_add(Slot::attended, *w.attention_out);

    backend.norm(Slot::normed, Slot::residual, *w.ffn_norm);
    backend.project(Slot::normed, {{w.gate, Slot::gate}, {w.up, Slot::up}});
    backend.gate_up();
    backend.project_add(Slot::gate, *w.down);
  }
}

enum class LogitsWanted : std::uint8_t { none, last, all };

// `tokens`, segment after segment, through the whole model; logits end up in Slot::logits, one row per token wanted (`last`: of each
// segment).
template <Backend B>
void forward(const Model& model, B& backend, std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted) {
  backend.begin(segments);
  backend.embed(*model.embedding, tokens);
  forward_layers(model, backend, 0, model.config.layers);
  if (wanted == LogitsWanted::none) return;
  if (wanted == LogitsWanted::last) backend.keep_last();
  backend.norm(Slot::normed, Slot::residual, *model.output_norm);
  backend.project(Slot::normed, {{model.output, Slot::logits}});
}

}  // namespace assay

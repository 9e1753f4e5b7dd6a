// MemoryPlan: what a session will need, computed before anything is loaded.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/quant/kv_type.h"

namespace assay {

struct Config;
struct LayerWeights;
struct Model;

// All in bytes.
struct MemoryPlan {
  std::uint64_t weights_bytes = 0;       // as stored in the file (mapped, counted once when tied)
  std::uint64_t copied_bytes = 0;        // of them what is not used as the file holds it and stays in memory as a copy
  std::uint64_t kv_bytes = 0;            // for the whole context of every sequence
  std::uint64_t activation_bytes = 0;    // scratch for one batch, logits included
  std::uint64_t bytes_per_token = 0;     // weights read for one decoded token, without KV; of experts those that a token uses
  std::uint64_t kv_bytes_per_position = 0;  // KV read per decoded token and position of context, by layers that see all of it
  std::uint64_t window_kv_bytes_per_position = 0;  // the same by layers that see `window` positions at most
  std::uint64_t window = 0;
  std::uint64_t total_bytes() const { return weights_bytes + kv_bytes + activation_bytes; }
  // KV read for one token after `positions` of context.
  double kv_read_bytes(double positions) const {
    return static_cast<double>(kv_bytes_per_position) * positions + static_cast<double>(window_kv_bytes_per_position) * std::min(positions, static_cast<double>(window));
  }
};

struct PlanOptions {
  std::uint32_t context = 4096;
  std::uint32_t batch = 512;
  KvType kv = KvType::f16;
  std::uint32_t sequences = 1;  // each with a context of its own
};
MemoryPlan plan_memory(const Model& model, const PlanOptions& options);

// Positions that the cache of a layer holds of each sequence: all of the context, or the window and what a batch adds to it.
std::uint32_t cached_positions(const Config& config, std::uint32_t layer, std::uint32_t context, std::uint32_t batch);

// Multiply-adds with the weights for one token: of experts those that a token uses.
struct MacCount {
  double layers = 0, head = 0;
  double closing = 0;  // of `layers`: of the last one, what comes behind the cache

  // A prompt whose last token's logits are wanted: what closes the last layer is computed for that token only, as is the head.
  double of_prompt(double tokens) const { return layers * tokens - closing * (tokens - 1) + head; }
};
MacCount count_macs(const Model& model);

}  // namespace assay

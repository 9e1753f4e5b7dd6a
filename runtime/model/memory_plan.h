// MemoryPlan: what a session will need, computed before anything is loaded.
#pragma once

#include <cstdint>

#include "runtime/quant/kv_type.h"

namespace assay {

struct Model;

// All in bytes.
struct MemoryPlan {
  std::uint64_t weights_bytes = 0;       // as stored in the file (mapped, counted once when tied)
  std::uint64_t kv_bytes = 0;            // for the whole context of every sequence
  std::uint64_t activation_bytes = 0;    // scratch for one batch, logits included
  std::uint64_t bytes_per_token = 0;     // weights read for one decoded token, without KV
  std::uint64_t kv_bytes_per_position = 0;  // KV read per decoded token and position of context
  std::uint64_t total_bytes() const { return weights_bytes + kv_bytes + activation_bytes; }
};

struct PlanOptions {
  std::uint32_t context = 4096;
  std::uint32_t batch = 512;
  KvType kv = KvType::f16;
  std::uint32_t sequences = 1;  // each with a context of its own
};
MemoryPlan plan_memory(const Model& model, const PlanOptions& options);

}  // namespace assay

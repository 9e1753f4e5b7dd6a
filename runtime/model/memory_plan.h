// MemoryPlan: what a session will need, computed before anything is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace assay {

struct Model;

enum class KvType : std::uint8_t { f32, f16, q8_0 };
std::optional<KvType> kv_type_from_name(std::string_view name);
std::string_view name_of(KvType type);

// All in bytes.
struct MemoryPlan {
  std::uint64_t weights_bytes = 0;       // as stored in the file (mapped, counted once when tied)
  std::uint64_t kv_bytes = 0;            // for the whole context
  std::uint64_t activation_bytes = 0;    // scratch for one batch, logits included
  std::uint64_t bytes_per_token = 0;     // weights read for one decoded token, without KV
  std::uint64_t kv_bytes_per_position = 0;  // KV read per decoded token and position of context
  std::uint64_t total_bytes() const { return weights_bytes + kv_bytes + activation_bytes; }
};

struct PlanOptions {
  std::uint32_t context = 4096;
  std::uint32_t batch = 512;
  KvType kv = KvType::f16;
};
MemoryPlan plan_memory(const Model& model, const PlanOptions& options);

}  // namespace assay

// The arithmetic of MemoryPlan.
#include "runtime/model/memory_plan.h"

#include <algorithm>

#include "runtime/model/model.h"

namespace assay {

std::optional<KvType> kv_type_from_name(std::string_view name) {
  if (name == "f32") return KvType::f32;
  if (name == "f16") return KvType::f16;
  if (name == "q8_0") return KvType::q8_0;
  return std::nullopt;
}

std::string_view name_of(KvType type) {
  switch (type) {
    case KvType::f32: return "f32";
    case KvType::f16: return "f16";
    case KvType::q8_0: return "q8_0";
  }
  return "";
}

namespace {

std::uint64_t layer_bytes(const LayerWeights& layer) {
  std::uint64_t sum = 0;
  for (const TensorView* tensor : {layer.attention_norm, layer.q, layer.k, layer.v, layer.q_norm, layer.k_norm, layer.attention_out,
                                   layer.ffn_norm, layer.gate, layer.up, layer.down})
    if (tensor != nullptr) sum += tensor->stored_bytes();
  return sum;
}

std::uint64_t kv_value_bytes(KvType type, std::uint64_t values) {
  switch (type) {
    case KvType::f32: return values * 4;
    case KvType::f16: return values * 2;
    case KvType::q8_0: return values / 32 * 34;
  }
  return 0;
}

}  // namespace

MemoryPlan plan_memory(const Model& model, const PlanOptions& options) {
  const Config& config = model.config;
  MemoryPlan plan;
  for (const LayerWeights& layer : model.layers) plan.bytes_per_token += layer_bytes(layer);
  plan.bytes_per_token += model.output->stored_bytes() + model.output_norm->stored_bytes();
  plan.weights_bytes = plan.bytes_per_token;
  if (!model.is_tied()) {
    plan.weights_bytes += model.embedding->stored_bytes();
    plan.bytes_per_token += model.embedding->stored_bytes() / config.vocabulary;  // one row
  }
  if (model.rope_factors != nullptr) plan.weights_bytes += model.rope_factors->stored_bytes();

  const std::uint64_t kv_width = std::uint64_t{config.kv_heads} * config.head_dim;
  plan.kv_bytes_per_position = config.layers * kv_value_bytes(options.kv, 2 * kv_width);
  plan.kv_bytes = plan.kv_bytes_per_position * options.context;

  // Float32 rows a token needs while a batch is computed, and once more as 8-bit levels for the widest product.
  const std::uint64_t query_width = std::uint64_t{config.heads} * config.head_dim;
  const std::uint64_t floats = 2 * std::uint64_t{config.embedding} + 2 * query_width + 2 * kv_width + 3 * std::uint64_t{config.feed_forward};
  const std::uint64_t widest = std::max<std::uint64_t>({config.embedding, query_width, config.feed_forward});
  const std::uint64_t rows = std::min(options.batch, options.context);
  plan.activation_bytes = rows * (floats * 4 + widest * 2) + std::uint64_t{config.vocabulary} * 4;
  return plan;
}

}  // namespace assay

// The arithmetic of MemoryPlan.
#include "runtime/model/memory_plan.h"

#include <algorithm>

#include "runtime/model/model.h"

namespace assay {

namespace {

std::uint64_t layer_bytes(const LayerWeights& layer) {
  std::uint64_t sum = 0;
  for (const TensorView* tensor : {layer.attention_norm, layer.q, layer.k, layer.v, layer.q_norm, layer.k_norm, layer.attention_out,
                                   layer.ffn_norm, layer.gate, layer.up, layer.down})
    if (tensor != nullptr) sum += tensor->stored_bytes();
  return sum;
}

// Of keys and values of one position in one layer.
std::uint64_t kv_position_bytes(KvType type, const Config& config) {
  const std::uint64_t head_bytes = std::uint64_t{config.head_dim} * kv_value_bytes(type) + kv_groups(type, config.head_dim) * sizeof(std::uint16_t);
  return 2 * config.kv_heads * head_bytes;
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
  plan.kv_bytes_per_position = config.layers * kv_position_bytes(options.kv, config);
  plan.kv_bytes = plan.kv_bytes_per_position * options.context * options.sequences;

  // Float32 rows a token needs while a batch is computed, and once more as 8-bit levels for the widest product.
  const std::uint64_t query_width = std::uint64_t{config.heads} * config.head_dim;
  const std::uint64_t floats = 2 * std::uint64_t{config.embedding} + 2 * query_width + 2 * kv_width + 3 * std::uint64_t{config.feed_forward};
  const std::uint64_t widest = std::max<std::uint64_t>({config.embedding, query_width, config.feed_forward});
  const std::uint64_t rows = std::min(options.batch, options.context);
  plan.activation_bytes = rows * (floats * 4 + widest * 2) + options.sequences * std::uint64_t{config.vocabulary} * 4;
  return plan;
}

}  // namespace assay

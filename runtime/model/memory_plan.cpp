// The arithmetic of MemoryPlan.
#include "runtime/model/memory_plan.h"

#include <algorithm>
#include <initializer_list>

#include "runtime/model/weights.h"

namespace assay {

namespace {

struct LayerBytes {
  std::uint64_t common = 0, experts = 0;
};

LayerBytes bytes_of(const Model& model, std::uint32_t index) {
  const LayerWeights& layer = model.layers[index];
  LayerBytes bytes;
  for (const WeightRow& row : kWeights) {
    if (row.in_layer != nullptr && presence_of(row.need, model.config, index) != Presence::no) {
      const TensorView* tensor = layer.*row.in_layer;
      if (tensor != nullptr) bytes.common += tensor->stored_bytes();
    }
    if (row.in_expert == nullptr) continue;
    for (const ExpertWeights& expert : layer.experts)
      if (const TensorView* tensor = expert.*row.in_expert) bytes.experts += tensor->stored_bytes();
  }
  return bytes;
}

// Of keys and values of one position in one layer.
std::uint64_t kv_position_bytes(KvType type, const Config& config) {
  const std::uint64_t values = std::uint64_t{config.head_dim} + config.value_dim;
  const std::uint64_t groups = kv_groups(type, config.head_dim) + kv_groups(type, config.value_dim);
  return config.kv_heads * (values * kv_value_bytes(type) + groups * sizeof(std::uint16_t));
}

// Float32 values a token needs while a batch is computed.
std::uint64_t floats_of_token(const Config& config) {
  const std::uint64_t query_width = std::uint64_t{config.heads} * config.head_dim;
  const std::uint64_t kv_width = std::uint64_t{config.kv_heads} * (config.head_dim + config.value_dim);
  std::uint64_t floats = 2 * std::uint64_t{config.embedding} + 2 * query_width + kv_width + 3 * std::uint64_t{config.feed_forward};
  const ExpertConfig& experts = config.experts;
  if (experts.count > 0) floats += experts.count + experts.used * (2 * std::uint64_t{config.embedding} + 3 * std::uint64_t{experts.feed_forward});
  if (config.is_latent()) floats += config.latent.query_rank + 2 * std::uint64_t{config.heads} * config.latent.key_dim;
  return floats;
}

}  // namespace

std::uint32_t cached_positions(const Config& config, std::uint32_t layer, std::uint32_t context, std::uint32_t batch) {
  if (!config.layer_slides(layer)) return context;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(context, std::uint64_t{config.window} + std::max(1u, batch) - 1));
}

MemoryPlan plan_memory(const Model& model, const PlanOptions& options) {
  const Config& config = model.config;
  MemoryPlan plan;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    const LayerBytes bytes = bytes_of(model, layer);
    plan.weights_bytes += bytes.common + bytes.experts;
    plan.bytes_per_token += bytes.common + (config.has_experts(layer) ? bytes.experts / config.experts.count * config.experts.used : 0);
  }
  const std::uint64_t head_bytes = model.output->stored_bytes() + model.output_norm->stored_bytes();
  plan.bytes_per_token += head_bytes;
  plan.weights_bytes += head_bytes;
  if (!model.is_tied()) {
    plan.weights_bytes += model.embedding->stored_bytes();
    plan.bytes_per_token += model.embedding->stored_bytes() / config.vocabulary;  // one row
  }
  for (const TensorView* tensor : {model.rope_factors, model.long_rope_factors, model.short_rope_factors, model.positions, model.output_norm_bias, model.output_bias})
    if (tensor != nullptr) plan.weights_bytes += tensor->stored_bytes();

  for (const AlignedBuffer<std::byte>& bytes : model.made_bytes) plan.copied_bytes += bytes.size();

  const std::uint64_t position_bytes = kv_position_bytes(options.kv, config);
  const std::uint32_t batch = std::min(options.batch, options.context);
  plan.window = config.window;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    (config.layer_slides(layer) ? plan.window_kv_bytes_per_position : plan.kv_bytes_per_position) += position_bytes;
    plan.kv_bytes += position_bytes * cached_positions(config, layer, options.context, batch) * options.sequences;
  }

  // Rows of floats, and once more as 8-bit levels for the widest product.
  const std::uint64_t widest = std::max<std::uint64_t>({config.embedding, std::uint64_t{config.heads} * config.head_dim, config.feed_forward});
  plan.activation_bytes = batch * (floats_of_token(config) * 4 + widest * 2) + options.sequences * std::uint64_t{config.vocabulary} * 4;
  return plan;
}

MacCount count_macs(const Model& model) {
  MacCount out;
  const auto macs = [](std::initializer_list<const TensorView*> weights) {
    double sum = 0;
    for (const TensorView* weight : weights)
      if (weight != nullptr) sum += static_cast<double>(weight->count());
    return sum;
  };
  for (const LayerWeights& layer : model.layers) {
    out.closing = macs({layer.v_b, layer.attention_out, layer.gate, layer.up, layer.down, layer.router, layer.shared_gate, layer.shared_up, layer.shared_down});
    if (!layer.experts.empty()) {
      const ExpertWeights& expert = layer.experts.front();
      out.closing += macs({expert.gate, expert.up, expert.down}) * model.config.experts.used;
    }
    out.layers += macs({layer.q, layer.k, layer.v, layer.q_a, layer.q_b, layer.kv_a, layer.k_b}) + out.closing;
  }
  out.head = macs({model.output});
  return out;
}

}  // namespace assay

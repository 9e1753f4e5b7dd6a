// What of a model lies in device memory: matrices, tables of matrices, vectors and caches, each made when first asked for.
#include <algorithm>

#include "runtime/engine/vulkan_backend.h"
#include "runtime/model/memory_plan.h"
#include "runtime/model/slice.h"
#include "runtime/quant/dequantize.h"

namespace assay {

using vulkan::Ops;

namespace {

// The matrices of a layer's experts, one kind after another.
std::vector<const TensorView*> expert_matrices(const LayerWeights& layer) {
  std::vector<const TensorView*> all;
  for (const ExpertWeights& expert : layer.experts) all.insert(all.end(), {expert.gate, expert.up, expert.down});
  return all;
}

}  // namespace

// Bytes that a step's matrices take in device memory.
std::uint64_t VulkanBackend::weight_bytes_of(const Step& step) const {
  switch (step.verb) {
    case Verb::embed:
    case Verb::add_positions:
    case Verb::project:
    case Verb::project_add:
    case Verb::project_heads: return vulkan::device_bytes(*step.weight);
    case Verb::experts: {
      std::uint64_t bytes = 0;
      for (const TensorView* matrix : expert_matrices(model_.layers[step.layer])) bytes += vulkan::device_bytes(*matrix);
      return bytes;
    }
    default: return 0;
  }
}

Result<> VulkanBackend::load_weights_of(const Step& step) {
  if (step.verb == Verb::experts) {
    ASSAY_TRY_VOID(gates_of(step.layer));  // or, one by one, when they are used
    ASSAY_TRY_VOID(experts_of(step.layer, &ExpertWeights::down, &ExpertWeights::down_bias));
  } else if (step.verb == Verb::project_heads) {
    ASSAY_TRY_VOID(heads_of(*step.weight));
  } else {
    ASSAY_TRY_VOID(weight_of(*step.weight));
  }
  return success();
}

Result<const vulkan::DeviceWeight*> VulkanBackend::weight_of(const TensorView& tensor) {
  const auto found = weights_.find(&tensor);
  if (found != weights_.end()) return &found->second;
  ASSAY_TRY(const vulkan::DeviceWeight weight, vulkan::load_weight(memory_, device_, tensor));
  return &weights_.emplace(&tensor, weight).first->second;
}

Result<const vulkan::DeviceTable*> VulkanBackend::experts_of(std::uint32_t layer, const TensorView* ExpertWeights::*which, const TensorView* ExpertWeights::*bias) {
  const std::vector<ExpertWeights>& experts = model_.layers[layer].experts;
  const TensorView* const first = experts.front().*which;
  const auto found = tables_.find(first);
  if (found != tables_.end()) return &found->second;
  std::vector<const TensorView*> matrices;
  std::vector<std::uint64_t> biases;
  for (const ExpertWeights& expert : experts) {
    matrices.push_back(expert.*which);
    if (expert.*bias == nullptr) continue;
    ASSAY_TRY(const std::uint64_t address, vector_of(expert.*bias));
    biases.push_back(address);
  }
  ASSAY_TRY(const vulkan::DeviceTable table, vulkan::load_table(memory_, device_, matrices, biases));
  return &tables_.emplace(first, table).first->second;
}

// Gate and up of every expert in turns; nullptr where they are not alike.
Result<const vulkan::DeviceTable*> VulkanBackend::gates_of(std::uint32_t layer) {
  const std::vector<ExpertWeights>& experts = model_.layers[layer].experts;
  const TensorView* const first = experts.front().gate;
  const auto found = tables_.find(first);
  if (found != tables_.end()) return &found->second;
  std::vector<const TensorView*> matrices;
  std::vector<std::uint64_t> biases;
  for (const ExpertWeights& expert : experts) {
    if (!vulkan::are_alike(*expert.gate, *expert.up)) return nullptr;
    matrices.insert(matrices.end(), {expert.gate, expert.up});
    for (const TensorView* bias : {expert.gate_bias, expert.up_bias}) {
      if (bias == nullptr) continue;
      ASSAY_TRY(const std::uint64_t address, vector_of(bias));
      biases.push_back(address);
    }
  }
  ASSAY_TRY(const vulkan::DeviceTable table, vulkan::load_table(memory_, device_, matrices, biases));
  return &tables_.emplace(first, table).first->second;
}

// The same of two matrices that lie there already.
Result<const vulkan::DeviceTable*> VulkanBackend::pair_of(const TensorView& gate, const TensorView& up) {
  const auto found = tables_.find(&gate);
  if (found != tables_.end()) return &found->second;
  ASSAY_TRY(const vulkan::DeviceWeight* const first, weight_of(gate));
  ASSAY_TRY(const vulkan::DeviceWeight* const second, weight_of(up));
  const vulkan::DeviceWeight both[] = {*first, *second};
  ASSAY_TRY(const vulkan::DeviceTable table, vulkan::make_table(memory_, both, {}));
  return &tables_.emplace(&gate, table).first->second;
}

// [heads][rows][cols]
Result<const vulkan::DeviceTable*> VulkanBackend::heads_of(const TensorView& tensor) {
  const auto found = tables_.find(&tensor);
  if (found != tables_.end()) return &found->second;
  std::vector<TensorView> matrices;
  for (std::uint64_t head = 0; head < tensor.shape[0]; ++head) {
    ASSAY_TRY(TensorView matrix, slice_rows(tensor, head * tensor.shape[1], tensor.shape[1]));
    matrices.push_back(std::move(matrix));
  }
  std::vector<const TensorView*> pointers;
  for (const TensorView& matrix : matrices) pointers.push_back(&matrix);
  ASSAY_TRY(const vulkan::DeviceTable table, vulkan::load_table(memory_, device_, pointers, {}));
  return &tables_.emplace(&tensor, table).first->second;
}

// Norms, biases and sinks: floats.
Result<std::uint64_t> VulkanBackend::vector_of(const TensorView* tensor) {
  if (tensor == nullptr) return std::uint64_t{0};
  const auto found = vectors_.find(tensor);
  if (found != vectors_.end()) return found->second;
  std::vector<float> values(tensor->cols());
  dequantize_row(*tensor, 0, values);
  ASSAY_TRY(const vulkan::Buffer buffer, memory_.allocate(values.size() * sizeof(float), vulkan::Where::device));
  ASSAY_TRY_VOID(memory_.upload_later(std::as_bytes(std::span(values)), buffer));
  return vectors_.emplace(tensor, buffer.address).first->second;
}

// Sliding layers keep a ring of what the window and a batch need.
Result<Ops::Cache> VulkanBackend::cache_of(std::uint32_t layer) {
  const std::size_t at = layer - options_.first_layer;
  if (caches_.size() <= at) caches_.resize(at + 1);
  Ops::Cache& cache = caches_[at];
  if (cache.positions != 0) return cache;
  const Config& config = model_.config;
  const std::uint32_t positions = cached_positions(config, layer, options_.context, options_.batch);
  const std::uint64_t places = std::uint64_t{options_.sequences} * config.kv_heads * positions;
  Ops::Cache made{0, 0, 0, 0, config.kv_heads, positions, options_.kv};
  const auto allocate = [&](std::uint32_t dim, std::uint64_t& values, std::uint64_t& scales) -> Result<> {
    ASSAY_TRY(const vulkan::Buffer value_buffer, memory_.allocate(places * dim * kv_value_bytes(options_.kv), vulkan::Where::device));
    ASSAY_TRY(const vulkan::Buffer scale_buffer, memory_.allocate(places * kv_groups(options_.kv, dim) * sizeof(std::uint16_t), vulkan::Where::device));
    values = value_buffer.address;
    scales = scale_buffer.address;
    return success();
  };
  ASSAY_TRY_VOID(allocate(config.head_dim, made.keys, made.key_scales));
  made.values = made.keys;  // latent attention: values are the first part of keys
  made.value_scales = made.key_scales;
  if (!config.is_latent()) ASSAY_TRY_VOID(allocate(config.value_dim, made.values, made.value_scales));
  return cache = made;
}

}  // namespace assay

// KvCache: keys and values of every sequence, layer and position, in the layout the attention kernels read.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/model/config.h"
#include "runtime/model/memory_plan.h"

namespace assay {

class KvCache {
 public:
  struct Options {
    std::uint32_t context = 0;  // positions of each sequence
    std::uint32_t batch = 0;    // the most tokens stored before they are attended to
    std::uint32_t sequences = 1;
    KvType type = KvType::f16;
  };
  // Layers that slide keep a ring of what the window and a batch need. Memory is reserved, not touched: pages arrive as positions are
  // stored.
  KvCache(const Config& config, const Options& options) : type_(options.type), kv_heads_(config.kv_heads), head_dim_(config.head_dim), value_dim_(config.value_dim) {
    for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
      const std::uint32_t needed = cached_positions(config, layer, options.context, options.batch);
      layers_.push_back({positions_, (needed + kKeyBlock - 1) / kKeyBlock * kKeyBlock});
      positions_ += std::size_t{layers_.back().positions} * kv_heads_;
    }
    const std::size_t all = positions_ * options.sequences;
    keys_ = AlignedBuffer<std::byte>(all * head_dim_ * kv_value_bytes(type_));
    values_ = AlignedBuffer<std::byte>(all * padded_dim_of(value_dim_) * kv_value_bytes(type_));
    key_scales_ = AlignedBuffer<std::uint16_t>(all * kv_groups(type_, head_dim_));
    value_scales_ = AlignedBuffer<std::uint16_t>(all * kv_groups(type_, value_dim_));
  }

  KvType type() const { return type_; }
  KvView view(std::uint32_t sequence, std::uint32_t layer, std::uint32_t kv_head) {
    const auto& [first, positions] = layers_[layer];
    const std::size_t at = sequence * positions_ + first + std::size_t{kv_head} * positions;  // of the head's first position
    return {type_,
            head_dim_,
            padded_dim_of(value_dim_),
            keys_.data() + at * head_dim_ * kv_value_bytes(type_),
            values_.data() + at * padded_dim_of(value_dim_) * kv_value_bytes(type_),
            key_scales_.data() + at * kv_groups(type_, head_dim_),
            value_scales_.data() + at * kv_groups(type_, value_dim_),
            value_dim_,
            positions};
  }

 private:
  struct Layer {
    std::size_t first;        // heads' positions of a sequence before this layer's
    std::uint32_t positions;  // of each head
  };

  KvType type_;
  std::uint32_t kv_heads_;
  std::uint32_t head_dim_, value_dim_;
  std::vector<Layer> layers_;
  std::size_t positions_ = 0;  // of all layers and heads of one sequence
  AlignedBuffer<std::byte> keys_, values_;
  AlignedBuffer<std::uint16_t> key_scales_, value_scales_;
};

}  // namespace assay

// KvCache: keys and values of every layer and position, in the layout the attention kernels read.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/model/memory_plan.h"
#include "runtime/model/config.h"

namespace assay {

class KvCache {
 public:
  // Memory is reserved, not touched: pages arrive as positions are stored.
  KvCache(const Config& config, std::uint32_t context, KvType type)
      : kv_heads_(config.kv_heads),
        is_f32_(type == KvType::f32),
        value_bytes_(is_f32_ ? 4 : 2),
        head_dim_(config.head_dim),
        positions_((context + kKeyBlock - 1) / kKeyBlock * kKeyBlock),
        keys_(bytes_of(config, head_dim_)),
        values_(bytes_of(config, padded_dim_of(head_dim_))) {}

  KvView view(std::uint32_t layer, std::uint32_t kv_head) const {
    const std::size_t head = std::size_t{layer} * kv_heads_ + kv_head;
    const std::uint32_t padded = padded_dim_of(head_dim_);
    return {keys_.data() + head * positions_ * head_dim_ * value_bytes_, values_.data() + head * positions_ * padded * value_bytes_,
            head_dim_, padded, is_f32_};
  }

 private:
  std::size_t bytes_of(const Config& config, std::uint32_t dim) const {
    return std::size_t{config.layers} * kv_heads_ * positions_ * dim * value_bytes_;
  }

  std::uint32_t kv_heads_;
  bool is_f32_;
  std::uint32_t value_bytes_;
  std::uint32_t head_dim_;
  std::uint32_t positions_;
  AlignedBuffer<std::byte> keys_, values_;
};

}  // namespace assay

// KvCache: keys and values of every sequence, layer and position, in the layout the attention kernels read.
#pragma once

#include <cstdint>

#include "runtime/core/aligned.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/model/config.h"

namespace assay {

class KvCache {
 public:
  // `context` positions for each of `sequences`. Memory is reserved, not touched: pages arrive as positions are stored.
  KvCache(const Config& config, std::uint32_t context, std::uint32_t sequences, KvType type)
      : type_(type),
        layers_(config.layers),
        kv_heads_(config.kv_heads),
        head_dim_(config.head_dim),
        positions_((context + kKeyBlock - 1) / kKeyBlock * kKeyBlock),
        keys_(std::size_t{sequences} * layers_ * kv_heads_ * key_bytes()),
        values_(std::size_t{sequences} * layers_ * kv_heads_ * value_bytes()),
        key_scales_(std::size_t{sequences} * layers_ * kv_heads_ * scales()),
        value_scales_(key_scales_.size()) {}

  KvView view(std::uint32_t sequence, std::uint32_t layer, std::uint32_t kv_head) {
    const std::size_t head = (std::size_t{sequence} * layers_ + layer) * kv_heads_ + kv_head;
    return {type_, head_dim_, padded_dim_of(head_dim_), keys_.data() + head * key_bytes(), values_.data() + head * value_bytes(),
            key_scales_.data() + head * scales(), value_scales_.data() + head * scales()};
  }

 private:
  // Of one head.
  std::size_t key_bytes() const { return std::size_t{positions_} * head_dim_ * kv_value_bytes(type_); }
  std::size_t value_bytes() const { return std::size_t{positions_} * padded_dim_of(head_dim_) * kv_value_bytes(type_); }
  std::size_t scales() const { return std::size_t{positions_} * kv_groups(type_, head_dim_); }

  KvType type_;
  std::uint32_t layers_;
  std::uint32_t kv_heads_;
  std::uint32_t head_dim_;
  std::uint32_t positions_;
  AlignedBuffer<std::byte> keys_, values_;
  AlignedBuffer<std::uint16_t> key_scales_, value_scales_;
};

}  // namespace assay

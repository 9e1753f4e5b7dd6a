// Q4_0: 32 values under one F16 scale; 4-bit levels around 8. 4.5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q4_0 {
  static constexpr FormatId kId = FormatId::Q4_0;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 8;
  static constexpr int kMaxLevel = 15;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t levels[16];  // first 16 values in the low nibbles, last 16 in the high ones
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.levels[i % 16];
    return static_cast<std::uint8_t>(i < 16 ? pair & 15 : pair >> 4);
  }
};
static_assert(sizeof(Q4_0::Block) == dtype_of(FormatId::Q4_0).block_bytes);
static_assert(BlockFormat<Q4_0>);

}  // namespace assay

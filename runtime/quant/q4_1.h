// Q4_1: 32 values under one F16 scale and one F16 minimum; 4-bit levels from 0. 5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q4_1 {
  static constexpr FormatId kId = FormatId::Q4_1;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 0;
  static constexpr int kMaxLevel = 15;
  static constexpr bool kHasOffset = true;

  struct Block {
    Half d;
    Half min;                 // the value of level 0
    std::uint8_t levels[16];  // first 16 values in the low nibbles, last 16 in the high ones
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), to_float(block.min)}; }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.levels[i % 16];
    return static_cast<std::uint8_t>(i < 16 ? pair & 15 : pair >> 4);
  }
};
static_assert(sizeof(Q4_1::Block) == dtype_of(FormatId::Q4_1).block_bytes);
static_assert(BlockFormat<Q4_1>);

}  // namespace assay

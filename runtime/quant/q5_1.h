// Q5_1: 32 values under one F16 scale and one F16 minimum; 5-bit levels from 0. 6 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q5_1 {
  static constexpr FormatId kId = FormatId::Q5_1;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 0;
  static constexpr int kMaxLevel = 31;
  static constexpr bool kHasOffset = true;

  struct Block {
    Half d;
    Half min;              // the value of level 0
    std::uint8_t high[4];  // bit i, counted through the bytes, is the fifth bit of value i
    std::uint8_t low[16];  // first 16 values in the low nibbles, last 16 in the high ones
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), to_float(block.min)}; }
  static std::uint8_t level(const Block& block, int i) {
    const int low = i < 16 ? block.low[i % 16] & 15 : block.low[i % 16] >> 4;
    const int high = (block.high[i / 8] >> (i % 8)) & 1;
    return static_cast<std::uint8_t>(low | (high << 4));
  }
};
static_assert(sizeof(Q5_1::Block) == dtype_of(FormatId::Q5_1).block_bytes);
static_assert(BlockFormat<Q5_1>);

}  // namespace assay

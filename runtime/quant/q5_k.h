// Q5_K: 256 values in 8 groups of 32; 5-bit levels, scales and minimums as in Q4_K. 5.5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/q4_k.h"

namespace assay {

struct Q5_K {
  static constexpr FormatId kId = FormatId::Q5_K;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 0;
  static constexpr int kMaxLevel = 31;
  static constexpr bool kHasOffset = true;

  struct Block {
    Half d;                   // scale of the 6-bit scales
    Half dmin;                // scale of the 6-bit minimums
    std::uint8_t scales[12];  // see Q4_K::sixbit()
    std::uint8_t high[32];    // the fifth bit: bit r of byte j belongs to value 32 * r + j
    std::uint8_t low[128];    // 64 values in 32 bytes: first 32 in the low nibbles, next 32 in the high ones
  };

  static Affine affine(const Block& block, int group) {
    const Q4_K::SixBit bits = Q4_K::sixbit(block.scales, group);
    return {to_float(block.d) * static_cast<float>(bits.scale), -(to_float(block.dmin) * static_cast<float>(bits.min))};
  }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.low[(i / 64) * 32 + i % 32];
    const int low = i % 64 < 32 ? pair & 15 : pair >> 4;
    const int high = (block.high[i % 32] >> (i / 32)) & 1;
    return static_cast<std::uint8_t>(low | (high << 4));
  }
};
static_assert(sizeof(Q5_K::Block) == dtype_of(FormatId::Q5_K).block_bytes);
static_assert(BlockFormat<Q5_K>);

}  // namespace assay

// Q6_K: 256 values in 16 groups of 16; 6-bit levels around 32, signed 8-bit scales. 6.5625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q6_K {
  static constexpr FormatId kId = FormatId::Q6_K;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = 32;
  static constexpr int kMaxLevel = 63;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t low[128];  // 128 values in 64 bytes: the first 64 in the low nibbles, the next 64 in the high ones
    std::uint8_t high[64];  // 128 values in 32 bytes: each run of 32 takes the next two bits of all of them
    std::int8_t scales[16];
    Half d;  // scale of the scales
  };

  static Affine affine(const Block& block, int group) {
    return {to_float(block.d) * static_cast<float>(block.scales[group]), 0};
  }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.low[(i / 128) * 64 + i % 64];
    const int low = i % 128 < 64 ? pair & 15 : pair >> 4;
    const int high = (block.high[(i / 128) * 32 + i % 32] >> (2 * (i / 32 % 4))) & 3;
    return static_cast<std::uint8_t>(low | (high << 4));
  }
};
static_assert(sizeof(Q6_K::Block) == dtype_of(FormatId::Q6_K).block_bytes);
static_assert(BlockFormat<Q6_K>);

}  // namespace assay

// Q2_K: 256 values in 16 groups of 16; 2-bit levels, 4-bit scales and minimums under F16 ones. 2.625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q2_K {
  static constexpr FormatId kId = FormatId::Q2_K;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = 0;
  static constexpr int kMaxLevel = 3;
  static constexpr bool kHasOffset = true;

  struct Block {
    std::uint8_t scales[16];  // per group: scale in the low nibble, minimum in the high one
    std::uint8_t levels[64];  // 128 values in 32 bytes: each run of 32 takes the next two bits of all of them
    Half d;                   // scale of the scales
    Half dmin;                // scale of the minimums
  };

  static Affine affine(const Block& block, int group) {
    const std::uint8_t pair = block.scales[group];
    return {to_float(block.d) * static_cast<float>(pair & 15), -(to_float(block.dmin) * static_cast<float>(pair >> 4))};
  }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t four = block.levels[(i / 128) * 32 + i % 32];
    return static_cast<std::uint8_t>((four >> (2 * (i / 32 % 4))) & 3);
  }
};
static_assert(sizeof(Q2_K::Block) == dtype_of(FormatId::Q2_K).block_bytes);
static_assert(BlockFormat<Q2_K>);

}  // namespace assay

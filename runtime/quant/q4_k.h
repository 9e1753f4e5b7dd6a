// Q4_K: 256 values in 8 groups of 32; 4-bit levels, 6-bit scales and minimums under F16 ones. 4.5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q4_K {
  static constexpr FormatId kId = FormatId::Q4_K;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 0;
  static constexpr int kMaxLevel = 15;
  static constexpr bool kHasOffset = true;

  struct Block {
    Half d;                    // scale of the 6-bit scales
    Half dmin;                 // scale of the 6-bit minimums
    std::uint8_t scales[12];   // see sixbit()
    std::uint8_t levels[128];  // 64 values in 32 bytes: first 32 in the low nibbles, next 32 in the high ones
  };

  struct SixBit {
    std::uint8_t scale, min;
  };
  // Groups 0-3 keep their 6 bits in bytes g and g+4; groups 4-7 keep 4 bits in byte g+4, two high
  // bits in those bytes.
  static constexpr SixBit sixbit(const std::uint8_t* scales, int group) {
    if (group < 4)
      return {static_cast<std::uint8_t>(scales[group] & 63), static_cast<std::uint8_t>(scales[group + 4] & 63)};
    return {static_cast<std::uint8_t>((scales[group + 4] & 15) | ((scales[group - 4] >> 6) << 4)),
            static_cast<std::uint8_t>((scales[group + 4] >> 4) | ((scales[group] >> 6) << 4))};
  }

  static Affine affine(const Block& block, int group) {
    const SixBit bits = sixbit(block.scales, group);
    return {to_float(block.d) * static_cast<float>(bits.scale), -(to_float(block.dmin) * static_cast<float>(bits.min))};
  }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.levels[(i / 64) * 32 + i % 32];
    return static_cast<std::uint8_t>(i % 64 < 32 ? pair & 15 : pair >> 4);
  }
};
static_assert(sizeof(Q4_K::Block) == dtype_of(FormatId::Q4_K).block_bytes);
static_assert(BlockFormat<Q4_K>);

}  // namespace assay

// TQ1_0: 256 values of -1, 0, 1 under one F16 scale, five base-3 digits a byte. 1.6875 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct TQ1_0 {
  static constexpr FormatId kId = FormatId::TQ1_0;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 256;
  static constexpr int kBias = 1;
  static constexpr int kMaxLevel = 2;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t
        fives[48];  // values 0-159: five runs of 32 in bytes 0-31; values 160-239: five runs of 16 in bytes 32-47
    std::uint8_t fours[4];  // values 240-255: four runs of 4
    Half d;
  };

  // A byte holds its digits as the fraction byte / 256: digit n is the whole part of 3 * (fraction * 3^n modulo 1).
  static constexpr std::uint8_t digit(std::uint8_t byte, int n) {
    constexpr std::uint8_t kPowers[5] = {1, 3, 9, 27, 81};
    const std::uint8_t rest = static_cast<std::uint8_t>(byte * kPowers[n]);
    return static_cast<std::uint8_t>((rest * 3) >> 8);
  }

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    if (i < 160) return digit(block.fives[i % 32], i / 32);
    if (i < 240) return digit(block.fives[32 + i % 16], (i - 160) / 16);
    return digit(block.fours[i % 4], (i - 240) / 4);
  }
};
static_assert(sizeof(TQ1_0::Block) == dtype_of(FormatId::TQ1_0).block_bytes);
static_assert(BlockFormat<TQ1_0>);

}  // namespace assay

// IQ3_S: 256 values in 8 groups of 32; grid points of magnitudes, signs, odd 5-bit scales. 3.4375 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ3_S {
  static constexpr FormatId kId = FormatId::IQ3_S;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 16;
  static constexpr int kMaxLevel = 31;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t low[64];    // 4 values each: eight bits of the grid index
    std::uint8_t high[8];    // the ninth bit of eight grid indices, the first in the lowest
    std::uint8_t signs[32];  // 8 values each
    std::uint8_t scales[4];  // two groups a byte, the even one in the low nibble; n stands for 2n + 1
  };

  static Affine affine(const Block& block, int group) {
    const int scale = (block.scales[group / 2] >> (4 * (group % 2))) & 15;
    return {to_float(block.d) * static_cast<float>(2 * scale + 1), 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    for (int point = 0; point < 8; ++point) {
      const unsigned high = (block.high[run] >> point) & 1u;
      const unsigned signs = block.signs[4 * run + point / 2] >> (4 * (point % 2));
      put_signed<kBias>(kIq3SGrid[block.low[8 * run + point] | high << 8], signs, out + 4 * point);
    }
  }
};
static_assert(sizeof(IQ3_S::Block) == dtype_of(FormatId::IQ3_S).block_bytes);
static_assert(BlockFormat<IQ3_S>);

}  // namespace assay

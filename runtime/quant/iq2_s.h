// IQ2_S: 256 values in 16 groups of 16; grid points of magnitudes, signs, 4-bit scales. 2.5625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ2_S {
  static constexpr FormatId kId = FormatId::IQ2_S;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = 64;
  static constexpr int kMaxLevel = 107;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t low[32];    // 8 values each: eight bits of the grid index
    std::uint8_t signs[32];  // 8 values each
    std::uint8_t high[8];    // two more bits for each of four grid indices, the first in the lowest
    std::uint8_t scales[8];  // two groups a byte, the even one in the low nibble
  };

  static Affine affine(const Block& block, int group) {
    const float scale = 0.5f + static_cast<float>((block.scales[group / 2] >> (4 * (group % 2))) & 15);
    return {to_float(block.d) * scale * 0.25f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    for (int part = 0; part < 4; ++part) {
      const unsigned high = (block.high[run] >> (2 * part)) & 3u;
      put_signed<kBias>(kIq2SGrid[block.low[4 * run + part] | high << 8], block.signs[4 * run + part], out + 8 * part);
    }
  }
};
static_assert(sizeof(IQ2_S::Block) == dtype_of(FormatId::IQ2_S).block_bytes);
static_assert(BlockFormat<IQ2_S>);

}  // namespace assay

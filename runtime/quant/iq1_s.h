// IQ1_S: 256 values in 8 groups of 32; grid points over -1, 0, 1, shifted by 1/8 up or down. 1.5625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ1_S {
  static constexpr FormatId kId = FormatId::IQ1_S;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 9;
  static constexpr int kMaxLevel = 18;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t low[32];  // 8 values each: eight bits of the grid index
    std::uint16_t
        high[8];  // per group: 3 more bits for each of 4 indices, a 3-bit scale n (2n + 1), the shift (1 = down)
  };

  // Eight values g + 1/8 or g - 1/8 of a grid point g, as whole eighths: 8g + 1 or 8g - 1, plus kBias.
  static void put_shifted(unsigned index, bool down, std::uint8_t* out) {
    const std::uint8_t shift = down ? 0 : 2;
    for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(8 * kIq1Grid[index][i] + shift);
  }

  // An eighth of the scale, which is exact, as the levels are in eighths.
  static Affine affine(const Block& block, int group) {
    const int scale = (block.high[group] >> 12) & 7;
    return {to_float(block.d) * static_cast<float>(2 * scale + 1) * 0.125f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    const unsigned high = block.high[run];
    for (int part = 0; part < 4; ++part)
      put_shifted(block.low[4 * run + part] | ((high >> (3 * part)) & 7u) << 8, (high & 0x8000u) != 0, out + 8 * part);
  }
};
static_assert(sizeof(IQ1_S::Block) == dtype_of(FormatId::IQ1_S).block_bytes);
static_assert(BlockFormat<IQ1_S>);

}  // namespace assay

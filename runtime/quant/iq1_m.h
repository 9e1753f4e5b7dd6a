// IQ1_M: 256 values in 16 groups of 16; IQ1_S's grid, a shift per 8 values, scattered F16 scale. 1.75 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/iq1_s.h"

namespace assay {

struct IQ1_M {
  static constexpr FormatId kId = FormatId::IQ1_M;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = IQ1_S::kBias;
  static constexpr int kMaxLevel = IQ1_S::kMaxLevel;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t low[32];  // 8 values each: eight bits of the grid index
    std::uint8_t
        high[16];  // two nibbles, the low one first, for 8 values each: 3 more bits, the shift (1 = down) above
    std::uint8_t
        scales[8];  // four 16-bit words: four 3-bit scales n (2n + 1), and above them a quarter of the F16 scale
  };

  static unsigned word(const Block& block, int i) {
    return block.scales[2 * i] | static_cast<unsigned>(block.scales[2 * i + 1]) << 8;
  }
  // The scale of the scales: the top nibbles of the four words, the first one lowest.
  static Half super_scale(const Block& block) {
    unsigned bits = 0;
    for (int i = 0; i < 4; ++i) bits |= (word(block, i) >> 12) << (4 * i);
    return {static_cast<std::uint16_t>(bits)};
  }

  static Affine affine(const Block& block, int group) {
    const unsigned scale = (word(block, group / 4) >> (3 * (group % 4))) & 7;
    return {to_float(super_scale(block)) * static_cast<float>(2 * scale + 1) * 0.125f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    for (int part = 4 * run; part < 4 * run + 4; ++part) {
      const unsigned high = static_cast<unsigned>(block.high[part / 2]) >> (4 * (part % 2));
      IQ1_S::put_shifted(block.low[part] | (high & 7) << 8, (high & 8) != 0, out + 8 * (part % 4));
    }
  }
};
static_assert(sizeof(IQ1_M::Block) == dtype_of(FormatId::IQ1_M).block_bytes);
static_assert(BlockFormat<IQ1_M>);

}  // namespace assay

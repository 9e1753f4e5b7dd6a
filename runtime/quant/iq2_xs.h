// IQ2_XS: 256 values in 16 groups of 16; grid points of magnitudes, signs, 4-bit scales. 2.3125 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ2_XS {
  static constexpr FormatId kId = FormatId::IQ2_XS;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = 64;
  static constexpr int kMaxLevel = 107;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint16_t points[32];  // 8 values each: 9 bits of grid index, 7 signs above
    std::uint8_t scales[8];    // two groups a byte, the even one in the low nibble
  };

  static Affine affine(const Block& block, int group) {
    const float scale = 0.5f + static_cast<float>((block.scales[group / 2] >> (4 * (group % 2))) & 15);
    return {to_float(block.d) * scale * 0.25f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    for (int part = 0; part < 4; ++part) {
      const unsigned point = block.points[4 * run + part];
      put_signed<kBias>(kIq2XsGrid[point & 511], even_signs(point >> 9), out + 8 * part);
    }
  }
};
static_assert(sizeof(IQ2_XS::Block) == dtype_of(FormatId::IQ2_XS).block_bytes);
static_assert(BlockFormat<IQ2_XS>);

}  // namespace assay

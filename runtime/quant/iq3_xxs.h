// IQ3_XXS: 256 values in 8 groups of 32; grid points of magnitudes, signs, 4-bit scales. 3.0625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ3_XXS {
  static constexpr FormatId kId = FormatId::IQ3_XXS;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 64;
  static constexpr int kMaxLevel = 126;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t points[64];            // 4 values each: the grid index
    std::uint8_t signs_and_scales[32];  // per group a 32-bit word: four sets of 7 signs and the scale above
  };

  static std::uint32_t word(const Block& block, int group) {
    std::uint32_t word = 0;
    std::memcpy(&word, block.signs_and_scales + 4 * group, sizeof(word));
    return word;
  }

  static Affine affine(const Block& block, int group) {
    const float scale = 0.5f + static_cast<float>(word(block, group) >> 28);
    return {to_float(block.d) * scale * 0.5f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    const std::uint32_t all_signs = word(block, run);
    for (int part = 0; part < 4; ++part) {
      const unsigned signs = even_signs((all_signs >> (7 * part)) & 127);
      const std::uint8_t* points = block.points + 8 * run + 2 * part;
      put_signed<kBias>(kIq3XxsGrid[points[0]], signs, out + 8 * part);
      put_signed<kBias>(kIq3XxsGrid[points[1]], signs >> 4, out + 8 * part + 4);
    }
  }
};
static_assert(sizeof(IQ3_XXS::Block) == dtype_of(FormatId::IQ3_XXS).block_bytes);
static_assert(BlockFormat<IQ3_XXS>);

}  // namespace assay

// IQ2_XXS: 256 values in 8 groups of 32; grid points of magnitudes, signs, 4-bit scales. 2.0625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"
#include "runtime/quant/iq_grids.h"

namespace assay {

struct IQ2_XXS {
  static constexpr FormatId kId = FormatId::IQ2_XXS;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 64;
  static constexpr int kMaxLevel = 107;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint16_t
        runs[32];  // per group two 32-bit words: four grid indices of a byte; four sets of 7 signs and the scale above
  };

  static std::uint32_t word(const Block& block, int i) {
    return block.runs[2 * i] | static_cast<std::uint32_t>(block.runs[2 * i + 1]) << 16;
  }

  static Affine affine(const Block& block, int group) {
    const float scale = 0.5f + static_cast<float>(word(block, 2 * group + 1) >> 28);
    return {to_float(block.d) * scale * 0.25f, 0};
  }
  static void levels32(const Block& block, int run, std::uint8_t* out) {
    const std::uint32_t indices = word(block, 2 * run);
    const std::uint32_t signs = word(block, 2 * run + 1);
    for (int part = 0; part < 4; ++part)
      put_signed<kBias>(kIq2XxsGrid[(indices >> (8 * part)) & 255], even_signs((signs >> (7 * part)) & 127),
                        out + 8 * part);
  }
};
static_assert(sizeof(IQ2_XXS::Block) == dtype_of(FormatId::IQ2_XXS).block_bytes);
static_assert(BlockFormat<IQ2_XXS>);

}  // namespace assay

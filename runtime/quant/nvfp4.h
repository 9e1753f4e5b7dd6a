// NVFP4: 64 E2M1 floats in 4 groups of 16, each under an unsigned E4M3 scale (ggml's layout). 4.5 bits a weight.
#pragma once

#include "runtime/quant/mxfp4.h"

namespace assay {

struct NVFP4 {
  static constexpr FormatId kId = FormatId::NVFP4;
  static constexpr int kBlock = 64;
  static constexpr int kGroup = 16;
  static constexpr int kBias = MXFP4::kBias;
  static constexpr int kMaxLevel = MXFP4::kMaxLevel;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t scales[4];  // one per group; the sign bit is not used
    std::uint8_t codes[32];  // 16 values in 8 bytes: first 8 in the low nibbles, last 8 in the high ones
  };

  // Half the scale, as MXFP4's integers are twice the value. 0x7f reads as 0.
  static float half_scale(std::uint8_t code) {
    if (code == 0x7f) return 0;
    const std::uint32_t exponent = (code >> 3) & 15u;
    const std::uint32_t mantissa = code & 7u;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
    return std::bit_cast<float>(((exponent + 119) << 23) | (mantissa << 20));
  }

  static Affine affine(const Block& block, int group) { return {half_scale(block.scales[group]), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.codes[(i / 16) * 8 + i % 8];
    return static_cast<std::uint8_t>(MXFP4::kValues[i % 16 < 8 ? pair & 15 : pair >> 4] + kBias);
  }
};
static_assert(sizeof(NVFP4::Block) == dtype_of(FormatId::NVFP4).block_bytes);
static_assert(BlockFormat<NVFP4>);

}  // namespace assay

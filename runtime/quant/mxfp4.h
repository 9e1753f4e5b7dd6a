// MXFP4: 32 E2M1 floats under one power of two (OCP MX 1.0, as ggml lays it out). 4.25 bits a weight.
#pragma once

#include <bit>

#include "runtime/quant/format.h"

namespace assay {

struct MXFP4 {
  static constexpr FormatId kId = FormatId::MXFP4;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 12;
  static constexpr int kMaxLevel = 24;
  static constexpr bool kHasOffset = false;

  // Twice the E2M1 value of every code, so that they are integers; affine() halves the scale.
  static constexpr std::int8_t kValues[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  struct Block {
    std::uint8_t exponent;   // the scale is 2^(exponent - 127); every code is a number, 255 too
    std::uint8_t codes[16];  // first 16 values in the low nibbles, last 16 in the high ones
  };

  // 2^(exponent - 128), subnormal for the two smallest.
  static float half_scale(std::uint8_t exponent) {
    return std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent
                                             : static_cast<std::uint32_t>(exponent - 1) << 23);
  }

  static Affine affine(const Block& block, int) { return {half_scale(block.exponent), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.codes[i % 16];
    return static_cast<std::uint8_t>(kValues[i < 16 ? pair & 15 : pair >> 4] + kBias);
  }
};
static_assert(sizeof(MXFP4::Block) == dtype_of(FormatId::MXFP4).block_bytes);
static_assert(BlockFormat<MXFP4>);

}  // namespace assay

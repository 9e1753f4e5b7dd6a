// IQ4_XS: 256 values in 8 groups of 32; IQ4_NL's codes, 6-bit scales under an F16 one. 4.25 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/iq4_nl.h"

namespace assay {

struct IQ4_XS {
  static constexpr FormatId kId = FormatId::IQ4_XS;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 32;
  static constexpr int kBias = IQ4_NL::kBias;
  static constexpr int kMaxLevel = IQ4_NL::kMaxLevel;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;                      // scale of the scales
    std::uint16_t scales_high;   // two high bits of every scale, group 0 in the lowest
    std::uint8_t scales_low[4];  // four low bits, two groups a byte, the even one in the low nibble
    std::uint8_t codes[128];     // 32 values in 16 bytes: first 16 in the low nibbles, last 16 in the high ones
  };

  static Affine affine(const Block& block, int group) {
    const int low = (block.scales_low[group / 2] >> (4 * (group % 2))) & 15;
    const int high = (block.scales_high >> (2 * group)) & 3;
    return {to_float(block.d) * static_cast<float>((low | (high << 4)) - 32), 0};
  }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.codes[(i / 32) * 16 + i % 16];
    return static_cast<std::uint8_t>(IQ4_NL::kValues[i % 32 < 16 ? pair & 15 : pair >> 4] + kBias);
  }
};
static_assert(sizeof(IQ4_XS::Block) == dtype_of(FormatId::IQ4_XS).block_bytes);
static_assert(BlockFormat<IQ4_XS>);

}  // namespace assay

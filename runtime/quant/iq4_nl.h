// IQ4_NL: 32 values under one F16 scale; 4-bit codes into a table of 16 uneven levels. 4.5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct IQ4_NL {
  static constexpr FormatId kId = FormatId::IQ4_NL;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 128;
  static constexpr int kMaxLevel = 241;
  static constexpr bool kHasOffset = false;

  // The 16 levels around 0, a fact of the format (ggml, kvalues_iq4nl).
  static constexpr std::int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

  struct Block {
    Half d;
    std::uint8_t codes[16];  // first 16 values in the low nibbles, last 16 in the high ones
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t pair = block.codes[i % 16];
    return static_cast<std::uint8_t>(kValues[i < 16 ? pair & 15 : pair >> 4] + kBias);
  }
};
static_assert(sizeof(IQ4_NL::Block) == dtype_of(FormatId::IQ4_NL).block_bytes);
static_assert(BlockFormat<IQ4_NL>);

}  // namespace assay

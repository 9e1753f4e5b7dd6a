// Q8_0: 32 signed 8-bit values under one F16 scale. 8.5 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q8_0 {
  static constexpr FormatId kId = FormatId::Q8_0;
  static constexpr int kBlock = 32;
  static constexpr int kGroup = 32;
  static constexpr int kBias = 128;
  static constexpr int kMaxLevel = 255;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::int8_t values[32];
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  static std::uint8_t level(const Block& block, int i) { return static_cast<std::uint8_t>(block.values[i] + 128); }
};
static_assert(sizeof(Q8_0::Block) == dtype_of(FormatId::Q8_0).block_bytes);
static_assert(BlockFormat<Q8_0>);

}  // namespace assay

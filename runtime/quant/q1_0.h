// Q1_0: 128 signs under one F16 scale; each value is +d or -d. 1.125 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q1_0 {
  static constexpr FormatId kId = FormatId::Q1_0;
  static constexpr int kBlock = 128;
  static constexpr int kGroup = 128;
  static constexpr int kBias = 1;
  static constexpr int kMaxLevel = 2;
  static constexpr bool kHasOffset = false;

  struct Block {
    Half d;
    std::uint8_t signs[16];  // bit i, counted through the bytes: 1 for +d
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  static std::uint8_t level(const Block& block, int i) {
    return static_cast<std::uint8_t>(((block.signs[i / 8] >> (i % 8)) & 1) * 2);
  }
};
static_assert(sizeof(Q1_0::Block) == dtype_of(FormatId::Q1_0).block_bytes);
static_assert(BlockFormat<Q1_0>);

}  // namespace assay

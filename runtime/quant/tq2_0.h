// TQ2_0: 256 values of -1, 0, 1 under one F16 scale, two bits each. 2.0625 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct TQ2_0 {
  static constexpr FormatId kId = FormatId::TQ2_0;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 256;
  static constexpr int kBias = 1;
  static constexpr int kMaxLevel = 3;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t levels[64];  // 128 values in 32 bytes: each run of 32 takes the next two bits of all of them
    Half d;
  };

  static Affine affine(const Block& block, int) { return {to_float(block.d), 0}; }
  // Encoders write 0, 1 and 2; a 3 reads as +2.
  static std::uint8_t level(const Block& block, int i) {
    const std::uint8_t four = block.levels[(i / 128) * 32 + i % 32];
    return static_cast<std::uint8_t>((four >> (2 * (i / 32 % 4))) & 3);
  }
};
static_assert(sizeof(TQ2_0::Block) == dtype_of(FormatId::TQ2_0).block_bytes);
static_assert(BlockFormat<TQ2_0>);

}  // namespace assay

// Q3_K: 256 values in 16 groups of 16; 3-bit levels around 4, 6-bit scales around 32. 3.4375 bits a weight.
#pragma once

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

struct Q3_K {
  static constexpr FormatId kId = FormatId::Q3_K;
  static constexpr int kBlock = 256;
  static constexpr int kGroup = 16;
  static constexpr int kBias = 4;
  static constexpr int kMaxLevel = 7;
  static constexpr bool kHasOffset = false;

  struct Block {
    std::uint8_t high[32];    // the third bit: bit r of byte j belongs to value 32 * r + j
    std::uint8_t low[64];     // 128 values in 32 bytes: each run of 32 takes the next two bits of all of them
    std::uint8_t scales[12];  // see sixbit()
    Half d;                   // scale of the scales
  };

  // The 6-bit scale of a group: four low bits in a nibble of bytes 0-7 (groups 0-7 low, 8-15 high nibbles), two high
  // bits in bytes 8-11, where four groups in a row take the same two bits of the four bytes.
  static constexpr int sixbit(const std::uint8_t* scales, int group) {
    const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    const int high = (scales[8 + group % 4] >> (2 * (group / 4))) & 3;
    return low | (high << 4);
  }

  static Affine affine(const Block& block, int group) {
    return {to_float(block.d) * static_cast<float>(sixbit(block.scales, group) - 32), 0};
  }
  static std::uint8_t level(const Block& block, int i) {
    const int low = (block.low[(i / 128) * 32 + i % 32] >> (2 * (i / 32 % 4))) & 3;
    const int high = (block.high[i % 32] >> (i / 32)) & 1;
    return static_cast<std::uint8_t>(low | (high << 2));
  }
};
static_assert(sizeof(Q3_K::Block) == dtype_of(FormatId::Q3_K).block_bytes);
static_assert(BlockFormat<Q3_K>);

}  // namespace assay

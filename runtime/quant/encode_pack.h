// Levels into the bits of a block: the inverse of each format's level().
#pragma once

#include <cstdint>
#include <cstring>

#include "runtime/quant/iq4_nl.h"
#include "runtime/quant/iq4_xs.h"
#include "runtime/quant/q2_k.h"
#include "runtime/quant/q3_k.h"
#include "runtime/quant/q4_0.h"
#include "runtime/quant/q4_1.h"
#include "runtime/quant/q4_k.h"
#include "runtime/quant/q5_0.h"
#include "runtime/quant/q5_1.h"
#include "runtime/quant/q5_k.h"
#include "runtime/quant/q6_k.h"
#include "runtime/quant/q8_0.h"

namespace assay::encode {

inline std::uint8_t byte_of(int bits) { return static_cast<std::uint8_t>(bits); }

// 32 values in 16 bytes: first half in the low nibbles, second half in the high ones.
inline void put_nibbles32(std::uint8_t* out, const std::uint8_t* levels) {
  for (int j = 0; j < 16; ++j) out[j] = byte_of((levels[j] & 15) | ((levels[j + 16] & 15) << 4));
}
// Runs of 64 values in 32 bytes, as Q4_K and Q5_K have them.
inline void put_nibbles64(std::uint8_t* out, const std::uint8_t* levels, int count) {
  for (int i = 0; i < count; i += 64)
    for (int j = 0; j < 32; ++j) out[i / 2 + j] = byte_of((levels[i + j] & 15) | ((levels[i + 32 + j] & 15) << 4));
}
// Two bits (from bit `shift` of the level) of 128 values in 32 bytes, four runs of 32.
inline void put_pairs128(std::uint8_t* out, const std::uint8_t* levels, int shift) {
  for (int half = 0; half < 2; ++half)
    for (int j = 0; j < 32; ++j) {
      int bits = 0;
      for (int run = 0; run < 4; ++run) bits |= ((levels[128 * half + 32 * run + j] >> shift) & 3) << (2 * run);
      out[32 * half + j] = byte_of(bits);
    }
}
// Bit `shift` of 256 values: bit r of byte j belongs to value 32 * r + j.
inline void put_bits256(std::uint8_t* out, const std::uint8_t* levels, int shift) {
  for (int j = 0; j < 32; ++j) {
    int bits = 0;
    for (int run = 0; run < 8; ++run) bits |= ((levels[32 * run + j] >> shift) & 1) << run;
    out[j] = byte_of(bits);
  }
}
// The fifth bit of 32 values, in order.
inline void put_bits32(std::uint8_t* out, const std::uint8_t* levels) {
  std::memset(out, 0, 4);
  for (int i = 0; i < 32; ++i) out[i / 8] = byte_of(out[i / 8] | (((levels[i] >> 4) & 1) << (i % 8)));
}

inline void put_levels(Q4_0::Block& block, const std::uint8_t* levels) { put_nibbles32(block.levels, levels); }
inline void put_levels(Q4_1::Block& block, const std::uint8_t* levels) { put_nibbles32(block.levels, levels); }
inline void put_levels(Q5_0::Block& block, const std::uint8_t* levels) {
  put_nibbles32(block.low, levels);
  put_bits32(block.high, levels);
}
inline void put_levels(Q5_1::Block& block, const std::uint8_t* levels) {
  put_nibbles32(block.low, levels);
  put_bits32(block.high, levels);
}
inline void put_levels(Q8_0::Block& block, const std::uint8_t* levels) {  // 0..254 for -127..127
  for (int i = 0; i < 32; ++i) block.values[i] = static_cast<std::int8_t>(levels[i] - 127);
}
inline void put_levels(IQ4_NL::Block& block, const std::uint8_t* codes) { put_nibbles32(block.codes, codes); }
inline void put_levels(IQ4_XS::Block& block, const std::uint8_t* codes) {
  for (int g = 0; g < 8; ++g) put_nibbles32(block.codes + 16 * g, codes + 32 * g);
}
inline void put_levels(Q2_K::Block& block, const std::uint8_t* levels) { put_pairs128(block.levels, levels, 0); }
inline void put_levels(Q3_K::Block& block, const std::uint8_t* levels) {
  put_pairs128(block.low, levels, 0);
  put_bits256(block.high, levels, 2);
}
inline void put_levels(Q4_K::Block& block, const std::uint8_t* levels) { put_nibbles64(block.levels, levels, 256); }
inline void put_levels(Q5_K::Block& block, const std::uint8_t* levels) {
  put_nibbles64(block.low, levels, 256);
  put_bits256(block.high, levels, 4);
}
inline void put_levels(Q6_K::Block& block, const std::uint8_t* levels) {
  for (int half = 0; half < 2; ++half)
    for (int j = 0; j < 64; ++j)
      block.low[64 * half + j] = byte_of((levels[128 * half + j] & 15) | ((levels[128 * half + 64 + j] & 15) << 4));
  put_pairs128(block.high, levels, 4);
}

// Group scales 0..63 and minimums 0..63 of Q4_K and Q5_K, see Q4_K::sixbit().
inline void put_sixbit(std::uint8_t* out, const int* scales, const int* mins) {
  for (int g = 0; g < 4; ++g) {
    out[g] = byte_of(scales[g] | ((scales[g + 4] >> 4) << 6));
    out[g + 4] = byte_of(mins[g] | ((mins[g + 4] >> 4) << 6));
    out[g + 8] = byte_of((scales[g + 4] & 15) | ((mins[g + 4] & 15) << 4));
  }
}
inline void put_scales(Q4_K::Block& block, const int* scales, const int* mins) { put_sixbit(block.scales, scales, mins); }
inline void put_scales(Q5_K::Block& block, const int* scales, const int* mins) { put_sixbit(block.scales, scales, mins); }
inline void put_scales(Q2_K::Block& block, const int* scales, const int* mins) {
  for (int g = 0; g < 16; ++g) block.scales[g] = byte_of(scales[g] | (mins[g] << 4));
}
// Signed group scales: -32..31 for Q3_K and IQ4_XS, -128..127 for Q6_K.
inline void put_scales(IQ4_XS::Block& block, const int* scales) {
  std::memset(block.scales_low, 0, sizeof block.scales_low);
  block.scales_high = 0;
  for (int g = 0; g < 8; ++g) {
    const int code = scales[g] + 32;
    block.scales_low[g / 2] = byte_of(block.scales_low[g / 2] | ((code & 15) << (4 * (g % 2))));
    block.scales_high = static_cast<std::uint16_t>(block.scales_high | ((code >> 4) << (2 * g)));
  }
}
inline void put_scales(Q3_K::Block& block, const int* scales) {
  std::memset(block.scales, 0, sizeof block.scales);
  for (int g = 0; g < 16; ++g) {
    const int code = scales[g] + 32;
    const int at = g % 8;
    block.scales[at] = byte_of(block.scales[at] | ((code & 15) << (g < 8 ? 0 : 4)));
    block.scales[8 + g % 4] = byte_of(block.scales[8 + g % 4] | ((code >> 4) << (2 * (g / 4))));
  }
}
inline void put_scales(Q6_K::Block& block, const int* scales) {
  for (int g = 0; g < 16; ++g) block.scales[g] = static_cast<std::int8_t>(scales[g]);
}

}  // namespace assay::encode

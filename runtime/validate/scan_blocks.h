// Blocks of quantised formats: where each keeps its scales, and whether its levels are stuck at the ends of their
// range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "runtime/quant/all.h"
#include "runtime/validate/scan.h"

namespace assay::validation {

// The largest and the sum of F16 magnitudes, the number of those with fewer than 5 bits.
struct HalfTotals {
  std::uint32_t largest = 0;
  std::uint64_t sum = 0, nonzero = 0, faint = 0;
  void take(Half half) {
    const std::uint32_t bits = half.bits & 0x7fffu;
    largest = bits > largest ? bits : largest;
    sum += bits;
    nonzero += bits != 0;
    faint += bits - 1u < 15u;
  }
};
inline constexpr std::uint32_t kHalfInfinity = 0x7c00;
// Above 1 no scale of an ordinary model lies: from here on its place is kept.
inline constexpr std::uint32_t kNotableScale = 0x3c00;

// The F16 scales of a block; f(Half) for each, the main one first.
template <BlockFormat F, class Function>
void for_each_half(const typename F::Block& block, Function f) {
  using B = typename F::Block;
  if constexpr (requires { F::super_scale(block); }) {
    f(F::super_scale(block));
  } else {
    if constexpr (requires(B b) { b.d; }) f(block.d);
    if constexpr (requires(B b) { b.dmin; }) f(block.dmin);
    if constexpr (requires(B b) { b.min; }) f(block.min);
  }
}
template <BlockFormat F>
inline constexpr bool kHasExponent = requires(typename F::Block b) {
  b.exponent;
};  // MXFP4
template <BlockFormat F>
inline constexpr bool kHasByteScales = std::is_same_v<F, NVFP4>;  // E4M3 scales
// Formats whose levels come from a quantiser that clips: with 2 bits and less, blocks of extremes are ordinary.
template <BlockFormat F>
inline constexpr bool kCanSaturate = F::kMaxLevel >= 7 && requires(const typename F::Block& b) {
  F::level(b, 0);
}
&&!kHasExponent<F> && !kHasByteScales<F>;

template <BlockFormat F>
bool is_extreme(std::uint8_t level) {
  // Eight-bit quantisers use -127 to 127 of -128 to 127.
  return level == 0 || level == F::kMaxLevel || (F::kMaxLevel == 255 && level == 1);
}

// Ends at the first level inside the range: the second or third of an ordinary block.
template <BlockFormat F>
bool is_saturated(const typename F::Block& block) {
  for (int i = 0; i < F::kBlock; ++i)
    if (!is_extreme<F>(F::level(block, i))) return false;
  // A block of one level only is constant, not clipped.
  for (int i = 1; i < F::kBlock; ++i)
    if (F::level(block, i) != F::level(block, 0)) return true;
  return false;
}

// Cheap and never wrong when it says no: whether a row that begins with `block` may be one value throughout.
template <BlockFormat F>
bool may_be_constant(const typename F::Block& block) {
  bool is_scaled = true;
  for_each_half<F>(block, [&, first = true](Half half) mutable {
    if (first && (half.bits & 0x7fffu) == 0) is_scaled = false;
    first = false;
  });
  if constexpr (kHasByteScales<F>) is_scaled = (block.scales[0] & 0x7f) != 0 && block.scales[0] != 0x7f;
  if (!is_scaled) return true;
  if constexpr (requires { F::level(block, 0); }) {
    // Groups may differ in their scales: only levels of one group need be alike.
    return F::level(block, 0) == F::level(block, 1) && F::level(block, 0) == F::level(block, F::kGroup - 1) &&
           F::level(block, 2) == F::level(block, 3);
  } else {
    std::uint8_t levels[32];
    F::levels32(block, 0, levels);
    return std::all_of(levels, levels + std::min(32, F::kGroup),
                       [&](std::uint8_t level) { return level == levels[0]; });
  }
}

template <BlockFormat F>
typename F::Block block_at(const std::byte* data) {
  typename F::Block block;
  std::memcpy(&block, data, sizeof block);
  return block;
}

// Counts and places what the totals of a piece showed to be there. Rare, so plain.
template <BlockFormat F>
void place_scales(const std::byte* data, std::uint64_t blocks, std::uint64_t at, Numbers& out) {
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const auto block = block_at<F>(data + i * sizeof(typename F::Block));
    for_each_half<F>(block, [&](Half half) {
      if ((half.bits & 0x7fffu) >= kHalfInfinity)
        out.bad_scales.add(at + i * sizeof block);
      else if ((half.bits & 0x7fffu) == out.largest_scale)
        out.largest_scale_at = at + i * sizeof block;
    });
  }
}

// What is summed over the blocks of a piece.
template <BlockFormat F>
struct BlockTotals {
  HalfTotals main, other;
  std::uint64_t bad_bytes = 0, saturated = 0, first_bad = 0, first_saturated = 0;

  void take(const typename F::Block& block, std::uint64_t i) {
    int order = 0;
    for_each_half<F>(block, [&](Half half) { order++ == 0 ? main.take(half) : other.take(half); });
    if constexpr (kHasExponent<F>)
      if (block.exponent == 0xff && bad_bytes++ == 0) first_bad = i;
    if constexpr (kHasByteScales<F>) {
      std::uint32_t four = 0;
      std::memcpy(&four, block.scales, sizeof four);
      // A byte of 0x7f below its sign, found by the carry it makes.
      if ((((four & 0x7f7f7f7fu) + 0x01010101u) & 0x80808080u) != 0 && bad_bytes++ == 0) first_bad = i;
    }
    if constexpr (kCanSaturate<F>)
      if (is_extreme<F>(F::level(block, 0)) && is_extreme<F>(F::level(block, 1)) && is_saturated<F>(block) &&
          saturated++ == 0)
        first_saturated = i;
  }
};

template <BlockFormat F>
void scan_blocks(const std::byte* data, std::uint64_t blocks, std::uint64_t at, Numbers& out) {
  using Block = typename F::Block;
  BlockTotals<F> totals;
  // In place where the address allows it: copying a block would read all of it.
  if (reinterpret_cast<std::uintptr_t>(data) % alignof(Block) == 0)
    for (std::uint64_t i = 0; i < blocks; ++i)
      totals.take(*reinterpret_cast<const Block*>(data + i * sizeof(Block)), i);
  else
    for (std::uint64_t i = 0; i < blocks; ++i) totals.take(block_at<F>(data + i * sizeof(Block)), i);

  if (totals.bad_bytes > 0)
    (kHasExponent<F> ? out.bad_exponents : out.bad_scales).add(at + totals.first_bad * sizeof(Block), totals.bad_bytes);
  if (totals.saturated > 0) out.saturated_blocks.add(at + totals.first_saturated * sizeof(Block), totals.saturated);
  out.faint_scales.add(at, totals.main.faint);
  out.scales += totals.main.nonzero;
  out.scale_bits += totals.main.sum;
  const std::uint32_t largest = std::max(totals.main.largest, totals.other.largest);
  out.largest_scale = static_cast<std::uint16_t>(std::min(totals.main.largest, kHalfInfinity - 1));
  if (largest >= kHalfInfinity || totals.main.largest > kNotableScale) place_scales<F>(data, blocks, at, out);
}

}  // namespace assay::validation

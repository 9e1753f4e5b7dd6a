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

  // Plain loops over 16-bit numbers that compilers turn into vector instructions; up to 256 at a time.
  void take(const std::uint16_t* bits, std::size_t count) {
    std::int16_t most = 0;
    std::uint32_t total = 0;
    std::uint16_t some = 0, few = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto magnitude = static_cast<std::int16_t>(bits[i] & 0x7fff);
      most = magnitude > most ? magnitude : most;
      total += static_cast<std::uint16_t>(magnitude);
      some = static_cast<std::uint16_t>(some + (magnitude != 0));
      few = static_cast<std::uint16_t>(few + (magnitude != 0 && magnitude < 16));
    }
    largest = std::max(largest, static_cast<std::uint32_t>(most));
    sum += total;
    nonzero += some;
    faint += few;
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

// Four bytes of a block's codes, and whether they may all be codes of extreme levels: bits of one code are then alike.
template <BlockFormat F>
std::uint32_t code_word(const typename F::Block& block) {
  std::uint32_t word = 0;
  if constexpr (std::is_same_v<F, Q8_0>)
    std::memcpy(&word, block.values, sizeof word);
  else if constexpr (requires { block.low; })
    std::memcpy(&word, block.low, sizeof word);
  else if constexpr (requires { block.codes; })
    std::memcpy(&word, block.codes, sizeof word);
  else
    std::memcpy(&word, block.levels, sizeof word);
  return word;
}
template <BlockFormat F>
bool may_be_extreme(std::uint32_t word) {
  if constexpr (std::is_same_v<F, Q8_0>) {
    // 127, -127 and -128 have six bits that differ from their sign.
    const std::uint32_t signs = (word >> 7) & 0x01010101u;
    return (~(word ^ ((signs << 8) - signs)) & 0x7e7e7e7eu) == 0;
  } else {
    constexpr std::uint32_t kInside = std::is_same_v<F, Q3_K> ? 0x55555555u : 0x77777777u;  // codes of 2 or of 4 bits
    return ((word ^ (word >> 1)) & kInside) == 0;
  }
}

// What is summed over the blocks of a piece, a batch at a time: first what blocks hold is put side by side, then looked
// at.
template <BlockFormat F>
struct BlockTotals {
  static constexpr std::size_t kBatch = 128;
  HalfTotals main, other;
  std::uint64_t bad_bytes = 0, saturated = 0, first_bad = 0, first_saturated = 0;

  // `block_of(i)` gives block i; `first` is the number of the batch's first.
  template <class BlockOf>
  void take(std::uint64_t first, std::size_t count, BlockOf block_of) {
    std::uint16_t mains[kBatch], others[kBatch];
    std::uint32_t words[kBatch];
    for (std::size_t i = 0; i < count; ++i) {
      const typename F::Block& block = block_of(first + i);
      mains[i] = others[i] = 0;
      for_each_half<F>(block, [&, order = 0](Half half) mutable { (order++ == 0 ? mains : others)[i] = half.bits; });
      if constexpr (kCanSaturate<F>) words[i] = code_word<F>(block);
      if constexpr (kHasExponent<F>) words[i] = block.exponent;
      if constexpr (kHasByteScales<F>) std::memcpy(&words[i], block.scales, sizeof words[i]);
    }
    main.take(mains, count);
    other.take(others, count);
    if constexpr (kHasExponent<F>) count_bad(first, words, count, [](std::uint32_t word) { return word == 0xff; });
    // A byte of 0x7f below its sign, found by the carry it makes.
    if constexpr (kHasByteScales<F>)
      count_bad(first, words, count,
                [](std::uint32_t word) { return (((word & 0x7f7f7f7fu) + 0x01010101u) & 0x80808080u) != 0; });
    if constexpr (kCanSaturate<F>) count_saturated(first, words, count, block_of);
  }

 private:
  template <class IsBad>
  void count_bad(std::uint64_t first, const std::uint32_t* words, std::size_t count, IsBad is_bad) {
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < count; ++i) bad += is_bad(words[i]);
    if (bad == 0) return;
    if (bad_bytes == 0)
      first_bad = first + static_cast<std::uint64_t>(std::find_if(words, words + count, is_bad) - words);
    bad_bytes += bad;
  }
  template <class BlockOf>
  void count_saturated(std::uint64_t first, const std::uint32_t* words, std::size_t count, BlockOf block_of) {
    std::uint32_t suspects = 0;
    for (std::size_t i = 0; i < count; ++i) suspects += may_be_extreme<F>(words[i]);
    if (suspects == 0) return;
    for (std::size_t i = 0; i < count; ++i)
      if (may_be_extreme<F>(words[i]) && is_saturated<F>(block_of(first + i)) && saturated++ == 0)
        first_saturated = first + i;
  }
};

template <BlockFormat F>
void scan_blocks(const std::byte* data, std::uint64_t blocks, std::uint64_t at, Numbers& out) {
  using Block = typename F::Block;
  BlockTotals<F> totals;
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(data) % alignof(Block) == 0;
  // In place where the address allows it: copying a block would read all of it.
  const auto in_place = [&](std::uint64_t i) -> const Block& {
    // Of large blocks only a line or two is read: the processor does not see the pattern, so it is told.
    if constexpr (sizeof(Block) >= kLine) __builtin_prefetch(data + i * sizeof(Block) + kAhead);
    return *reinterpret_cast<const Block*>(data + i * sizeof(Block));
  };
  Block copy;
  const auto copied = [&](std::uint64_t i) -> const Block& { return copy = block_at<F>(data + i * sizeof(Block)); };
  for (std::uint64_t i = 0; i < blocks; i += totals.kBatch) {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(totals.kBatch, blocks - i));
    is_aligned ? totals.take(i, count, in_place) : totals.take(i, count, copied);
  }

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

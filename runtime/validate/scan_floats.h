// Float arrays: the largest bit pattern of a run tells in one pass whether anything in it is NaN, infinite or huge.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "runtime/validate/scan.h"

namespace assay::validation {

// Bits without sign compare like magnitudes; from kInfinity on they are infinite or NaN, above kHuge they do not fit
// F16.
template <class Bits, Bits Infinity, Bits Huge>
struct FloatBits {
  using Word = Bits;
  static constexpr Bits kMagnitude = static_cast<Bits>(~(Bits{1} << (8 * sizeof(Bits) - 1)));
  static constexpr Bits kInfinity = Infinity, kHuge = Huge;
};
using F16Bits = FloatBits<std::uint16_t, 0x7c00, 0x7bff>;
using BF16Bits = FloatBits<std::uint16_t, 0x7f80, 0x477f>;
using F32Bits = FloatBits<std::uint32_t, 0x7f800000u, 0x477fe000u>;
using F64Bits = FloatBits<std::uint64_t, 0x7ff0000000000000u, 0x40effc0000000000u>;

// Plain loops that compilers turn into vector instructions: signed maxima, because magnitudes have no sign bit. A line of
// memory at a time.
template <class F>
typename F::Word largest_magnitude(const std::byte* data, std::uint64_t count) {
  using Signed = std::make_signed_t<typename F::Word>;
  constexpr std::uint64_t kLanes = kLine / sizeof(Signed);
  const auto magnitude = [&](std::uint64_t i) {
    return static_cast<Signed>(load<typename F::Word>(data + i * sizeof(Signed)) & F::kMagnitude);
  };
  Signed tops[kLanes] = {};
  std::uint64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    __builtin_prefetch(data + i * sizeof(Signed) + kAhead);
    for (std::uint64_t j = 0; j < kLanes; ++j) tops[j] = std::max(tops[j], magnitude(i + j));
  }
  Signed most = *std::max_element(tops, tops + kLanes);
  for (; i < count; ++i) most = std::max(most, magnitude(i));
  return static_cast<typename F::Word>(most);
}

// Counts what largest_magnitude() saw. Rare, so plain. `at`: where `data` lies in its stream.
template <class F>
void count_wrong(const std::byte* data, std::uint64_t count, std::uint64_t at, Tally& bad, Tally& huge) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto magnitude =
        static_cast<typename F::Word>(load<typename F::Word>(data + i * sizeof(typename F::Word)) & F::kMagnitude);
    if (magnitude >= F::kInfinity)
      bad.add(at + i * sizeof(typename F::Word));
    else if (magnitude > F::kHuge)
      huge.add(at + i * sizeof(typename F::Word));
  }
}

// Whether `count` elements of `size` bytes are all the same bits.
inline bool is_repeated(const std::byte* data, std::uint64_t count, std::uint64_t size) {
  return count < 2 || std::memcmp(data, data + size, (count - 1) * size) == 0;
}

template <class F>
typename F::Word scan_floats(const std::byte* data, std::uint64_t count, std::uint64_t at, Tally& bad, Tally& huge) {
  const auto most = largest_magnitude<F>(data, count);
  if (most > F::kHuge) count_wrong<F>(data, count, at, bad, huge);
  return most;
}

}  // namespace assay::validation

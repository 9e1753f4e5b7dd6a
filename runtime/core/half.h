// 16-bit floats in plain C++: IEEE binary16 (F16) and bfloat16 to and from float, round to nearest even.
#pragma once

#include <bit>
#include <cstdint>

namespace assay {

struct Half {
  std::uint16_t bits = 0;
};
struct BFloat16 {
  std::uint16_t bits = 0;
};

constexpr float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Without branches, so that loops over it vectorise.
constexpr float to_float(Half value) {
  constexpr std::uint32_t kRebias = 112u << 23;  // 127 - 15
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t shifted = static_cast<std::uint32_t>(value.bits & 0x7fffu) << 13;
  const std::uint32_t exponent = shifted & 0x0f800000u;
  // Infinity and NaN rebias twice. Subnormals: the float adder normalises mantissa * 2^-24.
  const std::uint32_t usual = shifted + kRebias + static_cast<std::uint32_t>(exponent == 0x0f800000u) * kRebias;
  const float small = std::bit_cast<float>(shifted + kRebias + (1u << 23)) - std::bit_cast<float>(kRebias + (1u << 23));
  const std::uint32_t is_small = 0u - static_cast<std::uint32_t>(exponent == 0);
  return std::bit_cast<float>(sign | (std::bit_cast<std::uint32_t>(small) & is_small) | (usual & ~is_small));
}

constexpr BFloat16 to_bfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};  // quiet NaN
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

constexpr Half to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint16_t sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {
    // Below the smallest normal: adding 0.5 aligns the mantissa so that the float adder does the rounding.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

}  // namespace assay

// 8-bit floats: E4M3 and E5M2 weights (scaled per matrix or per tile of it, or not at all) and the E8M0 scale.
#pragma once

#include <array>
#include <bit>

#include "runtime/core/half.h"
#include "runtime/quant/format.h"

namespace assay {

// The OCP 8-bit formats (OFP8 1.0, MX 1.0). E4M3 is the "fn" form: no infinities, 0x7f and 0xff are NaN, 448 is the
// largest.
constexpr float e4m3_to_float(std::uint8_t code) {
  const std::uint32_t sign = static_cast<std::uint32_t>(code & 0x80u) << 24;
  const std::uint32_t exponent = (code >> 3) & 15u;
  const std::uint32_t mantissa = code & 7u;
  if (exponent == 15 && mantissa == 7) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

// E5M2 is the upper byte of an F16.
constexpr float e5m2_to_float(std::uint8_t code) {
  return to_float(Half{static_cast<std::uint16_t>(code << 8)});
}

// E8M0 is an exponent alone: 2^(code - 127); 255 is NaN, 0 a float subnormal.
constexpr float e8m0_to_float(std::uint8_t code) {
  if (code == 255) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(code == 0 ? 0x00400000u : static_cast<std::uint32_t>(code) << 23);
}

template <auto Decode>
constexpr std::array<float, 256> make_code_table() {
  std::array<float, 256> table{};
  for (int code = 0; code < 256; ++code)
    table[static_cast<std::size_t>(code)] = Decode(static_cast<std::uint8_t>(code));
  return table;
}

struct F8_E4M3 {
  static constexpr FormatId kId = FormatId::F8_E4M3;
  static constexpr std::array<float, 256> kValues = make_code_table<e4m3_to_float>();
  static float code_value(const std::byte* row, std::uint64_t i) {
    return kValues[std::to_integer<std::uint8_t>(row[i])];
  }
};

struct F8_E5M2 {
  static constexpr FormatId kId = FormatId::F8_E5M2;
  static constexpr std::array<float, 256> kValues = make_code_table<e5m2_to_float>();
  static float code_value(const std::byte* row, std::uint64_t i) {
    return kValues[std::to_integer<std::uint8_t>(row[i])];
  }
};
static_assert(SideFormat<F8_E4M3> && SideFormat<F8_E5M2>);
static_assert(dtype_of(FormatId::F8_E4M3).block_bytes == 1 && dtype_of(FormatId::F8_E5M2).block_bytes == 1);

}  // namespace assay

// MLX affine: unsigned levels of 2, 3, 4, 5, 6 or 8 bits; a scale and a bias per group lie in tensors of their own.
#pragma once

#include "runtime/quant/format.h"

namespace assay {

// value = level * scale + bias. Whatever the width, a row is one little-endian bit stream: level i lies at bits
// [i * kBits, (i + 1) * kBits), so that 8 levels take kBits bytes and 32 levels kBits 32-bit words.
template <FormatId Id, int Bits>
struct MlxAffine {
  static constexpr FormatId kId = Id;
  static constexpr int kBits = Bits;
  static constexpr int kMaxLevel = (1 << Bits) - 1;

  // The level of element i of a row. Reads no byte beyond that element's last.
  static std::uint8_t level(const std::byte* row, std::uint64_t i) {
    const std::byte* first = row + i * kBits / 8;
    const int shift = static_cast<int>(i * kBits % 8);
    unsigned bits = std::to_integer<unsigned>(first[0]) >> shift;
    if (shift + kBits > 8) bits |= std::to_integer<unsigned>(first[1]) << (8 - shift);
    return static_cast<std::uint8_t>(bits & kMaxLevel);
  }
  // The eight levels of the kBits bytes at `octet`.
  static void levels8(const std::byte* octet, std::uint8_t* out) {
    std::uint64_t bits = 0;
    for (int i = 0; i < kBits; ++i) bits |= std::to_integer<std::uint64_t>(octet[i]) << (8 * i);
    for (int i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>((bits >> (i * kBits)) & kMaxLevel);
  }
  static float code_value(const std::byte* row, std::uint64_t i) { return static_cast<float>(level(row, i)); }

  static_assert(dtype_of(Id).block_values == 32 && dtype_of(Id).block_bytes == 4 * Bits);
};

struct MLX_Q2 : MlxAffine<FormatId::MLX_Q2, 2> {};
struct MLX_Q3 : MlxAffine<FormatId::MLX_Q3, 3> {};
struct MLX_Q4 : MlxAffine<FormatId::MLX_Q4, 4> {};
struct MLX_Q5 : MlxAffine<FormatId::MLX_Q5, 5> {};
struct MLX_Q6 : MlxAffine<FormatId::MLX_Q6, 6> {};
struct MLX_Q8 : MlxAffine<FormatId::MLX_Q8, 8> {};

// The formats whose levels are unsigned integers, which integer kernels can use.
template <class F>
concept MlxFormat = SideFormat<F> && requires(const std::byte* row, std::uint64_t i, std::uint8_t* out) {
  { F::kBits } -> std::convertible_to<int>;
  { F::level(row, i) } -> std::same_as<std::uint8_t>;
  F::levels8(row, out);
};
static_assert(MlxFormat<MLX_Q2> && MlxFormat<MLX_Q3> && MlxFormat<MLX_Q4> && MlxFormat<MLX_Q5> && MlxFormat<MLX_Q6> &&
              MlxFormat<MLX_Q8>);

}  // namespace assay

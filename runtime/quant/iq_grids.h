// What the IQ1, IQ2 and IQ3 formats share: grids of points that stand for 8 or 4 values at once, and packed signs.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace assay {

template <std::size_t Points>
using Grid8 = std::array<std::array<std::uint8_t, 8>, Points>;
template <std::size_t Points>
using Grid4 = std::array<std::array<std::uint8_t, 4>, Points>;

extern const Grid8<2048> kIq1Grid;    // values + 1: 0, 1, 2
extern const Grid8<256> kIq2XxsGrid;  // magnitudes, as in the grids below
extern const Grid8<512> kIq2XsGrid;
extern const Grid8<1024> kIq2SGrid;
extern const Grid4<256> kIq3XxsGrid;
extern const Grid4<512> kIq3SGrid;

inline constexpr std::array<std::uint8_t, 3> kIq2Magnitudes = {8, 25, 43};
inline constexpr std::array<std::uint8_t, 8> kIq3XxsMagnitudes = {4, 12, 20, 28, 36, 44, 52, 62};
// The points of two grids in 16 bits: which magnitude each of 8 values has in 2 bits, or each of 4 values in 4 bits, the first value lowest.
extern const std::array<std::uint16_t, 256> kIq2XxsCodes;
extern const std::array<std::uint16_t, 256> kIq3XxsCodes;

// Eight signs from seven: the number of negative values is even, so that the last sign follows from the others.
constexpr unsigned even_signs(unsigned seven) {
  return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

// Levels bias + magnitude, or bias - magnitude where the value's bit of `signs` is set.
template <int Bias, std::size_t Size>
void put_signed(const std::array<std::uint8_t, Size>& magnitudes, unsigned signs, std::uint8_t* out) {
  for (std::size_t i = 0; i < Size; ++i)
    out[i] = static_cast<std::uint8_t>((signs >> i) & 1 ? Bias - magnitudes[i] : Bias + magnitudes[i]);
}

}  // namespace assay

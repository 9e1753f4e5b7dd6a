// NF4 and FP4: 4-bit codes into a table of 16 values in -1..1, scaled by the largest magnitude of every run of values.
#pragma once

#include <array>

#include "runtime/quant/format.h"

namespace assay {

// Two codes a byte, the even element in the HIGH nibble (bitsandbytes).
template <class F>
struct FourBitCodes {
  static int code(const std::byte* row, std::uint64_t i) {
    const int pair = std::to_integer<int>(row[i / 2]);
    return i % 2 == 0 ? pair >> 4 : pair & 15;
  }
  static float code_value(const std::byte* row, std::uint64_t i) {
    return F::kValues[static_cast<std::size_t>(code(row, i))];
  }
};

// NormalFloat (Dettmers et al. 2023, "QLoRA", appendix E): quantiles of a normal distribution in -1..1, 0 among them.
struct NF4 : FourBitCodes<NF4> {
  static constexpr FormatId kId = FormatId::NF4;
  static constexpr std::array<float, 16> kValues = {
      -1.0f,         -0.696192801f, -0.525073051f, -0.394917488f, -0.284441382f, -0.18477343f, -0.0910500363f, 0.0f,
      0.0795802996f, 0.160930201f,  0.246112302f,  0.337915242f,  0.440709829f,  0.562617004f, 0.722956836f,   1.0f};
};

// bitsandbytes' FP4: a sign and the magnitudes 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 in code order.
struct FP4 : FourBitCodes<FP4> {
  static constexpr FormatId kId = FormatId::FP4;
  static constexpr std::array<float, 16> kValues = {0.0f,      1.0f / 192, 2.0f / 3,  1.0f,        1.0f / 3,  0.5f,
                                                    1.0f / 6,  0.25f,      -0.0f,     -1.0f / 192, -2.0f / 3, -1.0f,
                                                    -1.0f / 3, -0.5f,      -1.0f / 6, -0.25f};
};
static_assert(SideFormat<NF4> && SideFormat<FP4>);
static_assert(dtype_of(FormatId::NF4).block_values == 2 && dtype_of(FormatId::NF4).block_bytes == 1);
static_assert(dtype_of(FormatId::FP4).block_values == 2 && dtype_of(FormatId::FP4).block_bytes == 1);

}  // namespace assay

// How each format's scale fields are set, and how large: measured by decoding blocks with a scale of one.
#include "runtime/engine/synth_fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/quant/all.h"

namespace assay {
namespace {

constexpr std::size_t kScales = 16;      // different scales in use, chosen by four random bits
constexpr std::size_t kElements = 4096;  // different values of a plain element, by twelve
constexpr std::size_t kMeasured = 1024;  // blocks decoded to measure a format's spread: 1 % at 32 values a block

void fill_bits(std::span<std::byte> out, RandomBits& bits) {
  std::byte* at = out.data();
  std::size_t left = out.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = bits.next();
    std::memcpy(at, &word, 8);
  }
  if (left == 0) return;
  const std::uint64_t word = bits.next();
  std::memcpy(at, &word, left);
}

// The scales a block may take. `second` is what the format keeps beside the scale: a minimum's scale or an offset.
struct ScaleTable {
  std::array<Half, kScales> scale{}, second{};
  std::array<std::uint8_t, kScales> code{};  // for formats whose scale is a byte
};

// Relative sizes from 0.75 to 1.25 with a mean square of one.
std::array<double, kScales> scale_spread() {
  std::array<double, kScales> out{};
  double squares = 0;
  for (std::size_t i = 0; i < kScales; ++i) {
    out[i] = 0.75 + 0.5 * static_cast<double>(i) / (kScales - 1);
    squares += out[i] * out[i];
  }
  for (double& value : out) value /= std::sqrt(squares / kScales);
  return out;
}

// What the offset field must be, in units of the scale field, for levels that are all equally likely to have mean zero.
template <class F>
constexpr double kCentre = F::kMaxLevel / 2.0;

// 6-bit scales and minimums of Q4_K and Q5_K: minimum = scale in every group, the highest bit set so that none is tiny.
void set_equal_sixbits(std::uint8_t* scales, std::uint64_t bits) {
  const std::uint32_t first = static_cast<std::uint32_t>(bits) | 0xa0a0a0a0u;
  const std::uint32_t nibbles = static_cast<std::uint32_t>(bits >> 32) & 0x0f0f0f0fu;
  const std::uint32_t last = nibbles | nibbles << 4;
  std::memcpy(scales, &first, 4);
  std::memcpy(scales + 4, &first, 4);
  std::memcpy(scales + 8, &last, 4);
}

// Sets the scale fields of a block of random bytes. `bits` are fresh random bits; the lowest four choose from the
// table.
template <class F>
void set_scales(typename F::Block& block, const ScaleTable& table, std::uint64_t bits) {
  const std::size_t chosen = bits % kScales;
  if constexpr (requires { block.d; }) block.d = table.scale[chosen];
  if constexpr (requires { block.dmin; }) block.dmin = table.second[chosen];
  if constexpr (requires { block.min; }) block.min = table.second[chosen];
  if constexpr (std::is_same_v<F, Q4_K> || std::is_same_v<F, Q5_K>) {
    set_equal_sixbits(block.scales, std::rotr(bits, 4));
  } else if constexpr (std::is_same_v<F, Q2_K>) {
    for (std::uint8_t& pair : block.scales) pair = static_cast<std::uint8_t>((pair & 15) * 0x11);
  } else if constexpr (std::is_same_v<F, Q8_0>) {
    for (std::int8_t& value : block.values) value = std::max<std::int8_t>(value, -127);  // as encoders do
  } else if constexpr (std::is_same_v<F, TQ2_0>) {
    for (std::uint8_t& four : block.levels)
      four = static_cast<std::uint8_t>(four & ~((four << 1) & four & 0xaa));  // no level 3
  } else if constexpr (std::is_same_v<F, MXFP4>) {
    block.exponent = table.code[chosen];
  } else if constexpr (std::is_same_v<F, NVFP4>) {
    for (std::size_t group = 0; group < 4; ++group) block.scales[group] = table.code[(bits >> (4 * group)) % kScales];
  } else if constexpr (std::is_same_v<F, IQ1_M>) {
    for (int word = 0; word < 4; ++word) {
      std::uint8_t& top = block.scales[2 * word + 1];
      top = static_cast<std::uint8_t>((top & 15) | ((table.scale[chosen].bits >> (4 * word)) & 15) << 4);
    }
  }
}

template <class F>
void fill_blocks(std::span<std::byte> out, const ScaleTable& table, RandomBits& bits) {
  fill_bits(out, bits);
  for (std::size_t at = 0; at + sizeof(typename F::Block) <= out.size(); at += sizeof(typename F::Block)) {
    typename F::Block block;
    std::memcpy(&block, out.data() + at, sizeof block);
    set_scales<F>(block, table, bits.next());
    std::memcpy(out.data() + at, &block, sizeof block);
  }
}

template <class F>
ScaleTable unit_table() {
  ScaleTable table;
  table.scale.fill(to_half(1.0f));
  // Q4_1 and Q5_1 add their offset, the K formats subtract a minimum.
  constexpr bool is_added = requires(typename F::Block block) {
    block.min;
  };
  table.second.fill(to_half(static_cast<float>(is_added ? -kCentre<F> : kCentre<F>)));
  table.code.fill(std::is_same_v<F, MXFP4> ? 127 : 0x38);  // 1.0 as E8M0 and as E4M3
  return table;
}

// Root mean square of the values of blocks with unit scale.
template <class F>
double unit_deviation() {
  std::vector<typename F::Block> blocks(kMeasured);
  RandomBits bits(1);
  fill_blocks<F>(std::as_writable_bytes(std::span(blocks)), unit_table<F>(), bits);
  double squares = 0;
  std::array<std::uint8_t, F::kBlock> levels;
  for (const typename F::Block& block : blocks) {
    levels_of<F>(block, levels.data());
    for (int i = 0; i < F::kBlock; ++i) {
      const Affine affine = F::affine(block, i / F::kGroup);
      const double value =
          affine.scale * static_cast<double>(levels[static_cast<std::size_t>(i)] - F::kBias) + affine.offset;
      squares += value * value;
    }
  }
  return std::sqrt(squares / (kMeasured * F::kBlock));
}

// Codes around `wanted` mixed so that their mean square is wanted^2. `value` grows with the code.
template <class Value>
std::array<std::uint8_t, kScales> codes_near(double wanted, int last, Value value) {
  int below = 0;
  while (below + 1 < last && value(below + 1) <= wanted) ++below;
  const double low = value(below), high = value(below + 1);
  const double part = std::clamp((wanted * wanted - low * low) / (high * high - low * low), 0.0, 1.0);
  std::array<std::uint8_t, kScales> out;
  for (std::size_t i = 0; i < kScales; ++i)
    out[i] = static_cast<std::uint8_t>(below + ((static_cast<double>(i) + 0.5) / kScales < part ? 1 : 0));
  return out;
}

// Formats whose levels lie unevenly around zero; their encoders give scales of either sign, and so the mean comes to
// zero.
template <class F>
inline constexpr bool kHasSignedScale = std::is_same_v<F, Q4_0> || std::is_same_v<F, Q5_0> || std::is_same_v<F, IQ4_NL>;

template <class F>
ScaleTable scaled_table(double deviation) {
  const double wanted = deviation / unit_deviation<F>();
  ScaleTable table;
  const auto spread = scale_spread();
  const ScaleTable unit = unit_table<F>();
  for (std::size_t i = 0; i < kScales; ++i) {
    const double sign = kHasSignedScale<F> && i % 2 == 1 ? -1 : 1;
    table.scale[i] = to_half(static_cast<float>(sign * wanted * spread[i]));
    table.second[i] = to_half(to_float(table.scale[i]) * to_float(unit.second[i]));
  }
  if constexpr (std::is_same_v<F, MXFP4>)
    table.code = codes_near(wanted, 254, [](int code) {
      return 2.0 * static_cast<double>(MXFP4::half_scale(static_cast<std::uint8_t>(code)));
    });
  if constexpr (std::is_same_v<F, NVFP4>)
    table.code = codes_near(wanted, 0x7e, [](int code) {
      return 2.0 * static_cast<double>(NVFP4::half_scale(static_cast<std::uint8_t>(code)));
    });
  return table;
}

// The quantile of the standard normal distribution, by bisection.
double normal_quantile(double part) {
  double low = -8, high = 8;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < part ? low : high) = middle;
  }
  return low;
}

template <class Element>
Fill table_fill(std::vector<Element> table) {
  return [table = std::move(table)](std::span<std::byte> out, RandomBits& bits) {
    const std::uint64_t mask = table.size() - 1;
    std::byte* at = out.data();
    const std::size_t count = out.size() / sizeof(Element);
    for (std::size_t i = 0; i < count; i += 4) {
      std::uint64_t word = bits.next();
      const std::size_t run = std::min<std::size_t>(4, count - i);
      for (std::size_t j = 0; j < run; ++j, word >>= 16, at += sizeof(Element))
        std::memcpy(at, &table[word & mask], sizeof(Element));
    }
  };
}

template <class Element, class Convert>
Fill normal_fill(double mean, double deviation, Convert convert) {
  std::vector<double> values(kElements);
  double squares = 0;
  for (std::size_t i = 0; i < kElements; ++i) {
    values[i] = normal_quantile((static_cast<double>(i) + 0.5) / kElements);
    squares += values[i] * values[i];
  }
  const double scale = deviation / std::sqrt(squares / kElements);
  std::vector<Element> table;
  for (double value : values) table.push_back(convert(mean + value * scale));
  return table_fill(std::move(table));
}

// The code whose value is nearest.
template <class F>
std::uint8_t nearest_code(double value) {
  std::size_t best = 0;
  for (std::size_t code = 0; code < 256; ++code)
    if (std::abs(F::kValues[code] - value) < std::abs(F::kValues[best] - value)) best = code;
  return static_cast<std::uint8_t>(best);
}

Error no_fill(FormatId format) {
  return Error{Code::unsupported, std::string(name_of(format)),
               "cannot be filled with random weights; choose another format"};
}

double mean_square_level(int bits) {
  const double levels = std::exp2(bits);
  return (levels * levels - 1) / 12;  // variance of equally likely whole numbers
}

}  // namespace

Result<Fill> make_element_fill(FormatId format, double mean, double deviation) {
  switch (format) {
    case FormatId::F32:
      return normal_fill<float>(mean, deviation, [](double x) { return static_cast<float>(x); });
    case FormatId::F16:
      return normal_fill<Half>(mean, deviation, [](double x) { return to_half(static_cast<float>(x)); });
    case FormatId::BF16:
      return normal_fill<BFloat16>(mean, deviation, [](double x) { return to_bfloat16(static_cast<float>(x)); });
    case FormatId::F64:
      return normal_fill<double>(mean, deviation, [](double x) { return x; });
    case FormatId::F8_E4M3:
      return normal_fill<std::uint8_t>(mean, deviation, nearest_code<F8_E4M3>);
    case FormatId::F8_E5M2:
      return normal_fill<std::uint8_t>(mean, deviation, nearest_code<F8_E5M2>);
    default:
      return no_fill(format);
  }
}

Result<Fill> make_weight_fill(FormatId format, double deviation) {
  if (!dtype_of(format).is_weight) return no_fill(format);
  return visit(format, [&]<class F>(std::type_identity<F>) -> Result<Fill> {
    if constexpr (BlockFormat<F>) {
      return Fill([table = scaled_table<F>(deviation)](std::span<std::byte> out, RandomBits& bits) {
        fill_blocks<F>(out, table, bits);
      });
    } else {
      return make_element_fill(F::kId, 0, deviation);
    }
  });
}

Result<MlxFills> make_mlx_fills(FormatId format, FormatId scale_format, double deviation) {
  const std::uint32_t bits = dtype_of(format).block_bytes / 4;
  if (format_from_name(fmt::format("MLX_Q{}", bits)) != format) return no_fill(format);
  const double scale = deviation / std::sqrt(mean_square_level(static_cast<int>(bits)));
  const double centre = -(std::exp2(bits) - 1) / 2;
  std::vector<float> scales, biases;
  for (double spread : scale_spread()) {
    scales.push_back(static_cast<float>(scale * spread));
    biases.push_back(static_cast<float>(scale * spread * centre));
  }
  const auto table = [&](const std::vector<float>& values) -> Result<Fill> {
    if (scale_format == FormatId::F32) return table_fill(values);
    std::vector<Half> halves;
    std::vector<BFloat16> brains;
    for (float value : values) halves.push_back(to_half(value)), brains.push_back(to_bfloat16(value));
    if (scale_format == FormatId::F16) return table_fill(std::move(halves));
    if (scale_format == FormatId::BF16) return table_fill(std::move(brains));
    return no_fill(scale_format);
  };
  ASSAY_TRY(Fill scale_fill, table(scales));
  ASSAY_TRY(Fill bias_fill, table(biases));
  return MlxFills{fill_bits, std::move(scale_fill), std::move(bias_fill)};
}

}  // namespace assay

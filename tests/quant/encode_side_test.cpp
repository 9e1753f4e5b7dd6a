// Encoders whose scales lie beside the codes: MLX affine, FP8, NF4 and FP4.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::fixture;
using test::read_values;

std::vector<float> decoded(const SideEncodeOptions& options, const SideEncoded& encoded, std::uint64_t rows,
                           std::uint64_t cols) {
  TensorView view;
  view.format = options.format;
  view.shape = {rows, cols};
  view.data = encoded.data;
  view.side = {.format = options.scale_format,
               .scales = encoded.scales,
               .biases = encoded.biases,
               .group = options.group,
               .group_rows = options.group_rows};
  EXPECT_TRUE(check_dequantizable(view)) << check_dequantizable(view).error().message();
  std::vector<float> out(rows * cols);
  for (std::uint64_t row = 0; row < rows; ++row) dequantize_row(view, row, std::span(out).subspan(row * cols, cols));
  return out;
}

double rms(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

struct MlxCase {
  const char* name;
  FormatId format;
  std::uint32_t group;
  FormatId scales;
};
const MlxCase kMlxCases[] = {
    {"b2_g64_bf16", FormatId::MLX_Q2, 64, FormatId::BF16},   {"b3_g64_bf16", FormatId::MLX_Q3, 64, FormatId::BF16},
    {"b4_g32_bf16", FormatId::MLX_Q4, 32, FormatId::BF16},   {"b4_g64_bf16", FormatId::MLX_Q4, 64, FormatId::BF16},
    {"b4_g128_bf16", FormatId::MLX_Q4, 128, FormatId::BF16}, {"b4_g64_f16", FormatId::MLX_Q4, 64, FormatId::F16},
    {"b5_g64_bf16", FormatId::MLX_Q5, 64, FormatId::BF16},   {"b6_g64_bf16", FormatId::MLX_Q6, 64, FormatId::BF16},
    {"b8_g32_bf16", FormatId::MLX_Q8, 32, FormatId::BF16},   {"b8_g64_bf16", FormatId::MLX_Q8, 64, FormatId::BF16},
    {"b8_g128_bf16", FormatId::MLX_Q8, 128, FormatId::BF16}, {"b8_g64_f32", FormatId::MLX_Q8, 64, FormatId::F32},
};

// Bound: the project's 1 % on every row, against the files MLX's own rule wrote.
TEST(EncodeMlx, IsWithinOnePercentOfTheReferenceOnEveryRow) {
  const auto input = read_values<float>(fixture("quant/mlx_affine/input.f32.bin"));
  for (const MlxCase& c : kMlxCases) {
    const auto reference = read_values<float>(fixture("quant/mlx_affine/" + std::string(c.name) + ".deq.f32.bin"));
    const SideEncodeOptions options{.format = c.format, .scale_format = c.scales, .group = c.group};
    const auto encoded = encode_matrix(options, input, 16, 1024);
    ASSERT_TRUE(encoded) << c.name << ": " << encoded.error().message();
    const auto out = decoded(options, *encoded, 16, 1024);
    for (std::size_t row = 0; row < 16; ++row) {
      const auto in = std::span(input).subspan(row * 1024, 1024);
      EXPECT_LE(rms(std::span(out).subspan(row * 1024, 1024), in),
                1.01 * rms(std::span(reference).subspan(row * 1024, 1024), in))
          << c.name << " row " << row;
    }
  }
}

TEST(EncodeMlx, RefusesGroupsThatDoNotFit) {
  const std::vector<float> values(96, 1.0f);
  EXPECT_FALSE(encode_matrix({.format = FormatId::MLX_Q4, .group = 64}, values, 1, 96));
  EXPECT_FALSE(encode_matrix({.format = FormatId::MLX_Q4, .group = 48}, values, 1, 96));
  EXPECT_TRUE(encode_matrix({.format = FormatId::MLX_Q4, .group = 32}, values, 1, 96));
}

TEST(EncodeSide, NamesRowAndColumnOfValuesThatAreNotFinite) {
  std::vector<float> values(4 * 64, 1.0f);
  values[2 * 64 + 17] = std::numeric_limits<float>::infinity();
  for (const FormatId format : {FormatId::MLX_Q4, FormatId::F8_E4M3, FormatId::NF4}) {
    const auto result = encode_matrix({.format = format, .group = 64}, values, 4, 64);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message().find("row 2, column 17"), std::string::npos) << result.error().message();
  }
}

TEST(EncodeSide, RefusesScalesThatOverflow) {
  const std::vector<float> values(64, 3e38f);
  for (const FormatId format : {FormatId::MLX_Q4, FormatId::F8_E4M3, FormatId::NF4}) {
    const auto result = encode_matrix({.format = format, .scale_format = FormatId::F16, .group = 64}, values, 1, 64);
    ASSERT_FALSE(result) << name_of(format);
    EXPECT_EQ(result.error().code, Code::range);
  }
}

TEST(EncodeF8, GivesEveryCodeBackForItsValue) {
  const struct {
    FormatId format;
    const std::array<float, 256>& values;
    float largest;
  } cases[] = {{FormatId::F8_E4M3, F8_E4M3::kValues, 448.0f}, {FormatId::F8_E5M2, F8_E5M2::kValues, 57344.0f}};
  for (const auto& c : cases) {
    std::vector<float> values;
    std::vector<std::uint8_t> codes;
    for (int code = 0; code < 256; ++code) {
      const float value = c.values[static_cast<std::size_t>(code)];
      if (!std::isfinite(value)) continue;
      values.push_back(value);
      codes.push_back(static_cast<std::uint8_t>(code));
    }
    const auto encoded = encode_matrix({.format = c.format, .scale_format = FormatId::F32, .group = 0, .scale = 1.0f},
                                       values, 1, values.size());
    ASSERT_TRUE(encoded);
    EXPECT_EQ(std::memcmp(encoded->data.data(), codes.data(), codes.size()), 0) << name_of(c.format);
  }
}

TEST(EncodeF8, RoundsToTheNearestCodeAndSaturates) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-12.0f, 9.5f);
  std::vector<float> values(20000);
  for (float& value : values) value = std::exp2(exponent(random)) * (random() % 2 == 0 ? 1.0f : -1.0f);
  const auto encoded =
      encode_matrix({.format = FormatId::F8_E4M3, .scale_format = FormatId::F32, .group = 0, .scale = 1.0f}, values, 1,
                    values.size());
  ASSERT_TRUE(encoded);
  for (std::size_t i = 0; i < values.size(); ++i) {
    float nearest = INFINITY;
    for (const float candidate : F8_E4M3::kValues)
      if (std::isfinite(candidate)) nearest = std::min(nearest, std::fabs(candidate - values[i]));
    EXPECT_EQ(std::fabs(F8_E4M3::code_value(encoded->data.data(), i) - values[i]), nearest) << values[i];
  }
}

// E4M3 keeps 4 significant bits: a value is off by at most 1/16 of itself, or half a step of the smallest numbers.
TEST(EncodeF8, KeepsTilesOfOneScaleApart) {
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  const std::uint64_t rows = 200, cols = 300;
  std::vector<float> values(rows * cols);
  for (std::uint64_t i = 0; i < values.size(); ++i)
    values[i] = normal(random) * (i / cols < 128 ? 1e-4f : 1e3f) * (i % cols < 128 ? 1.0f : 50.0f);
  const SideEncodeOptions options{
      .format = FormatId::F8_E4M3, .scale_format = FormatId::F32, .group = 128, .group_rows = 128};
  const auto encoded = encode_matrix(options, values, rows, cols);
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->scales.size(), 4u * 2 * 3);
  const auto out = decoded(options, *encoded, rows, cols);
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    const std::uint64_t tile = i / cols / 128 * 3 + i % cols / 128;
    const float scale = load<float>(encoded->scales.data() + 4 * tile);
    EXPECT_LE(std::fabs(out[i] - values[i]), std::fabs(values[i]) / 16 * 1.0001f + scale * 0x1p-10f * 1.0001f);
  }
}

TEST(EncodeFourBit, IsNoWorseThanTheReferenceLayout) {
  const auto input = read_values<float>(fixture("quant/nf4/input.f32.bin"));
  const struct {
    const char* name;
    FormatId format;
    std::uint32_t group;
  } cases[] = {{"nf4_b64", FormatId::NF4, 64}, {"nf4_b128", FormatId::NF4, 128}, {"fp4_b64", FormatId::FP4, 64}};
  for (const auto& c : cases) {
    const auto reference = read_values<float>(fixture("quant/nf4/" + std::string(c.name) + ".deq.f32.bin"));
    const SideEncodeOptions options{.format = c.format, .scale_format = FormatId::F32, .group = c.group};
    const auto encoded = encode_matrix(options, input, 16, 1024);
    ASSERT_TRUE(encoded);
    const auto out = decoded(options, *encoded, 16, 1024);
    for (std::size_t row = 0; row < 16; ++row) {
      const auto in = std::span(input).subspan(row * 1024, 1024);
      EXPECT_LE(rms(std::span(out).subspan(row * 1024, 1024), in),
                1.01 * rms(std::span(reference).subspan(row * 1024, 1024), in))
          << c.name << " row " << row;
    }
  }
}

TEST(EncodeFourBit, TakesALastRunThatIsShort) {
  const std::vector<float> values = {1, -1, 0.5f, 0, 3, 3};
  const SideEncodeOptions options{.format = FormatId::NF4, .scale_format = FormatId::F32, .group = 4};
  const auto encoded = encode_matrix(options, values, 1, 6);
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->scales.size(), 2u * 4);
  EXPECT_EQ(encoded->data.size(), 3u);
}

}  // namespace
}  // namespace assay

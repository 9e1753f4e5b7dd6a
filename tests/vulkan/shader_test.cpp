// Shaders on weights against the scalar truth: every format, every op.
#include <cmath>

#include "tests/vulkan/support.h"

namespace assay {
using namespace test;
namespace {

vulkan::DeviceWeight load(const TensorView& view) {
  auto weight = vulkan::load_weight(gpu().memory, gpu().device, view);
  EXPECT_TRUE(weight) << weight.error().message();
  return *weight;
}

class Format : public ::testing::TestWithParam<FormatId> {};

TEST_P(Format, DequantisesAsTheScalarTruth) {
  constexpr std::uint32_t kRows = 33, kCols = 768;
  const Bits bits = random_bits(GetParam(), kRows, kCols, 1, 3e38f);
  const std::vector<float> truth = truth_of(bits.view);
  std::vector<std::uint32_t> ids(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) ids[i] = kRows - 1 - i;
  const vulkan::Buffer id_buffer = gpu().put(ids);
  const vulkan::Rows out = gpu().make_rows(kRows, kCols);
  gpu().run({gpu().ops.gather(load(bits.view), id_buffer.address, 1, kRows, out)});
  const std::vector<float> values = gpu().take_rows(out, kRows);
  double worst = 0;
  for (std::uint32_t row = 0; row < kRows; ++row)
    for (std::uint32_t col = 0; col < kCols; ++col) {
      const float expected = truth[ids[row] * kCols + col], found = values[row * kCols + col];
      const double ulps = ulps_between(expected, found);
      ASSERT_LE(ulps, 1.0) << "row " << ids[row] << ", column " << col << ": " << found << " for " << expected;
      worst = std::max(worst, ulps);
    }
  RecordProperty("gather", std::to_string(worst));
}

// Sums of products of floats in another order: 2^-24 of the sum of magnitudes for each of the few additions a value goes through.
double product_bound(std::span<const float> weights, std::span<const float> inputs) {
  double magnitudes = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) magnitudes += std::abs(static_cast<double>(weights[i]) * inputs[i]);
  return magnitudes * 2e-6 + 1e-6;
}

// Returns the largest difference as a share of its sum of magnitudes.
double expect_products(std::span<const float> truth, std::span<const float> inputs, std::span<const float> found, std::uint32_t rows, std::uint32_t cols) {
  double worst = 0;
  for (std::size_t token = 0; token < inputs.size() / cols; ++token)
    for (std::uint32_t row = 0; row < rows; ++row) {
      double expected = 0;
      for (std::uint32_t i = 0; i < cols; ++i) expected += static_cast<double>(truth[row * cols + i]) * inputs[token * cols + i];
      const double bound = product_bound(truth.subspan(row * cols, cols), inputs.subspan(token * cols, cols));
      EXPECT_NEAR(found[token * rows + row], expected, bound) << "token " << token << ", row " << row;
      worst = std::max(worst, std::abs(found[token * rows + row] - expected) / std::max(bound - 1e-6, 1e-30) * 2e-6);
    }
  return worst;
}

TEST_P(Format, MatVecGivesTheProducts) {
  constexpr std::uint32_t kRows = 37, kCols = 768;
  const Bits bits = random_bits(GetParam(), kRows, kCols, 2);
  const std::vector<float> truth = truth_of(bits.view);
  const vulkan::DeviceWeight weight = load(bits.view);
  double worst = 0;
  for (const std::uint32_t count : {1u, 8u}) {
    SCOPED_TRACE(count);
    const std::vector<float> inputs = random_floats(std::size_t{count} * kCols, 3);
    const vulkan::Rows from = gpu().put_rows(inputs, kCols), to = gpu().make_rows(count, kRows);
    gpu().run({gpu().ops.matvec(weight, from, count, to, false)});
    worst = std::max(worst, expect_products(truth, inputs, gpu().take_rows(to, count), kRows, kCols));
  }
  RecordProperty("matvec", std::to_string(worst * 1e6));
}

INSTANTIATE_TEST_SUITE_P(All, Format, ::testing::ValuesIn(kernel_formats()), [](const auto& param) { return test_name(param.param); });

}  // namespace
}  // namespace assay

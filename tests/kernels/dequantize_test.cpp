// Rows to float32: every instruction set and both kinds of stores against the scalar definition, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "runtime/core/aligned.h"
#include "runtime/kernels/cpu/dequantize_rows.h"
#include "tests/kernels/support.h"

namespace assay::test {
namespace {

class Dequantize : public ::testing::TestWithParam<std::tuple<const Kernels*, FormatId>> {
 protected:
  const Kernels& kernels() const { return *std::get<0>(GetParam()); }
  FormatId format() const { return std::get<1>(GetParam()); }
  const FormatKernels& kernel() const { return kernels().formats[static_cast<std::size_t>(format())]; }
  std::uint32_t block() const { return dtype_of(format()).block_values; }
};

TEST_P(Dequantize, StreamingStoresGiveTheSameBits) {
  const std::uint32_t cols = 1024 + (block() <= 64 ? 64 : 0);  // a ragged last chunk where the format can have one
  const Matrix matrix = random_matrix(format(), 3, cols, 11);
  AlignedBuffer<float> got(cols);
  std::vector<float> expected(cols);
  for (std::uint32_t row = 0; row < 3; ++row) {
    dequantize_row(matrix.view, row, expected);
    kernel().dequantize_streaming(weight_rows(matrix.view), row, got.data());
    ASSERT_EQ(std::memcmp(expected.data(), got.data(), cols * sizeof(float)), 0) << "row " << row;
  }
}

// Random bytes are valid in every block format: infinite, NaN and subnormal scales among them.
TEST_P(Dequantize, AnyBytesGiveTheDefinitionsValues) {
  const DtypeRow& dtype = dtype_of(format());
  const std::uint32_t cols = 2 * 256, rows = 64;
  std::mt19937 random(12);
  Matrix matrix = random_matrix(format(), rows, cols, 12);
  for (std::vector<std::byte>* bytes : {&matrix.data, &matrix.scales, &matrix.biases})
    for (std::byte& byte : *bytes) byte = static_cast<std::byte>(random());
  ASSERT_EQ(matrix.data.size(), rows * (cols / dtype.block_values) * std::size_t{dtype.block_bytes});
  std::vector<float> expected(cols), got(cols);
  for (std::uint32_t row = 0; row < rows; ++row) {
    dequantize_row(matrix.view, row, expected);
    kernel().dequantize(weight_rows(matrix.view), row, got.data());
    for (std::uint32_t i = 0; i < cols; ++i)
      ASSERT_TRUE(std::memcmp(&expected[i], &got[i], sizeof(float)) == 0 || (std::isnan(expected[i]) && std::isnan(got[i])))
          << "row " << row << " column " << i << ": " << got[i] << " for " << expected[i];
  }
}

std::vector<FormatId> formats_with_kernels() {
  std::vector<FormatId> formats;
  for (const DtypeRow& row : kDtypes)
    if (kernels_named("scalar")->formats[static_cast<std::size_t>(row.id)].dequantize != nullptr) formats.push_back(row.id);
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Isa, Dequantize, ::testing::Combine(::testing::ValuesIn(runnable_kernels()), ::testing::ValuesIn(formats_with_kernels())),
                         [](const auto& param) { return std::string(std::get<0>(param.param)->name) + "_" + std::string(name_of(std::get<1>(param.param))); });

void expect_rows(const TensorView& tensor, std::uint64_t first, std::uint64_t count, const float* got) {
  std::vector<float> expected(tensor.cols());
  for (std::uint64_t row = 0; row < count; ++row) {
    dequantize_row(tensor, first + row, expected);
    ASSERT_EQ(std::memcmp(expected.data(), got + row * tensor.cols(), expected.size() * sizeof(float)), 0) << "row " << first + row;
  }
}

// Above and below the size that is streamed, at aligned and odd places, with columns that no vector divides.
TEST(DequantizeRows, AreTheRowsAskedForWhateverTheirSizeAndPlace) {
  constexpr std::uint32_t kMany = kStreamedBytes / sizeof(float) / 512 + 3;
  const Matrix large = random_matrix(FormatId::Q8_0, kMany, 512, 13), ragged = random_matrix(FormatId::F16, kMany, 509, 14);
  for (const Matrix* matrix : {&large, &ragged}) {
    AlignedBuffer<float> out(std::size_t{kMany} * matrix->view.cols() + 1);
    for (const std::size_t shift : {0u, 1u}) {
      dequantize_rows(matrix->view, 0, kMany, out.data() + shift);
      expect_rows(matrix->view, 0, kMany, out.data() + shift);
      dequantize_rows(matrix->view, 5, 2, out.data() + shift);
      expect_rows(matrix->view, 5, 2, out.data() + shift);
    }
    out[0] = 7;
    dequantize_rows(matrix->view, kMany, 0, out.data());
    EXPECT_EQ(out[0], 7);
  }
}

TEST(DequantizeRows, FormatsWithoutAKernelAreReadByTheDefinition) {
  std::vector<std::byte> codes(3 * 5);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(17 * i);
  TensorView tensor;
  tensor.format = FormatId::F8_E4M3;
  tensor.shape = {3, 5};
  tensor.data = codes;
  std::vector<float> out(15);
  dequantize_rows(tensor, 0, 3, out.data());
  expect_rows(tensor, 0, 3, out.data());
}

}  // namespace
}  // namespace assay::test

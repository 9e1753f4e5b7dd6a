// Every product kernel of every instruction set against the formats' own scalar definition in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "runtime/core/aligned.h"
#include "tests/kernels/support.h"

namespace assay::test {
namespace {

struct Shape {
  std::uint32_t rows, cols, inputs;
};

class Products : public ::testing::TestWithParam<std::tuple<const Kernels*, FormatId>> {
 protected:
  const Kernels& kernels() const { return *std::get<0>(GetParam()); }
  FormatId format() const { return std::get<1>(GetParam()); }
  const FormatKernels& kernel() const { return kernels().formats[static_cast<std::size_t>(format())]; }
  std::uint32_t block() const { return dtype_of(format()).block_values; }

  // |error| of a sum of n products rounded to float is below a few n * 2^-24 * sum |w x|; integer sums are exact, so a small
  // multiple of 2^-24 over the chunks is generous enough and still catches any wrong bit.
  static constexpr double kRelative = 1e-5;

  // K-quants multiply their minimums with sums of inputs that were rounded to 16 bits: half a step each.
  double pair_rounding(const Matrix& matrix, std::uint32_t row, const PackedInputs& packed, std::size_t n) const {
    double bound = 0;
    if (!has_pairs(packed.packing)) return bound;
    for_each_format(BlockFormats{}, [&](auto type) {
      using F = typename decltype(type)::type;
      if (F::kId != format() || !F::kHasOffset || F::kBlock != 256) return;
      for (std::uint32_t chunk = 0; chunk < chunks_of(packed.cols); ++chunk) {
        const auto block = load<typename F::Block>(matrix.view.data.data() + row * matrix.view.row_bytes() + chunk * sizeof(typename F::Block));
        const double half_step = 0.51 * packed.panel<LevelPanel>(chunk, static_cast<std::uint32_t>(n / kPanel))->pair_scales[n % kPanel];
        for (int g = 0; g < F::kBlock / F::kGroup; ++g) bound += std::abs(F::affine(block, g).offset) * half_step;
      }
    });
    return bound;
  }

  // A row as its levels and what they are scaled by, where the mat-mul spreads them over eight bits: formats of AVX-512 VNNI; else empty.
  struct SpreadRow {
    int bias = 0, most = 0;
    bool has_offsets = false;
    std::vector<std::uint8_t> levels;
    std::vector<Affine> affines;  // of 16 values each
  };
  SpreadRow row_to_spread(const Matrix& matrix, std::uint32_t row) const {
    SpreadRow out;
    if (kernels().name != "avx512_vnni" && kernels().name != "avx512_bf16") return out;
    const std::size_t cols = matrix.view.cols();
    const std::byte* data = matrix.view.data.data() + row * matrix.view.row_bytes();
    const auto take = [&](int bias, int most, bool has_offsets) {
      out = {bias, most, has_offsets, std::vector<std::uint8_t>(chunks_of(static_cast<std::uint32_t>(cols)) * kChunk), {}};
      out.affines.resize(out.levels.size() / 16);
    };
    for_each_format(BlockFormats{}, [&](auto type) {
      using F = typename decltype(type)::type;
      if (F::kId != format() || !(F::kGroup < 32 || (F::kBlock == 256 && F::kHasOffset))) return;
      take(F::kBias, F::kMaxLevel, F::kHasOffset);
      for (std::size_t at = 0; at < cols; at += F::kBlock) {
        const auto block = load<typename F::Block>(data + at / F::kBlock * sizeof(typename F::Block));
        levels_of<F>(block, out.levels.data() + at);
        for (int i = 0; i < F::kBlock; i += 16) out.affines[(at + static_cast<std::size_t>(i)) / 16] = F::affine(block, i / F::kGroup);
      }
    });
    for_each_format(MlxFormats{}, [&](auto type) {
      using F = typename decltype(type)::type;
      if (F::kId != format() || F::kBits == 8) return;
      take(0, F::kMaxLevel, true);
      const SideScales& side = matrix.view.side;
      const auto number = [&](Bytes stream, std::size_t i) {
        if (side.format == FormatId::F32) return load<float>(stream.data() + 4 * i);
        const auto bits = load<std::uint16_t>(stream.data() + 2 * i);
        return side.format == FormatId::F16 ? to_float(Half{bits}) : to_float(BFloat16{bits});
      };
      for (std::size_t i = 0; i < cols; ++i) {
        const std::size_t group = (row * cols + i) / side.group;
        out.levels[i] = F::level(data, i);
        out.affines[i / 16] = {number(side.scales, group), number(side.biases, group)};
      }
    });
    return out;
  }

  // What weights become there: 64 or 256 of them share a scale, and levels are rounded from 256ths. Nothing is off by more than half a
  // level and what rounding the two numbers of a group makes of it; where there are no offsets the largest scale keeps its values.
  static void spread(const SpreadRow& row, std::vector<float>& weights) {
    const int reach = std::max(row.bias, row.most - row.bias), room = row.has_offsets ? 254 / row.most : std::min(128 / std::max(row.bias, 1), 127 / (row.most - row.bias));
    const float steps = row.has_offsets ? 127.0f : static_cast<float>(room);
    const std::size_t together = room >= 16 ? 16 : 4;
    for (std::size_t first = 0; first < row.affines.size(); first += together) {
      float top = 0;
      for (std::size_t g = first; g < first + together; ++g) {
        const Affine& affine = row.affines[g];
        if (row.has_offsets)
          top = std::max({top, std::abs(affine.offset), std::abs(std::fma(static_cast<float>(row.most), affine.scale, affine.offset))});
        else if (std::abs(affine.scale) > std::abs(top) || affine.scale == -top)
          top = std::abs(affine.scale) > std::abs(top) ? affine.scale : std::abs(top);
      }
      if (top == 0) continue;  // all values are 0
      const float inverse = 256 * steps / top;
      const double level_size = top / steps;
      for (std::size_t i = 16 * first; i < 16 * (first + together) && i < weights.size(); ++i) {
        const Affine& affine = row.affines[i / 16];
        const int least = row.has_offsets ? -0x10000 : -(32767 - 128) / std::max(row.bias, 1), nearest = static_cast<int>(std::nearbyint(affine.scale * inverse));
        const int factor = std::max(nearest, least), start = row.has_offsets ? static_cast<int>(std::nearbyint(affine.offset * inverse)) : -row.bias * factor;
        const int level = (row.levels[i] * factor + start + 128) >> 8;
        ASSERT_LE(std::abs(level), 128);
        const double weight = level * level_size;
        const double bound = !row.has_offsets && affine.scale == top ? 1e-3 : 0.5 + (reach + 1) / 512.0 + (factor - nearest) * reach / 256.0;
        EXPECT_LE(std::abs(weight - weights[i]), bound * std::abs(level_size)) << "value " << i;
        weights[i] = static_cast<float>(weight);
      }
    }
  }

  // `given`: what the kernel was really given for an input's value.
  template <class Given>
  void expect_products(const Matrix& matrix, std::uint32_t count, const std::vector<float>& out, const std::vector<float>& start, Given given,
                       const PackedInputs& packed = {}) {
    const std::uint32_t rows = static_cast<std::uint32_t>(matrix.view.rows()), cols = static_cast<std::uint32_t>(matrix.view.cols());
    std::vector<float> weights(cols);
    for (std::uint32_t row = 0; row < rows; ++row) {
      dequantize_row(matrix.view, row, weights);
      if (const SpreadRow spread_row = row_to_spread(matrix, row); packed.packing == Packing::levels64 && !spread_row.levels.empty()) spread(spread_row, weights);
      for (std::uint32_t n = 0; n < count; ++n) {
        double sum = start.empty() ? 0.0 : start[n * rows + row], magnitude = std::abs(sum);
        for (std::uint32_t i = 0; i < cols; ++i) {
          const double product = weights[i] * given(n, i);
          sum += product;
          magnitude += std::abs(product);
        }
        ASSERT_NEAR(out[n * rows + row], sum, kRelative * magnitude + pair_rounding(matrix, row, packed, n) + 1e-30) << "row " << row << " input " << n << " of " << rows << " x " << cols;
      }
    }
  }

  void run_matvec(const Shape& shape, std::size_t shift, bool add, SideChoice side = {}) {
    const Matrix matrix = random_matrix(format(), shape.rows, shape.cols, 1, shift, side);
    const RandomInputs inputs(kernels(), shape.inputs, shape.cols, 2, kernel().takes_whole_scales);
    const std::vector<float> start(std::size_t{shape.inputs} * shape.rows, add ? 0.25f : 0.0f);
    std::vector<float> out = start;
    // In two pieces, as threads do.
    const std::uint32_t middle = shape.rows / 2;
    kernel().matvec(weight_rows(matrix.view), inputs.inputs, 0, middle, {out.data(), shape.rows, add});
    kernel().matvec(weight_rows(matrix.view), inputs.inputs, middle, shape.rows, {out.data(), shape.rows, add});
    expect_products(matrix, shape.inputs, out, add ? start : std::vector<float>(), [&](std::size_t n, std::size_t i) { return inputs.given(kernel().takes_levels, n, i); });
  }

  void run_matmul(const Shape& shape, bool add, SideChoice side = {}) {
    const Matrix matrix = random_matrix(format(), shape.rows, shape.cols, 3, 0, side);
    expect_matmul(matrix, RandomInputs(kernels(), shape.inputs, shape.cols, 4).values, shape.inputs, add);
  }
  void expect_matmul(const Matrix& matrix, const std::vector<float>& values, std::uint32_t count, bool add) {
    const std::uint32_t rows = static_cast<std::uint32_t>(matrix.view.rows()), cols = static_cast<std::uint32_t>(matrix.view.cols());
    PackedInputs packed{kernel().packing, count, cols, nullptr};
    AlignedBuffer<std::byte> panels(packed.bytes());
    packed.panels = panels.data();
    for (std::uint32_t panel = 0; panel < panels_of(count); ++panel) kernels().pack(values.data(), packed, panel);
    AlignedBuffer<float> scratch(matmul_scratch_floats(count));
    const std::vector<float> start(std::size_t{count} * rows, add ? 0.25f : 0.0f);
    std::vector<float> out = start;
    for (std::uint32_t row = 0; row < rows; row += kTilesTogether * kTileRows)
      kernel().matmul(weight_rows(matrix.view), packed, row, std::min(rows, row + kTilesTogether * kTileRows), scratch.data(), {out.data(), rows, add});
    expect_products(matrix, count, out, add ? start : std::vector<float>(), [&](std::size_t n, std::size_t i) { return given(packed, n, i); }, packed);
  }

  // Whole chunks, one block, ragged ends.
  std::vector<std::uint32_t> column_counts() const {
    if (block() == 256) return {256, 1024};
    if (block() == 1) return {1, 16, 23, 64, 288};
    return {block(), 256, 256 + block(), 576 / block() * block()};
  }
};

class UnalignedProducts : public Products {};
class MlxProducts : public Products {};
class MatmulProducts : public Products {};

TEST_P(Products, MatvecEqualsTheScalarTruth) {
  for (const std::uint32_t cols : column_counts())
    for (const std::uint32_t inputs : {1u, 2u, 3u, 4u}) run_matvec({7, cols, inputs}, 0, inputs % 2 == 0);
  run_matvec({1, column_counts().back(), 1}, 0, false);
  for (const std::uint32_t chunks : {128u, 129u}) run_matvec({2, chunks * 256, 3}, 0, true);  // as many as kernels keep on their stack, and more
  // Several blocks of columns, the last one ragged, and groups of rows.
  for (const std::uint32_t inputs : {1u, 2u, 3u, 4u}) run_matvec({131, 17 * 256 + (block() == 1 ? 23u : 0u), inputs}, 0, inputs % 2 == 1);
}

// Sums of whole numbers must hold the largest there can be: all bits of the codes set, or only those of scales and minimums, and inputs
// that are all equal, or change their sign from one group to the next.
TEST_P(Products, HoldTheLargestSums) {
  if (block() == 1) return;  // floats
  const std::size_t bytes = dtype_of(format()).block_bytes;
  const std::uint16_t one = 0x3c00;
  std::vector<std::size_t> floats;  // where blocks have numbers of 16 bits
  for_each_format(BlockFormats{}, [&](auto type) {
    using F = typename decltype(type)::type;
    if (F::kId != format()) return;
    if constexpr (requires(typename F::Block block) { block.d; }) floats.push_back(offsetof(typename F::Block, d));
    if constexpr (requires(typename F::Block block) { block.dmin; }) floats.push_back(offsetof(typename F::Block, dmin));
  });
  int checked = 0;
  for (const int codes : {0xff, 0x7f, 0x80, 0x00, 0x5a, 0xa5}) {
    SCOPED_TRACE(testing::Message() << "codes " << codes);
    Matrix matrix = random_matrix(format(), 4, 512, 1);
    for (std::byte& byte : matrix.data) byte = static_cast<std::byte>(codes);
    if (format() == FormatId::Q6_K)  // levels of 0 and 63 with the largest scales of either sign
      for (std::size_t at = 0; at < matrix.data.size(); at += bytes)
        for (int g = 0; g < 16; ++g) matrix.data[at + offsetof(Q6_K::Block, scales) + static_cast<std::size_t>(g)] = static_cast<std::byte>(at / bytes < 4 ? 0x80 : 0x7f);  // of two rows each
    for (std::size_t at = 0; at < matrix.data.size(); at += bytes)
      for (const std::size_t place : floats) std::memcpy(matrix.data.data() + at + place, &one, 2);
    std::vector<float> weights(512);
    dequantize_row(matrix.view, 0, weights);
    if (!std::ranges::all_of(weights, [](float weight) { return std::isfinite(weight); })) continue;  // codes of a scale that is no number
    ++checked;
    RandomInputs inputs(kernels(), 4, 512, 2, kernel().takes_whole_scales);
    for (std::size_t i = 0; i < inputs.values.size(); ++i) inputs.values[i] = i < 512 || (i < 1536 && i / 32 % 2 == i / 1024) ? 1.0f : -1.0f;
    inputs.quantize(kernels());
    std::vector<float> out(16);
    kernel().matvec(weight_rows(matrix.view), inputs.inputs, 0, 4, {out.data(), 4, false});
    expect_products(matrix, 4, out, {}, [&](std::size_t n, std::size_t i) { return inputs.given(kernel().takes_levels, n, i); });
    if (kernel().matmul != nullptr) expect_matmul(matrix, inputs.values, 4, false);
  }
  EXPECT_GE(checked, 3);
}

// GGUF aligns its tensors; safetensors promise nothing.
TEST_P(UnalignedProducts, MatvecReadsOddAddresses) {
  run_matvec({5, column_counts().back(), 2}, 1, false);
  run_matvec({5, column_counts().back(), 1}, 3, false);
}

// Whole chunks and ragged ends of every number of scales.
TEST_P(MlxProducts, EveryGroupAndScaleFormatEqualsTheScalarTruth) {
  for (const std::uint32_t group : {32u, 64u, 128u})
    for (const FormatId scales : {FormatId::BF16, FormatId::F16, FormatId::F32})
      for (std::uint32_t cols = group; cols <= 512; cols += group) {
        SCOPED_TRACE(std::to_string(cols) + " columns in groups of " + std::to_string(group) + ", scales " + std::string(name_of(scales)));
        run_matvec({3, cols, 1}, cols % 3, false, {group, scales});
        if (kernel().matmul != nullptr) run_matmul({5, cols, 7}, false, {group, scales});
      }
}

TEST_P(MatmulProducts, MatmulEqualsTheScalarTruth) {
  for (const std::uint32_t cols : column_counts()) run_matmul({33, cols, 13}, true);
  for (const std::uint32_t inputs : {1u, 2u, 3u, 5u, 6u, 7u, 25u}) run_matmul({16, column_counts().back(), inputs}, false);
  run_matmul({1, column_counts().back(), 9}, false);
  run_matmul({130, column_counts().front(), 6}, false);
  run_matmul({71, column_counts().back(), 13}, true);
}

TEST_P(Products, DequantizeEqualsTheScalarTruthBitForBit) {
  for (const std::uint32_t cols : column_counts()) {
    const Matrix matrix = random_matrix(format(), 3, cols, 5);
    std::vector<float> expected(cols), got(cols);
    for (std::uint32_t row = 0; row < 3; ++row) {
      dequantize_row(matrix.view, row, expected);
      kernel().dequantize(weight_rows(matrix.view), row, got.data());
      ASSERT_EQ(std::memcmp(expected.data(), got.data(), cols * sizeof(float)), 0) << "row " << row << " of " << cols;
    }
  }
}

std::vector<FormatId> formats_with_kernels() {
  std::vector<FormatId> formats;
  const Kernels& scalar = *kernels_named("scalar");
  for (const DtypeRow& row : kDtypes)
    if (scalar.formats[static_cast<std::size_t>(row.id)].matvec != nullptr) formats.push_back(row.id);
  return formats;
}

std::vector<FormatId> mlx_formats() {
  std::vector<FormatId> formats;
  for_each_format(MlxFormats{}, [&](auto format) { formats.push_back(decltype(format)::type::kId); });
  return formats;
}
std::vector<FormatId> safetensors_formats() {
  std::vector<FormatId> formats = formats_with_kernels();
  std::erase_if(formats, [](FormatId id) { return dtype_of(id).ggml_id != kNoGgmlId && dtype_of(id).block_values > 1; });
  return formats;
}
std::vector<const Kernels*> kernels_with_matmul() {
  std::vector<const Kernels*> tables = runnable_kernels();
  std::erase_if(tables, [](const Kernels* kernels) { return kernels->formats[static_cast<std::size_t>(FormatId::Q8_0)].matmul == nullptr; });
  return tables;
}
constexpr auto kCaseName = [](const auto& param) {
  return std::string(std::get<0>(param.param)->name) + "_" + std::string(name_of(std::get<1>(param.param)));
};

INSTANTIATE_TEST_SUITE_P(Isa, Products, ::testing::Combine(::testing::ValuesIn(runnable_kernels()), ::testing::ValuesIn(formats_with_kernels())), kCaseName);
INSTANTIATE_TEST_SUITE_P(Isa, UnalignedProducts, ::testing::Combine(::testing::ValuesIn(runnable_kernels()), ::testing::ValuesIn(safetensors_formats())), kCaseName);
INSTANTIATE_TEST_SUITE_P(Isa, MlxProducts, ::testing::Combine(::testing::ValuesIn(runnable_kernels()), ::testing::ValuesIn(mlx_formats())), kCaseName);
INSTANTIATE_TEST_SUITE_P(Isa, MatmulProducts, ::testing::Combine(::testing::ValuesIn(kernels_with_matmul()), ::testing::ValuesIn(formats_with_kernels())), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MatmulProducts);  // a processor without a table that has mat-mul

TEST(KernelTables, CoverTheSameFormats) {
  for (const Kernels* kernels : all_kernels())
    for (std::size_t i = 0; i < kernels->formats.size(); ++i)
      EXPECT_EQ(kernels->formats[i].matvec != nullptr, all_kernels().back()->formats[i].matvec != nullptr) << kernels->name << " " << name_of(kDtypes[i].id);
}

TEST(KernelTables, EveryBlockFormatHasAKernel) {
  for_each_format(BlockFormats{}, [](auto format) {
    using F = typename decltype(format)::type;
    EXPECT_NE(best_kernels()->formats[static_cast<std::size_t>(F::kId)].matvec, nullptr) << name_of(F::kId);
  });
}

TEST(KernelTables, UnknownNamesFindNothing) {
  EXPECT_EQ(kernels_named("avx1024"), nullptr);
  EXPECT_EQ(kernels_named(""), nullptr);
  EXPECT_NE(best_kernels(), nullptr);
}

// Where blocks have a scale.
const std::pair<FormatId, std::size_t> kScalePlaces[] = {{FormatId::Q8_0, 0}, {FormatId::Q4_0, 0}, {FormatId::Q2_K, offsetof(Q2_K::Block, d)}, {FormatId::Q2_K, offsetof(Q2_K::Block, dmin)},
                                                          {FormatId::Q3_K, offsetof(Q3_K::Block, d)}, {FormatId::Q4_K, offsetof(Q4_K::Block, d)}, {FormatId::Q5_K, offsetof(Q5_K::Block, dmin)},
                                                          {FormatId::Q6_K, offsetof(Q6_K::Block, d)}};

// A NaN or infinite scale must reach the product and nothing else.
TEST(KernelTables, NaNScalesReachTheirRowOnly) {
  for (const Kernels* kernels : runnable_kernels())
    for (const auto& [format, place] : kScalePlaces)
      for (const std::uint16_t scale : {std::uint16_t{0x7e00}, std::uint16_t{0x7c00}}) {
        Matrix matrix = random_matrix(format, 3, 256, 6);
        std::memcpy(matrix.data.data() + matrix.view.row_bytes() + place, &scale, 2);
        const RandomInputs inputs(*kernels, 1, 256, 7);
        float out[3] = {};
        kernels->formats[static_cast<std::size_t>(format)].matvec(weight_rows(matrix.view), inputs.inputs, 0, 3, {out, 3, false});
        EXPECT_TRUE(std::isfinite(out[0]) && !std::isfinite(out[1]) && std::isfinite(out[2])) << kernels->name << " " << name_of(format);
      }
}

// The same of mat-muls, which bring scales together; the row below has none.
TEST(KernelTables, NaNScalesReachTheirRowOfAMatmulOnly) {
  for (const Kernels* kernels : runnable_kernels())
    for (const auto& [format, place] : kScalePlaces)
      for (const std::uint16_t scale : {std::uint16_t{0x7e00}, std::uint16_t{0x7c00}}) {
        const FormatKernels& kernel = kernels->formats[static_cast<std::size_t>(format)];
        if (kernel.matmul == nullptr) continue;
        Matrix matrix = random_matrix(format, 3, 256, 6);
        std::memcpy(matrix.data.data() + matrix.view.row_bytes() + place, &scale, 2);
        std::fill(matrix.data.begin() + static_cast<std::ptrdiff_t>(2 * matrix.view.row_bytes()), matrix.data.end(), std::byte{0});
        const RandomInputs inputs(*kernels, 9, 256, 7);
        PackedInputs packed{kernel.packing, 9, 256, nullptr};
        AlignedBuffer<std::byte> panels(packed.bytes());
        packed.panels = panels.data();
        for (std::uint32_t panel = 0; panel < panels_of(9); ++panel) kernels->pack(inputs.values.data(), packed, panel);
        AlignedBuffer<float> scratch(matmul_scratch_floats(9));
        std::vector<float> out(27);
        kernel.matmul(weight_rows(matrix.view), packed, 0, 3, scratch.data(), {out.data(), 3, false});
        for (std::size_t n = 0; n < 9; ++n)
          EXPECT_TRUE(std::isfinite(out[3 * n]) && !std::isfinite(out[3 * n + 1]) && out[3 * n + 2] == 0) << kernels->name << " " << name_of(format) << " " << n;
      }
}

// So must an input that is not finite: it reaches every row.
TEST(KernelTables, NaNInputsReachEveryProduct) {
  for (const Kernels* kernels : runnable_kernels())
    for (const FormatId format : {FormatId::Q8_0, FormatId::Q4_0, FormatId::MLX_Q4, FormatId::Q2_K, FormatId::Q3_K, FormatId::Q4_K, FormatId::Q5_K, FormatId::Q6_K})
      for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        const Matrix matrix = random_matrix(format, 3, 512, 6);
        RandomInputs inputs(*kernels, 1, 512, 7);
        inputs.values[300] = odd;
        inputs.quantize(*kernels);
        float out[3] = {};
        kernels->formats[static_cast<std::size_t>(format)].matvec(weight_rows(matrix.view), inputs.inputs, 0, 3, {out, 3, false});
        for (const float value : out) EXPECT_FALSE(std::isfinite(value)) << kernels->name << " " << name_of(format);
      }
}

}  // namespace
}  // namespace assay::test

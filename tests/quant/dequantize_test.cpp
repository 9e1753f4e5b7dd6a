// Element and block formats against the goldens: every value equal to the published decoders' bit for bit.
#include "runtime/quant/dequantize.h"

#include <array>
#include <cstring>

#include "tests/quant/decoded.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::decode;
using test::expect_same_bits;
using test::fixture;
using test::read_values;
using test::tensor_over;

template <class F>
class DequantizeBlock : public ::testing::Test {};
TYPED_TEST_SUITE(DequantizeBlock, test::TestTypesOf<BlockFormats>::type, test::FormatNames);

void expect_golden(FormatId format, const std::filesystem::path& folder, std::uint64_t rows, std::uint64_t cols) {
  const std::string name(name_of(format));
  const auto data = read_values<std::byte>(folder / (name + ".q.bin"));
  expect_same_bits(decode(tensor_over(format, rows, cols, data)), read_values<float>(folder / (name + ".deq.f32.bin")));
}

TYPED_TEST(DequantizeBlock, EqualsGolden) {
  expect_golden(TypeParam::kId, fixture("quant"), 16, 1024);
}

// Every type this set holds; EqualsChecksumOnScrambledBlocks does the same for all types.
TEST(DequantizeRandomBlocks, EqualsGolden) {
  const auto folder = fixture("quant/random_blocks");
  const Json manifest = test::read_json(folder / "manifest.json");
  const Json* types = manifest.find("types");
  ASSERT_TRUE(types && types->object());
  EXPECT_EQ(types->object()->size(), 21u);
  for (const auto& [name, row] : *types->object()) {
    SCOPED_TRACE(name);
    const auto format = format_from_name(name);
    ASSERT_TRUE(format);
    expect_golden(*format, folder, 4, 1024);
  }
}

// What ggml's scalar decoders (2026-06) make of 2^18 values of scrambled_bytes(): enough to meet every grid point.
struct Checksum {
  FormatId format;
  std::uint64_t value;
};
constexpr std::array<Checksum, 24> kChecksums = {{
    {FormatId::Q4_0, 0xbb65d6b4ef495211},    {FormatId::Q4_1, 0x6324e381aa3c91aa},
    {FormatId::Q5_0, 0xe6d310eb3235e1fb},    {FormatId::Q5_1, 0x2ece646685813a19},
    {FormatId::Q8_0, 0xafb7f76197a1b622},    {FormatId::Q1_0, 0x3e609cae0a87154c},
    {FormatId::Q2_K, 0xf9dea284f1be40b7},    {FormatId::Q3_K, 0x8b84999db0ef418a},
    {FormatId::Q4_K, 0xd12d877ae2e3668e},    {FormatId::Q5_K, 0x85389c7b76ae3945},
    {FormatId::Q6_K, 0x1d0d4fdb320dd0cc},    {FormatId::IQ1_S, 0x24e586f35b360861},
    {FormatId::IQ1_M, 0xb30b29d7a6737db9},   {FormatId::IQ2_XXS, 0xc6e8a12a1bf4edc8},
    {FormatId::IQ2_XS, 0x6018b5a28dde89ae},  {FormatId::IQ2_S, 0x7885996d2758e065},
    {FormatId::IQ3_XXS, 0xd2a3684e780453df}, {FormatId::IQ3_S, 0x9525423075e647be},
    {FormatId::IQ4_NL, 0x1c3c5e5e823ca77b},  {FormatId::IQ4_XS, 0x6511c5b17e1cfc18},
    {FormatId::TQ1_0, 0xedd5a97199cc7a5d},   {FormatId::TQ2_0, 0x74b5b2080d412d0a},
    {FormatId::MXFP4, 0xe09fb48a5b3fff70},   {FormatId::NVFP4, 0x48a9383855d84cc2},
}};

std::uint64_t checksum(const std::vector<float>& values) {
  std::uint64_t sum = 0xcbf29ce484222325u;
  for (const float value : values) {
    const std::uint32_t bits = std::isnan(value) ? 0x7fc00000u : std::bit_cast<std::uint32_t>(value);
    sum = (sum ^ bits) * 0x100000001b3u;
    sum ^= sum >> 32;
  }
  return sum;
}

TYPED_TEST(DequantizeBlock, EqualsChecksumOnScrambledBlocks) {
  const DtypeRow& dtype = dtype_of(TypeParam::kId);
  const auto data = test::scrambled_bytes((1u << 18) / dtype.block_values * dtype.block_bytes);
  const std::uint64_t got = checksum(decode(tensor_over(TypeParam::kId, 256, 1024, data)));
  bool found = false;
  for (const Checksum& row : kChecksums) {
    if (row.format != TypeParam::kId) continue;
    EXPECT_EQ(got, row.value);
    found = true;
  }
  EXPECT_TRUE(found);
}

TYPED_TEST(DequantizeBlock, ReadsMisalignedData) {
  const DtypeRow& dtype = dtype_of(TypeParam::kId);
  const auto data = test::scrambled_bytes(1024 / dtype.block_values * dtype.block_bytes);
  const std::vector<float> want = decode(tensor_over(TypeParam::kId, 1, 1024, data));
  std::vector<std::byte> shifted(data.size() + 3);
  for (std::size_t shift = 1; shift <= 3; ++shift) {
    std::memcpy(shifted.data() + shift, data.data(), data.size());
    expect_same_bits(decode(tensor_over(TypeParam::kId, 1, 1024, Bytes(shifted).subspan(shift, data.size()))), want);
  }
}

TYPED_TEST(DequantizeBlock, LevelsReachTheirMaximumAndNoHigher) {
  using Block = typename TypeParam::Block;
  const auto data = test::scrambled_bytes(2048 * sizeof(Block));
  int highest = 0;
  for (int i = 0; i < 2048; ++i) {
    std::uint8_t levels[TypeParam::kBlock];
    levels_of<TypeParam>(load<Block>(data.data() + i * sizeof(Block)), levels);
    for (const std::uint8_t level : levels) highest = std::max<int>(highest, level);
  }
  EXPECT_EQ(highest, TypeParam::kMaxLevel);
}

TEST(DequantizeElement, EqualsGoldenForF16AndBF16) {
  expect_golden(FormatId::F16, fixture("quant"), 16, 1024);
  expect_golden(FormatId::BF16, fixture("quant"), 16, 1024);
}

TEST(DequantizeElement, PassesF32Through) {
  const auto data = read_values<std::byte>(fixture("quant/input.f32.bin"));
  expect_same_bits(decode(tensor_over(FormatId::F32, 16, 1024, data)),
                   read_values<float>(fixture("quant/input.f32.bin")));
}

TEST(DequantizeElement, RoundsF64ToTheNearestFloat) {
  const std::array<double, 6> values = {0.1, -1.0 / 3, 1e300, -0.0, 0x1p-149, 16777217.0};
  const std::vector<float> want = {0.1f, -1.0f / 3, INFINITY, -0.0f, 0x1p-149f, 16777216.0f};
  expect_same_bits(decode(tensor_over(FormatId::F64, 2, 3, std::as_bytes(std::span(values)))), want);
}

TEST(DequantizeElement, ReadsI8AsWholeNumbers) {
  const std::array<std::int8_t, 4> values = {-128, -1, 0, 127};
  expect_same_bits(decode(tensor_over(FormatId::I8, 1, 4, std::as_bytes(std::span(values)))), {-128, -1, 0, 127});
}

TEST(DequantizeElement, ReadsMisalignedData) {
  const auto want = read_values<float>(fixture("quant/BF16.deq.f32.bin"));
  std::vector<std::byte> shifted(1);
  for (const std::byte byte : read_values<std::byte>(fixture("quant/BF16.q.bin"))) shifted.push_back(byte);
  expect_same_bits(decode(tensor_over(FormatId::BF16, 16, 1024, Bytes(shifted).subspan(1))), want);
}

TEST(Dequantize, TakesTensorsOfAnyRank) {
  const std::array<float, 12> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  TensorView tensor = tensor_over(FormatId::F32, 1, 12, std::as_bytes(std::span(values)));
  for (const std::vector<std::uint64_t>& shape : {std::vector<std::uint64_t>{12}, {2, 3, 2}, {3, 2, 2, 1}}) {
    tensor.shape = shape;
    expect_same_bits(decode(tensor), {values.begin(), values.end()});
  }
}

TEST(DequantizeDeathTest, RowAndOutputMustFitTheTensor) {
  const std::vector<std::byte> data(2 * 144);
  const TensorView tensor = tensor_over(FormatId::Q4_K, 2, 256, data);
  std::vector<float> out(256);
  dequantize_row(tensor, 1, out);
  EXPECT_DEATH(dequantize_row(tensor, 2, out), "row < tensor.rows");
  EXPECT_DEATH(dequantize_row(tensor, 1, std::span(out).first(255)), "out.size");
  EXPECT_DEATH(dequantize_row(tensor_over(FormatId::Q4_K, 2, 256, Bytes(data).first(287)), 1, out), "data.size");
  TensorView without_scales = tensor_over(FormatId::MLX_Q4, 2, 256, Bytes(data).first(256));
  without_scales.side.group = 64;
  EXPECT_DEATH(dequantize_row(without_scales, 0, out), "stream.size");
}

TEST(CheckDequantizable, RefusesWhatHasNoDecoder) {
  const auto checked = check_dequantizable(tensor_over(FormatId::Q8_K, 1, 256, {}));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::unsupported);
  EXPECT_NE(checked.error().message().find("t.weight: Q8_K"), std::string::npos) << checked.error().message();
}

TEST(CheckDequantizable, RefusesRowsThatAreNotWholeBlocks) {
  const std::vector<std::byte> data(144);
  const auto checked = check_dequantizable(tensor_over(FormatId::Q4_K, 2, 128, data));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::shape);
  EXPECT_NE(checked.error().message().find("128"), std::string::npos) << checked.error().message();
}

TEST(CheckDequantizable, RefusesTooFewAndTooManyBytes) {
  const std::vector<std::byte> data(18 * 4 + 1);
  for (const std::size_t size : {std::size_t{18 * 4 - 1}, data.size(), std::size_t{0}}) {
    const auto checked = check_dequantizable(tensor_over(FormatId::Q4_0, 4, 32, Bytes(data).first(size)));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::shape);
  }
}

TEST(CheckDequantizable, RefusesSizesThatOverflow) {
  const std::uint64_t huge = std::uint64_t{1} << 40;
  for (const FormatId format : {FormatId::F32, FormatId::Q4_K}) {
    const auto checked = check_dequantizable(tensor_over(format, huge, huge, {}));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::range);
  }
  EXPECT_FALSE(check_dequantizable(tensor_over(FormatId::F64, std::uint64_t{1} << 31, std::uint64_t{1} << 31, {})));
}

}  // namespace
}  // namespace assay

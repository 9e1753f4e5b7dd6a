// Formats whose scales lie beside the codes (MLX affine, FP8, NF4, FP4) against the goldens, bit for bit.
#include <array>

#include "runtime/formats/model_file.h"
#include "runtime/quant/dequantize.h"
#include "tests/quant/decoded.h"
#include "tests/support/data.h"

namespace assay {
namespace {

using test::decode;
using test::expect_same_bits;
using test::fixture;
using test::read_values;
using test::tensor_over;

ModelFile open_fixture(const std::string& name) {
  auto model = open_model(fixture(name));
  EXPECT_TRUE(model) << (model ? "" : model.error().message());
  return model ? std::move(*model) : ModelFile{};
}

const TensorView& tensor_of(const ModelFile& model, std::string_view name) {
  static const TensorView none;
  const TensorView* tensor = model.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  return tensor ? *tensor : none;
}

// One file of the MLX goldens: b<bits>_g<group>_<scale type>.
struct MlxCase {
  std::string_view file;
  FormatId format;
  std::uint32_t group;
  FormatId scale_format;
};
constexpr std::array<MlxCase, 12> kMlxCases = {{
    {"b2_g64_bf16", FormatId::MLX_Q2, 64, FormatId::BF16},
    {"b3_g64_bf16", FormatId::MLX_Q3, 64, FormatId::BF16},
    {"b4_g32_bf16", FormatId::MLX_Q4, 32, FormatId::BF16},
    {"b4_g64_bf16", FormatId::MLX_Q4, 64, FormatId::BF16},
    {"b4_g64_f16", FormatId::MLX_Q4, 64, FormatId::F16},
    {"b4_g128_bf16", FormatId::MLX_Q4, 128, FormatId::BF16},
    {"b5_g64_bf16", FormatId::MLX_Q5, 64, FormatId::BF16},
    {"b6_g64_bf16", FormatId::MLX_Q6, 64, FormatId::BF16},
    {"b8_g32_bf16", FormatId::MLX_Q8, 32, FormatId::BF16},
    {"b8_g64_bf16", FormatId::MLX_Q8, 64, FormatId::BF16},
    {"b8_g64_f32", FormatId::MLX_Q8, 64, FormatId::F32},
    {"b8_g128_bf16", FormatId::MLX_Q8, 128, FormatId::BF16},
}};

// The files have no config.json beside them, so the triple is put together here. `model` must outlive the result.
TensorView mlx_tensor(const ModelFile& model, const MlxCase& row) {
  TensorView tensor = tensor_over(row.format, 16, 1024, tensor_of(model, "t.weight").data);
  tensor.side = {row.scale_format, tensor_of(model, "t.scales").data, tensor_of(model, "t.biases").data, row.group, 1};
  return tensor;
}

class DequantizeMlx : public ::testing::TestWithParam<MlxCase> {
 protected:
  const std::string path_ = "quant/mlx_affine/" + std::string(GetParam().file);
  const ModelFile model_ = open_fixture(path_ + ".safetensors");
};
INSTANTIATE_TEST_SUITE_P(All, DequantizeMlx, ::testing::ValuesIn(kMlxCases),
                         [](const auto& row) { return std::string(row.param.file); });

TEST_P(DequantizeMlx, EqualsGolden) {
  expect_same_bits(decode(mlx_tensor(model_, GetParam())), read_values<float>(fixture(path_ + ".deq.f32.bin")));
}

TEST_P(DequantizeMlx, ReadsMisalignedData) {
  TensorView tensor = mlx_tensor(model_, GetParam());
  const auto shift = [](Bytes bytes) {
    std::vector<std::byte> shifted(bytes.size() + 1);
    std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
    return shifted;
  };
  const auto data = shift(tensor.data), scales = shift(tensor.side.scales), biases = shift(tensor.side.biases);
  tensor.data = Bytes(data).subspan(1);
  tensor.side.scales = Bytes(scales).subspan(1);
  tensor.side.biases = Bytes(biases).subspan(1);
  expect_same_bits(decode(tensor), read_values<float>(fixture(path_ + ".deq.f32.bin")));
}

TEST(MlxLevels, OneByOneEqualEightAtOnce) {
  for_each_format(MlxFormats{}, []<class F>(std::type_identity<F>) {
    const auto row = test::scrambled_bytes(128 * F::kBits);
    for (std::uint64_t i = 0; i < 128 * 8; i += 8) {
      std::uint8_t levels[8];
      F::levels8(row.data() + i / 8 * F::kBits, levels);
      for (std::uint64_t k = 0; k < 8; ++k)
        ASSERT_EQ(F::level(row.data(), i + k), levels[k]) << F::kBits << " bits, " << i + k;
    }
  });
}

TEST(DequantizeFp8, EveryCodeEqualsGolden) {
  const ModelFile model = open_fixture("quant/fp8/all_codes.safetensors");
  expect_same_bits(decode(tensor_of(model, "e4m3")),
                   read_values<float>(fixture("quant/fp8/e4m3fn_all_256_codes.f32.bin")));
  expect_same_bits(decode(tensor_of(model, "e5m2")),
                   read_values<float>(fixture("quant/fp8/e5m2_all_256_codes.f32.bin")));
}

TEST(DequantizeFp8, EveryE8M0CodeEqualsGoldenAlone) {
  std::vector<float> got;
  for (int code = 0; code < 256; ++code) got.push_back(e8m0_to_float(static_cast<std::uint8_t>(code)));
  expect_same_bits(got, read_values<float>(fixture("quant/fp8/e8m0_all_256_codes.f32.bin")));
}

TEST(DequantizeFp8, ScalesByOneFactorOrByTile) {
  const ModelFile model = open_fixture("quant/fp8/scaled.safetensors");
  expect_same_bits(decode(tensor_of(model, "a.weight")), read_values<float>(fixture("quant/fp8/scaled.a.deq.f32.bin")));
  expect_same_bits(decode(tensor_of(model, "b.weight")), read_values<float>(fixture("quant/fp8/scaled.b.deq.f32.bin")));
}

// 0x38 is 1.0, so that the values are the scales themselves: 3 x 5 values in tiles of 2 x 2 have partial tiles at both
// ends.
TEST(DequantizeFp8, LastTilesMayBePartial) {
  const std::vector<std::byte> ones(15, std::byte{0x38});
  const std::array<float, 6> scales = {1, 2, 3, 4, 5, 6};
  TensorView tensor = tensor_over(FormatId::F8_E4M3, 3, 5, ones);
  tensor.side = {FormatId::F32, std::as_bytes(std::span(scales)), {}, 2, 2};
  expect_same_bits(decode(tensor), {1, 1, 2, 2, 3, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6});
}

TEST(DequantizeFp8, GroupZeroMeansOneScaleForAll) {
  const std::vector<std::byte> ones(15, std::byte{0x38});
  const std::array<BFloat16, 1> scale = {to_bfloat16(-0.5f)};
  TensorView tensor = tensor_over(FormatId::F8_E4M3, 3, 5, ones);
  tensor.side = {FormatId::BF16, std::as_bytes(std::span(scale)), {}, 0, 1};
  expect_same_bits(decode(tensor), std::vector<float>(15, -0.5f));
}

TEST(DequantizeFp8, ScalesMayBePowersOfTwo) {
  const std::vector<std::byte> ones(64, std::byte{0x38});
  const std::array<std::uint8_t, 2> scales = {126, 130};
  TensorView tensor = tensor_over(FormatId::F8_E4M3, 1, 64, ones);
  tensor.side = {FormatId::F8_E8M0, std::as_bytes(std::span(scales)), {}, 32, 1};
  std::vector<float> want(32, 0.5f);
  want.resize(64, 8.0f);
  expect_same_bits(decode(tensor), want);
}

TEST(DequantizeFourBit, EqualsGolden) {
  for (const std::string name : {"nf4_b64", "nf4_b128", "nf4_b64_nested", "fp4_b64"}) {
    SCOPED_TRACE(name);
    const ModelFile model = open_fixture("quant/nf4/" + name + ".safetensors");
    expect_same_bits(decode(tensor_of(model, "t.weight")),
                     read_values<float>(fixture("quant/nf4/" + name + ".deq.f32.bin")));
  }
}

// The files carry the table they were written with (quant_map).
template <class F>
bool has_table_of(const std::filesystem::path& path) {
  const std::string_view table(reinterpret_cast<const char*>(F::kValues.data()), sizeof(F::kValues));
  return test::read_text(path).find(table) != std::string::npos;
}
TEST(DequantizeFourBit, TablesEqualThoseInTheFiles) {
  EXPECT_TRUE(has_table_of<NF4>(fixture("quant/nf4/nf4_b64.safetensors")));
  EXPECT_TRUE(has_table_of<FP4>(fixture("quant/nf4/fp4_b64.safetensors")));
}

// Runs that share an absmax are counted over the whole matrix: here rows of 6 values in runs of 4.
TEST(DequantizeFourBit, RunsCrossRows) {
  const std::vector<std::byte> ones(6, std::byte{0xff});  // NF4 code 15 is 1.0
  const std::array<float, 3> absmax = {1, 2, 3};
  TensorView tensor = tensor_over(FormatId::NF4, 2, 6, ones);
  tensor.side = {FormatId::F32, std::as_bytes(std::span(absmax)), {}, 4, 1};
  expect_same_bits(decode(tensor), {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3});
}

class CheckSide : public ::testing::Test {
 protected:
  void expect_refused(const TensorView& tensor, Code code, std::string_view words) {
    const auto checked = check_dequantizable(tensor);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, code);
    EXPECT_NE(checked.error().message().find(words), std::string::npos) << checked.error().message();
  }
  const std::vector<std::byte> zeros_ = std::vector<std::byte>(4096);
  Bytes zeros(std::size_t size) const { return Bytes(zeros_).first(size); }
};

TEST_F(CheckSide, RefusesMlxWithoutScalesOrBiases) {
  TensorView tensor = tensor_over(FormatId::MLX_Q4, 2, 128, zeros(128));
  tensor.side = {FormatId::BF16, {}, {}, 64, 1};
  expect_refused(tensor, Code::missing, "without their scales");
  tensor.side.scales = zeros(8);
  expect_refused(tensor, Code::missing, "without their biases");
  tensor.side.biases = zeros(8);
  EXPECT_TRUE(check_dequantizable(tensor));
}

TEST_F(CheckSide, RefusesMlxGroupsThatDoNotDivideARow) {
  TensorView tensor = tensor_over(FormatId::MLX_Q4, 2, 96, zeros(96));
  for (const std::uint32_t group : {0u, 16u, 64u}) {
    tensor.side = {FormatId::F32, zeros(16), zeros(16), group, 1};
    expect_refused(tensor, Code::shape, "groups of " + std::to_string(group));
  }
}

TEST_F(CheckSide, RefusesScalesOfTheWrongSizeOrType) {
  TensorView tensor = tensor_over(FormatId::MLX_Q4, 2, 128, zeros(128));
  tensor.side = {FormatId::F32, zeros(12), zeros(16), 64, 1};
  expect_refused(tensor, Code::shape, "scales hold 12 bytes");
  tensor.side = {FormatId::F32, zeros(16), zeros(17), 64, 1};
  expect_refused(tensor, Code::shape, "biases hold 17 bytes");
  tensor.side = {FormatId::I32, zeros(16), zeros(16), 64, 1};
  expect_refused(tensor, Code::unsupported, "scales are I32");
}

TEST_F(CheckSide, RefusesFp8GridsThatDoNotFit) {
  TensorView tensor = tensor_over(FormatId::F8_E4M3, 4, 64, zeros(256));
  tensor.side = {FormatId::F32, zeros(4), {}, 32, 2};
  expect_refused(tensor, Code::shape, "4 values of F32 need 16");
  tensor.side = {FormatId::F32, zeros(16), {}, 32, 0};
  expect_refused(tensor, Code::shape, "no rows");
}

TEST_F(CheckSide, RefusesFourBitCodesWithoutAbsmax) {
  TensorView tensor = tensor_over(FormatId::NF4, 4, 64, zeros(128));
  expect_refused(tensor, Code::missing, "absmax");
  tensor.side.group = 64;
  expect_refused(tensor, Code::missing, "without their scales");
  tensor.data = {};
  tensor.shape = {4, 63};
  expect_refused(tensor, Code::shape, "63");
}

}  // namespace
}  // namespace assay

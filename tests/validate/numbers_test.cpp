// The scan of every weight format: wrong numbers are found, placed and counted wherever they lie, and nothing else is.
#include <array>
#include <random>

#include "runtime/core/half.h"
#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"
#include "runtime/validate/scan.h"
#include "tests/support/data.h"

namespace assay::validation {
namespace {

constexpr std::uint64_t kRows = 6, kCols = 512;

struct Stored {
  std::vector<std::byte> data;
  TensorView view;
};

Stored stored(FormatId format, std::vector<std::byte> data, std::uint64_t rows = kRows, std::uint64_t cols = kCols) {
  Stored out{std::move(data), {}};
  out.view.name = "m.weight";
  out.view.format = format;
  out.view.shape = {rows, cols};
  out.view.data = out.data;
  return out;
}

Numbers scan_all(const TensorView& tensor, std::uint64_t piece_bytes = 1 << 20) {
  std::vector<ScanPiece> pieces;
  cut(tensor, 0, piece_bytes, pieces);
  Numbers out;
  for (const ScanPiece& piece : pieces) out.add(scan(piece, tensor));
  return out;
}

template <class T>
std::vector<std::byte> bytes_of_values(const std::vector<T>& values) {
  std::vector<std::byte> out(values.size() * sizeof(T));
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

std::vector<float> random_values(std::size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> out(count);
  for (float& value : out) value = normal(random);
  return out;
}

// Random blocks whose F16 scales are ordinary: what a quantised tensor looks like to the scan.
template <BlockFormat F>
std::vector<std::byte> random_blocks(std::size_t count) {
  std::mt19937 random(11);
  std::vector<std::byte> out(count * sizeof(typename F::Block));
  for (std::byte& byte : out) byte = static_cast<std::byte>(random());
  for (std::size_t i = 0; i < count; ++i) {
    auto block = load<typename F::Block>(out.data() + i * sizeof(typename F::Block));
    const std::uint16_t ordinary = to_half(0.01f + static_cast<float>(random() % 100) * 0.0001f).bits;
    if constexpr (requires { block.d; }) block.d.bits = ordinary;
    if constexpr (requires { block.dmin; }) block.dmin.bits = ordinary;
    if constexpr (requires { block.min; }) block.min.bits = ordinary;
    if constexpr (requires { block.exponent; }) block.exponent = 120;
    if constexpr (std::is_same_v<F, NVFP4>)
      for (auto& scale : block.scales) scale = 0x38;
    if constexpr (std::is_same_v<F, IQ1_M>)
      for (int word = 0; word < 4; ++word)
        block.scales[2 * word + 1] =
            static_cast<std::uint8_t>((block.scales[2 * word + 1] & 0x0f) | (((ordinary >> (4 * word)) & 15) << 4));
    std::memcpy(out.data() + i * sizeof block, &block, sizeof block);
  }
  return out;
}

void expect_clean(const Numbers& numbers, std::string_view name) {
  EXPECT_EQ(
      numbers.bad_values.count + numbers.bad_scales.count + numbers.bad_exponents.count + numbers.huge_values.count, 0u)
      << name;
  EXPECT_EQ(numbers.zero_rows.count + numbers.constant_rows.count + numbers.saturated_blocks.count +
                numbers.faint_scales.count,
            0u)
      << name;
  EXPECT_EQ(numbers.rows, kRows) << name;
}

TEST(Scan, FindsNothingInRandomBlocksOfAnyFormat) {
  for_each_format(BlockFormats{}, [](auto tag) {
    using F = typename decltype(tag)::type;
    const Stored tensor = stored(F::kId, random_blocks<F>(kRows * kCols / F::kBlock));
    expect_clean(scan_all(tensor.view), name_of(F::kId));
  });
}

TEST(Scan, FindsAScaleThatIsNotANumberInAnyBlockOfAnyFormat) {
  for_each_format(BlockFormats{}, [](auto tag) {
    using F = typename decltype(tag)::type;
    const std::size_t blocks = kRows * kCols / F::kBlock;
    for (const std::size_t at : {std::size_t{0}, blocks / 2, blocks - 1})
      for (const auto wrong : std::to_array<std::uint16_t>({0x7c00, 0x7e00, 0xfc00, 0xffff})) {
        auto data = random_blocks<F>(blocks);
        auto block = load<typename F::Block>(data.data() + at * sizeof(typename F::Block));
        bool is_exponent = false;
        if constexpr (requires { block.exponent; })
          block.exponent = 255, is_exponent = true;
        else if constexpr (std::is_same_v<F, NVFP4>)
          block.scales[wrong % 4] = static_cast<std::uint8_t>(0x7f | (wrong & 0x80));
        else if constexpr (std::is_same_v<F, IQ1_M>)
          for (int word = 0; word < 4; ++word)
            block.scales[2 * word + 1] =
                static_cast<std::uint8_t>((block.scales[2 * word + 1] & 0x0f) | (((wrong >> (4 * word)) & 15) << 4));
        else
          block.d.bits = wrong;
        std::memcpy(data.data() + at * sizeof block, &block, sizeof block);
        const Stored tensor = stored(F::kId, std::move(data));
        const Numbers numbers = scan_all(tensor.view, 300);
        const Tally& tally = is_exponent ? numbers.bad_exponents : numbers.bad_scales;
        EXPECT_EQ(tally.count, 1u) << name_of(F::kId) << " block " << at;
        EXPECT_EQ(tally.first, at * sizeof block) << name_of(F::kId);
      }
  });
}

TEST(Scan, FindsAMinimumThatIsNotANumber) {
  for_each_format(FormatList<Q4_1, Q5_1, Q2_K, Q4_K, Q5_K>{}, [](auto tag) {
    using F = typename decltype(tag)::type;
    auto data = random_blocks<F>(kRows * kCols / F::kBlock);
    auto block = load<typename F::Block>(data.data());
    if constexpr (requires { block.dmin; })
      block.dmin.bits = 0x7e00;
    else
      block.min.bits = 0x7e00;
    std::memcpy(data.data(), &block, sizeof block);
    const Stored tensor = stored(F::kId, std::move(data));
    EXPECT_EQ(scan_all(tensor.view).bad_scales.count, 1u) << name_of(F::kId);
  });
}

template <class T, class Convert>
void check_floats(FormatId format, Convert convert) {
  const auto as = [&](const std::vector<float>& values) {
    std::vector<T> out;
    for (const float value : values) out.push_back(convert(value));
    return bytes_of_values(out);
  };
  const std::vector<float> good = random_values(kRows * kCols);
  const Stored clean = stored(format, as(good));
  expect_clean(scan_all(clean.view), name_of(format));
  for (const std::size_t at : {std::size_t{0}, std::size_t{1000}, good.size() - 1})
    for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()}) {
      auto values = good;
      values[at] = wrong;
      const Stored tensor = stored(format, as(values));
      const Numbers numbers = scan_all(tensor.view, 100);
      EXPECT_EQ(numbers.bad_values.count, 1u) << name_of(format);
      EXPECT_EQ(numbers.bad_values.first, at * sizeof(T)) << name_of(format);
    }
  auto values = good;
  for (std::size_t i = 0; i < kCols; ++i) values[kCols + i] = 0.0f, values[3 * kCols + i] = 0.25f;
  const Stored rows = stored(format, as(values));
  EXPECT_EQ(scan_all(rows.view).zero_rows.count, 1u) << name_of(format);
  EXPECT_EQ(scan_all(rows.view).zero_rows.first, 1u) << name_of(format);
  EXPECT_EQ(scan_all(rows.view).constant_rows.first, 3u) << name_of(format);
  if (format == FormatId::F16) return;  // it holds nothing above 65504
  values = good;
  values[17] = -70000.0f;
  const Stored huge = stored(format, as(values));
  EXPECT_EQ(scan_all(huge.view).huge_values.count, 1u) << name_of(format);
}

TEST(Scan, FindsValuesThatAreNotNumbersOrHugeAndRowsOfOneValue) {
  check_floats<float>(FormatId::F32, [](float value) { return value; });
  check_floats<double>(FormatId::F64, [](float value) { return static_cast<double>(value); });
  check_floats<Half>(FormatId::F16, [](float value) { return to_half(value); });
  check_floats<BFloat16>(FormatId::BF16, [](float value) { return to_bfloat16(value); });
}

TEST(Scan, KnowsTheLargestHalfFromHuge) {
  std::vector<float> values = random_values(kRows * kCols);
  values[5] = 65504.0f;
  EXPECT_EQ(scan_all(stored(FormatId::F32, bytes_of_values(values)).view).huge_values.count, 0u);
  values[5] = 65536.0f;
  EXPECT_EQ(scan_all(stored(FormatId::F32, bytes_of_values(values)).view).huge_values.count, 1u);
}

TEST(Scan, FindsCodesOfEightBitFloatsThatAreNotNumbers) {
  for (const auto& [format, code] : {std::pair(FormatId::F8_E4M3, 0x7f), std::pair(FormatId::F8_E4M3, 0xff),
                                     std::pair(FormatId::F8_E5M2, 0x7c), std::pair(FormatId::F8_E5M2, 0xfe)}) {
    std::vector<std::byte> data(kRows * kCols);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i % 100);
    data[1234] = static_cast<std::byte>(code);
    const Stored tensor = stored(format, data);
    EXPECT_EQ(scan_all(tensor.view).bad_values.count, 1u) << name_of(format);
    EXPECT_EQ(scan_all(tensor.view).bad_values.first, 1234u) << name_of(format);
  }
}

// The judge of constant rows is the decoder; the quick look in front of it must let every such row through.
TEST(Scan, FindsRowsOfOneValueInEveryFormatThatCanBeEncoded) {
  std::size_t formats = 0;
  for (const FormatId format :
       {FormatId::Q4_0, FormatId::Q4_1, FormatId::Q5_0, FormatId::Q5_1, FormatId::Q8_0, FormatId::Q2_K, FormatId::Q3_K,
        FormatId::Q4_K, FormatId::Q5_K, FormatId::Q6_K, FormatId::IQ4_NL, FormatId::IQ4_XS, FormatId::MXFP4})
    for (const float constant : {0.0f, 0.5f}) {
      std::vector<float> values = random_values(kRows * kCols);
      for (std::size_t i = 0; i < kCols; ++i) values[2 * kCols + i] = constant;
      std::vector<std::byte> data(kRows * kCols / dtype_of(format).block_values * dtype_of(format).block_bytes);
      for (std::uint64_t row = 0; row < kRows; ++row)
        ASSERT_TRUE(encode_row(format, std::span(values).subspan(row * kCols, kCols),
                               std::span(data).subspan(row * data.size() / kRows, data.size() / kRows)))
            << name_of(format);
      const Stored tensor = stored(format, data);
      const Numbers numbers = scan_all(tensor.view);
      std::vector<float> decoded(kCols);
      dequantize_row(tensor.view, 2, decoded);
      const bool is_constant =
          std::all_of(decoded.begin(), decoded.end(), [&](float value) { return value == decoded[0]; });
      EXPECT_EQ(numbers.zero_rows.count + numbers.constant_rows.count, is_constant ? 1u : 0u)
          << name_of(format) << " of " << constant;
      formats += is_constant;
    }
  EXPECT_GE(formats, 20u);
}

TEST(Scan, FindsClippedBlocks) {
  for_each_format(FormatList<Q4_0, Q4_1, Q8_0>{}, [](auto tag) {
    using F = typename decltype(tag)::type;
    auto data = random_blocks<F>(kRows * kCols / F::kBlock);
    auto block = load<typename F::Block>(data.data());
    if constexpr (std::is_same_v<F, Q8_0>)
      for (int i = 0; i < 32; ++i) block.values[i] = static_cast<std::int8_t>(i % 3 == 0 ? 127 : -127);
    else
      for (int i = 0; i < 16; ++i) block.levels[i] = i % 3 == 0 ? 0xf0 : 0x0f;
    std::memcpy(data.data(), &block, sizeof block);
    const Stored tensor = stored(F::kId, std::move(data));
    EXPECT_EQ(scan_all(tensor.view).saturated_blocks.count, 1u) << name_of(F::kId);
  });
}

TEST(Scan, ReadsScalesAtAnyAddress) {
  const auto blocks = random_blocks<Q4_K>(kRows * kCols / Q4_K::kBlock);
  std::vector<std::byte> shifted(blocks.size() + 1);
  std::copy(blocks.begin(), blocks.end(), shifted.begin() + 1);
  Stored tensor = stored(FormatId::Q4_K, blocks);
  const Numbers even = scan_all(tensor.view);
  tensor.view.data = Bytes(shifted).subspan(1);
  const Numbers odd = scan_all(tensor.view);
  EXPECT_EQ(even.scale_bits, odd.scale_bits);
  expect_clean(odd, "Q4_K at an odd address");
}

TEST(Scan, PiecesCoverEveryByteOnce) {
  const Stored tensor = stored(FormatId::Q8_0, random_blocks<Q8_0>(kRows * kCols / 32));
  for (const std::uint64_t size : {1, 500, 1000, 1 << 20}) {
    std::vector<ScanPiece> pieces;
    cut(tensor.view, 0, size, pieces);
    const std::byte* next = tensor.view.data.data();
    for (const ScanPiece& piece : pieces) {
      EXPECT_EQ(bytes_of(piece, tensor.view).data(), next);
      next += bytes_of(piece, tensor.view).size();
    }
    EXPECT_EQ(next, tensor.view.data.data() + tensor.view.data.size());
  }
}

}  // namespace
}  // namespace assay::validation

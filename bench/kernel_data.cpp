// Fills, encoders and repetition behind make_kernel_matrix().
#include "bench/kernel_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "runtime/engine/synth_fill.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"

namespace assay {

namespace {

constexpr std::uint64_t kSeed = 2026;
constexpr float kDeviation = 0.02f;
constexpr std::size_t kValues = std::size_t{KernelMatrix::kRows} * KernelMatrix::kCols;

AlignedBuffer<std::byte> repeat(std::span<const std::byte> tile, std::size_t times) {
  AlignedBuffer<std::byte> out(tile.size() * times);
  for (std::size_t i = 0; i < times && !tile.empty(); ++i) std::memcpy(out.data() + i * tile.size(), tile.data(), tile.size());
  return out;
}

bool is_float8(FormatId format) { return format == FormatId::F8_E4M3 || format == FormatId::F8_E5M2; }
bool is_code_book(FormatId format) { return format == FormatId::NF4 || format == FormatId::FP4; }

// The bytes of one tile; block formats need no encoder, the others are encoded from normal values.
Result<SideEncoded> make_tile(FormatId format, SideScales& side) {
  if (format == FormatId::I8) {  // whole numbers without a scale: any byte will do
    SideEncoded out;
    RandomBits bits(kSeed);
    for (std::size_t i = 0; i < kValues; ++i) out.data.push_back(static_cast<std::byte>(bits.next() >> 56));
    return out;
  }
  if (!has_side_scales(format)) {
    ASSAY_TRY(const Fill fill, make_weight_fill(format, kDeviation));
    SideEncoded out;
    out.data.resize(kValues / dtype_of(format).block_values * dtype_of(format).block_bytes);
    RandomBits bits(kSeed);
    fill(out.data, bits);
    return out;
  }
  const SideEncodeOptions options{.format = format,
                                  .scale_format = is_float8(format) || is_code_book(format) ? FormatId::F32 : FormatId::BF16,
                                  .group = is_float8(format) ? 128u : 64u,
                                  .group_rows = is_float8(format) ? KernelMatrix::kRows : 1u};
  side.format = options.scale_format;
  side.group = options.group;
  side.group_rows = options.group_rows;
  return encode_matrix(options, normal_values(kValues, kDeviation), KernelMatrix::kRows, KernelMatrix::kCols);
}

}  // namespace

std::vector<float> normal_values(std::size_t count, float deviation) {
  RandomBits bits(kSeed + 1);
  const auto uniform = [&] { return (static_cast<double>(bits.next() >> 11) + 0.5) * 0x1p-53; };
  std::vector<float> out(count);
  for (float& value : out)  // Box and Muller, one of the pair
    value = deviation * static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()));
  return out;
}

std::vector<FormatId> weight_formats() {
  std::vector<FormatId> out;
  for (const DtypeRow& row : kDtypes)
    if (row.is_weight) out.push_back(row.id);
  return out;
}

Result<std::unique_ptr<KernelMatrix>> make_kernel_matrix(FormatId format, std::uint64_t bytes) {
  auto out = std::make_unique<KernelMatrix>();
  TensorView& tensor = out->tensor;
  ASSAY_TRY(const SideEncoded tile, make_tile(format, tensor.side));
  out->tile_bytes = tile.data.size() + tile.scales.size() + tile.biases.size();
  out->tiles = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, (bytes + out->tile_bytes - 1) / out->tile_bytes));
  out->data = repeat(tile.data, out->tiles);
  out->scales = repeat(tile.scales, out->tiles);
  out->biases = repeat(tile.biases, out->tiles);
  tensor.name = name_of(format);
  tensor.format = format;
  tensor.shape = {std::uint64_t{out->tiles} * KernelMatrix::kRows, KernelMatrix::kCols};
  tensor.data = out->data.span();
  tensor.side.scales = out->scales.span();
  tensor.side.biases = out->biases.span();
  ASSAY_TRY_VOID(check_dequantizable(tensor));
  out->truth.resize(kValues);
  for (std::uint32_t row = 0; row < KernelMatrix::kRows; ++row)
    dequantize_row(tensor, row, std::span(out->truth).subspan(std::size_t{row} * KernelMatrix::kCols, KernelMatrix::kCols));
  return out;
}

}  // namespace assay

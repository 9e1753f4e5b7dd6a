// Rows of any weight format as float32: one plain loop per kind of format, and the checks before it.
#include "runtime/quant/dequantize.h"

#include <algorithm>

#include "runtime/quant/all.h"

namespace assay {
namespace {

template <ElementFormat F>
void dequantize_elements(const std::byte* row, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = F::value(load<typename F::Element>(row + i * sizeof(typename F::Element)));
}

template <BlockFormat F>
void dequantize_block(const typename F::Block& block, float* out) {
  std::uint8_t levels[F::kBlock];
  levels_of<F>(block, levels);
  for (int group = 0; group < F::kBlock / F::kGroup; ++group) {
    const Affine affine = F::affine(block, group);
    for (int i = group * F::kGroup; i < (group + 1) * F::kGroup; ++i) {
      const float scaled = affine.scale * static_cast<float>(levels[i] - F::kBias);
      out[i] = F::kHasOffset ? scaled + affine.offset : scaled;
    }
  }
}

template <BlockFormat F>
void dequantize_blocks(const std::byte* row, std::span<float> out) {
  using Block = typename F::Block;
  for (std::size_t first = 0; first < out.size(); first += F::kBlock, row += sizeof(Block))
    dequantize_block<F>(load<Block>(row), out.data() + first);
}

// Element `index` of a stream of scales.
float side_value(FormatId format, Bytes stream, std::uint64_t index) {
  const std::uint64_t bytes = dtype_of(format).block_bytes;
  ASSAY_CHECK((index + 1) * bytes <= stream.size());
  const std::byte* at = stream.data() + index * bytes;
  switch (format) {
    case FormatId::F32:
      return load<float>(at);
    case FormatId::F16:
      return to_float(load<Half>(at));
    case FormatId::BF16:
      return to_float(load<BFloat16>(at));
    default:
      return e8m0_to_float(load<std::uint8_t>(at));
  }
}

template <MlxFormat F>
void dequantize_mlx(const TensorView& tensor, std::uint64_t row, std::span<float> out) {
  const SideScales& side = tensor.side;
  ASSAY_CHECK(side.group != 0 && out.size() % side.group == 0 && side.group % 8 == 0);
  const std::byte* octet = tensor.data.data() + row * tensor.row_bytes();
  const std::uint64_t groups = out.size() / side.group;
  for (std::uint64_t group = 0; group < groups; ++group) {
    const float scale = side_value(side.format, side.scales, row * groups + group);
    const float bias = side_value(side.format, side.biases, row * groups + group);
    float* values = out.data() + group * side.group;
    for (std::uint32_t i = 0; i < side.group; i += 8, octet += F::kBits) {
      std::uint8_t levels[8];
      F::levels8(octet, levels);
      for (int k = 0; k < 8; ++k) values[i + k] = static_cast<float>(levels[k]) * scale + bias;
    }
  }
}

template <SideFormat F>
void dequantize_f8(const TensorView& tensor, std::uint64_t row, std::span<float> out) {
  const SideScales& side = tensor.side;
  const std::byte* codes = tensor.data.data() + row * tensor.row_bytes();
  if (side.scales.empty()) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = F::code_value(codes, i);
    return;
  }
  ASSAY_CHECK(side.group_rows != 0);
  const std::size_t group = side.group == 0 ? out.size() : side.group;
  const std::uint64_t first_scale = side.group == 0 ? 0 : row / side.group_rows * ((out.size() + group - 1) / group);
  for (std::size_t first = 0; first < out.size(); first += group) {
    const float scale = side_value(side.format, side.scales, first_scale + first / group);
    const std::size_t end = std::min(out.size(), first + group);
    for (std::size_t i = first; i < end; ++i) out[i] = F::code_value(codes, i) * scale;
  }
}

// The runs that share a scale are counted over the whole matrix: a row may start and end inside one.
template <SideFormat F>
void dequantize_four_bit(const TensorView& tensor, std::uint64_t row, std::span<float> out) {
  const SideScales& side = tensor.side;
  ASSAY_CHECK(side.group != 0);
  const std::byte* codes = tensor.data.data() + row * tensor.row_bytes();
  const std::uint64_t row_start = row * out.size();
  for (std::size_t i = 0; i < out.size();) {
    const std::uint64_t run = (row_start + i) / side.group;
    const float scale = side_value(side.format, side.scales, run);
    const std::size_t end =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), (run + 1) * side.group - row_start));
    for (; i < end; ++i) out[i] = F::code_value(codes, i) * scale;
  }
}

struct SideNeed {
  std::uint64_t scales = 0, biases = 0;  // how many values each stream must hold
};

Error side_error(const TensorView& tensor, Code code, std::string detail) {
  return Error{code, tensor.name, std::move(detail)};
}

bool is_scale_format(FormatId tensor_format, FormatId format) {
  if (format == FormatId::F32 || format == FormatId::F16 || format == FormatId::BF16) return true;
  return format == FormatId::F8_E8M0 && (tensor_format == FormatId::F8_E4M3 || tensor_format == FormatId::F8_E5M2);
}

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) {
  return a / b + (a % b != 0);
}

// How many scales and biases the matrix needs; an error where the grouping itself cannot be.
Result<SideNeed> side_need(const TensorView& tensor) {
  const SideScales& side = tensor.side;
  const std::string name(name_of(tensor.format));
  return visit(tensor.format, [&]<class F>(std::type_identity<F>) -> Result<SideNeed> {
    if constexpr (MlxFormat<F>) {
      if (side.group == 0 || side.group % 32 != 0 || tensor.cols() % side.group != 0)
        return side_error(tensor, Code::shape,
                          name + " groups of " + std::to_string(side.group) + " values do not divide rows of " +
                              std::to_string(tensor.cols()) + "; the group must be a multiple of 32 that does");
      const std::uint64_t count = tensor.rows() * (tensor.cols() / side.group);
      return SideNeed{count, count};
    } else if constexpr (std::is_same_v<F, NF4> || std::is_same_v<F, FP4>) {
      if (side.group == 0)
        return side_error(tensor, Code::missing, name + " needs the number of values per absmax; the file names none");
      return SideNeed{divide_up(tensor.count(), side.group), 0};
    } else if constexpr (SideFormat<F>) {
      if (side.scales.empty()) return SideNeed{};
      if (side.group == 0) return SideNeed{1, 0};
      if (side.group_rows == 0) return side_error(tensor, Code::shape, name + " scale tiles have no rows");
      return SideNeed{divide_up(tensor.rows(), side.group_rows) * divide_up(tensor.cols(), side.group), 0};
    } else {
      return SideNeed{};
    }
  });
}

Result<> check_stream(const TensorView& tensor, std::string_view stream, Bytes bytes, std::uint64_t values) {
  const std::uint64_t element = dtype_of(tensor.side.format).block_bytes;
  if (bytes.empty() && values != 0)
    return side_error(tensor, Code::missing,
                      std::string(name_of(tensor.format)) + " weights without their " + std::string(stream) +
                          "; the file lacks the tensor that holds them");
  if (bytes.size() / element != values || bytes.size() % element != 0)
    return side_error(tensor, Code::shape,
                      std::string(stream) + " hold " + std::to_string(bytes.size()) + " bytes, " +
                          std::to_string(values) + " values of " + std::string(name_of(tensor.side.format)) + " need " +
                          std::to_string(values * element));
  return success();
}

}  // namespace

void dequantize_row(const TensorView& tensor, std::uint64_t row, std::span<float> out) {
  ASSAY_CHECK(row < tensor.rows());
  ASSAY_CHECK(out.size() == tensor.cols());
  ASSAY_CHECK(out.size() % dtype_of(tensor.format).block_values == 0);
  ASSAY_CHECK((row + 1) * tensor.row_bytes() <= tensor.data.size());
  visit(tensor.format, [&]<class F>(std::type_identity<F>) {
    const std::byte* data = tensor.data.data() + row * tensor.row_bytes();
    if constexpr (ElementFormat<F>)
      dequantize_elements<F>(data, out);
    else if constexpr (BlockFormat<F>)
      dequantize_blocks<F>(data, out);
    else if constexpr (MlxFormat<F>)
      dequantize_mlx<F>(tensor, row, out);
    else if constexpr (std::is_same_v<F, NF4> || std::is_same_v<F, FP4>)
      dequantize_four_bit<F>(tensor, row, out);
    else
      dequantize_f8<F>(tensor, row, out);
  });
}

Result<> check_dequantizable(const TensorView& tensor) {
  const DtypeRow& dtype = dtype_of(tensor.format);
  const std::string name(dtype.name);
  if (!dtype.is_weight) return Error{Code::unsupported, tensor.name, name + " is no weight format; it has no decoder"};
  std::uint64_t count = 1;
  for (const std::uint64_t extent : tensor.shape) {
    const auto product = checked_multiply(count, extent);
    if (!product) return Error{Code::range, tensor.name, "the product of its dimensions does not fit 64 bits"};
    count = *product;
  }
  if (tensor.cols() % dtype.block_values != 0)
    return Error{Code::shape, tensor.name,
                 "rows of " + std::to_string(tensor.cols()) + " values do not divide into " + name + " blocks of " +
                     std::to_string(dtype.block_values)};
  const auto bytes = checked_multiply(count / dtype.block_values, dtype.block_bytes);
  if (!bytes || *bytes != tensor.data.size())
    return Error{Code::shape, tensor.name,
                 "holds " + std::to_string(tensor.data.size()) + " bytes, " + std::to_string(count) + " values of " +
                     name + " need " + (bytes ? std::to_string(*bytes) : "more than 64 bits can count")};
  ASSAY_TRY(const SideNeed need, side_need(tensor));
  if (need.scales == 0) return success();
  if (!is_scale_format(tensor.format, tensor.side.format))
    return Error{
        Code::unsupported, tensor.name,
        "its scales are " + std::string(name_of(tensor.side.format)) + "; " + name + " takes F32, F16 or BF16 scales"};
  ASSAY_TRY_VOID(check_stream(tensor, "scales", tensor.side.scales, need.scales));
  return check_stream(tensor, "biases", tensor.side.biases, need.biases);
}

}  // namespace assay

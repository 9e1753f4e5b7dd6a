// Which scanner a piece goes to, and the rows that hold one value only.
#include "runtime/validate/scan.h"

#include <algorithm>

#include "runtime/quant/dequantize.h"
#include "runtime/validate/scan_blocks.h"
#include "runtime/validate/scan_floats.h"

namespace assay::validation {

void Numbers::add(const Numbers& other) {
  bad_values.add(other.bad_values);
  bad_scales.add(other.bad_scales);
  bad_exponents.add(other.bad_exponents);
  huge_values.add(other.huge_values);
  faint_scales.add(other.faint_scales);
  saturated_blocks.add(other.saturated_blocks);
  zero_rows.add(other.zero_rows);
  constant_rows.add(other.constant_rows);
  rows += other.rows;
  scales += other.scales;
  scale_bits += other.scale_bits;
  if (other.largest_scale > largest_scale) {
    largest_scale = other.largest_scale;
    largest_scale_at = other.largest_scale_at;
  }
}

void cut(const TensorView& tensor, std::uint32_t number, std::uint64_t bytes, std::vector<ScanPiece>& out) {
  const std::uint64_t row_bytes = tensor.row_bytes();
  if (row_bytes > 0) {
    const std::uint64_t rows = tensor.data.size() / row_bytes;
    const std::uint64_t step = std::max<std::uint64_t>(1, bytes / row_bytes);
    for (std::uint64_t row = 0; row < rows; row += step)
      out.push_back({number, Stream::data, row, std::min(step, rows - row)});
  }
  for (const auto& [stream, all] :
       {std::pair(Stream::scales, tensor.side.scales), std::pair(Stream::biases, tensor.side.biases)})
    for (std::uint64_t at = 0; at < all.size(); at += bytes)
      out.push_back({number, stream, at, std::min<std::uint64_t>(bytes, all.size() - at)});
}

Bytes bytes_of(const ScanPiece& piece, const TensorView& tensor) {
  if (piece.stream == Stream::scales) return tensor.side.scales.subspan(piece.first, piece.count);
  if (piece.stream == Stream::biases) return tensor.side.biases.subspan(piece.first, piece.count);
  return tensor.data.subspan(piece.first * tensor.row_bytes(), piece.count * tensor.row_bytes());
}

namespace {

// The slow and certain answer for a row that may be constant: every value, decoded.
void judge_row(const TensorView& tensor, std::uint64_t row, Numbers& out) {
  if (!check_dequantizable(tensor)) return;
  std::vector<float> values(tensor.cols());
  dequantize_row(tensor, row, values);
  if (!std::all_of(values.begin(), values.end(), [&](float value) { return value == values[0]; })) return;
  if (values[0] == 0)
    out.zero_rows.add(row);
  else if (values.size() > 1)
    out.constant_rows.add(row);
}

template <class F>
void scan_float_rows(const ScanPiece& piece, const TensorView& tensor, Numbers& out) {
  using Word = typename F::Word;
  const std::uint64_t row_bytes = tensor.row_bytes();
  const std::uint64_t count = row_bytes / sizeof(Word);
  const std::byte* start = tensor.data.data() + piece.first * row_bytes;
  scan_floats<F>(start, piece.count * count, piece.first * row_bytes, out.bad_values, out.huge_values);
  for (std::uint64_t row = 0; row < piece.count; ++row) {
    const std::byte* data = start + row * row_bytes;
    const Word first = static_cast<Word>(load<Word>(data) & F::kMagnitude);
    if (count > 1 && first != (load<Word>(data + sizeof(Word)) & F::kMagnitude)) continue;
    if (first == 0 && largest_magnitude<F>(data, count) == 0)
      out.zero_rows.add(piece.first + row);
    else if (first != 0 && count > 1 && is_repeated(data, count, sizeof(Word)))
      out.constant_rows.add(piece.first + row);
  }
}

template <class F>
void scan_float_stream(const ScanPiece& piece, Bytes bytes, Numbers& out) {
  scan_floats<F>(bytes.data(), bytes.size() / sizeof(typename F::Word), piece.first, out.bad_scales, out.huge_values);
}

// 8-bit floats: `is_wrong` over all 256 codes as a table; a plain loop is as fast as memory.
template <class IsWrong>
void scan_codes(Bytes bytes, std::uint64_t at, Tally& tally, IsWrong is_wrong) {
  std::uint64_t wrong = 0;
  for (const std::byte code : bytes) wrong += is_wrong(std::to_integer<std::uint8_t>(code));
  if (wrong == 0) return;
  const auto first = std::find_if(bytes.begin(), bytes.end(),
                                  [&](std::byte code) { return is_wrong(std::to_integer<std::uint8_t>(code)); });
  tally.add(at + static_cast<std::uint64_t>(first - bytes.begin()), wrong);
}

constexpr auto kE8M0Wrong = [](std::uint8_t code) { return code == 0xff; };

// Streams of scales and biases: floats or exponents.
void scan_stream(const ScanPiece& piece, const TensorView& tensor, Numbers& out) {
  const Bytes bytes = bytes_of(piece, tensor);
  switch (tensor.side.format) {
    case FormatId::F32:
      return scan_float_stream<F32Bits>(piece, bytes, out);
    case FormatId::F16:
      return scan_float_stream<F16Bits>(piece, bytes, out);
    case FormatId::BF16:
      return scan_float_stream<BF16Bits>(piece, bytes, out);
    case FormatId::F8_E8M0:
      return scan_codes(bytes, piece.first, out.bad_exponents, kE8M0Wrong);
    default:
      return;
  }
}

void scan_f8(Bytes bytes, std::uint64_t at, FormatId format, Tally& tally) {
  if (format == FormatId::F8_E4M3)
    scan_codes(bytes, at, tally, [](std::uint8_t code) { return (code & 0x7f) == 0x7f; });
  if (format == FormatId::F8_E5M2)
    scan_codes(bytes, at, tally, [](std::uint8_t code) { return (code & 0x7f) >= 0x7c; });
}

// Formats with scales in other tensors: a constant row begins with equal codes.
template <SideFormat F>
void scan_side_rows(const ScanPiece& piece, const TensorView& tensor, Numbers& out) {
  const std::uint64_t row_bytes = tensor.row_bytes();
  scan_f8(bytes_of(piece, tensor), piece.first * row_bytes, tensor.format, out.bad_values);
  const std::uint64_t looked_at = std::min<std::uint64_t>(tensor.cols(), 4);
  for (std::uint64_t row = piece.first; row < piece.first + piece.count; ++row) {
    const std::byte* data = tensor.data.data() + row * row_bytes;
    bool may_be_constant = true;
    for (std::uint64_t i = 1; i < looked_at; ++i)
      may_be_constant = may_be_constant && F::code_value(data, i) == F::code_value(data, 0);
    if (may_be_constant) judge_row(tensor, row, out);
  }
}

template <BlockFormat F>
void scan_block_rows(const ScanPiece& piece, const TensorView& tensor, Numbers& out) {
  const std::uint64_t row_bytes = tensor.row_bytes();
  const std::uint64_t at = piece.first * row_bytes;
  scan_blocks<F>(tensor.data.data() + at, piece.count * (row_bytes / sizeof(typename F::Block)), at, out);
  for (std::uint64_t row = piece.first; row < piece.first + piece.count; ++row)
    if (may_be_constant<F>(block_at<F>(tensor.data.data() + row * row_bytes))) judge_row(tensor, row, out);
}

void scan_weights(const ScanPiece& piece, const TensorView& tensor, Numbers& out) {
  visit(tensor.format, [&]<class F>(std::type_identity<F>) {
    if constexpr (std::is_same_v<F, F32>)
      scan_float_rows<F32Bits>(piece, tensor, out);
    else if constexpr (std::is_same_v<F, F16>)
      scan_float_rows<F16Bits>(piece, tensor, out);
    else if constexpr (std::is_same_v<F, BF16>)
      scan_float_rows<BF16Bits>(piece, tensor, out);
    else if constexpr (std::is_same_v<F, F64>)
      scan_float_rows<F64Bits>(piece, tensor, out);
    else if constexpr (BlockFormat<F>)
      scan_block_rows<F>(piece, tensor, out);
    else if constexpr (SideFormat<F>)
      scan_side_rows<F>(piece, tensor, out);
  });
}

}  // namespace

Numbers scan(const ScanPiece& piece, const TensorView& tensor) {
  Numbers out;
  if (piece.stream != Stream::data) {
    scan_stream(piece, tensor, out);
    return out;
  }
  out.rows = piece.count;
  const std::uint64_t at = piece.first * tensor.row_bytes();
  // Types without a decoder are scales of other tensors, indices or packed words.
  if (dtype_of(tensor.format).is_weight)
    scan_weights(piece, tensor, out);
  else if (tensor.format == FormatId::F8_E8M0)
    scan_codes(bytes_of(piece, tensor), at, out.bad_exponents, kE8M0Wrong);
  else if (tensor.format == FormatId::F8_E4M3FNUZ || tensor.format == FormatId::F8_E5M2FNUZ)
    scan_codes(bytes_of(piece, tensor), at, out.bad_values, [](std::uint8_t code) { return code == 0x80; });
  else if (tensor.format == FormatId::C64)
    scan_floats<F32Bits>(tensor.data.data() + at, piece.count * tensor.row_bytes() / 4, at, out.bad_values,
                         out.huge_values);
  return out;
}

}  // namespace assay::validation

// make_copies(): weights in the decoder's order from tensors in another.
#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/core/parallel.h"
#include "runtime/model/model.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/mxfp4.h"

namespace assay {

namespace {

// Columns and rows in squares: what one side reads far apart the other writes side by side.
template <std::size_t kBytes>
void gather(const Copy& copy, const std::byte* from, std::byte* to) {
  constexpr std::uint64_t kSquare = 32;
  for (std::uint64_t first_row = 0; first_row < copy.rows; first_row += kSquare)
    for (std::uint64_t first_col = 0; first_col < copy.cols; first_col += kSquare)
      for (std::uint64_t row = first_row; row < std::min(copy.rows, first_row + kSquare); ++row)
        for (std::uint64_t col = first_col; col < std::min(copy.cols, first_col + kSquare); ++col)
          std::memcpy(to + (row * copy.cols + col) * kBytes, from + (copy.first + row * copy.row_step + col * copy.col_step) * kBytes, kBytes);
}

// The values that matrix `index` of the stack is taken from: all of the tensor, or a run of its rows.
std::vector<float> decoded(const Copy& copy, std::uint64_t index) {
  const std::uint64_t count = copy.stack == 1 ? copy.from->count() : copy.stack_step, cols = copy.from->cols();
  std::vector<float> values(count);
  for (std::uint64_t row = 0; row < count / cols; ++row) dequantize_row(*copy.from, index * (count / cols) + row, std::span(values).subspan(row * cols, cols));
  return values;
}

// Sixteen bytes of two neighbours each become sixteen of one value and the value sixteen places on.
void reorder_codes(const std::byte* pairs, std::uint8_t* codes) {
  const auto code = [&](std::size_t i) { return static_cast<unsigned>(pairs[i / 2]) >> (i % 2 * 4) & 15u; };
  for (std::size_t i = 0; i < 16; ++i) codes[i] = static_cast<std::uint8_t>(code(i) | code(i + 16) << 4);
}

void gather_mxfp4(const Copy& copy, std::uint64_t index, std::byte* to) {
  const std::uint64_t blocks = copy.cols / MXFP4::kBlock;
  for (std::uint64_t row = 0; row < copy.rows; ++row) {
    const std::uint64_t first = (copy.first + index * copy.stack_step + row * copy.row_step) * blocks;
    for (std::uint64_t block = 0; block < blocks; ++block) {
      MXFP4::Block made;
      made.exponent = static_cast<std::uint8_t>(copy.exponents->data[first + block]);
      reorder_codes(copy.from->data.data() + (first + block) * sizeof(made.codes), made.codes);
      std::memcpy(to + (row * blocks + block) * sizeof(made), &made, sizeof(made));
    }
  }
}

void make(const Copy& copy, std::uint64_t index) {
  const DtypeRow& dtype = dtype_of(copy.format);
  std::byte* to = copy.to + index * copy.rows * (copy.cols / dtype.block_values) * dtype.block_bytes;
  if (copy.exponents != nullptr) return gather_mxfp4(copy, index, to);
  if (copy.format != copy.from->format) {
    const std::vector<float> values = decoded(copy, index);
    return gather<sizeof(float)>(copy, reinterpret_cast<const std::byte*>(values.data()), to);
  }
  const std::byte* from = copy.from->data.data() + index * copy.stack_step * dtype.block_bytes;
  switch (dtype.block_bytes) {
    case 1: return gather<1>(copy, from, to);
    case 2: return gather<2>(copy, from, to);
    case 4: return gather<4>(copy, from, to);
    default: return gather<8>(copy, from, to);
  }
}

}  // namespace

void make_copies(Model& model, int threads) {
  if (model.copies.empty()) return;
  std::vector<std::pair<const Copy*, std::uint64_t>> parts;
  for (const Copy& copy : model.copies)
    for (std::uint64_t index = 0; index < copy.stack; ++index) parts.emplace_back(&copy, index);
  Threads(threads).for_chunks(parts.size(), [&](std::size_t part) { make(*parts[part].first, parts[part].second); });
  model.copies.clear();
}

}  // namespace assay

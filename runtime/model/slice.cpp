// Where the bytes and scales of some rows of a tensor lie.
#include "runtime/model/slice.h"

namespace assay {

namespace {

// Rows of a stream of scales that lies in proportion to the tensor's rows.
Result<Bytes> slice_side(const TensorView& tensor, Bytes side, std::uint64_t first, std::uint64_t count) {
  const std::uint64_t rows = tensor.rows(), whole = rows / tensor.side.group_rows;
  const std::uint64_t element = dtype_of(tensor.side.format).block_bytes;
  if (side.size() <= element) return side;  // one scale for all
  const bool is_even = rows % tensor.side.group_rows == 0 && side.size() % whole == 0 && (side.size() / whole) % element == 0;
  if (!is_even || first % tensor.side.group_rows != 0 || count % tensor.side.group_rows != 0)
    return Error{Code::unsupported, tensor.name, "its scales cross the border between the parts of this fused tensor"};
  const std::uint64_t each = side.size() / whole;
  return side.subspan(first / tensor.side.group_rows * each, count / tensor.side.group_rows * each);
}

}  // namespace

Result<TensorView> slice_rows(const TensorView& tensor, std::uint64_t first, std::uint64_t count) {
  TensorView part = tensor;
  part.shape = {count, tensor.cols()};
  const std::uint64_t row_bytes = tensor.data.size() / tensor.rows();
  part.data = tensor.data.subspan(first * row_bytes, count * row_bytes);
  part.offset = tensor.offset + first * row_bytes;
  ASSAY_TRY(part.side.scales, slice_side(tensor, tensor.side.scales, first, count));
  ASSAY_TRY(part.side.biases, slice_side(tensor, tensor.side.biases, first, count));
  return part;
}

Result<TensorView> slice_values(const TensorView& tensor, std::uint64_t first, std::uint64_t count) {
  const DtypeRow& dtype = dtype_of(tensor.format);
  if (dtype.block_values != 1) return Error{Code::unsupported, tensor.name, "a vector in blocks cannot be taken apart"};
  TensorView part = tensor;
  part.shape = {count};
  part.data = tensor.data.subspan(first * dtype.block_bytes, count * dtype.block_bytes);
  part.offset = tensor.offset + first * dtype.block_bytes;
  return part;
}

}  // namespace assay

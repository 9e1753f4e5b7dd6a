// Parts of tensors as tensors of their own, without copying.
#pragma once

#include "runtime/core/error.h"
#include "runtime/formats/tensor.h"

namespace assay {

// Rows [first, first + count) as a matrix [count][cols]; `tensor` has passed check_dequantizable(). Errors: unsupported, when scales
// that several rows share would be cut.
Result<TensorView> slice_rows(const TensorView& tensor, std::uint64_t first, std::uint64_t count);
// Values [first, first + count) of a vector of plain elements.
Result<TensorView> slice_values(const TensorView& tensor, std::uint64_t first, std::uint64_t count);

}  // namespace assay

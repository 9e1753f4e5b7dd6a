// The plain scalar truth: rows of any weight format as float32.
#pragma once

#include <span>

#include "runtime/core/error.h"
#include "runtime/formats/tensor.h"

namespace assay {

// Writes cols() floats: row `row` (0 <= row < rows()) of a tensor whose format is_weight and whose cols() is a multiple
// of the block. Bit-exact with the formats' published decoders. Checked by the caller (ASSAY_CHECK): sizes and format.
void dequantize_row(const TensorView& tensor, std::uint64_t row, std::span<float> out);

// Whether `tensor` can be dequantised; names what is in the way (format without a decoder, missing scales, wrong
// sizes).
Result<> check_dequantizable(const TensorView& tensor);

}  // namespace assay

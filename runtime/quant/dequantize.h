// The plain scalar truth: rows of any weight format as float32.
#pragma once

#include <span>

#include "runtime/core/error.h"
#include "runtime/formats/tensor.h"

namespace assay {

// Writes cols() floats: row `row` (0 <= row < rows()) of a tensor that check_dequantizable() has accepted; it may lie
// at any address. Bit-exact with the formats' published decoders. ASSAY_CHECKs that row, output, data and scales fit.
void dequantize_row(const TensorView& tensor, std::uint64_t row, std::span<float> out);

// Whether `tensor` can be dequantised; names what is in the way: a format without a decoder, rows that are not whole
// blocks, data or scales of the wrong size, scales that are missing or of a type that is not read (F32, F16, BF16; for
// F8_* also F8_E8M0). MLX groups must be a multiple of 32 that divides the row.
Result<> check_dequantizable(const TensorView& tensor);

}  // namespace assay

// Rows of any weight format as float32 by the fastest kernel this processor has.
#pragma once

#include <cstdint>

#include "runtime/formats/tensor.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

// Outputs from this size on are stored past the caches, which they would only flush; smaller ones stay in them.
inline constexpr std::size_t kStreamedBytes = std::size_t{8} << 20;

// Rows [first, first + count) of a matrix that check_dequantizable() accepted, to `out` [count][cols]: the values of
// dequantize_row(), bit for bit (a NaN may come out as another NaN). `kernels`: nullptr for the best this processor can run.
void dequantize_rows(const TensorView& tensor, std::uint64_t first, std::uint64_t count, float* out, const Kernels* kernels = nullptr);

}  // namespace assay

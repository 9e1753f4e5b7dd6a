// Which kernel turns rows into floats: plain or streaming stores, or the scalar definition where no kernel fits.
#include "runtime/kernels/cpu/dequantize_rows.h"

#include <limits>
#include <span>

#include "runtime/core/assert.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

// A builtin, because vendor headers stay with the kernels.
void store_fence() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

// Kernels count rows and columns in 32 bits.
bool is_in_range(const TensorView& tensor) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max() - kChunk;
  return tensor.rows() <= kMost && tensor.cols() <= kMost;
}

}  // namespace

void dequantize_rows(const TensorView& tensor, std::uint64_t first, std::uint64_t count, float* out, const Kernels* kernels) {
  ASSAY_CHECK(first <= tensor.rows() && count <= tensor.rows() - first);
  ASSAY_CHECK((first + count) * tensor.row_bytes() <= tensor.data.size());
  if (kernels == nullptr) kernels = best_kernels();
  const std::uint64_t cols = tensor.cols();
  const FormatKernels& row_kernels = kernels->formats[static_cast<std::size_t>(tensor.format)];
  if (row_kernels.dequantize == nullptr || !is_in_range(tensor)) {
    for (std::uint64_t row = 0; row < count; ++row) dequantize_row(tensor, first + row, std::span(out + row * cols, cols));
    return;
  }
  const bool is_streamed = count * cols * sizeof(float) >= kStreamedBytes && cols % 16 == 0 && reinterpret_cast<std::uintptr_t>(out) % 64 == 0;
  const DequantizeKernel kernel = is_streamed ? row_kernels.dequantize_streaming : row_kernels.dequantize;
  const WeightRows rows = weight_rows(tensor);
  for (std::uint64_t row = 0; row < count; ++row) kernel(rows, static_cast<std::uint32_t>(first + row), out + row * cols);
  if (is_streamed) store_fence();
}

}  // namespace assay

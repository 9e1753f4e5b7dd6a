// Matrices for kernel benchmarks: random weights in any format, with their values by the scalar truth.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/error.h"
#include "runtime/formats/tensor.h"

namespace assay {

// A tile of kRows different rows, repeated until the weights take some size in memory.
struct KernelMatrix {
  static constexpr std::uint32_t kRows = 64;   // different rows
  static constexpr std::uint32_t kCols = 4096;

  AlignedBuffer<std::byte> data, scales, biases;
  TensorView tensor;              // all repetitions; views into the buffers above
  std::uint32_t tiles = 1;        // repetitions
  std::uint64_t tile_bytes = 0;   // stored bytes of one
  std::vector<float> truth;       // [kRows][kCols] by dequantize_row
};

// Rows of standard deviation about 0.02. `bytes`: how much memory the weights shall take at least. Errors: unsupported, for
// formats that cannot be made.
Result<std::unique_ptr<KernelMatrix>> make_kernel_matrix(FormatId format, std::uint64_t bytes);

// Every format that weights can be in.
std::vector<FormatId> weight_formats();

// `count` values, normally distributed, always the same ones.
std::vector<float> normal_values(std::size_t count, float deviation);

}  // namespace assay

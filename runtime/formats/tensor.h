// TensorView: one tensor of an open file; a name, a type, a shape and bytes inside the mapping. Owns nothing but its
// name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/bytes.h"
#include "runtime/formats/dtype.h"

namespace assay {

// Tensors one file may hold: above any model (the largest have under 100,000), and low enough that what is kept of each
// stays within a few times the bytes its description takes in the file.
inline constexpr std::uint64_t kMaxTensors = 1u << 17;

// Scales (and biases) that a file keeps in tensors of their own: MLX affine, FP8 with scales, NF4/FP4.
// `format` is the element type of both streams.
//   MLX_*:     scales, biases [rows][cols / group]; value = level * scale + bias
//   F8_*:      scales: one value, or [ceil(rows / group_rows)][ceil(cols / group)]; value = code * scale. Empty:
//   scale 1. NF4, FP4:  scales: absmax per `group` values of the flattened matrix (F32; nested absmax is expanded on
//   open, see `owned`)
struct SideScales {
  FormatId format = FormatId::F32;
  Bytes scales;
  Bytes biases;
  std::uint32_t group = 0;
  std::uint32_t group_rows = 1;
};

struct TensorView {
  std::string name;
  FormatId format = FormatId::F32;
  std::vector<std::uint64_t> shape;  // row-major, slowest dimension first; GGUF's order is reversed on reading
  Bytes data;
  SideScales side;
  std::uint32_t file = 0;    // index into ModelFile::files
  std::uint64_t offset = 0;  // of data, from the start of that file

  // Values along the contiguous dimension, and how many such rows there are (1 for a vector).
  std::uint64_t cols() const { return shape.empty() ? 1 : shape.back(); }
  std::uint64_t rows() const {
    std::uint64_t product = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) product *= shape[i];
    return product;
  }
  std::uint64_t count() const { return rows() * cols(); }
  std::uint64_t row_bytes() const { return cols() / dtype_of(format).block_values * dtype_of(format).block_bytes; }
  // All bytes that hold this tensor, scales included.
  std::uint64_t stored_bytes() const { return data.size() + side.scales.size() + side.biases.size(); }
};

}  // namespace assay

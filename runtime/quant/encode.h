// Encoders: float32 rows into a weight format.
#pragma once

#include <span>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/dtype.h"

namespace assay {

// Whether encode_row() can write `format`.
bool has_encoder(FormatId format);

// Whether encode_matrix() writes it: its scales lie in tensors of their own.
bool has_side_scales(FormatId format);

// Encodes one row of a self-contained format (element and block formats). `in.size()` is a multiple of the block;
// `out.size()` is exactly the row's bytes. `importance` (per column, may be empty) weighs the squared error.
// Errors: range (NaN or infinity, its column named; values beyond what the format's F16 scale can reach), unsupported.
Result<> encode_row(FormatId format, std::span<const float> in, std::span<std::byte> out, std::span<const float> importance = {});

// A whole matrix in a format whose scales lie in tensors of their own.
struct SideEncoded {
  std::vector<std::byte> data, scales, biases;
};
struct SideEncodeOptions {
  FormatId format = FormatId::MLX_Q4;        // MLX_*, F8_E4M3, F8_E5M2, NF4, FP4
  FormatId scale_format = FormatId::BF16;    // element type of scales and biases: F32, F16 or BF16
  std::uint32_t group = 64;                  // values along a row per scale; for F8: 0 = one scale for the whole matrix
  std::uint32_t group_rows = 1;              // F8: rows per scale
  float scale = 0;                           // F8 with group 0: the scale to use when a matrix comes in pieces; 0: find it
};
// Errors: unsupported (format), usage (a group that does not suit the format or cols), range (a value that is not finite, its
// row and column named, or too large for its scale). F8 tiles are cut from the first row on: pieces must start on whole tiles.
// The scale of one F8 tile (or matrix) whose largest magnitude is `largest`.
float f8_scale(FormatId format, float largest);
Result<SideEncoded> encode_matrix(const SideEncodeOptions& options, std::span<const float> in, std::uint64_t rows, std::uint64_t cols);

}  // namespace assay

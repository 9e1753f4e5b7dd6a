// Streams the tensors of a plan: decode, re-encode, hand the bytes on, a bounded run of rows at a time.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "runtime/core/function_ref.h"
#include "runtime/core/parallel.h"
#include "runtime/model/convert/plan.h"
#include "runtime/quant/encode.h"

namespace assay::convert {

using ByteSink = FunctionRef<Result<>(Bytes)>;

// How side formats lay out their scales in the result.
struct SideChoice {
  FormatId scale_format = FormatId::BF16;
  std::uint32_t group = 64;
  std::uint32_t group_rows = 1;
};
SideChoice side_choice(FormatId format, const ConvertOptions& options);

// The bytes that are written after a side-format tensor's codes: its scales, then its biases.
struct SideBytes {
  std::vector<std::byte> scales, biases;
};

// A run of rows as it will lie in the file.
struct Chunk {
  std::vector<std::byte> data, scales, biases;
  double squared_error = 0, squared_value = 0;
  std::optional<Error> error;
};

// The values of pieces whose rows are not rows of one tensor, by the piece's first row.
using WholePieces = std::map<std::uint64_t, std::vector<float>>;

class Streamer {
 public:
  Streamer(const ModelFile& in, const ConvertOptions& options, ProgressFn progress, std::uint64_t total_values)
      : in_(in), options_(options), progress_(progress), threads_(options.threads), total_(total_values) {}

  // Sends the tensor's bytes to `sink` in order and counts it in `report`. Errors name the tensor and the row.
  Result<SideBytes> stream(const Step& step, ByteSink sink, ConvertReport& report);

 private:
  Result<std::vector<Chunk>> encode_batch(const Step& step, const WholePieces& whole, std::uint64_t first_row, std::uint64_t rows);
  Result<std::uint64_t> copy(const Step& step, const Piece& piece, ByteSink sink);
  Result<> advance(const Step& step, std::uint64_t values);
  // Lets the system take back pages of the mapping that were read; a large model would fill the memory otherwise.
  void release(Bytes bytes) const;

  const ModelFile& in_;
  const ConvertOptions& options_;
  ProgressFn progress_;
  Threads threads_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

}  // namespace assay::convert

// Streams the tensors of a plan: decode, re-encode, hand the bytes on, a bounded run of rows at a time.
#pragma once

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

class Streamer {
 public:
  Streamer(const ConvertOptions& options, ProgressFn progress, std::uint64_t total_values)
      : options_(options), progress_(progress), threads_(options.threads), total_(total_values) {}

  // Sends the tensor's bytes to `sink` in order and counts it in `report`. Errors name the tensor and the row.
  Result<SideBytes> stream(const Step& step, ByteSink sink, ConvertReport& report);

 private:
  struct Batch;
  Result<> encode_batch(const Step& step, std::uint64_t first_row, std::uint64_t rows, Batch& batch);
  Result<> copy(const Step& step, ByteSink sink);
  Result<> advance(const Step& step, std::uint64_t values);

  const ConvertOptions& options_;
  ProgressFn progress_;
  Threads threads_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

}  // namespace assay::convert

// Rows in chunks over the threads; the grid and so every byte is the same at any thread count.
#include "runtime/model/convert/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/quant/dequantize.h"

namespace assay::convert {
namespace {

constexpr std::uint64_t kChunkValues = 1 << 16;
constexpr std::uint64_t kChunksPerBatch = 32;
constexpr std::uint64_t kCopyBytes = 8 << 20;

ConvertedFormat& entry_of(ConvertReport& report, FormatId format) {
  const auto found = std::ranges::find(report.formats, format, &ConvertedFormat::format);
  if (found != report.formats.end()) return *found;
  report.formats.push_back({.format = format});
  return report.formats.back();
}

// Rows per chunk: about kChunkValues values, and whole tiles where scales span rows.
std::uint64_t chunk_rows(std::uint64_t cols, std::uint32_t group_rows) {
  const std::uint64_t rows = std::max<std::uint64_t>(1, kChunkValues / std::max<std::uint64_t>(cols, 1));
  return (rows + group_rows - 1) / group_rows * group_rows;
}

Error named(Error error, const Step& step, std::uint64_t row) {
  error.subject = fmt::format("{} row {}{}{}", step.name, row, error.subject.empty() ? "" : ", ", error.subject);
  return error;
}

}  // namespace

SideChoice side_choice(FormatId format, const ConvertOptions& options) {
  if (format == FormatId::F8_E4M3 || format == FormatId::F8_E5M2) return {FormatId::F32, 128, 128};
  return {options.format == FormatId::F16 ? FormatId::F16 : FormatId::BF16, options.group, 1};
}

struct Streamer::Batch {
  struct Chunk {
    std::vector<std::byte> data, scales, biases;
    double squared_error = 0, squared_value = 0;
    std::optional<Error> error;
  };
  std::vector<Chunk> chunks;
};

Result<> Streamer::advance(const Step& step, std::uint64_t values) {
  done_ += values;
  if (progress_({.task = "convert", .unit = ProgressUnit::items, .done = done_, .total = total_})) return success();
  return Error{Code::interrupted, step.name, "stopped"};
}

// The same format on both sides: bytes move, values do not change.
Result<> Streamer::copy(const Step& step, ByteSink sink) {
  const TensorView& source = *step.source;
  if (step.order == RowOrder::as_is) {
    for (std::uint64_t at = 0; at < source.data.size(); at += kCopyBytes) {
      const std::uint64_t size = std::min<std::uint64_t>(kCopyBytes, source.data.size() - at);
      ASSAY_TRY_VOID(sink(source.data.subspan(at, size)));
    }
    return advance(step, source.count());
  }
  const std::uint64_t row_bytes = source.row_bytes();
  for (std::uint64_t row = 0; row < source.rows(); ++row)
    ASSAY_TRY_VOID(sink(source.data.subspan(source_row(step, row) * row_bytes, row_bytes)));
  return advance(step, source.count());
}

Result<> Streamer::encode_batch(const Step& step, std::uint64_t first_row, std::uint64_t rows, Batch& batch) {
  const std::uint64_t cols = step.shape.back();
  const SideChoice side = side_choice(step.format, options_);
  const bool is_side = has_side_scales(step.format);
  const std::uint64_t per_chunk = chunk_rows(cols, is_side ? side.group_rows : 1);
  batch.chunks.clear();
  batch.chunks.resize((rows + per_chunk - 1) / per_chunk);
  const auto run = [&](std::size_t index) {
    Batch::Chunk& chunk = batch.chunks[index];
    const std::uint64_t first = first_row + index * per_chunk, end = std::min(first_row + rows, first + per_chunk);
    std::vector<float> values((end - first) * cols);
    for (std::uint64_t row = first; row < end; ++row) {
      const std::span<float> out = std::span(values).subspan((row - first) * cols, cols);
      if (step.source != nullptr) dequantize_row(*step.source, source_row(step, row), out);
      else std::copy_n(step.made.begin() + static_cast<std::ptrdiff_t>(row * cols), cols, out.begin());
    }
    TensorView view;
    view.format = step.format;
    view.shape = {end - first, cols};
    if (is_side) {
      const SideEncodeOptions encode{.format = step.format, .scale_format = side.scale_format, .group = side.group, .group_rows = side.group_rows};
      auto encoded = encode_matrix(encode, values, end - first, cols);
      if (!encoded) {
        chunk.error = named(encoded.error(), step, first);
        return;
      }
      chunk.data = std::move(encoded->data);
      chunk.scales = std::move(encoded->scales);
      chunk.biases = std::move(encoded->biases);
      view.side = {.format = side.scale_format, .scales = chunk.scales, .biases = chunk.biases, .group = side.group, .group_rows = side.group_rows};
    } else {
      const std::uint64_t row_bytes = view.row_bytes();
      chunk.data.resize((end - first) * row_bytes);
      for (std::uint64_t row = first; row < end; ++row) {
        const auto in = std::span<const float>(values).subspan((row - first) * cols, cols);
        const auto encoded = encode_row(step.format, in, std::span(chunk.data).subspan((row - first) * row_bytes, row_bytes));
        if (encoded) continue;
        chunk.error = named(encoded.error(), step, row);
        return;
      }
    }
    if (!options_.measure_error) return;
    view.data = chunk.data;
    std::vector<float> back(cols);
    for (std::uint64_t row = 0; row < end - first; ++row) {
      dequantize_row(view, row, back);
      for (std::uint64_t i = 0; i < cols; ++i) {
        const double value = values[row * cols + i], rest = back[i] - value;
        chunk.squared_error += rest * rest;
        chunk.squared_value += value * value;
      }
    }
  };
  threads_.for_chunks(batch.chunks.size(), run);
  for (Batch::Chunk& chunk : batch.chunks)
    if (chunk.error) return std::move(*chunk.error);
  return success();
}

Result<SideBytes> Streamer::stream(const Step& step, ByteSink sink, ConvertReport& report) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : step.shape) count *= extent;
  const std::uint64_t cols = step.shape.empty() ? 1 : step.shape.back(), rows = cols == 0 ? 0 : count / cols;
  ConvertedFormat& entry = entry_of(report, step.format);
  const bool is_copy = step.source != nullptr && step.source->format == step.format && step.source->side.scales.empty();
  SideBytes side;
  std::uint64_t bytes = 0;
  if (is_copy) {
    ASSAY_TRY_VOID(copy(step, sink));
    bytes = step.source->data.size();
  } else {
    const std::uint32_t group_rows = has_side_scales(step.format) ? side_choice(step.format, options_).group_rows : 1;
    const std::uint64_t per_batch = chunk_rows(cols, group_rows) * kChunksPerBatch;
    Batch batch;
    for (std::uint64_t first = 0; first < rows; first += per_batch) {
      const std::uint64_t now = std::min(per_batch, rows - first);
      ASSAY_TRY_VOID(encode_batch(step, first, now, batch));
      for (const Batch::Chunk& chunk : batch.chunks) {
        ASSAY_TRY_VOID(sink(chunk.data));
        bytes += chunk.data.size() + chunk.scales.size() + chunk.biases.size();
        side.scales.insert(side.scales.end(), chunk.scales.begin(), chunk.scales.end());
        side.biases.insert(side.biases.end(), chunk.biases.begin(), chunk.biases.end());
        entry.squared_error += chunk.squared_error;
        entry.squared_value += chunk.squared_value;
      }
      ASSAY_TRY_VOID(advance(step, now * cols));
    }
  }
  entry.tensors += 1;
  entry.values += count;
  entry.bytes += bytes;
  report.values += count;
  report.bytes += bytes;
  return side;
}

}  // namespace assay::convert

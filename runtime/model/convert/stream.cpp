// Rows in chunks over the threads; the grid and so every byte is the same at any thread count.
#include "runtime/model/convert/stream.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/kernels/cpu/dequantize_rows.h"
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
std::uint64_t chunk_rows(const Step& step, const SideChoice& side) {
  const std::uint64_t rows = std::max<std::uint64_t>(1, kChunkValues / std::max<std::uint64_t>(step.shape.back(), 1));
  const std::uint64_t tile = has_side_scales(step.format) ? side.group_rows : 1;
  return (rows + tile - 1) / tile * tile;
}

Error named(Error error, const Step& step, std::uint64_t row) {
  error.subject = fmt::format("{} row {}{}{}", step.name, row, error.subject.empty() ? "" : ", ", error.subject);
  return error;
}

// Values of result rows [first, end).
std::vector<float> decoded_rows(const Step& step, std::uint64_t first, std::uint64_t end) {
  const std::uint64_t cols = step.shape.back();
  std::vector<float> values((end - first) * cols);
  for (std::uint64_t row = first; row < end; ++row) {
    const std::span<float> out = std::span(values).subspan((row - first) * cols, cols);
    if (step.source != nullptr) dequantize_rows(*step.source, source_row(step, row), 1, out.data());
    else if (!step.stacked.empty()) dequantize_rows(*step.stacked[row / step.stacked[0]->rows()], row % step.stacked[0]->rows(), 1, out.data());
    else for (std::uint64_t i = 0; i < cols; ++i) out[i] = step.made[row * cols + i];
  }
  return values;
}

// Encodes rows from `first` on into `chunk`; an error stays in it.
void encode_chunk(const Step& step, const SideChoice& side, std::uint64_t first, std::span<const float> values, Chunk& chunk) {
  const std::uint64_t cols = step.shape.back(), rows = values.size() / cols;
  if (has_side_scales(step.format)) {
    auto encoded = encode_matrix({.format = step.format, .scale_format = side.scale_format, .group = side.group, .group_rows = side.group_rows}, values, rows, cols);
    if (!encoded) {
      chunk.error = named(encoded.error(), step, first);
      return;
    }
    chunk.data = std::move(encoded->data);
    chunk.scales = std::move(encoded->scales);
    chunk.biases = std::move(encoded->biases);
    return;
  }
  const std::uint64_t row_bytes = cols / dtype_of(step.format).block_values * dtype_of(step.format).block_bytes;
  chunk.data.resize(rows * row_bytes);
  for (std::uint64_t row = 0; row < rows; ++row) {
    const auto encoded = encode_row(step.format, values.subspan(row * cols, cols), std::span(chunk.data).subspan(row * row_bytes, row_bytes));
    if (encoded) continue;
    chunk.error = named(encoded.error(), step, first + row);
    return;
  }
}

// Decodes what was written and sums up how far it is off.
void measure_chunk(const Step& step, const SideChoice& side, std::span<const float> values, Chunk& chunk) {
  const std::uint64_t cols = step.shape.back();
  TensorView view;
  view.format = step.format;
  view.shape = {values.size() / cols, cols};
  view.data = chunk.data;
  if (has_side_scales(step.format))
    view.side = {.format = side.scale_format, .scales = chunk.scales, .biases = chunk.biases, .group = side.group, .group_rows = side.group_rows};
  std::vector<float> back(cols);
  for (std::uint64_t row = 0; row < view.rows(); ++row) {
    dequantize_row(view, row, back);
    for (std::uint64_t i = 0; i < cols; ++i) {
      const double value = values[row * cols + i], rest = back[i] - value;
      chunk.squared_error += rest * rest;
      chunk.squared_value += value * value;
    }
  }
}

}  // namespace

SideChoice side_choice(FormatId format, const ConvertOptions& options) {
  if (format == FormatId::F8_E4M3 || format == FormatId::F8_E5M2) return {FormatId::F32, 128, 128};
  // Runs of 64 over the flattened matrix: 64 rows hold whole runs whatever their length.
  if (format == FormatId::NF4 || format == FormatId::FP4) return {FormatId::F32, 64, 64};
  return {options.format == FormatId::F16 ? FormatId::F16 : FormatId::BF16, options.group, 1};
}

Result<> Streamer::advance(const Step& step, std::uint64_t values) {
  done_ += values;
  if (progress_({.task = "convert", .unit = ProgressUnit::items, .done = done_, .total = total_})) return success();
  return Error{Code::interrupted, step.name, "stopped"};
}

void Streamer::release(Bytes bytes) const {
  const auto is_inside = [&](const MappedFile& file) {
    return !file.bytes().empty() && bytes.data() >= file.bytes().data() && bytes.data() + bytes.size() <= file.bytes().data() + file.bytes().size();
  };
  if (std::ranges::none_of(in_.files, is_inside)) return;  // memory of our own must keep its bytes
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

// The same format on both sides: bytes move, values do not change.
Result<> Streamer::copy(const Step& step, ByteSink sink) {
  const TensorView& source = *step.source;
  if (step.order == RowOrder::as_is) {
    for (std::uint64_t at = 0; at < source.data.size(); at += kCopyBytes) {
      const std::uint64_t size = std::min<std::uint64_t>(kCopyBytes, source.data.size() - at);
      ASSAY_TRY_VOID(sink(source.data.subspan(at, size)));
      release(source.data.subspan(at, size));
    }
    return advance(step, source.count());
  }
  const std::uint64_t row_bytes = source.row_bytes();
  for (std::uint64_t row = 0; row < source.rows(); ++row)
    ASSAY_TRY_VOID(sink(source.data.subspan(source_row(step, row) * row_bytes, row_bytes)));
  return advance(step, source.count());
}

Result<std::vector<Chunk>> Streamer::encode_batch(const Step& step, std::uint64_t first_row, std::uint64_t rows) {
  const SideChoice side = side_choice(step.format, options_);
  const std::uint64_t per_chunk = chunk_rows(step, side);
  std::vector<Chunk> chunks((rows + per_chunk - 1) / per_chunk);
  threads_.for_chunks(chunks.size(), [&](std::size_t index) {
    const std::uint64_t first = first_row + index * per_chunk, end = std::min(first_row + rows, first + per_chunk);
    const std::vector<float> values = decoded_rows(step, first, end);
    encode_chunk(step, side, first, values, chunks[index]);
    if (options_.measure_error && !chunks[index].error) measure_chunk(step, side, values, chunks[index]);
  });
  for (Chunk& chunk : chunks)
    if (chunk.error) return std::move(*chunk.error);
  return chunks;
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
    const std::uint64_t per_batch = rows == 0 ? 1 : chunk_rows(step, side_choice(step.format, options_)) * kChunksPerBatch;
    for (std::uint64_t first = 0; first < rows; first += per_batch) {
      const std::uint64_t now = std::min(per_batch, rows - first);
      ASSAY_TRY(const std::vector<Chunk> chunks, encode_batch(step, first, now));
      for (const Chunk& chunk : chunks) {
        ASSAY_TRY_VOID(sink(chunk.data));
        bytes += chunk.data.size() + chunk.scales.size() + chunk.biases.size();
        side.scales.insert(side.scales.end(), chunk.scales.begin(), chunk.scales.end());
        side.biases.insert(side.biases.end(), chunk.biases.begin(), chunk.biases.end());
        entry.squared_error += chunk.squared_error;
        entry.squared_value += chunk.squared_value;
      }
      if (step.source != nullptr && step.order == RowOrder::as_is)
        release(step.source->data.subspan(first * step.source->row_bytes(), now * step.source->row_bytes()));
      ASSAY_TRY_VOID(advance(step, now * cols));
    }
  }
  if (step.source != nullptr) release(step.source->data);
  entry.tensors += 1;
  entry.values += count;
  entry.bytes += bytes;
  report.values += count;
  report.bytes += bytes;
  return side;
}

}  // namespace assay::convert

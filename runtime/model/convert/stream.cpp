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

// Pieces of which rows [first, end) need all; those that end before are forgotten.
void keep_whole_pieces(const Step& step, std::uint64_t first, std::uint64_t end, WholePieces& whole) {
  std::uint64_t start = 0;
  for (const Piece& piece : step.pieces) {
    const std::uint64_t stop = start + piece.rows();
    if (stop <= first) whole.erase(start);
    if (!piece.is_plain() && start < end && stop > first && !whole.contains(start)) whole.emplace(start, values_of(piece));
    start = stop;
  }
}

// Values of result rows [first, end).
std::vector<float> decoded_rows(const Step& step, const WholePieces& whole, std::uint64_t first, std::uint64_t end) {
  const std::uint64_t cols = step.shape.back();
  if (step.pieces.empty()) return {step.made.begin() + static_cast<std::ptrdiff_t>(first * cols), step.made.begin() + static_cast<std::ptrdiff_t>(end * cols)};
  std::vector<float> values((end - first) * cols);
  std::uint64_t start = 0;
  for (const Piece& piece : step.pieces) {
    const std::uint64_t stop = start + piece.rows(), from = std::max(start, first), to = std::min(stop, end);
    if (from < to && !piece.is_plain()) std::copy_n(whole.at(start).begin() + static_cast<std::ptrdiff_t>((from - start) * cols), (to - from) * cols, values.begin() + static_cast<std::ptrdiff_t>((from - first) * cols));
    for (std::uint64_t row = from; row < to && piece.is_plain(); ++row) dequantize_rows(*piece.source, source_row(piece, row - start), 1, values.data() + (row - first) * cols);
    start = stop;
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
Result<std::uint64_t> Streamer::copy(const Step& step, const Piece& piece, ByteSink sink) {
  const TensorView& source = *piece.source;
  if (piece.order == RowOrder::as_is) {
    for (std::uint64_t at = 0; at < source.data.size(); at += kCopyBytes) {
      const std::uint64_t size = std::min<std::uint64_t>(kCopyBytes, source.data.size() - at);
      ASSAY_TRY_VOID(sink(source.data.subspan(at, size)));
      release(source.data.subspan(at, size));
    }
  } else {
    const std::uint64_t row_bytes = source.row_bytes();
    for (std::uint64_t row = 0; row < source.rows(); ++row)
      ASSAY_TRY_VOID(sink(source.data.subspan(source_row(piece, row) * row_bytes, row_bytes)));
  }
  ASSAY_TRY_VOID(advance(step, source.count()));
  return source.data.size();
}

Result<std::vector<Chunk>> Streamer::encode_batch(const Step& step, const WholePieces& whole, std::uint64_t first_row, std::uint64_t rows) {
  const SideChoice side = side_choice(step.format, options_);
  const std::uint64_t per_chunk = chunk_rows(step, side);
  std::vector<Chunk> chunks((rows + per_chunk - 1) / per_chunk);
  threads_.for_chunks(chunks.size(), [&](std::size_t index) {
    const std::uint64_t first = first_row + index * per_chunk, end = std::min(first_row + rows, first + per_chunk);
    const std::vector<float> values = decoded_rows(step, whole, first, end);
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
  const bool is_copy = !step.pieces.empty() && std::ranges::all_of(step.pieces, [&](const Piece& piece) { return piece.is_plain() && piece.source->format == step.format && piece.source->side.scales.empty(); });
  SideBytes side;
  std::uint64_t bytes = 0;
  if (is_copy) {
    for (const Piece& piece : step.pieces) {
      ASSAY_TRY(const std::uint64_t copied, copy(step, piece, sink));
      bytes += copied;
    }
  } else {
    WholePieces whole;
    const std::uint64_t per_batch = rows == 0 ? 1 : chunk_rows(step, side_choice(step.format, options_)) * kChunksPerBatch;
    for (std::uint64_t first = 0; first < rows; first += per_batch) {
      const std::uint64_t now = std::min(per_batch, rows - first);
      keep_whole_pieces(step, first, first + now, whole);
      ASSAY_TRY(const std::vector<Chunk> chunks, encode_batch(step, whole, first, now));
      for (const Chunk& chunk : chunks) {
        ASSAY_TRY_VOID(sink(chunk.data));
        bytes += chunk.data.size() + chunk.scales.size() + chunk.biases.size();
        side.scales.insert(side.scales.end(), chunk.scales.begin(), chunk.scales.end());
        side.biases.insert(side.biases.end(), chunk.biases.begin(), chunk.biases.end());
        entry.squared_error += chunk.squared_error;
        entry.squared_value += chunk.squared_value;
      }
      if (step.pieces.size() == 1 && step.pieces[0].is_plain() && step.pieces[0].order == RowOrder::as_is)
        release(step.pieces[0].source->data.subspan(first * step.pieces[0].source->row_bytes(), now * step.pieces[0].source->row_bytes()));
      ASSAY_TRY_VOID(advance(step, now * cols));
    }
  }
  for (const Piece& piece : step.pieces) release(piece.source->data);
  entry.tensors += 1;
  entry.values += count;
  entry.bytes += bytes;
  report.values += count;
  report.bytes += bytes;
  return side;
}

}  // namespace assay::convert

// Which kernel a product takes, on which chunk of rows, with inputs in which form.
#include "runtime/engine/cpu_products.h"

#include <algorithm>

#include "runtime/core/assert.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

// The row grid of a product depends on its shape alone, so that results do not depend on the number of threads.
constexpr std::uint32_t kChunksPerProduct = 16;
constexpr std::uint32_t kMaxChunkRows = 512;
// Bytes below which handing work to other threads takes longer than doing it: about a microsecond at memory speed.
constexpr std::size_t kWorthSharing = 48 * 1024;
// Beyond so many tokens a mat-mul, which unpacks weights first, is faster than mat-vecs: 12 measured with BF16, 8 with Q4_K_M and Q8_0,
// both on AVX-512 with VNNI.
constexpr std::uint32_t most_matvec_tokens(Packing packing) { return packing == Packing::floats || packing == Packing::bfloats ? 12 : 8; }
// Rows of one weight that the second cache level keeps for another mat-vec.
constexpr std::uint32_t kRowsInCache = 64;
// Rows dequantised at a time for formats without a kernel of their own.
constexpr std::uint32_t kDequantisedRows = 16;

std::uint32_t matvec_chunk_rows(std::uint32_t rows) {
  const std::uint32_t even = (rows + kChunksPerProduct - 1) / kChunksPerProduct;
  return std::clamp((even + 15) / 16 * 16, 16u, kMaxChunkRows);
}

}  // namespace

bool is_worth_sharing(std::size_t bytes) { return bytes >= kWorthSharing; }

void CpuProducts::multiply(const float* from, std::uint32_t rows, std::uint32_t cols, std::span<const ProductJob> jobs) {
  works_.clear();
  std::size_t chunks = 0, bytes = 0;
  bool any_many = false, any_levels = false, any_whole = false;
  for (const ProductJob& job : jobs) {
    const FormatKernels& kernel = kernels_.formats[static_cast<std::size_t>(job.weight->format)];
    Work work{weight_rows(*job.weight), &kernel, job, job.count > most_matvec_tokens(kernel.packing), 0, chunks, 0};
    ASSAY_CHECK(work.weights.cols == cols);
    const bool has_matmul = kernel.matvec != nullptr && kernel.matmul != nullptr;
    if (kernel.matvec == nullptr)
      work.chunk_rows = kDequantisedRows;
    else
      work.chunk_rows = work.is_many && has_matmul ? kTilesTogether * kTileRows : matvec_chunk_rows(work.weights.rows);
    any_many |= work.is_many;
    if (!(work.is_many && has_matmul)) any_levels |= kernel.takes_levels, any_whole |= kernel.takes_whole_scales;
    chunks += (work.weights.rows + work.chunk_rows - 1) / work.chunk_rows;
    bytes += work.weights.rows * work.weights.row_bytes;
    works_.push_back(work);
  }
  if (any_levels) quantize(from, rows, cols, any_whole);
  if (!any_many) return share(threads_, bytes, chunks, [&](std::size_t chunk) { multiply_chunk(chunk, 0, from); });
  pack_inputs(from, cols);
  threads_.for_chunks_by_worker(chunks, [&](std::size_t chunk, std::size_t worker) { multiply_chunk(chunk, worker, from); });
}

CpuProducts::Work& CpuProducts::work_of(std::size_t chunk) {
  const auto after = std::upper_bound(works_.begin(), works_.end(), chunk, [](std::size_t at, const Work& work) { return at < work.first_chunk; });
  return *std::prev(after);
}

void CpuProducts::multiply_chunk(std::size_t chunk, std::size_t worker, const float* from) {
  const Work& work = work_of(chunk);
  const std::uint32_t begin = static_cast<std::uint32_t>(chunk - work.first_chunk) * work.chunk_rows;
  const std::uint32_t end = std::min(work.weights.rows, begin + work.chunk_rows);
  if (work.kernel->matvec == nullptr) return multiply_dequantised(work, begin, end, from);
  if (work.is_many && work.kernel->matmul != nullptr)
    return work.kernel->matmul(work.weights, packed_[work.packed], begin, end, scratch_[worker].data(), {work.job.out, work.job.stride, work.job.add});
  // Every weight row is read once from memory; beyond kMatvecInputs tokens again from the cache.
  const std::uint32_t step = work.job.count > kMatvecInputs ? kRowsInCache : end - begin;
  for (std::uint32_t row = begin; row < end; row += step) multiply_rows(work, row, std::min(end, row + step), from);
}

Inputs CpuProducts::inputs(const float* from, std::uint32_t cols, std::uint32_t first, std::uint32_t count) const {
  const std::size_t chunks = chunks_of(cols);
  return {count, cols, from + std::size_t{first} * cols, levels_.data() + first * chunks * kChunk, scales_.data() + first * chunks * kGroupsPerChunk,
          sums_.data() + first * chunks * kGroupsPerChunk};
}

void CpuProducts::quantize(const float* from, std::uint32_t rows, std::uint32_t cols, bool whole_scales) {
  const std::size_t chunks = chunks_of(cols);
  reserve(levels_, rows * chunks * kChunk);
  reserve(scales_, rows * chunks * kGroupsPerChunk);
  reserve(sums_, rows * chunks * kGroupsPerChunk);
  threads_.for_chunks(rows, [&](std::size_t row) {
    kernels_.quantize(from + row * cols, cols, whole_scales, levels_.data() + row * chunks * kChunk, scales_.data() + row * chunks * kGroupsPerChunk,
                      sums_.data() + row * chunks * kGroupsPerChunk);
  });
}

// The inputs of every mat-mul in the form it takes; jobs of the same inputs share one.
void CpuProducts::pack_inputs(const float* from, std::uint32_t cols) {
  packed_.clear();
  packed_first_.clear();
  std::size_t bytes = 0, panels = 0;
  std::uint32_t most = 0;
  for (Work& work : works_) {
    if (!work.is_many || work.kernel->matmul == nullptr) continue;
    most = std::max(most, work.job.count);
    work.packed = 0;
    while (work.packed < packed_.size() && !(packed_[work.packed].packing == work.kernel->packing && packed_first_[work.packed] == work.job.first &&
                                             packed_[work.packed].count == work.job.count))
      ++work.packed;
    if (work.packed < packed_.size()) continue;
    packed_.push_back({work.kernel->packing, work.job.count, cols, nullptr});
    packed_first_.push_back(work.job.first);
    bytes += packed_.back().bytes();
    panels += panels_of(work.job.count);
  }
  reserve(panels_, bytes);
  std::byte* memory = panels_.data();
  for (PackedInputs& packed : packed_) {
    packed.panels = memory;
    memory += packed.bytes();
  }
  for (AlignedBuffer<float>& scratch : scratch_) reserve(scratch, matmul_scratch_floats(most));
  threads_.for_chunks(panels, [&](std::size_t panel) {
    std::size_t group = 0;
    for (; panel >= panels_of(packed_[group].count); ++group) panel -= panels_of(packed_[group].count);
    kernels_.pack(from + std::size_t{packed_first_[group]} * cols, packed_[group], static_cast<std::uint32_t>(panel));
  });
}

void CpuProducts::multiply_dequantised(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from) {
  const std::uint32_t cols = work.weights.cols;
  const ProductJob& job = work.job;
  AlignedBuffer<float> floats(std::size_t{end - begin} * cols);
  for (std::uint32_t row = begin; row < end; ++row) dequantize_row(*job.weight, row, {floats.data() + std::size_t{row - begin} * cols, cols});
  WeightRows rows;
  rows.rows = end - begin;
  rows.cols = cols;
  rows.data = reinterpret_cast<const std::byte*>(floats.data());
  rows.row_bytes = cols * sizeof(float);
  const FormatKernels& kernel = kernels_.formats[static_cast<std::size_t>(FormatId::F32)];
  for (std::uint32_t first = 0; first < job.count; first += kMatvecInputs) {
    const Outputs out{job.out + first * job.stride + begin, job.stride, job.add};
    kernel.matvec(rows, inputs(from, cols, job.first + first, std::min(kMatvecInputs, job.count - first)), 0, rows.rows, out);
  }
}

// Rows times all tokens by mat-vec kernels, in as few and as equal parts as they take.
void CpuProducts::multiply_rows(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from) {
  const ProductJob& job = work.job;
  const std::uint32_t parts = (job.count + kMatvecInputs - 1) / kMatvecInputs;
  for (std::uint32_t part = 0; part < parts; ++part) {
    const std::uint32_t first = job.count * part / parts, count = job.count * (part + 1) / parts - first;
    const Outputs out{job.out + first * job.stride, job.stride, job.add};
    work.kernel->matvec(work.weights, inputs(from, work.weights.cols, job.first + first, count), begin, end, out);
  }
}

}  // namespace assay

// The CPU backend's verbs: which kernel, on which rows, on which threads.
#include "runtime/engine/cpu_backend.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/assert.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

// The row grid of a product depends on its shape alone, so that results do not depend on the number of threads.
constexpr std::uint32_t kChunksPerProduct = 16;
constexpr std::uint32_t kMaxChunkRows = 512;
// Bytes below which handing work to other threads takes longer than doing it: a few microseconds at memory speed.
constexpr std::size_t kWorthSharing = 96 * 1024;
// Beyond so many tokens a mat-mul, which unpacks weights first, is faster than mat-vecs: measured with Q4_K_M.
constexpr std::uint32_t kMostMatvecTokens = 12;
// Rows of one weight that the second cache level keeps for another mat-vec.
constexpr std::uint32_t kRowsInCache = 64;
// Rows dequantised at a time for formats without a kernel of their own.
constexpr std::uint32_t kDequantisedRows = 16;

std::uint32_t matvec_chunk_rows(std::uint32_t rows) {
  const std::uint32_t even = (rows + kChunksPerProduct - 1) / kChunksPerProduct;
  return std::clamp((even + 15) / 16 * 16, 16u, kMaxChunkRows);
}

// Chunks on all threads, or one after another where they read less than kWorthSharing bytes: the result is the same.
template <class Body>
void share(Threads& threads, std::size_t bytes, std::size_t chunks, const Body& body) {
  if (bytes >= kWorthSharing) return threads.for_chunks(chunks, body);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
}

template <class T>
void reserve(AlignedBuffer<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

}  // namespace

CpuBackend::CpuBackend(const Model& model, const Options& options)
    : model_(model),
      kernels_(*options.kernels),
      threads_(options.threads),
      rope_(make_rope_table(model)),
      cache_(model.config, options.context, options.sequences, options.kv),
      scratch_(static_cast<std::size_t>(threads_.count())) {}

std::uint32_t CpuBackend::width(Slot which) const {
  const Config& config = model_.config;
  switch (which) {
    case Slot::residual:
    case Slot::normed: return config.embedding;
    case Slot::query:
    case Slot::attended: return config.heads * config.head_dim;
    case Slot::key:
    case Slot::value: return config.kv_heads * config.head_dim;
    case Slot::gate:
    case Slot::up: return config.feed_forward;
    case Slot::logits: return config.vocabulary;
    case Slot::kCount: break;
  }
  return 0;
}

float* CpuBackend::grow(Slot which) {
  reserve(slots_[static_cast<std::size_t>(which)], std::size_t{tokens_} * width(which));
  return slot(which);
}

std::span<const float> CpuBackend::rows(Slot which) const {
  return {slots_[static_cast<std::size_t>(which)].data(), std::size_t{tokens_} * width(which)};
}

void CpuBackend::begin(std::span<const Segment> segments) {
  segments_.assign(segments.begin(), segments.end());
  tokens_ = 0;
  for (const Segment& segment : segments) tokens_ += segment.tokens;
  const std::size_t pairs = model_.config.rope.dims / 2;
  cosines_.resize(tokens_ * pairs);
  sines_.resize(tokens_ * pairs);
  std::size_t at = 0;
  for (const Segment& segment : segments)
    for (std::uint32_t i = 0; i < segment.tokens; ++i, at += pairs) rope_.angles(segment.position + i, cosines_.data() + at, sines_.data() + at);
}

void CpuBackend::embed(const TensorView& weight, std::span<const std::int32_t> tokens) {
  const std::uint32_t columns = width(Slot::residual);
  float* residual = grow(Slot::residual);
  threads_.for_chunks(tokens.size(), [&](std::size_t token) {
    dequantize_row(weight, static_cast<std::uint64_t>(tokens[token]), {residual + token * columns, columns});
  });
}

const float* CpuBackend::norm_weight(const TensorView& weight) {
  for (const auto& [tensor, values] : norms_)
    if (tensor == &weight) return values.data();
  std::vector<float> values(weight.cols());
  dequantize_row(weight, 0, values);
  return norms_.emplace_back(&weight, std::move(values)).second.data();
}

void CpuBackend::norm(Slot to, Slot from, const TensorView& weight) {
  const float* scale = norm_weight(weight);
  const std::uint32_t columns = width(from);
  float* out = grow(to);
  const float* in = slot(from);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    kernels_.rms_norm(in + token * columns, scale, columns, model_.config.norm_epsilon, out + token * columns);
  });
}

void CpuBackend::head_norm(Slot which, const TensorView& weight) {
  const float* scale = norm_weight(weight);
  const std::uint32_t dim = model_.config.head_dim, heads = width(which) / dim;
  float* rows = slot(which);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t head = 0; head < heads; ++head) {
      float* x = rows + (token * heads + head) * dim;
      kernels_.rms_norm(x, scale, dim, model_.config.norm_epsilon, x);
    }
  });
}

void CpuBackend::rope(Slot which) {
  const RopeConfig& config = model_.config.rope;
  const std::uint32_t dim = model_.config.head_dim, heads = width(which) / dim, pairs = config.dims / 2;
  const std::uint32_t step = config.adjacent_pairs ? 1 : pairs, stride = config.adjacent_pairs ? 2 : 1;
  float* rows = slot(which);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    const float* cosines = cosines_.data() + token * pairs;
    const float* sines = sines_.data() + token * pairs;
    for (std::uint32_t head = 0; head < heads; ++head) {
      float* x = rows + (token * heads + head) * dim;
      for (std::uint32_t pair = 0; pair < pairs; ++pair) {
        const float a = x[pair * stride], b = x[pair * stride + step];
        x[pair * stride] = a * cosines[pair] - b * sines[pair];
        x[pair * stride + step] = a * sines[pair] + b * cosines[pair];
      }
    }
  });
}

void CpuBackend::store_kv(std::uint32_t layer) {
  const std::uint32_t dim = model_.config.head_dim, heads = model_.config.kv_heads;
  const float* keys = slot(Slot::key);
  const float* values = slot(Slot::value);
  share(threads_, std::size_t{tokens_} * heads * dim * 2 * sizeof(float), heads, [&](std::size_t head) {
    std::size_t token = 0;
    for (const Segment& segment : segments_) {
      const KvView view = cache_.view(segment.sequence, layer, static_cast<std::uint32_t>(head));
      for (std::uint32_t i = 0; i < segment.tokens; ++i, ++token) {
        const std::size_t at = (token * heads + head) * dim;
        kernels_.store_kv(keys + at, values + at, segment.position + i, view);
      }
    }
  });
}

// The query heads of one key-value head over the tokens of a segment, kAttentionRows at a time: keys and values are read once for
// them.
void CpuBackend::attend(std::uint32_t layer) {
  const Config& config = model_.config;
  const std::uint32_t dim = config.head_dim, group = config.heads / config.kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const float* query = slot(Slot::query);
  float* out = grow(Slot::attended);
  pieces_.clear();
  std::size_t bytes = 0;
  std::uint32_t token = 0;
  for (const Segment& segment : segments_) {
    for (std::uint32_t row = 0; row < segment.tokens * group; row += kAttentionRows) {
      pieces_.push_back({&segment, token, row});
      bytes += std::size_t{segment.position + segment.tokens} * dim * 2 * sizeof(std::uint16_t) * config.kv_heads;
    }
    token += segment.tokens;
  }
  share(threads_, bytes, config.kv_heads * pieces_.size(), [&](std::size_t chunk) {
    // Late tokens see most: they go first, so that the last pieces are the short ones.
    const std::uint32_t kv_head = static_cast<std::uint32_t>(chunk % config.kv_heads);
    const auto& [segment, first_token, first_row] = pieces_[pieces_.size() - 1 - chunk / config.kv_heads];
    const std::uint32_t count = std::min(kAttentionRows, segment->tokens * group - first_row);
    std::array<AttentionRow, kAttentionRows> rows;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t at_token = (first_row + i) / group, head = kv_head * group + (first_row + i) % group;
      const std::size_t at = (std::size_t{first_token + at_token} * config.heads + head) * dim;
      rows[i] = {query + at, out + at, segment->position + at_token + 1};
    }
    kernels_.attend(cache_.view(segment->sequence, layer, kv_head), rows.data(), count, scale);
  });
}

void CpuBackend::gate_up() {
  const std::size_t columns = width(Slot::gate);
  float* gate = slot(Slot::gate);
  const float* up = slot(Slot::up);
  threads_.for_chunks(tokens_, [&](std::size_t token) { kernels_.gate_up(gate + token * columns, up + token * columns, columns); });
}

void CpuBackend::keep_last() { tokens_ = keep_last_rows(slot(Slot::residual), segments_, width(Slot::residual)); }

void CpuBackend::project(Slot from, std::initializer_list<Product> products) { multiply(from, {products.begin(), products.size()}, false); }

void CpuBackend::project_add(Slot from, const TensorView& weight) {
  const Product product{&weight, Slot::residual};
  multiply(from, {&product, 1}, true);
}

void CpuBackend::multiply(Slot from, std::span<const Product> products, bool add) {
  const std::uint32_t cols = width(from);
  const bool many = tokens_ > kMostMatvecTokens;
  works_.clear();
  std::size_t chunks = 0;
  for (const Product& product : products) {
    const FormatKernels& kernel = kernels_.formats[static_cast<std::size_t>(product.weight->format)];
    Work work{weight_rows(*product.weight), product.weight, &kernel, {grow(product.to), width(product.to), add}, 0, chunks};
    ASSAY_CHECK(work.weights.cols == cols);
    if (kernel.matvec == nullptr)
      work.chunk_rows = kDequantisedRows;
    else
      work.chunk_rows = many && kernel.matmul != nullptr ? kTilesTogether * kTileRows : matvec_chunk_rows(work.weights.rows);
    chunks += (work.weights.rows + work.chunk_rows - 1) / work.chunk_rows;
    works_.push_back(work);
  }
  if (many)
    multiply_many(works_, chunks, cols, slot(from));
  else
    multiply_few(works_, chunks, cols, slot(from));
}

Inputs CpuBackend::inputs(const float* from, std::uint32_t cols, std::uint32_t first, std::uint32_t count) const {
  const std::size_t chunks = chunks_of(cols);
  return {count, cols, from + std::size_t{first} * cols, levels_.data() + first * chunks * kChunk, scales_.data() + first * chunks * kGroupsPerChunk,
          sums_.data() + first * chunks * kGroupsPerChunk};
}

void CpuBackend::quantize(const float* from, std::uint32_t cols) {
  const std::size_t chunks = chunks_of(cols);
  reserve(levels_, tokens_ * chunks * kChunk);
  reserve(scales_, tokens_ * chunks * kGroupsPerChunk);
  reserve(sums_, tokens_ * chunks * kGroupsPerChunk);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    kernels_.quantize(from + token * cols, cols, levels_.data() + token * chunks * kChunk, scales_.data() + token * chunks * kGroupsPerChunk,
                      sums_.data() + token * chunks * kGroupsPerChunk);
  });
}

PackedInputs CpuBackend::pack(Packing packing, const float* from, std::uint32_t cols) {
  PackedInputs packed{packing, tokens_, cols, nullptr};
  AlignedBuffer<std::byte>& memory = packed_[static_cast<std::size_t>(packing)];
  reserve(memory, packed.bytes());
  packed.panels = memory.data();
  threads_.for_chunks(panels_of(tokens_), [&](std::size_t panel) { kernels_.pack(from, packed, static_cast<std::uint32_t>(panel)); });
  return packed;
}

void CpuBackend::multiply_dequantised(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from) {
  const std::uint32_t cols = work.weights.cols;
  AlignedBuffer<float> floats(std::size_t{end - begin} * cols);
  for (std::uint32_t row = begin; row < end; ++row) dequantize_row(*work.tensor, row, {floats.data() + std::size_t{row - begin} * cols, cols});
  WeightRows rows;
  rows.rows = end - begin;
  rows.cols = cols;
  rows.data = reinterpret_cast<const std::byte*>(floats.data());
  rows.row_bytes = cols * sizeof(float);
  const FormatKernels& kernel = kernels_.formats[static_cast<std::size_t>(FormatId::F32)];
  for (std::uint32_t first = 0; first < tokens_; first += kMatvecInputs) {
    const Outputs out{work.out.data + first * work.out.stride + begin, work.out.stride, work.out.add};
    kernel.matvec(rows, inputs(from, cols, first, std::min(kMatvecInputs, tokens_ - first)), 0, rows.rows, out);
  }
}

// Rows times all tokens by mat-vec kernels, in as few and as equal parts as they take.
void CpuBackend::multiply_rows(const Work& work, std::uint32_t begin, std::uint32_t end, std::uint32_t cols, const float* from) {
  const std::uint32_t parts = (tokens_ + kMatvecInputs - 1) / kMatvecInputs;
  for (std::uint32_t part = 0; part < parts; ++part) {
    const std::uint32_t first = tokens_ * part / parts, count = tokens_ * (part + 1) / parts - first;
    const Outputs out{work.out.data + first * work.out.stride, work.out.stride, work.out.add};
    work.kernel->matvec(work.weights, inputs(from, cols, first, count), begin, end, out);
  }
}

// Few tokens: every weight row is read once from memory, in file order; beyond kMatvecInputs tokens again from the cache.
void CpuBackend::multiply_few(const std::vector<Work>& works, std::size_t chunks, std::uint32_t cols, const float* from) {
  const bool levels = std::any_of(works.begin(), works.end(), [](const Work& work) { return work.kernel->takes_levels; });
  if (levels) quantize(from, cols);
  std::size_t bytes = 0;
  for (const Work& work : works) bytes += work.weights.rows * work.weights.row_bytes;
  share(threads_, bytes, chunks, [&](std::size_t chunk) {
    const Work& work = *std::find_if(works.rbegin(), works.rend(), [&](const Work& w) { return w.first_chunk <= chunk; });
    const std::uint32_t begin = static_cast<std::uint32_t>(chunk - work.first_chunk) * work.chunk_rows;
    const std::uint32_t end = std::min(work.weights.rows, begin + work.chunk_rows);
    if (work.kernel->matvec == nullptr) return multiply_dequantised(work, begin, end, from);
    for (std::uint32_t row = begin; row < end; row += kRowsInCache) multiply_rows(work, row, std::min(end, row + kRowsInCache), cols, from);
  });
}

void CpuBackend::multiply_many(const std::vector<Work>& works, std::size_t chunks, std::uint32_t cols, const float* from) {
  if (std::any_of(works.begin(), works.end(), [](const Work& work) { return work.kernel->matmul == nullptr && work.kernel->takes_levels; })) quantize(from, cols);
  std::array<PackedInputs, static_cast<std::size_t>(Packing::kCount)> packed;
  for (const Work& work : works) {
    PackedInputs& form = packed[static_cast<std::size_t>(work.kernel->packing)];
    if (work.kernel->matmul != nullptr && form.packing == Packing::none) form = pack(work.kernel->packing, from, cols);
  }
  for (AlignedBuffer<float>& scratch : scratch_) reserve(scratch, matmul_scratch_floats(tokens_));
  threads_.for_chunks_by_worker(chunks, [&](std::size_t chunk, std::size_t worker) {
    const Work& work = *std::find_if(works.rbegin(), works.rend(), [&](const Work& w) { return w.first_chunk <= chunk; });
    const std::uint32_t begin = static_cast<std::uint32_t>(chunk - work.first_chunk) * work.chunk_rows;
    const std::uint32_t end = std::min(work.weights.rows, begin + work.chunk_rows);
    if (work.kernel->matvec == nullptr) return multiply_dequantised(work, begin, end, from);
    if (work.kernel->matmul != nullptr)
      return work.kernel->matmul(work.weights, packed[static_cast<std::size_t>(work.kernel->packing)], begin, end, scratch_[worker].data(), work.out);
    multiply_rows(work, begin, end, cols, from);
  });
}

}  // namespace assay

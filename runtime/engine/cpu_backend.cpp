// The CPU backend's verbs: which kernel, on which rows, on which threads.
#include "runtime/engine/cpu_backend.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/assert.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

// Fewer large pieces of attention than these would leave threads without one: the rows go in small ones then.
constexpr std::uint32_t kFewestLargePieces = 8;

}  // namespace

CpuBackend::CpuBackend(const Model& model, const Options& options)
    : model_(model),
      kernels_(*options.kernels),
      threads_(options.threads),
      products_(kernels_, threads_),
      rope_(make_rope_table(model, options.context)),
      local_rope_(make_local_rope_table(model.config)),
      cache_(model.config, {options.context, options.batch, options.sequences, options.kv}) {}

float* CpuBackend::grow(Slot which, std::uint64_t columns) {
  widths_[static_cast<std::size_t>(which)] = static_cast<std::uint32_t>(columns);
  reserve(slots_[static_cast<std::size_t>(which)], tokens_ * columns);
  return slot(which);
}

std::span<const float> CpuBackend::rows(Slot which) const {
  return {slots_[static_cast<std::size_t>(which)].data(), std::size_t{tokens_} * width(which)};
}

void CpuBackend::begin(std::span<const Segment> segments) {
  segments_.assign(segments.begin(), segments.end());
  tokens_ = 0;
  for (const Segment& segment : segments) tokens_ += segment.tokens;
  fill_angles(rope_, angles_);
  if (!local_rope_.frequencies.empty()) fill_angles(local_rope_, local_angles_);
}

void CpuBackend::fill_angles(const RopeTable& table, Angles& angles) {
  const bool has_neighbours = model_.config.rope.adjacent_pairs;
  const std::size_t pairs = table.frequencies.size(), values = has_neighbours ? 2 * pairs : pairs;
  angles.cosines.resize(tokens_ * values);
  angles.sines.resize(tokens_ * values);
  float* cosines = angles.cosines.data();
  float* sines = angles.sines.data();
  for (const Segment& segment : segments_)
    for (std::uint32_t i = 0; i < segment.tokens; ++i, cosines += values, sines += values) {
      table.angles(segment.position + i, cosines, sines);
      if (!has_neighbours) continue;
      for (std::size_t pair = pairs; pair-- > 0;) {  // in place, from the last on
        cosines[2 * pair + 1] = cosines[2 * pair] = cosines[pair];
        sines[2 * pair + 1] = sines[pair];
        sines[2 * pair] = -sines[pair];
      }
    }
}

void CpuBackend::embed(const TensorView& weight, std::span<const std::int32_t> tokens) {
  const std::size_t columns = weight.cols();
  float* residual = grow(Slot::residual, columns);
  threads_.for_chunks(tokens.size(), [&](std::size_t token) {
    dequantize_row(weight, static_cast<std::uint64_t>(tokens[token]), {residual + token * columns, columns});
  });
}

void CpuBackend::add_positions(const TensorView& weight) {
  const std::size_t columns = weight.cols();
  std::vector<float> row(columns);
  float* residual = slot(Slot::residual);
  for (const Segment& segment : segments_)
    for (std::uint32_t i = 0; i < segment.tokens; ++i, residual += columns) {
      dequantize_row(weight, segment.position + i, row);
      for (std::size_t at = 0; at < columns; ++at) residual[at] += row[at];
    }
}

const float* CpuBackend::floats_of(const TensorView& vector) {
  const auto [entry, is_new] = vectors_.try_emplace(&vector);
  if (is_new) {
    entry->second.resize(vector.cols());
    dequantize_row(vector, 0, entry->second);
  }
  return entry->second.data();
}

void CpuBackend::norm(Slot to, Slot from, const TensorView& weight) {
  const float* scale = floats_of(weight);
  const std::uint32_t columns = width(from);
  float* out = grow(to, columns);
  const float* in = slot(from);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    kernels_.rms_norm(in + token * columns, scale, columns, model_.config.norm_epsilon, out + token * columns);
  });
}

void CpuBackend::layer_norm(Slot to, Slot from, const TensorView& weight, const TensorView* bias) {
  const float* scale = floats_of(weight);
  const float* shift = bias == nullptr ? nullptr : floats_of(*bias);
  const std::uint32_t columns = width(from);
  float* out = grow(to, columns);
  const float* in = slot(from);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    kernels_.layer_norm(in + token * columns, scale, shift, columns, model_.config.norm_epsilon, out + token * columns);
  });
}

void CpuBackend::head_norm(Slot which, const TensorView& weight) {
  const float* scale = floats_of(weight);
  const std::uint32_t heads = which == Slot::query ? model_.config.heads : model_.config.kv_heads, dim = width(which) / heads;
  const std::uint32_t normed = static_cast<std::uint32_t>(weight.cols());
  float* rows = slot(which);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t head = 0; head < heads; ++head) {
      float* x = rows + (token * heads + head) * dim;
      kernels_.rms_norm(x, scale, normed, model_.config.norm_epsilon, x);
    }
  });
}

void CpuBackend::rope(Slot which) { rotate(which, angles_); }
void CpuBackend::local_rope(Slot which) { rotate(which, local_angles_); }

void CpuBackend::rotate(Slot which, const Angles& angles) {
  const RopeConfig& config = model_.config.rope;
  const std::uint32_t heads = which == Slot::query ? model_.config.heads : model_.config.kv_heads, dim = width(which) / heads, pairs = config.dims / 2;
  const std::size_t values = config.adjacent_pairs ? 2 * pairs : pairs;
  float* rows = slot(which) + config.offset;
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t head = 0; head < heads; ++head)
      kernels_.rotate(rows + (token * heads + head) * dim, angles.cosines.data() + token * values, angles.sines.data() + token * values, pairs, config.adjacent_pairs);
  });
}

void CpuBackend::store_kv(std::uint32_t layer) {
  const Config& config = model_.config;
  const std::uint32_t heads = config.kv_heads, dim = config.head_dim, value_stride = config.is_latent() ? dim : config.value_dim;
  const float* keys = slot(Slot::key);
  const float* values = slot(config.is_latent() ? Slot::key : Slot::value);  // latent: the first part of the key
  // A head's rows lie far apart from token to token, where the hardware foresees nothing.
  constexpr std::uint32_t kTokensAhead = 4;
  const auto prefetch = [](const float* row, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; i += 64 / sizeof(float)) __builtin_prefetch(row + i);
  };
  // A key's values lie a strip of a key block apart each: what counts is the lines that are touched.
  share(threads_, std::size_t{tokens_} * heads * dim * kKeyBlock * sizeof(std::uint16_t), heads, [&](std::size_t head) {
    std::size_t token = 0;
    for (const Segment& segment : segments_) {
      const KvView view = cache_.view(segment.sequence, layer, static_cast<std::uint32_t>(head));
      for (std::uint32_t i = 0; i < segment.tokens; ++i, ++token) {
        const std::size_t at = token * heads + head, later = std::min<std::size_t>(token + kTokensAhead, tokens_ - 1) * heads + head;
        prefetch(keys + later * dim, dim);
        prefetch(values + later * value_stride, value_stride);
        kernels_.store_kv(keys + at * dim, values + at * value_stride, (segment.position + i) % view.positions, view);
      }
    }
  });
}

// The query heads of one key-value head over the tokens of a segment, some rows at a time: keys and values are read once for them.
void CpuBackend::attend(std::uint32_t layer) {
  const Config& config = model_.config;
  const std::uint32_t dim = config.head_dim, out_dim = config.value_dim, group = config.heads / config.kv_heads;
  const std::uint32_t window = config.layer_slides(layer) ? config.window : UINT32_MAX;
  const float* sinks = config.arch->has_sinks ? floats_of(*model_.layers[layer].sinks) : nullptr;
  const ScoreRule rule{config.attention_scale, config.attention_soft_cap};
  const float* query = slot(Slot::query);
  float* out = grow(Slot::attended, std::uint64_t{config.heads} * out_dim);
  // In bfloat16 where the products round their inputs, too. To the KL divergence of a small model with Q8_0 weights, 0.000137, it adds
  // -0.2 to +0.4 %, within what llama.cpp's own has.
  const Packing packing = kernels_.formats[static_cast<std::size_t>(model_.layers[layer].attention_out->format)].packing;
  const bool may_round = packing != Packing::none && packing != Packing::floats && kernels_.attend_many != nullptr && cache_.type() == KvType::f16;
  pieces_.clear();
  std::size_t bytes = 0;
  std::uint32_t token = 0;
  for (const Segment& segment : segments_) {
    const std::uint32_t rows = segment.tokens * group;
    const bool has_many = may_round && rows * config.kv_heads >= kFewestLargePieces * kAttentionManyRows;
    const std::uint32_t step = has_many ? kAttentionManyRows : kAttentionRows;
    for (std::uint32_t row = 0; row < rows; row += step) {
      pieces_.push_back({&segment, token, row, std::min(step, rows - row)});
      bytes += std::size_t{std::min(window, segment.position + segment.tokens)} * (dim + out_dim) * sizeof(std::uint16_t) * config.kv_heads;
    }
    token += segment.tokens;
  }
  share(threads_, bytes, config.kv_heads * pieces_.size(), [&](std::size_t chunk) {
    // Late tokens see most: they go first, so that the last pieces are the short ones.
    const std::uint32_t kv_head = static_cast<std::uint32_t>(chunk % config.kv_heads);
    const auto& [segment, first_token, first_row, count] = pieces_[pieces_.size() - 1 - chunk / config.kv_heads];
    std::array<AttentionRow, kAttentionManyRows> rows;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t at_token = (first_row + i) / group, head = kv_head * group + (first_row + i) % group;
      const std::size_t at = std::size_t{first_token + at_token} * config.heads + head;
      const std::uint32_t visible = segment->position + at_token + 1;
      rows[i] = {query + at * dim, out + at * out_dim, visible, visible > window ? visible - window : 0, sinks == nullptr ? AttentionRow::kNoSink : sinks[head]};
    }
    KvView view = cache_.view(segment->sequence, layer, kv_head);
    if (kv_head + 1 < config.kv_heads) view.next_keys = cache_.view(segment->sequence, layer, kv_head + 1).keys;
    (count > kAttentionRows ? kernels_.attend_many : kernels_.attend)(view, rows.data(), count, rule);
  });
}

CpuBackend::GateKernel CpuBackend::gate_kernel() const {
  switch (model_.config.arch->activation) {
    case Activation::silu: return kernels_.gate_up;
    case Activation::gelu: return kernels_.gate_up_gelu;
    case Activation::clamped_silu: return kernels_.gate_up_clamped;
  }
  return nullptr;
}

void CpuBackend::gate_up() {
  const GateKernel kernel = gate_kernel();
  const std::size_t columns = width(Slot::gate);
  float* gate = slot(Slot::gate);
  const float* up = slot(Slot::up);
  threads_.for_chunks(tokens_, [&](std::size_t token) { kernel(gate + token * columns, up + token * columns, columns); });
}

// Families without a gate all have GELU, whose kernel does without one.
void CpuBackend::activate() {
  const std::size_t columns = width(Slot::gate);
  float* gate = slot(Slot::gate);
  ASSAY_CHECK(model_.config.arch->activation == Activation::gelu);
  threads_.for_chunks(tokens_, [&](std::size_t token) { kernels_.gate_up_gelu(gate + token * columns, nullptr, columns); });
}

void CpuBackend::add(Slot which, float factor) {
  const std::size_t columns = width(Slot::residual);
  float* residual = slot(Slot::residual);
  const float* branch = slot(which);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::size_t at = token * columns; at < (token + 1) * columns; ++at) residual[at] += factor * branch[at];
  });
}

void CpuBackend::scale(Slot which, float factor) {
  const std::size_t columns = width(which);
  float* rows = slot(which);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::size_t at = token * columns; at < (token + 1) * columns; ++at) rows[at] *= factor;
  });
}

void CpuBackend::soft_cap(Slot which, float cap) {
  constexpr std::size_t kPart = 16384;
  const std::size_t count = std::size_t{tokens_} * width(which);
  float* rows = slot(which);
  share(threads_, count * sizeof(float), (count + kPart - 1) / kPart, [&](std::size_t part) { kernels_.soft_cap(rows + part * kPart, std::min(kPart, count - part * kPart), cap); });
}

void CpuBackend::keep_last(std::initializer_list<Slot> slots) {
  for (const Slot which : slots) keep_last_rows(slot(which), segments_, width(which));
  tokens_ = static_cast<std::uint32_t>(segments_.size());
}

void CpuBackend::project(Slot from, std::initializer_list<Product> products) {
  jobs_.clear();
  for (const Product& product : products) {
    const std::uint64_t rows = product.weight->rows();
    jobs_.push_back({product.weight, grow(product.to, rows), rows, false, 0, tokens_});
  }
  products_.multiply(slot(from), tokens_, width(from), jobs_);
  for (const Product& product : products)
    if (product.bias != nullptr) add_bias(slot(product.to), width(product.to), *product.bias);
}

void CpuBackend::project_add(Slot from, const TensorView& weight) {
  const ProductJob job{&weight, slot(Slot::residual), weight.rows(), true, 0, tokens_};
  products_.multiply(slot(from), tokens_, width(from), {&job, 1});
}

void CpuBackend::add_bias(float* rows, std::uint32_t columns, const TensorView& bias) {
  const float* values = floats_of(bias);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t at = 0; at < columns; ++at) rows[token * columns + at] += values[at];
  });
}

}  // namespace assay

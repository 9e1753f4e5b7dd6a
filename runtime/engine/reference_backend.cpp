// The reference backend's verbs, each as its formula reads.
#include "runtime/engine/reference_backend.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Rows of a matrix held dequantised at once: enough for a product, little beside any model.
constexpr std::uint64_t kRowsAtOnce = 64;

std::vector<float> vector_of(const TensorView& weight) {
  std::vector<float> values(weight.cols());
  dequantize_row(weight, 0, values);
  return values;
}

// RMS norm (Zhang & Sennrich 2019): x / sqrt(mean(x^2) + epsilon) * weight.
void rms_norm(const float* from, const std::vector<float>& weight, float epsilon, float* to) {
  double squares = 0;
  for (std::size_t i = 0; i < weight.size(); ++i) squares += static_cast<double>(from[i]) * from[i];
  const float scale = static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(weight.size()) + epsilon));
  for (std::size_t i = 0; i < weight.size(); ++i) to[i] = from[i] * scale * weight[i];
}

}  // namespace

ReferenceBackend::ReferenceBackend(const Model& model, std::uint32_t context, std::uint32_t sequences)
    : model_(model), rope_(make_rope_table(model)), context_(context) {
  const std::size_t values = std::size_t{sequences} * model.config.layers * context * model.config.kv_heads * model.config.head_dim;
  keys_.resize(values);
  values_.resize(values);
}

std::size_t ReferenceBackend::width(Slot which) const {
  const Config& config = model_.config;
  switch (which) {
    case Slot::residual:
    case Slot::normed: return config.embedding;
    case Slot::query:
    case Slot::attended: return std::size_t{config.heads} * config.head_dim;
    case Slot::key:
    case Slot::value: return std::size_t{config.kv_heads} * config.head_dim;
    case Slot::gate:
    case Slot::up: return config.feed_forward;
    case Slot::logits: return config.vocabulary;
    case Slot::kCount: break;
  }
  return 0;
}

std::span<const float> ReferenceBackend::rows(Slot which) const { return slots_[static_cast<std::size_t>(which)]; }

void ReferenceBackend::begin(std::span<const Segment> segments) {
  segments_.assign(segments.begin(), segments.end());
  places_.clear();
  for (const Segment& segment : segments)
    for (std::uint32_t i = 0; i < segment.tokens; ++i) places_.push_back({segment.sequence, segment.position + i});
  tokens_ = static_cast<std::uint32_t>(places_.size());
}

void ReferenceBackend::embed(const TensorView& weight, std::span<const std::int32_t> tokens) {
  const std::size_t columns = model_.config.embedding;
  slot(Slot::residual).resize(tokens.size() * columns);
  for (std::size_t token = 0; token < tokens.size(); ++token)
    dequantize_row(weight, static_cast<std::uint64_t>(tokens[token]), {slot(Slot::residual).data() + token * columns, columns});
}

void ReferenceBackend::norm(Slot to, Slot from, const TensorView& weight) {
  const std::vector<float> scale = vector_of(weight);
  slot(to).resize(tokens_ * scale.size());
  for (std::uint32_t token = 0; token < tokens_; ++token)
    rms_norm(slot(from).data() + token * scale.size(), scale, model_.config.norm_epsilon, slot(to).data() + token * scale.size());
}

void ReferenceBackend::multiply(const TensorView& weight, const std::vector<float>& from, std::vector<float>& to, bool add) {
  const Eigen::Index rows = static_cast<Eigen::Index>(weight.rows()), cols = static_cast<Eigen::Index>(weight.cols());
  const Eigen::Map<const RowMatrix> input(from.data(), tokens_, cols);
  Eigen::Map<RowMatrix> output(to.data(), tokens_, rows);
  RowMatrix block(static_cast<Eigen::Index>(kRowsAtOnce), cols);
  for (Eigen::Index first = 0; first < rows; first += block.rows()) {
    const Eigen::Index count = std::min(block.rows(), rows - first);
    for (Eigen::Index row = 0; row < count; ++row)
      dequantize_row(weight, static_cast<std::uint64_t>(first + row), {block.row(row).data(), static_cast<std::size_t>(cols)});
    auto part = output.middleCols(first, count);
    if (add)
      part.noalias() += input * block.topRows(count).transpose();
    else
      part.noalias() = input * block.topRows(count).transpose();
  }
}

void ReferenceBackend::project(Slot from, std::initializer_list<Product> products) {
  for (const Product& product : products) {
    slot(product.to).resize(tokens_ * product.weight->rows());
    multiply(*product.weight, slot(from), slot(product.to), false);
  }
}

void ReferenceBackend::project_add(Slot from, const TensorView& weight) { multiply(weight, slot(from), slot(Slot::residual), true); }

void ReferenceBackend::head_norm(Slot which, const TensorView& weight) {
  const std::vector<float> scale = vector_of(weight);
  std::vector<float>& rows = slot(which);
  for (std::size_t at = 0; at < rows.size(); at += scale.size()) rms_norm(rows.data() + at, scale, model_.config.norm_epsilon, rows.data() + at);
}

void ReferenceBackend::rope(Slot which) {
  const RopeConfig& config = model_.config.rope;
  const std::size_t pairs = config.dims / 2, head_dim = model_.config.head_dim, heads = width(which) / head_dim;
  const std::size_t step = config.adjacent_pairs ? 1 : pairs;    // distance between the two of a pair
  const std::size_t stride = config.adjacent_pairs ? 2 : 1;      // distance between pairs
  std::vector<float> cosines(pairs), sines(pairs);
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    rope_.angles(places_[token].position, cosines.data(), sines.data());
    for (std::size_t head = 0; head < heads; ++head) {
      float* x = slot(which).data() + (token * heads + head) * head_dim;
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        float& a = x[pair * stride];
        float& b = x[pair * stride + step];
        const float rotated = a * cosines[pair] - b * sines[pair];
        b = a * sines[pair] + b * cosines[pair];
        a = rotated;
      }
    }
  }
}

float* ReferenceBackend::cache(std::vector<float>& store, std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head) {
  const Config& config = model_.config;
  return store.data() + (((std::size_t{sequence} * config.layers + layer) * context_ + position) * config.kv_heads + kv_head) * config.head_dim;
}

void ReferenceBackend::store_kv(std::uint32_t layer) {
  const std::size_t columns = width(Slot::key);
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    const auto [sequence, position] = places_[token];
    std::copy_n(slot(Slot::key).data() + token * columns, columns, cache(keys_, layer, sequence, position, 0));
    std::copy_n(slot(Slot::value).data() + token * columns, columns, cache(values_, layer, sequence, position, 0));
  }
}

// softmax(q . k / sqrt(head_dim)) . v over all positions up to the token's own.
void ReferenceBackend::attend_head(std::uint32_t layer, std::uint32_t token, std::uint32_t head) {
  const Config& config = model_.config;
  const std::uint32_t dim = config.head_dim, kv_head = head / (config.heads / config.kv_heads);
  const auto [sequence, position] = places_[token];
  const std::uint32_t visible = position + 1;
  const float* q = slot(Slot::query).data() + (std::size_t{token} * config.heads + head) * dim;
  float* out = slot(Slot::attended).data() + (std::size_t{token} * config.heads + head) * dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));

  std::vector<float> scores(visible);
  float top = -INFINITY;
  for (std::uint32_t at = 0; at < visible; ++at) {
    const float* k = cache(keys_, layer, sequence, at, kv_head);
    float dot = 0;
    for (std::uint32_t i = 0; i < dim; ++i) dot += q[i] * k[i];
    scores[at] = dot * scale;
    top = std::max(top, scores[at]);
  }
  double sum = 0;
  for (float& score : scores) sum += score = std::exp(score - top);
  std::fill_n(out, dim, 0.0f);
  for (std::uint32_t at = 0; at < visible; ++at) {
    const float share = static_cast<float>(scores[at] / sum);
    const float* v = cache(values_, layer, sequence, at, kv_head);
    for (std::uint32_t i = 0; i < dim; ++i) out[i] += share * v[i];
  }
}

void ReferenceBackend::attend(std::uint32_t layer) {
  slot(Slot::attended).resize(tokens_ * width(Slot::attended));
  for (std::uint32_t token = 0; token < tokens_; ++token)
    for (std::uint32_t head = 0; head < model_.config.heads; ++head) attend_head(layer, token, head);
}

void ReferenceBackend::gate_up() {
  std::vector<float>& gate = slot(Slot::gate);
  const std::vector<float>& up = slot(Slot::up);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void ReferenceBackend::keep_last() { tokens_ = keep_last_rows(slot(Slot::residual).data(), segments_, model_.config.embedding); }

}  // namespace assay

// The reference backend's verbs, each as its formula reads.
#include "runtime/engine/reference_backend.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/engine/route.h"
#include "runtime/model/slice.h"
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

// output[input row][weight row] = (or +=) weight x input.
void multiply(const TensorView& weight, const float* from, std::uint32_t count, float* to, bool add) {
  const Eigen::Index rows = static_cast<Eigen::Index>(weight.rows()), cols = static_cast<Eigen::Index>(weight.cols());
  const Eigen::Map<const RowMatrix> input(from, count, cols);
  Eigen::Map<RowMatrix> output(to, count, rows);
  RowMatrix block(static_cast<Eigen::Index>(kRowsAtOnce), cols);
  for (Eigen::Index first = 0; first < rows; first += block.rows()) {
    const Eigen::Index height = std::min(block.rows(), rows - first);
    for (Eigen::Index row = 0; row < height; ++row)
      dequantize_row(weight, static_cast<std::uint64_t>(first + row), {block.row(row).data(), static_cast<std::size_t>(cols)});
    auto part = output.middleCols(first, height);
    if (add)
      part.noalias() += input * block.topRows(height).transpose();
    else
      part.noalias() = input * block.topRows(height).transpose();
  }
}

void add_bias(std::vector<float>& rows, const TensorView& bias) {
  const std::vector<float> values = vector_of(bias);
  for (std::size_t at = 0; at < rows.size(); ++at) rows[at] += values[at % values.size()];
}

float activation(Activation kind, float x) {
  switch (kind) {
    case Activation::silu: return x / (1.0f + std::exp(-x));
    case Activation::gelu: return 0.5f * x * (1.0f + std::tanh(static_cast<float>(std::sqrt(2.0 / std::numbers::pi)) * (x + 0.044715f * x * x * x)));
    case Activation::clamped_silu: break;  // has no form without `up`
  }
  return 0;
}

float gated(Activation kind, float gate, float up) {
  if (kind != Activation::clamped_silu) return activation(kind, gate) * up;
  const float g = std::min(gate, 7.0f), u = std::clamp(up, -7.0f, 7.0f);
  return g / (1.0f + std::exp(-1.702f * g)) * (u + 1.0f);
}

}  // namespace

ReferenceBackend::ReferenceBackend(const Model& model, std::uint32_t context, std::uint32_t sequences)
    : model_(model), rope_(make_rope_table(model, context)), local_rope_(make_local_rope_table(model.config)), context_(context) {
  const std::size_t heads = std::size_t{sequences} * model.config.layers * context * model.config.kv_heads;
  keys_.resize(heads * model.config.head_dim);
  values_.resize(heads * model.config.value_dim);
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
  const std::size_t columns = weight.cols();
  slot(Slot::residual).resize(tokens.size() * columns);
  for (std::size_t token = 0; token < tokens.size(); ++token)
    dequantize_row(weight, static_cast<std::uint64_t>(tokens[token]), {slot(Slot::residual).data() + token * columns, columns});
}

void ReferenceBackend::add_positions(const TensorView& weight) {
  std::vector<float> row(weight.cols());
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    dequantize_row(weight, places_[token].position, row);
    for (std::size_t i = 0; i < row.size(); ++i) slot(Slot::residual)[token * row.size() + i] += row[i];
  }
}

void ReferenceBackend::norm(Slot to, Slot from, const TensorView& weight) {
  const std::vector<float> scale = vector_of(weight);
  slot(to).resize(tokens_ * scale.size());
  for (std::uint32_t token = 0; token < tokens_; ++token)
    rms_norm(slot(from).data() + token * scale.size(), scale, model_.config.norm_epsilon, slot(to).data() + token * scale.size());
}

// LayerNorm (Ba et al. 2016): (x - mean) / sqrt(variance + epsilon) * weight + bias.
void ReferenceBackend::layer_norm(Slot to, Slot from, const TensorView& weight, const TensorView* bias) {
  const std::vector<float> scale = vector_of(weight), shift = bias == nullptr ? std::vector<float>(scale.size()) : vector_of(*bias);
  const std::size_t columns = scale.size();
  slot(to).resize(tokens_ * columns);
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    const float* x = slot(from).data() + token * columns;
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < columns; ++i) mean += x[i] / static_cast<double>(columns);
    for (std::size_t i = 0; i < columns; ++i) variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(columns);
    const double factor = 1.0 / std::sqrt(variance + model_.config.norm_epsilon);
    for (std::size_t i = 0; i < columns; ++i) slot(to)[token * columns + i] = static_cast<float>((x[i] - mean) * factor) * scale[i] + shift[i];
  }
}

void ReferenceBackend::project(Slot from, std::initializer_list<Product> products) {
  for (const Product& product : products) {
    slot(product.to).resize(tokens_ * product.weight->rows());
    multiply(*product.weight, slot(from).data(), tokens_, slot(product.to).data(), false);
    if (product.bias != nullptr) add_bias(slot(product.to), *product.bias);
  }
}

void ReferenceBackend::project_add(Slot from, const TensorView& weight) { multiply(weight, slot(from).data(), tokens_, slot(Slot::residual).data(), true); }

void ReferenceBackend::project_heads(Slot from, Slot to, const TensorView& weight) {
  const std::size_t heads = model_.config.heads, from_dim = width(from) / heads, rows = weight.shape[1], cols = weight.cols(), to_dim = rows + from_dim - cols;
  slot(to).resize(tokens_ * heads * to_dim);
  for (std::size_t head = 0; head < heads; ++head) {
    const auto matrix = slice_rows(weight, head * rows, rows);
    for (std::size_t token = 0; token < tokens_; ++token) {
      const float* x = slot(from).data() + (token * heads + head) * from_dim;
      float* out = slot(to).data() + (token * heads + head) * to_dim;
      multiply(*matrix, x, 1, out, false);
      std::copy_n(x + cols, from_dim - cols, out + rows);
    }
  }
}

void ReferenceBackend::head_norm(Slot which, const TensorView& weight) {
  const std::vector<float> scale = vector_of(weight);
  std::vector<float>& rows = slot(which);
  const std::size_t dim = width(which) / heads_of(which);
  for (std::size_t at = 0; at < rows.size(); at += dim) rms_norm(rows.data() + at, scale, model_.config.norm_epsilon, rows.data() + at);
}

void ReferenceBackend::rope(Slot which) { rotate(which, rope_); }
void ReferenceBackend::local_rope(Slot which) { rotate(which, local_rope_); }

void ReferenceBackend::rotate(Slot which, const RopeTable& table) {
  const RopeConfig& config = model_.config.rope;
  const std::size_t pairs = table.frequencies.size(), heads = heads_of(which), dim = width(which) / heads;
  const std::size_t step = config.adjacent_pairs ? 1 : pairs;    // distance between the two of a pair
  const std::size_t stride = config.adjacent_pairs ? 2 : 1;      // distance between pairs
  std::vector<float> cosines(pairs), sines(pairs);
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    table.angles(places_[token].position, cosines.data(), sines.data());
    for (std::size_t head = 0; head < heads; ++head) {
      float* x = slot(which).data() + (token * heads + head) * dim + config.offset;
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

float* ReferenceBackend::cached_key(std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head) {
  const Config& config = model_.config;
  return keys_.data() + (((std::size_t{sequence} * config.layers + layer) * context_ + position) * config.kv_heads + kv_head) * config.head_dim;
}

float* ReferenceBackend::cached_value(std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head) {
  const Config& config = model_.config;
  return values_.data() + (((std::size_t{sequence} * config.layers + layer) * context_ + position) * config.kv_heads + kv_head) * config.value_dim;
}

// Latent attention has no values of their own: they are the first part of the key.
void ReferenceBackend::store_kv(std::uint32_t layer) {
  const Config& config = model_.config;
  for (std::uint32_t token = 0; token < tokens_; ++token) {
    const auto [sequence, position] = places_[token];
    for (std::uint32_t head = 0; head < config.kv_heads; ++head) {
      const std::size_t at = std::size_t{token} * config.kv_heads + head;
      const float* key = slot(Slot::key).data() + at * config.head_dim;
      const float* value = config.is_latent() ? key : slot(Slot::value).data() + at * config.value_dim;
      std::copy_n(key, config.head_dim, cached_key(layer, sequence, position, head));
      std::copy_n(value, config.value_dim, cached_value(layer, sequence, position, head));
    }
  }
}

// softmax(rule(q . k)) . v over the positions that the token sees: all up to its own, or the last `window` of them. A sink is one
// more score, without a value.
void ReferenceBackend::attend_head(std::uint32_t layer, std::uint32_t token, std::uint32_t head) {
  const Config& config = model_.config;
  const std::uint32_t dim = config.head_dim, out_dim = config.value_dim, kv_head = head / (config.heads / config.kv_heads);
  const auto [sequence, position] = places_[token];
  const std::uint32_t visible = position + 1, first = config.layer_slides(layer) && visible > config.window ? visible - config.window : 0;
  const float* q = slot(Slot::query).data() + (std::size_t{token} * config.heads + head) * dim;
  float* out = slot(Slot::attended).data() + (std::size_t{token} * config.heads + head) * out_dim;
  const float cap = config.attention_soft_cap;

  std::vector<float> scores(visible - first);
  const float sink = config.arch->has_sinks ? vector_of(*model_.layers[layer].sinks)[head] : -INFINITY;
  float top = sink;
  for (std::uint32_t at = first; at < visible; ++at) {
    const float* k = cached_key(layer, sequence, at, kv_head);
    float dot = 0;
    for (std::uint32_t i = 0; i < dim; ++i) dot += q[i] * k[i];
    float& score = scores[at - first];
    score = dot * config.attention_scale;
    if (cap > 0) score = cap * std::tanh(score / cap);
    top = std::max(top, score);
  }
  double sum = std::exp(sink - top);
  for (float& score : scores) sum += score = std::exp(score - top);
  std::fill_n(out, out_dim, 0.0f);
  for (std::uint32_t at = first; at < visible; ++at) {
    const float share = static_cast<float>(scores[at - first] / sum);
    const float* v = cached_value(layer, sequence, at, kv_head);
    for (std::uint32_t i = 0; i < out_dim; ++i) out[i] += share * v[i];
  }
}

void ReferenceBackend::attend(std::uint32_t layer) {
  slot(Slot::attended).resize(std::size_t{tokens_} * model_.config.heads * model_.config.value_dim);
  for (std::uint32_t token = 0; token < tokens_; ++token)
    for (std::uint32_t head = 0; head < model_.config.heads; ++head) attend_head(layer, token, head);
}

void ReferenceBackend::gate_up() {
  std::vector<float>& gate = slot(Slot::gate);
  const std::vector<float>& up = slot(Slot::up);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gated(model_.config.arch->activation, gate[i], up[i]);
}

void ReferenceBackend::activate() {
  for (float& value : slot(Slot::gate)) value = activation(model_.config.arch->activation, value);
}

std::vector<float> ReferenceBackend::expert_output(const ExpertWeights& expert, const float* input) const {
  std::vector<float> gate(expert.gate->rows()), up(gate.size()), out(expert.down->rows());
  multiply(*expert.gate, input, 1, gate.data(), false);
  multiply(*expert.up, input, 1, up.data(), false);
  if (expert.gate_bias != nullptr) add_bias(gate, *expert.gate_bias);
  if (expert.up_bias != nullptr) add_bias(up, *expert.up_bias);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gated(model_.config.arch->activation, gate[i], up[i]);
  multiply(*expert.down, gate.data(), 1, out.data(), false);
  if (expert.down_bias != nullptr) add_bias(out, *expert.down_bias);
  return out;
}

void ReferenceBackend::experts(std::uint32_t layer) {
  Routing routing;
  const TensorView* correction = model_.layers[layer].router_correction;
  const std::vector<float> corrections = correction == nullptr ? std::vector<float>() : vector_of(*correction);
  route(slot(Slot::router).data(), tokens_, model_.config, corrections.empty() ? nullptr : corrections.data(), routing);
  const std::size_t columns = model_.config.embedding;
  for (const Choice& choice : routing.choices) {
    const std::vector<float> out = expert_output(model_.layers[layer].experts[choice.expert], slot(Slot::normed).data() + choice.token * columns);
    for (std::size_t i = 0; i < columns; ++i) slot(Slot::residual)[choice.token * columns + i] += choice.weight * out[i];
  }
}

void ReferenceBackend::add(Slot which, float factor) {
  std::vector<float>& residual = slot(Slot::residual);
  for (std::size_t i = 0; i < residual.size(); ++i) residual[i] += factor * slot(which)[i];
}

void ReferenceBackend::scale(Slot which, float factor) {
  for (float& value : slot(which)) value *= factor;
}

void ReferenceBackend::soft_cap(Slot which, float cap) {
  for (float& value : slot(which)) value = cap * std::tanh(value / cap);
}

void ReferenceBackend::keep_last(std::initializer_list<Slot> slots) {
  for (const Slot which : slots) {
    keep_last_rows(slot(which).data(), segments_, width(which));
    slot(which).resize(segments_.size() * width(which));
  }
  tokens_ = static_cast<std::uint32_t>(segments_.size());
}

}  // namespace assay

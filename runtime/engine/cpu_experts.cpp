// The CPU backend's verbs for experts and for matrices of single heads: products of a few rows each, all in one region.
#include <algorithm>

#include "runtime/core/assert.h"
#include "runtime/engine/cpu_backend.h"
#include "runtime/model/slice.h"

namespace assay {

namespace {

void add_row(float* to, const float* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace

// Tokens are sorted by expert, so that the weights of each are read once for all tokens that chose it.
void CpuBackend::experts(std::uint32_t layer) {
  const Config& config = model_.config;
  const std::size_t width_in = config.embedding, inner = config.experts.feed_forward;
  const TensorView* correction = model_.layers[layer].router_correction;
  route(slot(Slot::router), tokens_, config, correction == nullptr ? nullptr : floats_of(*correction), routing_);
  const std::size_t rows = routing_.choices.size();
  const bool is_one = tokens_ == 1;  // all its experts take the same input
  reserve(expert_gate_, rows * inner);
  reserve(expert_up_, rows * inner);
  reserve(expert_out_, rows * width_in);
  const float* inputs = slot(Slot::normed);
  if (!is_one) {
    reserve(expert_in_, rows * width_in);
    threads_.for_chunks(rows, [&](std::size_t row) { std::copy_n(slot(Slot::normed) + routing_.choices[row].token * width_in, width_in, expert_in_.data() + row * width_in); });
    inputs = expert_in_.data();
  }

  jobs_.clear();
  add_expert_jobs(layer, &ExpertWeights::gate, expert_gate_.data(), is_one);
  add_expert_jobs(layer, &ExpertWeights::up, expert_up_.data(), is_one);
  products_.multiply(inputs, is_one ? 1 : static_cast<std::uint32_t>(rows), config.embedding, jobs_);
  if (config.arch->has_expert_bias) {
    add_expert_bias(layer, &ExpertWeights::gate_bias, expert_gate_.data());
    add_expert_bias(layer, &ExpertWeights::up_bias, expert_up_.data());
  }
  const auto activation = gate_kernel();
  threads_.for_chunks(rows, [&](std::size_t row) { activation(expert_gate_.data() + row * inner, expert_up_.data() + row * inner, inner); });
  jobs_.clear();
  add_expert_jobs(layer, &ExpertWeights::down, expert_out_.data(), false);
  products_.multiply(expert_gate_.data(), static_cast<std::uint32_t>(rows), config.experts.feed_forward, jobs_);
  if (config.arch->has_expert_bias) add_expert_bias(layer, &ExpertWeights::down_bias, expert_out_.data());

  float* residual = slot(Slot::residual);
  const std::uint32_t used = config.experts.used;
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t i = 0; i < used; ++i) {
      const std::uint32_t row = routing_.places[token * used + i];
      const float weight = routing_.choices[row].weight;
      const float* out = expert_out_.data() + row * width_in;
      for (std::size_t at = 0; at < width_in; ++at) residual[token * width_in + at] += weight * out[at];
    }
  });
}

// A product for each run of choices of one expert.
void CpuBackend::add_expert_jobs(std::uint32_t layer, const TensorView* ExpertWeights::*which, float* out, bool is_one) {
  const std::vector<Choice>& choices = routing_.choices;
  for (std::uint32_t first = 0, end = 0; first < choices.size(); first = end) {
    const std::uint32_t expert = choices[first].expert;
    while (end < choices.size() && choices[end].expert == expert) ++end;
    const TensorView* weight = model_.layers[layer].experts[expert].*which;
    jobs_.push_back({weight, out + first * weight->rows(), weight->rows(), false, is_one ? 0 : first, end - first});
  }
}

void CpuBackend::add_expert_bias(std::uint32_t layer, const TensorView* ExpertWeights::*which, float* rows) {
  for (std::size_t row = 0; row < routing_.choices.size(); ++row) {
    const TensorView& bias = *(model_.layers[layer].experts[routing_.choices[row].expert].*which);
    add_row(rows + row * bias.cols(), floats_of(bias), bias.cols());
  }
}

// Each head's inputs are brought together, so that its matrix is read once for all tokens.
void CpuBackend::project_heads(Slot from, Slot to, const TensorView& weight) {
  const std::uint32_t heads = model_.config.heads, from_dim = width(from) / heads;
  const std::uint32_t cols = static_cast<std::uint32_t>(weight.cols()), rows = static_cast<std::uint32_t>(weight.shape[1]), rest = from_dim - cols, to_dim = rows + rest;
  const std::vector<TensorView>& matrices = heads_of(weight);
  const float* in = slot(from);
  float* out = grow(to, std::uint64_t{heads} * to_dim);
  reserve(expert_in_, std::size_t{tokens_} * heads * cols);
  threads_.for_chunks(tokens_, [&](std::size_t token) {
    for (std::uint32_t head = 0; head < heads; ++head) {
      const float* x = in + (token * heads + head) * from_dim;
      std::copy_n(x, cols, expert_in_.data() + (std::size_t{head} * tokens_ + token) * cols);
      std::copy_n(x + cols, rest, out + (token * heads + head) * to_dim + rows);
    }
  });
  jobs_.clear();
  for (std::uint32_t head = 0; head < heads; ++head)
    jobs_.push_back({&matrices[head], out + std::size_t{head} * to_dim, std::size_t{heads} * to_dim, false, head * tokens_, tokens_});
  products_.multiply(expert_in_.data(), heads * tokens_, cols, jobs_);
}

const std::vector<TensorView>& CpuBackend::heads_of(const TensorView& weight) {
  const auto [entry, is_new] = head_matrices_.try_emplace(&weight);
  for (std::uint64_t head = 0; is_new && head < weight.shape[0]; ++head) {
    auto matrix = slice_rows(weight, head * weight.shape[1], weight.shape[1]);
    ASSAY_CHECK(matrix.has_value());  // bind_model() has tried
    entry->second.push_back(std::move(*matrix));
  }
  return entry->second;
}

}  // namespace assay

// Top-k of the router's logits, and the order in which experts take them.
#include "runtime/engine/route.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay {

namespace {

void softmax(std::vector<float>& values) {
  const float top = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - top);
  for (float& value : values) value /= sum;
}

}  // namespace

void route(const float* logits, std::uint32_t tokens, const Config& config, Routing& routing) {
  const std::uint32_t count = config.experts.count, used = config.experts.used;
  routing.choices.clear();
  std::vector<float> shares(count), chosen(used);
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t token = 0; token < tokens; ++token) {
    shares.assign(logits + std::size_t{token} * count, logits + std::size_t{token + 1} * count);
    if (!config.arch->chooses_before_softmax) softmax(shares);
    std::iota(order.begin(), order.end(), 0u);
    std::partial_sort(order.begin(), order.begin() + used, order.end(), [&](std::uint32_t a, std::uint32_t b) { return shares[a] != shares[b] ? shares[a] > shares[b] : a < b; });
    for (std::uint32_t i = 0; i < used; ++i) chosen[i] = shares[order[i]];
    if (config.arch->chooses_before_softmax) softmax(chosen);
    const float sum = config.experts.renormalises ? std::accumulate(chosen.begin(), chosen.end(), 0.0f) : 1.0f;
    for (std::uint32_t i = 0; i < used; ++i) routing.choices.push_back({token, order[i], chosen[i] / sum * config.experts.scale});
  }
  std::sort(routing.choices.begin(), routing.choices.end(), [](const Choice& a, const Choice& b) { return a.expert != b.expert ? a.expert < b.expert : a.token < b.token; });
  routing.places.assign(std::size_t{tokens} * used, 0);
  std::vector<std::uint32_t> filled(tokens);
  for (std::uint32_t place = 0; place < routing.choices.size(); ++place) {
    const std::uint32_t token = routing.choices[place].token;
    routing.places[std::size_t{token} * used + filled[token]++] = place;
  }
}

}  // namespace assay

// Top-k of the router's logits, and the order in which experts take them.
#include "runtime/engine/route.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace assay {

namespace {

void softmax(std::vector<float>& values) {
  const float top = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - top);
  for (float& value : values) value /= sum;
}

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

// Leaves the scores of the best groups and takes the others out of the choice.
void keep_best_groups(const ExpertConfig& experts, std::vector<float>& scores) {
  const std::uint32_t each = experts.count / experts.groups;
  std::vector<std::pair<float, std::uint32_t>> groups(experts.groups);
  for (std::uint32_t group = 0; group < experts.groups; ++group) {
    std::vector<float> inside(scores.begin() + group * each, scores.begin() + (group + 1) * each);
    const std::uint32_t counted = experts.group_score == GroupScore::best_two ? std::min(2u, each) : 1;
    std::partial_sort(inside.begin(), inside.begin() + counted, inside.end(), std::greater<>());
    groups[group] = {-std::accumulate(inside.begin(), inside.begin() + counted, 0.0f), group};
  }
  std::partial_sort(groups.begin(), groups.begin() + experts.used_groups, groups.end());  // a NaN among them does no harm
  for (std::uint32_t place = experts.used_groups; place < experts.groups; ++place) std::fill_n(scores.begin() + groups[place].second * each, each, -INFINITY);
}

}  // namespace

void route(const float* logits, std::uint32_t tokens, const Config& config, const float* correction, Routing& routing) {
  const ExpertConfig& experts = config.experts;
  const std::uint32_t count = experts.count, used = experts.used;
  routing.choices.clear();
  std::vector<float> shares(count), scores(count), chosen(used);
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t token = 0; token < tokens; ++token) {
    shares.assign(logits + std::size_t{token} * count, logits + std::size_t{token + 1} * count);
    if (experts.gating == Gating::sigmoid)
      std::transform(shares.begin(), shares.end(), shares.begin(), sigmoid);
    else if (!config.arch->chooses_before_softmax)
      softmax(shares);
    scores = shares;
    for (std::uint32_t expert = 0; correction != nullptr && expert < count; ++expert) scores[expert] += correction[expert];
    if (experts.used_groups < experts.groups) keep_best_groups(experts, scores);
    std::iota(order.begin(), order.end(), 0u);
    std::partial_sort(order.begin(), order.begin() + used, order.end(), [&](std::uint32_t a, std::uint32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    for (std::uint32_t i = 0; i < used; ++i) chosen[i] = shares[order[i]];
    if (config.arch->chooses_before_softmax && experts.gating == Gating::softmax) softmax(chosen);
    const float sum = experts.renormalises ? std::accumulate(chosen.begin(), chosen.end(), 0.0f) : 1.0f;
    for (std::uint32_t i = 0; i < used; ++i) routing.choices.push_back({token, order[i], chosen[i] / sum * experts.scale});
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

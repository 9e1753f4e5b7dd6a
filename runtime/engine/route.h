// Which experts each token goes to, and with what weights.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/model/config.h"

namespace assay {

// One token's use of one expert.
struct Choice {
  std::uint32_t token = 0, expert = 0;
  float weight = 0;
};
struct Routing {
  std::vector<Choice> choices;        // [tokens * used], by expert, then by token
  std::vector<std::uint32_t> places;  // [tokens][used]: where in `choices` a token's are
};

// From the router's logits [tokens][experts]: the largest `used`, the lower index where two are equal. Weights are the softmax over all
// experts, over the chosen ones where the family says so, made to sum to 1 where the config says so; times the config's scale.
void route(const float* logits, std::uint32_t tokens, const Config& config, Routing& routing);

}  // namespace assay

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
// experts, over the chosen ones where the family says so, or each logit's sigmoid; made to sum to 1 where the config says so; times
// the config's scale. Where experts are in groups, those of the best groups alone can be chosen (DeepSeek-V2, V3). `correction`: one
// value for each expert that counts for the choice of groups and experts and not for the weights, or nullptr.
void route(const float* logits, std::uint32_t tokens, const Config& config, const float* correction, Routing& routing);

}  // namespace assay

// Which experts a token goes to, and with what weights: the largest p.used scores, the lower index where two are equal.
layout(local_size_x = 64) in;
layout(constant_id = 1) const uint kExperts = 64;
layout(constant_id = 2) const uint kGating = 0;       // weights: 0: softmax over all, 1: softmax over the chosen ones, 2: sigmoids
layout(constant_id = 3) const bool kDivides = false;  // the chosen weights are made to sum to 1
layout(constant_id = 4) const uint kGroups = 1;       // of experts, of which the best p.used_groups can be chosen from
layout(constant_id = 5) const bool kBestTwo = false;  // a group's score is the sum of its best two, else its best
layout(push_constant, std430) uniform Push {
  uint64_t logits;      // [tokens][stride]
  uint64_t choices;     // [tokens][used] of {expert, weight}
  uint64_t correction;  // [experts], added for the choice and not to the weights; or 0
  uint stride;
  uint used;
  float scale;          // of weights
  uint used_groups;
} p;
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Choices { uvec2 at[]; };

shared float scores[kExperts];
shared float group_scores[kGroups];
shared float best_value[64];
shared uint best_index[64];

#define GONE uintBitsToFloat(0xff800000u)  // minus infinity: below every score

// The largest score, first index first; in every thread.
void find_best(uint thread) {
  float value = GONE;
  uint index = kExperts;
  for (uint i = thread; i < kExperts; i += 64)
    if (scores[i] > value) {
      value = scores[i];
      index = i;
    }
  barrier();
  best_value[thread] = value;
  best_index[thread] = index;
  for (uint apart = 32; apart > 0; apart /= 2) {
    barrier();
    if (thread < apart) {
      const float other = best_value[thread + apart];
      if (other > best_value[thread] || (other == best_value[thread] && best_index[thread + apart] < best_index[thread])) {
        best_value[thread] = other;
        best_index[thread] = best_index[thread + apart];
      }
    }
  }
  barrier();
}

// The sum of a value over all threads.
float sum_of(uint thread, float value) {
  barrier();
  best_value[thread] = value;
  for (uint apart = 32; apart > 0; apart /= 2) {
    barrier();
    if (thread < apart) best_value[thread] += best_value[thread + apart];
  }
  barrier();
  return best_value[0];
}

// Takes the experts of all but the best groups out of the choice.
void keep_best_groups(uint thread) {
  const uint each = kExperts / kGroups;
  for (uint group = thread; group < kGroups; group += 64) {
    float first = GONE, second = GONE;
    for (uint i = group * each; i < (group + 1) * each; ++i) {
      second = max(second, min(first, scores[i]));
      first = max(first, scores[i]);
    }
    group_scores[group] = kBestTwo && each > 1 ? first + second : first;
  }
  barrier();
  for (uint group = thread; group < kGroups; group += 64) {
    uint better = 0;
    for (uint other = 0; other < kGroups; ++other)
      if (group_scores[other] > group_scores[group] || (group_scores[other] == group_scores[group] && other < group)) ++better;
    if (better < p.used_groups) continue;
    for (uint i = group * each; i < (group + 1) * each; ++i) scores[i] = GONE;
  }
  barrier();
}

void main() {
  const uint thread = gl_LocalInvocationID.x, token = gl_WorkGroupID.x;
  Floats logits = Floats(p.logits + 4 * uint64_t(token) * p.stride);
  for (uint i = thread; i < kExperts; i += 64) scores[i] = logits.at[i];
  barrier();
  float top = 0, whole = 1;  // of the softmax over all
  if (kGating == 0) {
    find_best(thread);
    top = best_value[0];
    float sum = 0;
    for (uint i = thread; i < kExperts; i += 64) sum += exp(logits.at[i] - top);
    whole = sum_of(thread, sum);
  }
  for (uint i = thread; i < kExperts; i += 64) {
    float score = scores[i];
    if (kGating == 0) score = exp(score - top) / whole;
    if (kGating == 2) score = 1.0 / (1.0 + exp(-score));
    scores[i] = p.correction != 0 ? score + Floats(p.correction).at[i] : score;
  }
  barrier();
  if (kGroups > 1) keep_best_groups(thread);

  // Threads find, the first one notes: what is chosen is below all others from then on.
  Choices choices = Choices(p.choices + 8 * uint64_t(token) * p.used);
  for (uint k = 0; k < p.used; ++k) {
    find_best(thread);
    if (thread == 0) {
      const uint expert = min(best_index[0], kExperts - 1);  // some expert where no score is a number
      choices.at[k].x = expert;
      scores[expert] = GONE;
    }
    barrier();
  }
  if (thread != 0) return;
  if (kGating == 1) top = logits.at[choices.at[0].x];
  float sum = 0;
  for (uint k = 0; k < p.used; ++k) {
    const float logit = logits.at[choices.at[k].x], weight = kGating == 2 ? 1.0 / (1.0 + exp(-logit)) : exp(logit - top) / whole;
    choices.at[k].y = floatBitsToUint(weight);
    sum += weight;
  }
  const float factor = p.scale / (kDivides ? sum : 1.0);
  for (uint k = 0; k < p.used; ++k) choices.at[k].y = floatBitsToUint(uintBitsToFloat(choices.at[k].y) * factor);
}

// Sampler: from logits to the next token; greedy or drawn with a seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

// Applied in this order: repetition penalty, top-k, temperature, top-p, min-p. The defaults take the most likely token.
struct SamplerOptions {
  float temperature = 0.0f;     // 0: the most likely token, lowest id first among equals
  std::uint32_t top_k = 40;     // 0: all
  float top_p = 0.95f;          // 1: all
  float min_p = 0.05f;          // 0: all
  float repetition_penalty = 1.0f;      // 1: none; positive logits of repeated tokens are divided by it, negative ones multiplied
  std::uint32_t repetition_window = 64;  // last tokens looked at
  std::uint64_t seed = 0;
};

// Names the option that is out of range.
Result<> check(const SamplerOptions& options);

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {}

  // `history`: the tokens so far, prompt included. NaN logits are never chosen unless nothing else is there.
  std::int32_t next(std::span<const float> logits, std::span<const std::int32_t> history);

 private:
  struct Candidate {
    float logit;
    std::int32_t id;
  };
  std::int32_t draw();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<float> penalised_;
  std::vector<Candidate> candidates_;
};

// The id of the largest logit, the lowest one among equals.
std::int32_t most_likely(std::span<const float> logits);

}  // namespace assay

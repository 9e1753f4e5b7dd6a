// Config: the numbers of one model, read from GGUF keys or config.json; the same struct whatever the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/arch.h"

namespace assay {

enum class RopeScaling : std::uint8_t { none, linear, llama3, yarn, longrope };

struct RopeConfig {
  std::uint32_t dims = 0;    // values of a head that rotate
  std::uint32_t offset = 0;  // values of a head before them
  float base = 10000.0f;
  bool adjacent_pairs = false;  // (2i, 2i+1) instead of (i, i + dims/2)
  RopeScaling scaling = RopeScaling::none;
  float factor = 1.0f;
  float attention_factor = 1.0f;  // multiplies cos and sin; YaRN: beside 1 + 0.1 ln(factor)
  bool scales_scores = false;     // YaRN as DeepSeek-V2 has it: cos and sin stay, the score scale knows the factor
  float log_multiplier = 0;       // then that scale is multiplied by (1 + log_multiplier ln(factor))^2
  bool rounds_ramp = true;        // YaRN: the ramp begins and ends at whole pairs
  std::uint32_t original_context = 0;
  float low_frequency_factor = 1.0f, high_frequency_factor = 4.0f;  // llama3
  float beta_fast = 32.0f, beta_slow = 1.0f;                        // YaRN
  std::vector<float> short_factors, long_factors;  // longrope: divisors of the frequencies, by the session's context
};

// How a router's logits become weights, and by what groups of experts are chosen before experts are.
enum class Gating : std::uint8_t { softmax, sigmoid };
enum class GroupScore : std::uint8_t { best, best_two };  // its largest share; the sum of its two largest

// Experts of the layers from `dense_layers` on. count 0: none.
struct ExpertConfig {
  std::uint32_t count = 0;
  std::uint32_t used = 0;          // by each token
  std::uint32_t feed_forward = 0;  // width of one expert
  std::uint32_t shared = 0;        // experts that every token uses, stored as one wide FFN
  std::uint32_t dense_layers = 0;  // leading layers with an ordinary FFN
  bool renormalises = false;       // the chosen weights are made to sum to 1
  float scale = 1.0f;              // of the chosen weights
  Gating gating = Gating::softmax;
  std::uint32_t groups = 1, used_groups = 1;  // experts are chosen from the best groups only
  GroupScore group_score = GroupScore::best;
  bool has_correction = false;     // a bias of each expert that counts for the choice alone
};

// Multi-head latent attention: keys and values of all heads are one compressed row. kv_rank 0: none.
struct LatentConfig {
  std::uint32_t query_rank = 0;  // 0: queries are not compressed
  std::uint32_t kv_rank = 0;
  std::uint32_t key_dim = 0;     // of a head before absorption: the part without rope, then rope.dims
  std::uint32_t value_dim = 0;   // of a head after decompression
};

struct Config {
  const ArchTraits* arch = nullptr;
  const Wrapper* wrapper = nullptr;  // the repository that the language model lies in
  std::uint32_t layers = 0;
  std::uint32_t embedding = 0;     // width of the residual stream
  std::uint32_t feed_forward = 0;  // width of the FFN
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;    // of a query and a key in the cache
  std::uint32_t value_dim = 0;   // of a value in the cache
  std::uint32_t vocabulary = 0;
  std::uint32_t context = 0;  // trained context length
  float norm_epsilon = 1e-5f;
  RopeConfig rope;
  RopeConfig local_rope;         // of sliding layers, where the family has one of their own
  ExpertConfig experts;
  LatentConfig latent;

  float attention_scale = 0;     // of scores
  float attention_soft_cap = 0;  // cap * tanh(score / cap), 0: none
  float final_soft_cap = 0;      // the same of logits
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;  // multiply
  std::uint32_t window = 0;             // a key is visible when query position - key position < window
  std::vector<bool> slides, rotates;    // by layer; empty: none slides, all rotate

  bool layer_slides(std::uint32_t layer) const { return !slides.empty() && slides[layer]; }
  bool layer_rotates(std::uint32_t layer) const { return rotates.empty() || rotates[layer]; }
  bool has_experts(std::uint32_t layer) const { return experts.count > 0 && layer >= experts.dense_layers; }
  bool is_latent() const { return latent.kv_rank > 0; }
  std::uint32_t attended_dim() const { return is_latent() ? latent.value_dim : value_dim; }  // of a head, before the output matrix
};

// Reads and checks; every error names the key and, where it can, the accepted values.
Result<Config> read_config(const ModelFile& file);

// The part of a folder's config.json that describes the language model, and the family's name there: the file's own, or that of a
// repository that wraps one. Errors: missing, type.
struct LanguageConfig {
  const Json* json = nullptr;
  std::string model_type;
  const Wrapper* wrapper = nullptr;
};
Result<LanguageConfig> language_config(const ModelFile& file);

// What follows from the numbers and the family: layers that slide or do not rotate, scales. For configs made by hand.
void finish_config(Config& config);

}  // namespace assay

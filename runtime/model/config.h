// Config: the numbers of one model, read from GGUF keys or config.json; the same struct whatever the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/arch.h"

namespace assay {

enum class RopeScaling : std::uint8_t { none, linear, llama3, yarn };

struct RopeConfig {
  std::uint32_t dims = 0;  // leading values of a head that rotate
  float base = 10000.0f;
  bool adjacent_pairs = false;  // (2i, 2i+1) instead of (i, i + dims/2)
  RopeScaling scaling = RopeScaling::none;
  float factor = 1.0f;
  float attention_factor = 1.0f;  // YaRN: multiplies cos and sin beside 1 + 0.1 ln(factor)
  std::uint32_t original_context = 0;
  float low_frequency_factor = 1.0f, high_frequency_factor = 4.0f;  // llama3
  float beta_fast = 32.0f, beta_slow = 1.0f;                        // YaRN
};

struct Config {
  const ArchTraits* arch = nullptr;
  std::uint32_t layers = 0;
  std::uint32_t embedding = 0;     // width of the residual stream
  std::uint32_t feed_forward = 0;  // width of the FFN
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t vocabulary = 0;
  std::uint32_t context = 0;  // trained context length
  float norm_epsilon = 1e-5f;
  RopeConfig rope;
};

// Reads and checks; every error names the key and, where it can, the accepted values.
Result<Config> read_config(const ModelFile& file);

}  // namespace assay

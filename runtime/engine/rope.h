// Rotary position embedding: the angles, with every scaling rule; shared by all backends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/model.h"

namespace assay {

// Per pair of a head: how fast it turns with the position, and what cos and sin are multiplied by.
struct RopeTable {
  std::vector<double> frequencies;  // [dims / 2] radians per position
  float magnitude = 1.0f;

  // cos and sin of one position: [dims / 2] each, times the magnitude.
  void angles(std::uint32_t position, float* cosines, float* sines) const;
};

// Sources: RoPE (Su et al. 2021): base^(-2i/dims). Linear: position / factor. llama3: Llama 3.1's three-band rule. YaRN (Peng et
// al. 2023): ramp between interpolation and extrapolation over the correction dimensions. LongRoPE (Ding et al. 2024): the long
// factors count when the session's context exceeds the original one. `rope_factors` divide the frequencies.
RopeTable make_rope_table(const Model& model, std::uint32_t context);
// Of layers that slide, where the family has angles of their own for them; else empty.
RopeTable make_local_rope_table(const Config& config);

}  // namespace assay

// Rotary position embedding: the angles, with every scaling rule; shared by all backends.
#pragma once

#include <cstdint>
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
// al. 2023): ramp between interpolation and extrapolation over the correction dimensions. `rope_factors` divide the frequencies.
RopeTable make_rope_table(const Model& model);

}  // namespace assay

// Model: an open file bound to its architecture; every weight found, with the right shape.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/config.h"

namespace assay {

struct LayerWeights {
  const TensorView* attention_norm = nullptr;  // [embedding]
  const TensorView* q = nullptr;               // [heads * head_dim][embedding]
  const TensorView* k = nullptr;               // [kv_heads * head_dim][embedding]
  const TensorView* v = nullptr;
  const TensorView* q_norm = nullptr;          // [head_dim], where the family has it
  const TensorView* k_norm = nullptr;
  const TensorView* attention_out = nullptr;   // [embedding][heads * head_dim]
  const TensorView* ffn_norm = nullptr;        // [embedding]
  const TensorView* gate = nullptr;            // [feed_forward][embedding]
  const TensorView* up = nullptr;
  const TensorView* down = nullptr;            // [embedding][feed_forward]
};

// Pointers lead into `file`'s tensor list: the ModelFile must stay where it is for as long as the Model lives.
struct Model {
  const ModelFile* file = nullptr;
  Config config;
  const TensorView* embedding = nullptr;     // [vocabulary][embedding]
  const TensorView* output_norm = nullptr;   // [embedding]
  const TensorView* output = nullptr;        // [vocabulary][embedding]; the embedding itself when tied
  const TensorView* rope_factors = nullptr;  // [rope.dims / 2] divisors of the frequencies, or none
  std::vector<LayerWeights> layers;

  bool is_tied() const { return output == embedding; }
};

// Finds every weight by the table in weights.cpp; all mismatches are told in one error.
Result<Model> bind_model(const ModelFile& file);

}  // namespace assay

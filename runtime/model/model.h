// Model: an open file bound to its architecture; every weight found, with the right shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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

// Weights in a layout Assay does not compute: GPTQ and AWQ (qweight, qzeros), or what else config.json names.
struct ForeignQuantization {
  std::string method;  // "GPTQ", "AWQ", or the name in config.json
  std::string tensor;  // the first one packed so
  static constexpr std::string_view kAdvice = "download the model as GGUF, as safetensors in full precision, or with MLX's affine quantisation";
  std::string message() const;
};
std::optional<ForeignQuantization> foreign_quantization(const ModelFile& file);

// Finds every weight by the table in weights.cpp; all mismatches are told in one error.
Result<Model> bind_model(const ModelFile& file);

}  // namespace assay

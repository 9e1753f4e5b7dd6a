// Model: an open file bound to its architecture; every weight found, with the right shape.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/config.h"

namespace assay {

// One expert of a layer.
struct ExpertWeights {
  const TensorView* gate = nullptr;  // [expert width][embedding]
  const TensorView* up = nullptr;
  const TensorView* down = nullptr;  // [embedding][expert width]
  const TensorView* gate_bias = nullptr;
  const TensorView* up_bias = nullptr;
  const TensorView* down_bias = nullptr;
};

// What a family does not have is nullptr.
struct LayerWeights {
  const TensorView* attention_norm = nullptr;  // [embedding]
  const TensorView* attention_norm_bias = nullptr;
  const TensorView* q = nullptr;  // [heads * head_dim][embedding]
  const TensorView* k = nullptr;  // [kv_heads * head_dim][embedding]
  const TensorView* v = nullptr;
  const TensorView* q_bias = nullptr;
  const TensorView* k_bias = nullptr;
  const TensorView* v_bias = nullptr;
  const TensorView* q_norm = nullptr;  // [head_dim], or [heads * head_dim]
  const TensorView* k_norm = nullptr;
  const TensorView* sinks = nullptr;          // [heads]
  const TensorView* attention_out = nullptr;  // [embedding][heads * head_dim]
  const TensorView* attention_out_bias = nullptr;
  const TensorView* post_attention_norm = nullptr;  // [embedding], of the branch's output
  const TensorView* ffn_norm = nullptr;             // [embedding]
  const TensorView* ffn_norm_bias = nullptr;
  const TensorView* gate = nullptr;  // [feed_forward][embedding]
  const TensorView* up = nullptr;
  const TensorView* up_bias = nullptr;
  const TensorView* down = nullptr;  // [embedding][feed_forward]
  const TensorView* down_bias = nullptr;
  const TensorView* post_ffn_norm = nullptr;  // [embedding]
  const TensorView* router = nullptr;         // [experts][embedding]
  const TensorView* router_bias = nullptr;
  const TensorView* router_correction = nullptr;  // [experts], counts for the choice and not for the weights
  const TensorView* shared_gate = nullptr;  // [shared experts * expert width][embedding]
  const TensorView* shared_up = nullptr;
  const TensorView* shared_down = nullptr;
  std::vector<ExpertWeights> experts;
  // Multi-head latent attention.
  const TensorView* q_a = nullptr;  // [query_rank][embedding]; none: q holds [heads * key_dim][embedding]
  const TensorView* q_a_norm = nullptr;
  const TensorView* q_b = nullptr;      // [heads * key_dim][query_rank]
  const TensorView* kv_a = nullptr;     // [kv_rank + rope.dims][embedding]
  const TensorView* kv_a_norm = nullptr;  // [kv_rank]
  const TensorView* k_b = nullptr;      // [heads][kv_rank][key_dim - rope.dims]
  const TensorView* v_b = nullptr;      // [heads][value_dim][kv_rank]
};

// A weight in the decoder's order, [stack][rows][cols], from a tensor in another: where its first value lies there and how far the next
// of each dimension is. Counted in values; with `exponents` in rows of MXFP4 codes, two in a byte, whose exponents lie in a tensor of
// their own. Tensors in blocks or with scales are copied as float32.
struct Copy {
  const TensorView* from = nullptr;
  const TensorView* exponents = nullptr;
  std::byte* to = nullptr;
  FormatId format = FormatId::F32;
  std::uint64_t stack = 1, rows = 1, cols = 1;
  std::uint64_t first = 0, stack_step = 0, row_step = 0, col_step = 1;
};

// Pointers lead into `file`'s tensor list and into `made`: the ModelFile must stay where it is for as long as the Model lives.
struct Model {
  const ModelFile* file = nullptr;
  Config config;
  const TensorView* embedding = nullptr;    // [vocabulary][embedding]
  const TensorView* positions = nullptr;    // [context][embedding], where positions are learned
  const TensorView* output_norm = nullptr;  // [embedding]
  const TensorView* output_norm_bias = nullptr;
  const TensorView* output = nullptr;  // [vocabulary][embedding]; the embedding itself when tied
  const TensorView* output_bias = nullptr;
  const TensorView* rope_factors = nullptr;        // [rope.dims / 2] divisors of the frequencies, or none
  const TensorView* long_rope_factors = nullptr;   // the same for long contexts (longrope), and for short ones
  const TensorView* short_rope_factors = nullptr;
  std::vector<LayerWeights> layers;
  std::vector<const TensorView*> unused;  // tensors of the file that are no part of the decoder: an image encoder's

  // Parts of fused tensors, and weights that the file holds in another way.
  std::vector<std::unique_ptr<TensorView>> made;
  std::vector<AlignedBuffer<std::byte>> made_bytes;
  std::vector<Copy> copies;  // not made yet: see make_copies()

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

// Finds every weight by the table in weights.h; all mismatches are told in one error. Weights that the file holds in an order nothing
// computes with are copied, unless they are `planned`: then shapes and sizes are right, and values only after make_copies(). Errors:
// memory, when there is none for the copies.
enum class Copies : std::uint8_t { made, planned };
Result<Model> bind_model(const ModelFile& file, Copies copies = Copies::made);
void make_copies(Model& model, int threads = 0);

// Why images cannot be given to this model: what the file has of an image encoder, and that it is not run.
Error image_refusal(const Model& model);

}  // namespace assay

// Shapes: the dimensions and tokenizer facts of published models, enough to make a stand-in with random weights.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/model/config.h"

namespace assay {

// A special token at its place in the vocabulary; `id` < 0: the model has none.
struct SpecialToken {
  std::int32_t id = -1;
  std::string_view text;
};

enum class VocabularyKind : std::uint8_t {
  bpe,  // byte-level BPE; the pre-tokenizer's name matters
  spm   // SentencePiece with byte fallback; ids 0-258 are <unk>, <s>, </s> and the 256 bytes
};

// One published model. Widths are in values; a scaling of `none` ignores the factors.
struct ModelShape {
  std::string_view name;          // as users write it: "llama-3.2-1b"
  std::string_view architecture;  // general.architecture of its GGUF files
  std::string_view hf_model_type;
  std::string_view hf_class;
  std::uint32_t layers, embedding, feed_forward, heads, kv_heads, head_dim, vocabulary, context;
  float norm_epsilon, rope_base;
  bool is_tied;  // the token embedding is the output matrix too
  VocabularyKind tokenizer;
  std::string_view pre_tokenizer;  // GGUF name; empty for spm
  SpecialToken bos, eos;
  bool adds_bos;
  RopeScaling scaling = RopeScaling::none;
  float rope_factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  std::uint32_t original_context = 0;
  float rotary_fraction = 1;  // of a head
  std::uint32_t window = 0;
  float attention_soft_cap = 0, final_soft_cap = 0;
  ExpertConfig experts{};
};

std::span<const ModelShape> model_shapes();

// Not sensitive to case; "qwen-3-4b" means "qwen3-4b", "llama3.2-1b" means "llama-3.2-1b". Nothing when unknown.
const ModelShape* shape_from_name(std::string_view name);
// "llama-3.2-1b, llama-3.2-3b, ..."
std::string known_shapes();

// The same numbers as a GGUF file of this model gives them (adjacent rope pairs as its family has them).
Config config_of(const ModelShape& shape);

// Weights without the rope factors: what the model's card calls its parameters.
std::uint64_t parameter_count(const ModelShape& shape);

}  // namespace assay

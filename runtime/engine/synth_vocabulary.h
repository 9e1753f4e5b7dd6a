// The tokenizer of a synthetic model: a small real one, padded with unique fillers to the shape's vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/json.h"
#include "runtime/model/shapes.h"

namespace assay {

// Types of tokens, with the numbers of tokenizer.ggml.token_type.
enum class TokenType : std::int32_t { normal = 1, unknown = 2, control = 3, byte = 6 };

// One entry per id in `tokens` and `types`; `scores` for spm only. `merges` are "left right", best first: for spm every
// split of every piece, which is what a tokenizer.json needs to find the pieces that the scores find.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  std::vector<std::string> merges;
};

// Fillers have the form " t001234": letters and digits that no merge joins, so no text becomes one, but each has a
// text. Errors: range, when the shape's vocabulary cannot hold the bytes and special tokens.
Result<Vocabulary> make_vocabulary(const ModelShape& shape);

// The same as a Hugging Face tokenizer.json and tokenizer_config.json.
Json tokenizer_json(const ModelShape& shape, const Vocabulary& vocabulary);
Json tokenizer_config_json(const ModelShape& shape);

}  // namespace assay

// What a tokenizer is made of once its file has been read; encode and decode need nothing else.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/model/tokenizer/added_tokens.h"
#include "runtime/model/tokenizer/bpe.h"
#include "runtime/model/tokenizer/normalize.h"
#include "runtime/model/tokenizer/pretokenize.h"
#include "runtime/model/tokenizer/spm.h"
#include "runtime/model/tokenizer/unigram.h"
#include "runtime/model/tokenizer/vocabulary.h"

namespace assay {

// From tokens back to text.
struct DecodeRules {
  bool byte_level = false;     // token texts are in GPT-2's byte alphabet
  bool byte_tokens = false;    // <0xNN> is a byte
  bool rewrites_added = false; // `replacements` hold for added tokens too
  std::vector<std::pair<std::string, std::string>> replacements;  // within a token
  std::size_t leading_spaces = 0;  // dropped, where there are any, from the start of a text
};

struct TokenizerParts {
  Vocabulary vocabulary;
  std::variant<Bpe, Spm, Unigram> model;
  AddedTokens added;             // cut out of the raw text
  AddedTokens added_normalized;  // cut out of the normalised text
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  DecodeRules decode;
  std::vector<TokenId> before, after;  // add_special puts these around a text
  std::optional<TokenId> bos, eos;
  std::vector<TokenId> ends;           // sorted
  std::string kind, pre_name;
};

Result<TokenizerParts> load_gguf_tokenizer(const ModelFile& file);
Result<TokenizerParts> load_hf_tokenizer(const std::filesystem::path& folder);

// Ends of a turn, message or file that models write although no key of their file says so, found by their text. Adds their
// ids to `parts.ends` and leaves it sorted. GGUF: any such token counts and becomes a control token (converters often
// lose the type). tokenizer.json: those that are special.
enum class KnownEnds { any, special_only };
void add_known_ends(TokenizerParts& parts, KnownEnds which);

}  // namespace assay

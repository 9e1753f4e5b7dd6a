// Tokenizer: text to ids and back, from GGUF metadata or a Hugging Face tokenizer.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/model_file.h"

namespace assay {

using TokenId = std::int32_t;
struct TokenizerParts;

struct EncodeOptions {
  bool add_special = true;    // BOS, EOS or whatever the file says belongs around a text
  bool parse_special = true;  // special tokens written out in the text become their ids
};

class Tokenizer {
 public:
  // From tokenizer.ggml.* of a GGUF model, or tokenizer.json (and tokenizer_config.json) in the model's folder.
  // Errors: missing (no tokenizer: "feed ids with --ids"), unsupported (unknown model or pre-tokenizer, by name), malformed.
  // Views into `file` are kept: it must outlive the tokenizer.
  static Result<Tokenizer> open(const ModelFile& file);
  // From a folder with a tokenizer.json, whether or not it holds a model.
  static Result<Tokenizer> open_folder(const std::filesystem::path& folder);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  // The text of `ids`: joined pieces, with the tokenizer's clean-up of a leading space (so that decode(encode(text)) is the
  // text). Special (control) tokens give nothing unless `with_special`. Bytes that are not UTF-8 are kept as they are.
  // The same text token by token: TextStream. For the continuation of a text, pieces only: decode(prompt and answer) equals
  // decode(prompt) followed by piece(id) for every id of the answer, once the prompt holds some text.
  std::string decode(std::span<const TokenId> ids, bool with_special = false) const;

  // The bytes one id stands for in running text (no leading-space clean-up). Empty for control tokens and ids out of range.
  std::string piece(TokenId id) const;
  // The id's entry in the vocabulary as it is stored; empty when out of range.
  std::string_view vocabulary_text(TokenId id) const;

  std::size_t vocabulary_size() const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  bool adds_bos() const;
  bool is_end(TokenId id) const;      // end of sequence, turn or message: generation stops here
  bool is_control(TokenId id) const;
  std::string_view kind() const;       // "bpe", "spm", "unigram"
  std::string_view pre_tokenizer() const;  // the name in the file, empty when it has none

 private:
  friend class TextStream;
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  static Result<Tokenizer> from_parts(Result<TokenizerParts> parts, const std::filesystem::path& path);
  std::unique_ptr<State> state_;
};

// decode() one token at a time: the concatenation of what push() returns equals decode() of the ids pushed. Bytes, not yet
// whole characters: see Utf8Stream. The tokenizer must outlive it and stay where it is.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer, bool with_special = false);
  std::string push(TokenId id);

 private:
  const Tokenizer* tokenizer_;
  bool with_special_;
  std::size_t spaces_left_;  // of the clean-up, until the text begins
};

// Turns a stream of token pieces into text whose every part is whole UTF-8: bytes of an unfinished character wait for the rest.
class Utf8Stream {
 public:
  std::string push(std::string_view piece);  // what can be shown now
  std::string finish();                      // what is left, invalid bytes as U+FFFD

 private:
  std::string pending_;
};

}  // namespace assay

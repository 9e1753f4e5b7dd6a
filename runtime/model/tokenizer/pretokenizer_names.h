// The pre-tokenizers that GGUF files name (tokenizer.ggml.pre): the patterns their models were trained with.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer/pretokenize.h"

namespace assay {

struct NamedPreTokenizer {
  std::string_view name;
  std::span<const std::string_view> patterns;  // applied one after another, each to the pieces of the one before
  bool ignore_merges = false;
  bool adds_bos = false;         // where the file does not say
  bool raw_characters = false;   // vocabulary in plain UTF-8 with U+2581 for spaces, not in GPT-2's byte alphabet
};

// Errors: unsupported, naming `name` and every known name.
Result<const NamedPreTokenizer*> find_pre_tokenizer(std::string_view name);

// Compiles a row's patterns.
Result<PreTokenizer> make_pre_tokenizer(const NamedPreTokenizer& row);

// GPT-2's pattern, which a tokenizer.json calls ByteLevel.
std::string_view gpt2_pattern();

}  // namespace assay

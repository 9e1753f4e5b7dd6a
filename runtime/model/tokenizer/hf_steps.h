// The parts of a tokenizer.json besides its model: normalizer, pre-tokenizer, post-processor, decoder.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "runtime/core/json.h"
#include "runtime/model/tokenizer/parts.h"

namespace assay {

// Each reads one member of tokenizer.json; null or absent means none. Errors: unsupported (a type Assay does not have, by
// name), malformed (a field missing or of the wrong kind). Subjects are paths such as "normalizer.normalizers[1]".

Result<> read_normalizer(const Json* json, Normalizer& normalizer);

// What the pre-tokenizer implies for the model and for decoding.
struct PreTokenizerTraits {
  bool byte_level = false;  // pieces reach the model as bytes of GPT-2's alphabet
  bool metaspace = false;
};
Result<PreTokenizerTraits> read_pre_tokenizer(const Json* json, PreTokenizer& pre_tokenizer);

// The ids around a text.
Result<> read_post_processor(const Json* json, TokenizerParts& parts);

// Without a decoder, `traits` say how token texts are written.
Result<> read_decoder(const Json* json, PreTokenizerTraits traits, DecodeRules& rules);

// Small readers of Json, shared with the model's.
Error malformed_json(std::string_view where, std::string detail);
bool flag_of(const Json& json, std::string_view key, bool otherwise);
std::string_view string_of(const Json& json, std::string_view key, std::string_view otherwise = {});

}  // namespace assay

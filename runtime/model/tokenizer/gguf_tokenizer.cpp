// Tokenizers of GGUF files: tokenizer.ggml.* metadata into parts.
#include <algorithm>
#include <array>
#include <cctype>

#include "runtime/model/tokenizer/parts.h"
#include "runtime/model/tokenizer/pretokenizer_names.h"

namespace assay {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";

Error malformed(std::string_view key, std::string detail) { return Error{Code::malformed, std::string(key), std::move(detail)}; }

// Optional keys: nothing when absent, an error when of the wrong type.
Result<std::optional<bool>> read_flag(const Metadata& metadata, std::string_view key) {
  if (!metadata.has(key)) return std::optional<bool>();
  ASSAY_TRY(const bool value, metadata.boolean(key));
  return std::optional<bool>(value);
}
Result<std::optional<TokenId>> read_id(const Metadata& metadata, std::string_view key, const Vocabulary& vocabulary) {
  if (!metadata.has(key)) return std::optional<TokenId>();
  // Converters write -1 (also as an unsigned number) for "there is none".
  if (const auto values = metadata.number(key); values && (*values == -1 || *values == 4294967295.0)) return std::optional<TokenId>();
  ASSAY_TRY(const std::uint64_t value, metadata.unsigned_integer(key));
  if (value >= vocabulary.size())
    return Error{Code::range, std::string(key),
                 "is " + std::to_string(value) + ", but the vocabulary ends at " + std::to_string(vocabulary.size())};
  return std::optional<TokenId>(static_cast<TokenId>(value));
}

Result<> read_vocabulary(const Metadata& metadata, Vocabulary& vocabulary, bool needs_scores) {
  ASSAY_TRY(auto tokens, metadata.strings("tokenizer.ggml.tokens"));
  const std::size_t count = tokens.size();
  if (count == 0) return malformed("tokenizer.ggml.tokens", "is empty");
  if (count > std::size_t{1} << 30) return Error{Code::range, "tokenizer.ggml.tokens", "holds more tokens than ids can number"};
  auto assigned = vocabulary.assign(std::move(tokens));
  if (!assigned) return Error{assigned.error().code, "tokenizer.ggml.tokens", assigned.error().subject + " " + assigned.error().detail};
  const auto check = [&](std::string_view key, std::size_t values) -> Result<> {
    if (values == count) return success();
    return malformed(key, "has " + std::to_string(values) + " values for " + std::to_string(count) + " tokens");
  };
  if (metadata.has("tokenizer.ggml.token_type")) {
    ASSAY_TRY(const auto numbers, metadata.integers("tokenizer.ggml.token_type"));
    ASSAY_TRY_VOID(check("tokenizer.ggml.token_type", numbers.size()));
    std::vector<TokenType> types;
    types.reserve(count);
    for (const std::int64_t number : numbers)
      types.push_back(number >= 0 && number <= 6 ? static_cast<TokenType>(number) : TokenType::undefined);
    vocabulary.set_types(std::move(types));
  }
  if (!needs_scores) return success();
  ASSAY_TRY(auto scores, metadata.floats("tokenizer.ggml.scores"));
  ASSAY_TRY_VOID(check("tokenizer.ggml.scores", scores.size()));
  vocabulary.set_scores(std::move(scores));
  return success();
}

// What the keys say about the tokens around a text, with each model's own defaults.
struct Around {
  bool adds_bos = false, adds_eos = false;
  std::optional<TokenId> bos, eos, unknown;
};

Result<> read_around(const Metadata& metadata, TokenizerParts& parts, Around around) {
  const Vocabulary& vocabulary = parts.vocabulary;
  ASSAY_TRY(const auto bos, read_id(metadata, "tokenizer.ggml.bos_token_id", vocabulary));
  ASSAY_TRY(const auto eos, read_id(metadata, "tokenizer.ggml.eos_token_id", vocabulary));
  ASSAY_TRY(const auto adds_bos, read_flag(metadata, "tokenizer.ggml.add_bos_token"));
  ASSAY_TRY(const auto adds_eos, read_flag(metadata, "tokenizer.ggml.add_eos_token"));
  parts.bos = bos ? bos : around.bos;
  parts.eos = eos ? eos : around.eos;
  if (adds_bos.value_or(around.adds_bos)) {
    if (!parts.bos) return Error{Code::missing, "tokenizer.ggml.bos_token_id", "is absent though a BOS token is to be added"};
    parts.before.push_back(*parts.bos);
  }
  if (adds_eos.value_or(around.adds_eos)) {
    if (!parts.eos) return Error{Code::missing, "tokenizer.ggml.eos_token_id", "is absent though an EOS token is to be added"};
    parts.after.push_back(*parts.eos);
  }
  if (parts.eos) parts.ends.push_back(*parts.eos);
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id", "tokenizer.ggml.fim_pad_token_id",
                                     "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id"}) {
    ASSAY_TRY(const auto id, read_id(metadata, key, vocabulary));
    if (id) parts.ends.push_back(*id);
  }
  add_known_ends(parts, KnownEnds::any);
  return success();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

// Control, unknown and user-defined tokens are found in the raw text.
void find_added(const Metadata& metadata, TokenizerParts& parts) {
  // GGUF has no field for it: Phi-3's tokens swallow the white space after them, save these three.
  const auto name = metadata.string("general.name");
  const std::string model = name ? lower(*name) : std::string();
  const bool strips = model.find("phi-3") != std::string::npos || model.find("phi3") != std::string::npos;
  const Vocabulary& vocabulary = parts.vocabulary;
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    const std::string_view text = vocabulary.text(id);
    if (text.empty() || (type != TokenType::control && type != TokenType::unknown && type != TokenType::user_defined)) continue;
    AddedToken token{id, text, type != TokenType::user_defined};
    token.strips_right = strips && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
    added.push_back(token);
  }
  parts.added = AddedTokens(std::move(added));
}

// SentencePiece's treatment of spaces: U+2581, and one in front of every stretch of text.
Result<> read_spaces(const Metadata& metadata, TokenizerParts& parts, bool prefix_by_default) {
  ASSAY_TRY(const auto prefix, read_flag(metadata, "tokenizer.ggml.add_space_prefix"));
  if (prefix.value_or(prefix_by_default)) {
    parts.normalizer.add(PrependStep{" "});
    parts.decode.leading_spaces = 1;
  }
  parts.normalizer.add(ReplaceStep{std::string(" "), std::string(kSpace)});
  parts.decode.replacements.emplace_back(kSpace, " ");
  return success();
}

Result<TokenizerParts> load_spm(const Metadata& metadata) {
  TokenizerParts parts;
  ASSAY_TRY_VOID(read_vocabulary(metadata, parts.vocabulary, true));
  const auto default_id = [&](TokenId id) { return parts.vocabulary.has(id) ? std::optional<TokenId>(id) : std::nullopt; };
  ASSAY_TRY(auto unknown, read_id(metadata, "tokenizer.ggml.unknown_token_id", parts.vocabulary));
  if (!unknown) unknown = default_id(0);
  ASSAY_TRY_VOID(read_around(metadata, parts, {true, false, default_id(1), default_id(2), unknown}));
  ASSAY_TRY_VOID(read_spaces(metadata, parts, true));
  ASSAY_TRY(parts.model, Spm::build(parts.vocabulary, unknown.value_or(kNoToken)));
  parts.kind = "spm";
  return parts;
}

Result<std::vector<Merge>> read_merges(const Metadata& metadata) {
  ASSAY_TRY(const auto lines, metadata.strings("tokenizer.ggml.merges"));
  std::vector<Merge> merges;
  merges.reserve(lines.size());
  for (const std::string_view line : lines) {
    const std::size_t space = line.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == line.size())
      return malformed("tokenizer.ggml.merges", "entry " + std::to_string(merges.size()) + " is not two texts with a space between");
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

Result<TokenizerParts> load_bpe(const Metadata& metadata, std::string_view pre_name) {
  TokenizerParts parts;
  // A file from before the key existed says nothing: "default" stands in, and pre_tokenizer() stays empty to tell.
  ASSAY_TRY(const NamedPreTokenizer* row, find_pre_tokenizer(pre_name.empty() ? "default" : pre_name));
  ASSAY_TRY(parts.pre_tokenizer, make_pre_tokenizer(*row));
  ASSAY_TRY_VOID(read_vocabulary(metadata, parts.vocabulary, false));
  ASSAY_TRY(const auto unknown, read_id(metadata, "tokenizer.ggml.unknown_token_id", parts.vocabulary));
  Around around{row->adds_bos, false, std::nullopt, std::nullopt, unknown};
  ASSAY_TRY_VOID(read_around(metadata, parts, around));
  BpeSettings settings;
  settings.byte_level = !row->raw_characters;
  settings.ignore_merges = row->ignore_merges;
  settings.unknown = unknown.value_or(kNoToken);
  if (row->raw_characters) {
    settings.byte_fallback = settings.whole_newlines = true;
    ASSAY_TRY_VOID(read_spaces(metadata, parts, false));
  }
  parts.decode.byte_level = settings.byte_level;
  ASSAY_TRY(const auto merges, read_merges(metadata));
  auto bpe = Bpe::build(parts.vocabulary, merges, settings);
  if (!bpe) return malformed("tokenizer.ggml.merges", bpe.error().subject + " " + bpe.error().detail);
  parts.model = std::move(bpe).value();
  parts.kind = "bpe";
  return parts;
}

Result<TokenizerParts> load_unigram(const Metadata& metadata) {
  TokenizerParts parts;
  ASSAY_TRY_VOID(read_vocabulary(metadata, parts.vocabulary, true));
  ASSAY_TRY(auto unknown, read_id(metadata, "tokenizer.ggml.unknown_token_id", parts.vocabulary));
  if (!unknown && parts.vocabulary.has(2)) unknown = 2;
  const auto eos = parts.vocabulary.has(1) ? std::optional<TokenId>(1) : std::nullopt;
  ASSAY_TRY_VOID(read_around(metadata, parts, {false, true, std::nullopt, eos, unknown}));
  if (const MetaEntry* entry = metadata.find("tokenizer.ggml.precompiled_charsmap")) {
    const MetaArray* array = std::get_if<MetaArray>(&entry->value);
    if (!array || (array->element != MetaType::u8 && array->element != MetaType::i8))
      return Error{Code::type, "tokenizer.ggml.precompiled_charsmap", "is not an array of bytes"};
    if (array->count > 0) {
      ASSAY_TRY(Charsmap map, Charsmap::parse(array->bytes));
      parts.normalizer.add(std::move(map));
    }
  }
  ASSAY_TRY(const auto merges_spaces, read_flag(metadata, "tokenizer.ggml.remove_extra_whitespaces"));
  if (merges_spaces.value_or(false)) {
    ASSAY_TRY(Regex runs, Regex::compile(" {2,}"));
    parts.normalizer.add(ReplaceStep{std::move(runs), " "});
    parts.normalizer.add(StripStep{});
  }
  ASSAY_TRY_VOID(read_spaces(metadata, parts, true));
  ASSAY_TRY(parts.model, Unigram::build(parts.vocabulary, {unknown.value_or(kNoToken), true, true}));
  parts.kind = "unigram";
  return parts;
}

}  // namespace

Result<TokenizerParts> load_gguf_tokenizer(const ModelFile& file) {
  const Metadata& metadata = file.metadata;
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  const std::string advice = "; feed token ids with --ids";
  if (!metadata.has(kModel)) return Error{Code::missing, std::string(kModel), "is absent: the file holds no tokenizer" + advice};
  ASSAY_TRY(const std::string_view model, metadata.string(kModel));
  std::string_view pre_name;
  if (metadata.has("tokenizer.ggml.pre")) {
    ASSAY_TRY(pre_name, metadata.string("tokenizer.ggml.pre"));
  }
  const auto load = [&]() -> Result<TokenizerParts> {
    if (model == "llama") return load_spm(metadata);
    if (model == "gpt2") return load_bpe(metadata, pre_name);
    if (model == "gemma4") return load_bpe(metadata, "gemma4");
    if (model == "t5") return load_unigram(metadata);
    if (model == "none" || model == "no_vocab")
      return Error{Code::missing, std::string(kModel), std::string("is '").append(model) + "': the file holds no tokenizer" + advice};
    return Error{Code::unsupported, std::string(kModel),
                 std::string("'").append(model) + "' is not a tokenizer Assay has (llama, gpt2, gemma4 and t5 are)" + advice};
  };
  ASSAY_TRY(TokenizerParts parts, load());
  find_added(metadata, parts);
  parts.pre_name = pre_name;
  return parts;
}

}  // namespace assay

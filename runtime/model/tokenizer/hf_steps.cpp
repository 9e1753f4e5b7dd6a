// Reading the steps of a tokenizer.json into those of the pipeline.
#include "runtime/model/tokenizer/hf_steps.h"

#include <array>
#include <optional>

#include "runtime/model/tokenizer/base64.h"
#include "runtime/model/tokenizer/pretokenizer_names.h"

namespace assay {
namespace {

using Pattern = std::variant<Regex, std::string>;

Error unsupported(std::string_view where, std::string_view type, std::string_view known) {
  return Error{Code::unsupported, std::string(where),
               std::string("is of type '").append(type) + "', which Assay does not have (it has " + std::string(known) +
                   "); feed token ids with --ids"};
}

bool is_none(const Json* json) { return !json || json->is_null(); }

// {"String": "x"} or {"Regex": "x"}
Result<Pattern> read_pattern(const Json& json, const std::string& where) {
  const Json* pattern = json.find("pattern");
  if (!pattern) return malformed_json(where, "has no pattern");
  if (const Json* text = pattern->find("String"); text && text->string()) return Pattern(*text->string());
  if (const Json* text = pattern->find("Regex"); text && text->string()) {
    ASSAY_TRY(Regex regex, Regex::compile(*text->string()));
    return Pattern(std::move(regex));
  }
  return malformed_json(where, "has a pattern that is neither a String nor a Regex");
}

// Calls `read(element, its path)` for each element of the array `key`.
template <class Read>
Result<> each_of(const Json& json, std::string_view key, const std::string& where, Read read) {
  const Json* list = json.find(key);
  const Json::Array* array = list ? list->array() : nullptr;
  if (!array) return malformed_json(where, std::string("has no list '").append(key) + "'");
  for (std::size_t i = 0; i < array->size(); ++i)
    ASSAY_TRY_VOID(read((*array)[i], where + "." + std::string(key) + "[" + std::to_string(i) + "]"));
  return success();
}

Result<> add_replacement(Normalizer& normalizer, std::string_view pattern, std::string with) {
  ASSAY_TRY(Regex regex, Regex::compile(pattern));
  normalizer.add(ReplaceStep{std::move(regex), std::move(with)});
  return success();
}

// SentencePiece's "nmt" clean-up: these control characters go, these become spaces.
Result<> add_nmt(Normalizer& normalizer) {
  ASSAY_TRY_VOID(add_replacement(normalizer, "[\\x{1}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{7f}\\x{8f}\\x{9f}]", ""));
  return add_replacement(normalizer, "[\\x{9}\\x{a}\\x{c}\\x{d}\\x{1680}\\x{200b}-\\x{200f}\\x{2028}\\x{2029}\\x{2581}\\x{feff}\\x{fffd}]", " ");
}

Result<> add_charsmap(const Json& json, const std::string& where, Normalizer& normalizer) {
  const auto bytes = decode_base64(string_of(json, "precompiled_charsmap"));
  if (!bytes) return malformed_json(where, "has a charsmap that is not base64");
  if (bytes->empty()) return success();
  ASSAY_TRY(Charsmap map, Charsmap::parse(std::as_bytes(std::span(*bytes))));
  normalizer.add(std::move(map));
  return success();
}

std::optional<UnicodeForm> form_of(std::string_view type) {
  if (type == "NFC") return UnicodeForm::nfc;
  if (type == "NFD") return UnicodeForm::nfd;
  if (type == "NFKC") return UnicodeForm::nfkc;
  if (type == "NFKD") return UnicodeForm::nfkd;
  return std::nullopt;
}

Result<> add_normalizer(const Json& json, const std::string& where, Normalizer& normalizer) {
  const std::string_view type = string_of(json, "type");
  if (const auto form = form_of(type)) return normalizer.add(*form), success();
  if (type == "Lowercase") return normalizer.add(LowercaseStep{}), success();
  if (type == "StripAccents") return normalizer.add(StripAccentsStep{}), success();
  if (type == "ByteLevel") return normalizer.add(ToByteCharactersStep{}), success();
  if (type == "Prepend") return normalizer.add(PrependStep{std::string(string_of(json, "prepend"))}), success();
  if (type == "Strip") return normalizer.add(StripStep{flag_of(json, "strip_left", true), flag_of(json, "strip_right", true)}), success();
  if (type == "Nmt") return add_nmt(normalizer);
  if (type == "Precompiled") return add_charsmap(json, where, normalizer);
  if (type == "Replace") {
    ASSAY_TRY(Pattern pattern, read_pattern(json, where));
    normalizer.add(ReplaceStep{std::move(pattern), std::string(string_of(json, "content"))});
    return success();
  }
  if (type == "Sequence")
    return each_of(json, "normalizers", where, [&](const Json& each, const std::string& path) { return add_normalizer(each, path, normalizer); });
  return unsupported(where, type, "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Nmt, Precompiled, ByteLevel, Sequence");
}

Result<SplitBehaviour> read_behaviour(const Json& json, const std::string& where) {
  struct Name {
    std::string_view name;
    SplitBehaviour behaviour;
  };
  constexpr std::array kNames = {Name{"Isolated", SplitBehaviour::isolated}, Name{"Removed", SplitBehaviour::removed},
                                 Name{"MergedWithPrevious", SplitBehaviour::merged_with_previous},
                                 Name{"MergedWithNext", SplitBehaviour::merged_with_next},
                                 Name{"Contiguous", SplitBehaviour::contiguous}};
  const std::string_view name = string_of(json, "behavior", "Isolated");
  for (const Name& each : kNames)
    if (each.name == name) return each.behaviour;
  return malformed_json(where, std::string("has the unknown behavior '").append(name) + "'");
}

class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(PreTokenizer& out) : out_(out) {}

  Result<> add(const Json& json, const std::string& where) {
    // Steps after ByteLevel see the characters that stand for bytes.
    if (traits.byte_level) {
      out_.add(ByteCharactersStep{});
      traits.byte_level = false;
    }
    const std::string_view type = string_of(json, "type");
    if (type == "Sequence")
      return each_of(json, "pretokenizers", where, [&](const Json& each, const std::string& path) { return add(each, path); });
    if (type == "ByteLevel") return add_byte_level(json);
    if (type == "Metaspace") return add_metaspace(json, where);
    if (type == "Split") return add_split(json, where);
    if (type == "Digits") return add_regex(flag_of(json, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", SplitBehaviour::isolated);
    if (type == "Whitespace") return add_regex("\\w+|[^\\w\\s]+", SplitBehaviour::removed, true);
    if (type == "WhitespaceSplit") return add_regex("\\s+", SplitBehaviour::removed);
    if (type == "Punctuation") {
      ASSAY_TRY(const SplitBehaviour behaviour, read_behaviour(json, where));
      return add_regex(kPunctuation, behaviour);
    }
    if (type == "BertPreTokenizer") {
      ASSAY_TRY_VOID(add_regex("\\s+", SplitBehaviour::removed));
      return add_regex(kPunctuation, SplitBehaviour::isolated);
    }
    if (type == "CharDelimiterSplit")
      return out_.add(SplitStep{std::string(string_of(json, "delimiter")), SplitBehaviour::removed}), success();
    return unsupported(where, type,
                       "ByteLevel, Metaspace, Split, Digits, Whitespace, WhitespaceSplit, Punctuation, BertPreTokenizer, CharDelimiterSplit, Sequence");
  }

  PreTokenizerTraits traits;

 private:
  static constexpr std::string_view kPunctuation = "[\\p{P}!-/:-@\\[-`{-~]";

  Result<> add_regex(std::string_view pattern, SplitBehaviour behaviour, bool invert = false) {
    ASSAY_TRY(Regex regex, Regex::compile(pattern));
    out_.add(SplitStep{std::move(regex), behaviour, invert});
    return success();
  }

  Result<> add_byte_level(const Json& json) {
    if (flag_of(json, "add_prefix_space", true)) out_.add(PrefixSpaceStep{});
    if (flag_of(json, "use_regex", true)) ASSAY_TRY_VOID(add_regex(gpt2_pattern(), SplitBehaviour::isolated));
    traits.byte_level = true;
    return success();
  }

  Result<> add_metaspace(const Json& json, const std::string& where) {
    MetaspaceStep step;
    step.replacement = string_of(json, "replacement", step.replacement);
    const std::string_view scheme = string_of(json, "prepend_scheme", flag_of(json, "add_prefix_space", true) ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never")
      return malformed_json(where, std::string("has the unknown prepend_scheme '").append(scheme) + "'");
    step.prepend = scheme == "always" ? Prepend::always : scheme == "first" ? Prepend::first : Prepend::never;
    step.split = flag_of(json, "split", true);
    out_.add(std::move(step));
    traits.metaspace = true;
    return success();
  }

  Result<> add_split(const Json& json, const std::string& where) {
    ASSAY_TRY(Pattern pattern, read_pattern(json, where));
    ASSAY_TRY(const SplitBehaviour behaviour, read_behaviour(json, where));
    out_.add(SplitStep{std::move(pattern), behaviour, flag_of(json, "invert", false)});
    return success();
  }

  PreTokenizer& out_;
};

Result<TokenId> checked_id(const Json& json, const std::string& where, const Vocabulary& vocabulary) {
  const auto id = json.integer();
  if (!id || *id < 0 || static_cast<std::uint64_t>(*id) >= vocabulary.size())
    return Error{Code::range, where, "names a token id beyond the vocabulary of " + std::to_string(vocabulary.size())};
  return static_cast<TokenId>(*id);
}

// [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, ...] with special_tokens {"<s>": {"ids": [1]}}.
Result<> add_template(const Json& json, const std::string& where, TokenizerParts& parts) {
  bool is_after = false;
  const Json* special = json.find("special_tokens");
  return each_of(json, "single", where, [&](const Json& each, const std::string& path) -> Result<> {
    if (each.find("Sequence")) {
      is_after = true;
      return success();
    }
    const Json* token = each.find("SpecialToken");
    const Json* entry = token && special ? special->find(string_of(*token, "id")) : nullptr;
    if (!entry) return malformed_json(path, "names a special token that special_tokens does not describe");
    return each_of(*entry, "ids", path, [&](const Json& id, const std::string& at) -> Result<> {
      ASSAY_TRY(const TokenId value, checked_id(id, at, parts.vocabulary));
      (is_after ? parts.after : parts.before).push_back(value);
      return success();
    });
  });
}

// {"cls": ["[CLS]", 101], "sep": ["[SEP]", 102]}
Result<> add_pair(const Json& json, const std::string& where, TokenizerParts& parts) {
  for (const auto& [key, ids] : {std::pair{"cls", &parts.before}, std::pair{"sep", &parts.after}}) {
    const Json* entry = json.find(key);
    const Json::Array* pair = entry ? entry->array() : nullptr;
    if (!pair || pair->size() != 2) return malformed_json(where, std::string("has no pair '") + key + "'");
    ASSAY_TRY(const TokenId id, checked_id((*pair)[1], where + "." + key, parts.vocabulary));
    ids->push_back(id);
  }
  return success();
}

Result<> add_post_processor(const Json& json, const std::string& where, TokenizerParts& parts) {
  const std::string_view type = string_of(json, "type");
  if (type == "ByteLevel") return success();  // moves offsets only
  if (type == "TemplateProcessing") return add_template(json, where, parts);
  if (type == "BertProcessing" || type == "RobertaProcessing") return add_pair(json, where, parts);
  if (type == "Sequence")
    return each_of(json, "processors", where, [&](const Json& each, const std::string& path) { return add_post_processor(each, path, parts); });
  return unsupported(where, type, "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence");
}

class DecoderReader {
 public:
  explicit DecoderReader(DecodeRules& rules) : rules_(rules) {}

  Result<> add(const Json& json, const std::string& where) {
    const std::string_view type = string_of(json, "type");
    if (type == "ByteLevel") return rules_.byte_level = true, success();
    if (type == "ByteFallback") return rules_.byte_tokens = true, success();
    if (type == "Fuse") return is_fused_ = true, success();
    if (type == "Replace") return add_replace(json, where);
    if (type == "Strip") return add_strip(json, where);
    if (type == "Metaspace") return add_metaspace(json);
    if (type == "Sequence")
      return each_of(json, "decoders", where, [&](const Json& each, const std::string& path) { return add(each, path); });
    return unsupported(where, type, "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, Sequence");
  }

 private:
  Result<> add_replace(const Json& json, const std::string& where) {
    ASSAY_TRY(Pattern pattern, read_pattern(json, where));
    const std::string* literal = std::get_if<std::string>(&pattern);
    if (!literal) return Error{Code::unsupported, where, "replaces by a regular expression; feed token ids with --ids"};
    rules_.replacements.emplace_back(*literal, string_of(json, "content"));
    rules_.rewrites_added = true;
    return success();
  }

  Result<> add_strip(const Json& json, const std::string& where) {
    const Json* start = json.find("start");
    const Json* stop = json.find("stop");
    const std::uint64_t count = start ? start->unsigned_integer().value_or(0) : 0;
    if (!is_fused_ || string_of(json, "content") != " " || (stop && stop->unsigned_integer().value_or(0) != 0))
      return Error{Code::unsupported, where, "strips something other than spaces at the start of a text; feed token ids with --ids"};
    rules_.leading_spaces = count;
    return success();
  }

  Result<> add_metaspace(const Json& json) {
    rules_.replacements.emplace_back(string_of(json, "replacement", "\xe2\x96\x81"), " ");
    rules_.rewrites_added = true;
    const std::string_view scheme = string_of(json, "prepend_scheme", flag_of(json, "add_prefix_space", true) ? "always" : "never");
    rules_.leading_spaces = scheme == "never" ? 0 : 1;
    return success();
  }

  DecodeRules& rules_;
  bool is_fused_ = false;
};

}  // namespace

Error malformed_json(std::string_view where, std::string detail) { return Error{Code::malformed, std::string(where), std::move(detail)}; }

bool flag_of(const Json& json, std::string_view key, bool otherwise) {
  const Json* value = json.find(key);
  return value ? value->boolean().value_or(otherwise) : otherwise;
}

std::string_view string_of(const Json& json, std::string_view key, std::string_view otherwise) {
  const Json* value = json.find(key);
  return value && value->string() ? std::string_view(*value->string()) : otherwise;
}

Result<> read_normalizer(const Json* json, Normalizer& normalizer) {
  return is_none(json) ? success() : add_normalizer(*json, "normalizer", normalizer);
}

Result<PreTokenizerTraits> read_pre_tokenizer(const Json* json, PreTokenizer& pre_tokenizer) {
  PreTokenizerReader reader(pre_tokenizer);
  if (!is_none(json)) ASSAY_TRY_VOID(reader.add(*json, "pre_tokenizer"));
  return reader.traits;
}

Result<> read_post_processor(const Json* json, TokenizerParts& parts) {
  return is_none(json) ? success() : add_post_processor(*json, "post_processor", parts);
}

Result<> read_decoder(const Json* json, PreTokenizerTraits traits, DecodeRules& rules) {
  if (!is_none(json)) return DecoderReader(rules).add(*json, "decoder");
  rules.byte_level = traits.byte_level;
  if (traits.metaspace) rules.replacements.emplace_back("\xe2\x96\x81", " ");
  return success();
}

}  // namespace assay

// Tokenizer files of a folder result: copied from a folder, or made from tokenizer.ggml.* where that is byte-level BPE.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/model/convert/hf_files.h"
#include "runtime/model/tokenizer/pretokenizer_names.h"

namespace assay::convert {
namespace {

constexpr std::array<std::string_view, 9> kCopied = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
                                                     "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json", "chat_template.jinja"};

Result<> copy_files(const std::filesystem::path& from, const std::filesystem::path& to, std::vector<std::string>& notes) {
  bool has_any = false;
  for (const std::string_view name : kCopied) {
    std::error_code failure;
    if (!std::filesystem::exists(from / name, failure)) continue;
    std::filesystem::copy_file(from / name, to / name, std::filesystem::copy_options::overwrite_existing, failure);
    if (failure) return Error{Code::io, "", "cannot copy: " + failure.message(), (from / name).string()};
    has_any = has_any || name.starts_with("token");
  }
  if (!has_any) notes.push_back("the tokenizer is not carried over: the input's folder has none");
  return success();
}

// tokenizer.ggml.* read once. Types: 1 normal, 3 control, 4 user defined, 5 unused.
struct Source {
  std::vector<std::string_view> tokens, merges;
  std::vector<std::int64_t> types;
  const NamedPreTokenizer* pre = nullptr;
  std::optional<std::uint64_t> bos, eos, unknown, padding;
  bool adds_bos = false;

  std::int64_t type(std::size_t id) const { return id < types.size() ? types[id] : 1; }
};

Result<Source> read_source(const Metadata& metadata) {
  Source source;
  ASSAY_TRY(source.tokens, metadata.strings("tokenizer.ggml.tokens"));
  ASSAY_TRY(source.merges, metadata.strings("tokenizer.ggml.merges"));
  if (metadata.has("tokenizer.ggml.token_type")) {
    ASSAY_TRY(source.types, metadata.integers("tokenizer.ggml.token_type"));
  }
  ASSAY_TRY(const std::string_view name, metadata.string("tokenizer.ggml.pre"));
  ASSAY_TRY(source.pre, find_pre_tokenizer(name));
  const auto id = [&](std::string_view key) -> std::optional<std::uint64_t> {
    const auto value = metadata.unsigned_integer(key);
    if (!value || *value >= source.tokens.size()) return std::nullopt;
    return *value;
  };
  source.bos = id("tokenizer.ggml.bos_token_id");
  source.eos = id("tokenizer.ggml.eos_token_id");
  source.unknown = id("tokenizer.ggml.unknown_token_id");
  source.padding = id("tokenizer.ggml.padding_token_id");
  const auto adds = metadata.boolean("tokenizer.ggml.add_bos_token");
  source.adds_bos = source.bos.has_value() && (adds ? *adds : source.pre->adds_bos);
  return source;
}

Json byte_level(bool use_regex) {
  Json json;
  json.set("type", "ByteLevel").set("add_prefix_space", false).set("trim_offsets", true).set("use_regex", use_regex);
  return json;
}

Json pre_tokenizer_json(const NamedPreTokenizer& pre) {
  Json steps(Json::Array{});
  for (const std::string_view pattern : pre.patterns) {
    Json regex, split;
    regex.set("Regex", pattern);
    split.set("type", "Split").set("pattern", std::move(regex)).set("behavior", "Isolated").set("invert", false);
    steps.push(std::move(split));
  }
  steps.push(byte_level(false));
  Json json;
  json.set("type", "Sequence").set("pretokenizers", std::move(steps));
  return json;
}

Json added_token(std::uint64_t id, std::string_view text, bool is_special) {
  Json json;
  json.set("id", id).set("content", text).set("single_word", false).set("lstrip", false).set("rstrip", false);
  json.set("normalized", false).set("special", is_special);
  return json;
}

// A template that puts BOS in front of a text.
Json bos_template(const Source& source) {
  const std::string_view bos = source.tokens[*source.bos];
  const auto special = [&] {
    Json inner, outer;
    inner.set("id", bos).set("type_id", 0);
    outer.set("SpecialToken", std::move(inner));
    return outer;
  };
  const auto sequence = [&](const char* id) {
    Json inner, outer;
    inner.set("id", id).set("type_id", 0);
    outer.set("Sequence", std::move(inner));
    return outer;
  };
  Json token, tokens, json;
  token.set("id", bos).set("ids", Json(Json::Array{Json(*source.bos)})).set("tokens", Json(Json::Array{Json(bos)}));
  tokens.set(bos, std::move(token));
  json.set("type", "TemplateProcessing").set("single", Json(Json::Array{special(), sequence("A")}));
  json.set("pair", Json(Json::Array{special(), sequence("A"), sequence("B")})).set("special_tokens", std::move(tokens));
  return json;
}

Json tokenizer_json(const Source& source) {
  Json vocabulary(Json::Object{}), merges(Json::Array{}), added(Json::Array{});
  for (std::size_t id = 0; id < source.tokens.size(); ++id) {
    const std::int64_t type = source.type(id);
    if (type == 5) continue;
    if (type == 3 || type == 4) added.push(added_token(id, source.tokens[id], type == 3));
    else vocabulary.set(source.tokens[id], std::uint64_t{id});
  }
  for (const std::string_view merge : source.merges) merges.push(merge);
  Json model;
  model.set("type", "BPE").set("dropout", nullptr).set("unk_token", nullptr).set("continuing_subword_prefix", nullptr);
  model.set("end_of_word_suffix", nullptr).set("fuse_unk", false).set("byte_fallback", false).set("ignore_merges", source.pre->ignore_merges);
  model.set("vocab", std::move(vocabulary)).set("merges", std::move(merges));
  Json json;
  json.set("version", "1.0").set("truncation", nullptr).set("padding", nullptr).set("added_tokens", std::move(added));
  json.set("normalizer", nullptr).set("pre_tokenizer", pre_tokenizer_json(*source.pre));
  json.set("post_processor", source.adds_bos ? bos_template(source) : byte_level(true)).set("decoder", byte_level(true));
  json.set("model", std::move(model));
  return json;
}

Json tokenizer_config(const Source& source, const Metadata& metadata) {
  Json json;
  const auto set = [&](std::string_view name, const std::optional<std::uint64_t>& id) {
    if (id) json.set(name, source.tokens[*id]);
  };
  set("bos_token", source.bos);
  set("eos_token", source.eos);
  set("unk_token", source.unknown);
  set("pad_token", source.padding);
  json.set("add_bos_token", source.adds_bos).set("clean_up_tokenization_spaces", false).set("tokenizer_class", "PreTrainedTokenizerFast");
  if (const auto chat = metadata.string("tokenizer.chat_template")) json.set("chat_template", *chat);
  return json;
}

}  // namespace

Result<> write_tokenizer_files(const ModelFile& in, const std::filesystem::path& folder, std::vector<std::string>& notes) {
  if (in.kind != FileKind::gguf) return copy_files(in.folder, folder, notes);
  const auto leave_out = [&](std::string why) {
    notes.push_back("the tokenizer is not carried over: " + std::move(why));
    return success();
  };
  const auto model = in.metadata.string("tokenizer.ggml.model");
  if (!model || *model == "none") return leave_out("the input has none");
  if (*model != "gpt2") return leave_out(fmt::format("'{}' is not byte-level BPE; take tokenizer.json from the model's own repository", *model));
  const auto source = read_source(in.metadata);
  if (!source) return leave_out(source.error().message());
  const bool is_plain = !source->pre->raw_characters && std::ranges::none_of(source->pre->patterns, [](std::string_view p) { return p.starts_with("<digit"); });
  if (!is_plain) return leave_out(fmt::format("pre-tokenizer '{}' has no form in tokenizer.json", source->pre->name));
  ASSAY_TRY_VOID(write_text_file(folder / "tokenizer.json", to_text(tokenizer_json(*source), 1) + "\n"));
  return write_text_file(folder / "tokenizer_config.json", to_text(tokenizer_config(*source, in.metadata), 2) + "\n");
}

}  // namespace assay::convert

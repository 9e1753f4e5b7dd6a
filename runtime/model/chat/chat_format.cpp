// Finds templates and special tokens in the files of a model.
#include "runtime/model/chat/chat_format.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <iterator>

namespace assay {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxFileBytes = 16 << 20;

// Nothing when there is no such file.
Result<std::optional<std::string>> read_if_there(const fs::path& path) {
  std::error_code problem;
  if (!fs::exists(path, problem)) return std::optional<std::string>();
  if (fs::file_size(path, problem) > kMaxFileBytes || problem) return Error{Code::io, "file", "is no file of at most 16 MB", path.string()};
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in && !in.eof()) return Error{Code::io, "file", "cannot be read", path.string()};
  return std::optional(std::move(text));
}

Result<Json> read_json_if_there(const fs::path& path) {
  ASSAY_TRY(const std::optional<std::string> text, read_if_there(path));
  if (!text) return Json();
  auto json = parse_json(*text);
  if (json) return json;
  Error error = std::move(json).error();
  error.file = path.string();
  return error;
}

// One template, or a list of {"name", "template"}.
std::optional<std::string> template_in(const Json* value, bool with_tools) {
  if (value == nullptr) return std::nullopt;
  if (const std::string* text = value->string()) return *text;
  if (value->array() == nullptr) return std::nullopt;
  const auto named = [&](std::string_view name) -> std::optional<std::string> {
    for (const Json& one : *value->array()) {
      const Json *its_name = one.find("name"), *text = one.find("template");
      if (its_name != nullptr && its_name->string() != nullptr && *its_name->string() == name && text != nullptr && text->string() != nullptr) return *text->string();
    }
    return std::nullopt;
  };
  if (with_tools)
    if (auto found = named("tool_use")) return found;
  return named("default");
}

// A token in tokenizer_config.json: its text, or an object with it.
std::optional<std::string> token_text(const Json& value) {
  if (const std::string* text = value.string()) return *text;
  const Json* content = value.find("content");
  return content != nullptr && content->string() != nullptr ? std::optional(*content->string()) : std::nullopt;
}

Json::Object special_tokens_of(const ModelFile& file, const Tokenizer& tokenizer) {
  Json out = Json::Object();
  const auto set = [&](std::string_view name, std::optional<TokenId> id) {
    if (id) out.set(name, tokenizer.vocabulary_text(*id));
  };
  set("bos_token", tokenizer.bos());
  set("eos_token", tokenizer.eos());
  if (file.kind == FileKind::gguf) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMore = {{{"unk_token", "tokenizer.ggml.unknown_token_id"},
                                                                                    {"pad_token", "tokenizer.ggml.padding_token_id"},
                                                                                    {"sep_token", "tokenizer.ggml.seperator_token_id"},
                                                                                    {"mask_token", "tokenizer.ggml.mask_token_id"}}};
    for (const auto& [name, key] : kMore)
      if (const auto id = file.metadata.unsigned_integer(key); id && *id < tokenizer.vocabulary_size()) set(name, static_cast<TokenId>(*id));
    return *out.object();
  }
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const auto json = read_json_if_there(file.folder / name);
    if (!json || json->object() == nullptr) continue;
    for (const auto& [key, value] : *json->object())
      if (key.ends_with("_token"))
        if (const auto text = token_text(value)) out.set(key, *text);
  }
  return *out.object();
}

std::string advice() { return "choose a built-in format with --template FAMILY (" + chat_family_names() + ") or a template file with --template FILE"; }

}  // namespace

Result<std::optional<FoundTemplate>> find_chat_template(const ModelFile& file, bool with_tools) {
  const auto found = [](std::string text, std::string origin) { return std::optional(FoundTemplate{std::move(text), std::move(origin)}); };
  if (file.kind == FileKind::gguf) {
    constexpr std::string_view kKey = "tokenizer.chat_template", kToolsKey = "tokenizer.chat_template.tool_use";
    const std::string_view key = with_tools && file.metadata.has(kToolsKey) ? kToolsKey : kKey;
    if (!file.metadata.has(key)) return std::optional<FoundTemplate>();
    ASSAY_TRY(const std::string_view text, file.metadata.string(key));
    return found(std::string(text), std::string(key));
  }
  ASSAY_TRY(std::optional<std::string> whole, read_if_there(file.folder / "chat_template.jinja"));
  if (whole) return found(std::move(*whole), "chat_template.jinja");
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    ASSAY_TRY(const Json json, read_json_if_there(file.folder / name));
    if (auto text = template_in(json.find("chat_template"), with_tools)) return found(std::move(*text), std::string("chat_template of ") + name);
  }
  return std::optional<FoundTemplate>();
}

ChatFormat::ChatFormat(const ModelFile& file, const Tokenizer& tokenizer) : special_tokens_(special_tokens_of(file, tokenizer)) {
  for (const auto& [name, text] : special_tokens_) {
    if (name == "bos_token") ends_.bos = *text.string();
    if (name == "eos_token") ends_.eos = *text.string();
  }
}

Result<ChatFormat> ChatFormat::of_model(const ModelFile& file, const Tokenizer& tokenizer, bool with_tools) {
  ASSAY_TRY(const std::optional<FoundTemplate> found, find_chat_template(file, with_tools));
  if (!found) return Error{Code::missing, "chat template", "the model has none; " + advice()};
  ChatFormat out(file, tokenizer);
  auto parsed = ChatTemplate::parse(found->text);
  if (parsed) {
    out.format_ = std::move(*parsed);
    out.origin_ = "the model's template";
    return out;
  }
  const ChatFamily* family = guess_chat_family(found->text);
  if (family == nullptr) return Error{parsed.error().code, found->origin, fmt::format("{}; {}", parsed.error().detail, advice())};
  out.format_ = family;
  out.origin_ = fmt::format("the built-in format {}", family->name);
  out.note_ = fmt::format("the model's chat template cannot be rendered ({}); it looks like {}, which is used instead; --template chooses another", parsed.error().detail, family->name);
  return out;
}

Result<ChatFormat> ChatFormat::named(std::string_view family_or_path, const ModelFile& file, const Tokenizer& tokenizer) {
  ChatFormat out(file, tokenizer);
  if (const ChatFamily* family = find_chat_family(family_or_path)) {
    out.format_ = family;
    out.origin_ = fmt::format("the built-in format {}", family->name);
    return out;
  }
  ASSAY_TRY(const std::optional<std::string> text, read_if_there(fs::path(family_or_path)));
  if (!text) return Error{Code::not_found, "--template", fmt::format("\"{}\" is neither a built-in format ({}) nor a file", family_or_path, chat_family_names())};
  auto parsed = ChatTemplate::parse(*text);
  if (!parsed) {
    Error error = std::move(parsed).error();
    error.file = std::string(family_or_path);
    return error;
  }
  out.format_ = std::move(*parsed);
  out.origin_ = std::string(family_or_path);
  return out;
}

Result<std::string> ChatFormat::render(const Conversation& conversation, bool adds_prompt, const std::tm& now) const {
  if (const auto* family = std::get_if<const ChatFamily*>(&format_)) {
    for (const auto& [name, value] : conversation.settings)
      if (name == "tools" && value.array() != nullptr && !value.array()->empty())
        return Error{Code::unsupported, "tools", fmt::format("{} has no place for tools; they need a model with a chat template for them", origin_)};
    return assay::render(**family, conversation.messages, adds_prompt, ends_);
  }
  Json variables = special_tokens_;
  variables.set("messages", conversation.messages);
  variables.set("add_generation_prompt", adds_prompt);
  for (const auto& [name, value] : conversation.settings) variables.set(name, value);
  return std::get<ChatTemplate>(format_).render(variables, {.now = now});
}

}  // namespace assay

// tokenizer.ggml.* from a byte-level BPE tokenizer.json and tokenizer_config.json.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runtime/core/mapped_file.h"
#include "runtime/model/convert/gguf_keys.h"
#include "runtime/model/convert/hf_files.h"
#include "runtime/model/tokenizer/pretokenizer_names.h"

namespace assay::convert {
namespace {

// Token types as GGUF numbers them.
enum TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::vector<std::string> merges;
  std::string pre;
};

Error wrong(std::string subject, std::string detail) { return {Code::malformed, std::move(subject), std::move(detail), "tokenizer.json"}; }

bool is_type(const Json* json, std::string_view type) {
  const Json* name = json != nullptr ? json->find("type") : nullptr;
  return name != nullptr && name->string() != nullptr && *name->string() == type;
}

// The regular expressions of the pre-tokenizer in order; nothing when it is not Split steps and ByteLevel alone.
std::optional<std::vector<std::string>> byte_level_patterns(const Json* pre) {
  std::vector<std::string> patterns;
  bool has_bytes = false;
  const auto read_step = [&](const Json& step) {
    if (is_type(&step, "ByteLevel")) {
      has_bytes = true;
      const Json* regex = step.find("use_regex");
      const Json* prefix = step.find("add_prefix_space");
      if (prefix != nullptr && prefix->boolean().value_or(false)) return false;
      if (regex == nullptr || regex->boolean().value_or(true)) patterns.emplace_back(gpt2_pattern());
      return true;
    }
    if (is_type(&step, "Digits")) {
      const Json* each = step.find("individual_digits");
      patterns.emplace_back(each != nullptr && each->boolean().value_or(false) ? "\\p{N}" : "\\p{N}+");
      return true;
    }
    if (!is_type(&step, "Split")) return false;
    const Json* pattern = step.find("pattern");
    const Json* regex = pattern != nullptr ? pattern->find("Regex") : nullptr;
    if (regex == nullptr || regex->string() == nullptr) return false;
    patterns.push_back(*regex->string());
    return true;
  };
  if (pre == nullptr) return std::nullopt;
  if (is_type(pre, "Sequence")) {
    const Json* steps = pre->find("pretokenizers");
    if (steps == nullptr || steps->array() == nullptr) return std::nullopt;
    for (const Json& step : *steps->array())
      if (!read_step(step)) return std::nullopt;
  } else if (!read_step(*pre)) {
    return std::nullopt;
  }
  if (!has_bytes) return std::nullopt;
  return patterns;
}

// The names to try, best known first: several names share one pattern.
constexpr std::array<std::string_view, 11> kNames = {"gpt-2",        "llama-bpe",      "qwen2",       "smollm", "tekken", "gpt-4o",
                                                     "deepseek-v3", "deepseek-coder", "deepseek-llm", "falcon", "qwen35"};

// The pre-tokenizer whose patterns are these, and whose treatment of whole-word tokens fits.
std::optional<std::string> pre_name(const std::vector<std::string>& patterns, bool ignore_merges) {
  for (const std::string_view name : kNames) {
    const auto row = find_pre_tokenizer(name);
    if (!row || !std::ranges::equal((*row)->patterns, patterns)) continue;
    if ((*row)->ignore_merges == ignore_merges) return std::string(name);
  }
  // llama-bpe's pattern without its whole-word rule has names of its own.
  if (const auto row = find_pre_tokenizer("dbrx"); row && !ignore_merges && std::ranges::equal((*row)->patterns, patterns)) return "dbrx";
  return std::nullopt;
}

Result<> read_added(const Json& document, Vocabulary& out, std::size_t limit) {
  const Json* added = document.find("added_tokens");
  if (added == nullptr || added->array() == nullptr) return success();
  for (const Json& token : *added->array()) {
    const Json* id = token.find("id");
    const Json* content = token.find("content");
    const auto number = id != nullptr ? id->unsigned_integer() : std::nullopt;
    if (!number || content == nullptr || content->string() == nullptr) return wrong("added_tokens", "an entry lacks its id or content");
    if (*number >= limit) return wrong("added_tokens", fmt::format("id {} is beyond the vocabulary of {}", *number, limit));
    const Json* special = token.find("special");
    out.tokens[*number] = *content->string();
    out.types[*number] = special != nullptr && special->boolean().value_or(false) ? kControl : kUserDefined;
  }
  return success();
}

Result<> read_merges(const Json& model, Vocabulary& out) {
  const Json* merges = model.find("merges");
  if (merges == nullptr || merges->array() == nullptr) return wrong("model.merges", "missing");
  for (const Json& merge : *merges->array()) {
    if (merge.string() != nullptr) {
      out.merges.push_back(*merge.string());
      continue;
    }
    const Json::Array* pair = merge.array();
    if (pair == nullptr || pair->size() != 2 || (*pair)[0].string() == nullptr || (*pair)[1].string() == nullptr)
      return wrong("model.merges", "an entry is neither a text nor a pair of texts");
    out.merges.push_back(*(*pair)[0].string() + " " + *(*pair)[1].string());
  }
  return success();
}

// Tokens in order of their ids; gaps and the rest up to `size` become [PADn], as the model's matrix has rows for them.
Result<Vocabulary> read_vocabulary(const Json& document, const Json& model, std::size_t size) {
  Vocabulary out;
  out.tokens.resize(size);
  out.types.assign(size, kUnused);
  const Json* vocab = model.find("vocab");
  if (vocab == nullptr || vocab->object() == nullptr) return wrong("model.vocab", "missing");
  for (const auto& [token, id] : *vocab->object()) {
    const auto number = id.unsigned_integer();
    if (!number || *number >= size) return wrong("model.vocab", fmt::format("the id of '{}' is not below the vocabulary's {}", token, size));
    out.tokens[*number] = token;
    out.types[*number] = kNormal;
  }
  ASSAY_TRY_VOID(read_added(document, out, size));
  ASSAY_TRY_VOID(read_merges(model, out));
  for (std::size_t i = 0; i < size; ++i)
    if (out.types[i] == kUnused) out.tokens[i] = fmt::format("[PAD{}]", i);
  return out;
}

// Text of a special token: a string, or an object with `content`.
const std::string* token_text(const Json* value) {
  if (value == nullptr) return nullptr;
  if (value->string() != nullptr) return value->string();
  const Json* content = value->find("content");
  return content != nullptr ? content->string() : nullptr;
}

void set_special(const Json& config, const Vocabulary& vocabulary, GgufWriter& writer) {
  constexpr std::array<std::array<std::string_view, 2>, 4> kSpecial = {
      {{"bos_token", "tokenizer.ggml.bos_token_id"}, {"eos_token", "tokenizer.ggml.eos_token_id"},
       {"unk_token", "tokenizer.ggml.unknown_token_id"}, {"pad_token", "tokenizer.ggml.padding_token_id"}}};
  for (const auto& [name, key] : kSpecial) {
    const std::string* text = token_text(config.find(name));
    if (text == nullptr) continue;
    const auto found = std::ranges::find(vocabulary.tokens, *text);
    if (found != vocabulary.tokens.end()) writer.set_u32(key, static_cast<std::uint32_t>(found - vocabulary.tokens.begin()));
  }
  for (const char* flag : {"add_bos_token", "add_eos_token"})
    if (const Json* value = config.find(flag); value != nullptr && value->boolean())
      if (std::string_view(flag) == "add_bos_token" || *value->boolean()) writer.set_bool(fmt::format("tokenizer.ggml.{}", flag), *value->boolean());
  if (const Json* chat = config.find("chat_template"); chat != nullptr && chat->string() != nullptr)
    writer.set_string("tokenizer.chat_template", *chat->string());
}

// Whether the post-processor's template puts a special token in front of a text.
bool template_adds_first(const Json* processor) {
  if (processor == nullptr) return false;
  if (const Json* inner = processor->find("processors"); inner != nullptr && inner->array() != nullptr)
    return std::ranges::any_of(*inner->array(), [](const Json& each) { return template_adds_first(&each); });
  const Json* single = is_type(processor, "TemplateProcessing") ? processor->find("single") : nullptr;
  return single != nullptr && single->array() != nullptr && !single->array()->empty() && single->array()->front().find("SpecialToken") != nullptr;
}

}  // namespace

Result<> set_tokenizer_keys(const ModelFile& in, const Config& config, GgufWriter& writer, std::vector<std::string>& notes) {
  const auto leave_out = [&](std::string why) {
    writer.set_string("tokenizer.ggml.model", "none");
    notes.push_back("the tokenizer is not carried over: " + std::move(why));
    return success();
  };
  ASSAY_TRY(const std::optional<Json> document, read_json_file(in.folder / "tokenizer.json"));
  if (!document) return leave_out("the folder has no tokenizer.json");
  const Json* model = document->find("model");
  if (!is_type(model, "BPE")) return leave_out("only byte-level BPE can be written into a GGUF file");
  const auto patterns = byte_level_patterns(document->find("pre_tokenizer"));
  if (!patterns) return leave_out("its pre-tokenizer is not byte-level");
  const Json* ignore = model->find("ignore_merges");
  const auto pre = pre_name(*patterns, ignore != nullptr && ignore->boolean().value_or(false));
  if (!pre) return leave_out("no GGUF pre-tokenizer name stands for its pattern");
  ASSAY_TRY(const Vocabulary vocabulary, read_vocabulary(*document, *model, config.vocabulary));
  writer.set_string("tokenizer.ggml.model", "gpt2");
  writer.set_string("tokenizer.ggml.pre", *pre);
  writer.set_strings("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.set_i32s("tokenizer.ggml.token_type", vocabulary.types);
  writer.set_strings("tokenizer.ggml.merges", vocabulary.merges);
  ASSAY_TRY(const std::optional<Json> settings, read_json_file(in.folder / "tokenizer_config.json"));
  const Json empty(Json::Object{});
  set_special(settings ? *settings : empty, vocabulary, writer);
  if (!settings || settings->find("add_bos_token") == nullptr)
    writer.set_bool("tokenizer.ggml.add_bos_token", template_adds_first(document->find("post_processor")));
  return success();
}

}  // namespace assay::convert

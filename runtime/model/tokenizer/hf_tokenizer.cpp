// Tokenizers of Hugging Face folders: tokenizer.json, with tokenizer_config.json and generation_config.json beside it.
#include <algorithm>
#include <array>
#include <filesystem>

#include "runtime/core/mapped_file.h"
#include "runtime/model/tokenizer/hf_steps.h"

namespace assay {
namespace {

constexpr std::string_view kVocabularyPath = "model.vocab";

// A JSON file of the model's folder; null where there is none.
Result<Json> read_json_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json();
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  // A vocabulary's tree is some ten times its text.
  auto json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                         {.max_tree_bytes = (std::size_t{64} << 20) + 16 * bytes.size()});
  if (!json) {
    Error error = json.error();
    error.file = path.string();
    return error;
  }
  return json;
}

// Collects texts by id. Ids may leave holes, but not so many that a few bytes of a file could ask for any memory.
class IdTable {
 public:
  explicit IdTable(std::size_t tokens) : limit_(tokens * 4 + 65536) {}

  Result<> set(std::int64_t id, std::string_view text, std::string_view where) {
    if (id < 0 || static_cast<std::uint64_t>(id) >= limit_)
      return Error{Code::range, std::string(where), std::string("gives '").append(text) + "' the id " + std::to_string(id) +
                                                        ", far from the number of tokens in the file"};
    const auto at = static_cast<std::size_t>(id);
    if (at >= texts.size()) texts.resize(at + 1);
    if (!texts[at].empty() && texts[at] != text)
      return Error{Code::duplicate, std::string(where), "gives the id " + std::to_string(id) + " to '" + std::string(texts[at]) +
                                                            "' and to '" + std::string(text) + "'"};
    texts[at] = text;
    return success();
  }

  std::vector<std::string_view> texts;

 private:
  std::size_t limit_;
};

// {"token": id} of BPE, [["token", score]] of Unigram. Texts are copied: the JSON goes when loading is done.
Result<> read_vocabulary(const Json& model, IdTable& table, std::vector<float>& scores, Vocabulary& vocabulary) {
  const Json* vocab = model.find("vocab");
  if (const Json::Object* object = vocab ? vocab->object() : nullptr) {
    for (const auto& [text, id] : *object) {
      if (!id.integer()) return malformed_json(kVocabularyPath, std::string("gives '").append(text) + "' no whole number as its id");
      ASSAY_TRY_VOID(table.set(*id.integer(), vocabulary.keep(text), kVocabularyPath));
    }
    return success();
  }
  const Json::Array* array = vocab ? vocab->array() : nullptr;
  if (!array) return malformed_json(kVocabularyPath, "is absent");
  for (const Json& entry : *array) {
    const Json::Array* pair = entry.array();
    if (!pair || pair->size() != 2 || !(*pair)[0].string() || !(*pair)[1].number())
      return malformed_json(kVocabularyPath, "entry " + std::to_string(scores.size()) + " is not a pair of text and score");
    ASSAY_TRY_VOID(table.set(static_cast<std::int64_t>(scores.size()), vocabulary.keep(*(*pair)[0].string()), kVocabularyPath));
    scores.push_back(static_cast<float>(*(*pair)[1].number()));
  }
  return success();
}

std::size_t count_of(const Json* json) {
  if (!json) return 0;
  if (const Json::Object* object = json->object()) return object->size();
  return json->array() ? json->array()->size() : 0;
}

struct AddedLists {
  std::vector<AddedToken> raw;         // looked for in the text as it is
  std::vector<AddedToken> normalized;  // looked for after normalisation
};

Result<AddedLists> read_added(const Json& json, IdTable& table, Vocabulary& vocabulary) {
  AddedLists lists;
  const Json* tokens = json.find("added_tokens");
  if (!tokens || !tokens->array()) return lists;
  for (const Json& each : *tokens->array()) {
    const std::string where = "added_tokens[" + std::to_string(lists.raw.size() + lists.normalized.size()) + "]";
    const Json* id = each.find("id");
    const std::string_view content = string_of(each, "content");
    if (!id || !id->integer() || content.empty()) return malformed_json(where, "has no id or no content");
    const std::string_view text = vocabulary.keep(std::string(content));
    ASSAY_TRY_VOID(table.set(*id->integer(), text, where));
    AddedToken token{static_cast<TokenId>(*id->integer()), text, flag_of(each, "special", false)};
    token.strips_left = flag_of(each, "lstrip", false);
    token.strips_right = flag_of(each, "rstrip", false);
    token.single_word = flag_of(each, "single_word", false);
    (flag_of(each, "normalized", !token.is_special) ? lists.normalized : lists.raw).push_back(token);
  }
  return lists;
}

// "a b" or ["a", "b"]. Views into the JSON.
Result<std::vector<Merge>> read_merges(const Json& model) {
  const Json* list = model.find("merges");
  if (!list || !list->array()) return malformed_json("model.merges", "is absent");
  std::vector<Merge> merges;
  merges.reserve(list->array()->size());
  for (const Json& each : *list->array()) {
    if (const Json::Array* pair = each.array(); pair && pair->size() == 2 && (*pair)[0].string() && (*pair)[1].string()) {
      merges.emplace_back(*(*pair)[0].string(), *(*pair)[1].string());
      continue;
    }
    const std::string_view line = each.string() ? std::string_view(*each.string()) : std::string_view();
    const std::size_t space = line.empty() ? std::string_view::npos : line.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == line.size())
      return malformed_json("model.merges", "entry " + std::to_string(merges.size()) + " is not two texts");
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

Result<> build_bpe(const Json& model, PreTokenizerTraits traits, TokenizerParts& parts) {
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!string_of(model, key).empty())
      return Error{Code::unsupported, std::string("model.").append(key), "is not empty; Assay has no such BPE: feed token ids with --ids"};
  BpeSettings settings;
  settings.byte_level = traits.byte_level;
  settings.ignore_merges = flag_of(model, "ignore_merges", false);
  settings.byte_fallback = flag_of(model, "byte_fallback", false);
  settings.fuse_unknown = flag_of(model, "fuse_unk", false);
  if (const std::string_view unknown = string_of(model, "unk_token"); !unknown.empty()) {
    settings.unknown = parts.vocabulary.find(unknown);
    if (settings.unknown == kNoToken) return malformed_json("model.unk_token", std::string("'").append(unknown) + "' is not in the vocabulary");
    parts.vocabulary.set_type(settings.unknown, TokenType::unknown);
  }
  ASSAY_TRY(const auto merges, read_merges(model));
  auto bpe = Bpe::build(parts.vocabulary, merges, settings);
  if (!bpe) return malformed_json("model.merges", bpe.error().subject + " " + bpe.error().detail);
  parts.model = std::move(bpe).value();
  parts.kind = "bpe";
  return success();
}

Result<> build_unigram(const Json& model, std::vector<float> scores, TokenizerParts& parts) {
  UnigramSettings settings;
  settings.byte_fallback = flag_of(model, "byte_fallback", false);
  if (const Json* unknown = model.find("unk_id"); unknown && !unknown->is_null()) {
    const auto id = unknown->unsigned_integer();
    if (!id || *id >= scores.size())
      return Error{Code::range, "model.unk_id", "is beyond the vocabulary of " + std::to_string(scores.size())};
    settings.unknown = static_cast<TokenId>(*id);
  }
  scores.resize(parts.vocabulary.size());  // tokens added later have no score and no place in the model
  for (auto id = static_cast<TokenId>(count_of(model.find("vocab"))); parts.vocabulary.has(id); ++id)
    parts.vocabulary.set_type(id, TokenType::control);
  parts.vocabulary.set_scores(std::move(scores));
  ASSAY_TRY(parts.model, Unigram::build(parts.vocabulary, settings));
  if (settings.unknown != kNoToken) parts.vocabulary.set_type(settings.unknown, TokenType::unknown);
  parts.kind = "unigram";
  return success();
}

Result<> build_model(const Json& model, PreTokenizerTraits traits, std::vector<float> scores, TokenizerParts& parts) {
  std::string_view type = string_of(model, "type");
  if (type.empty()) type = model.find("merges") ? "BPE" : model.find("unk_id") ? "Unigram" : "";  // early files do not say
  if (type == "BPE") return build_bpe(model, traits, parts);
  if (type == "Unigram") return build_unigram(model, std::move(scores), parts);
  return Error{Code::unsupported, "model.type",
               std::string("is '").append(type) + "', which Assay does not have (it has BPE and Unigram); feed token ids with --ids"};
}

// "bos_token": "<s>" or {"content": "<s>"}
std::optional<TokenId> token_named(const Json& config, std::string_view key, const Vocabulary& vocabulary) {
  const Json* value = config.find(key);
  if (!value) return std::nullopt;
  const TokenId id = vocabulary.find(value->string() ? std::string_view(*value->string()) : string_of(*value, "content"));
  return id == kNoToken ? std::nullopt : std::optional<TokenId>(id);
}

// The ids under `key`: a number, a list of numbers, or null. Errors: range.
Result<std::vector<TokenId>> ids_under(const Json& config, std::string_view key, const Vocabulary& vocabulary) {
  std::vector<TokenId> ids;
  const Json* value = config.find(key);
  if (!value || value->is_null()) return ids;
  const Json::Array single{*value};
  for (const Json& each : value->array() ? *value->array() : single) {
    const auto id = each.integer();
    if (!id || *id < 0 || static_cast<std::uint64_t>(*id) >= vocabulary.size())
      return Error{Code::range, std::string(key), "names an id beyond the vocabulary of " + std::to_string(vocabulary.size())};
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

// Tokenizer classes that put BOS and EOS around a text as their flags say, whatever the post-processor is.
bool flags_rule(std::string_view tokenizer_class) {
  constexpr std::array<std::string_view, 5> kStems = {"LlamaTokenizer", "GemmaTokenizer", "CodeLlamaTokenizer", "CohereTokenizer", "SeedTokenizer"};
  return std::any_of(kStems.begin(), kStems.end(), [&](std::string_view stem) { return tokenizer_class.starts_with(stem); });
}

void apply_flag(std::vector<TokenId>& around, std::optional<TokenId> token, bool wanted) {
  if (!token) return;
  const bool is_there = std::find(around.begin(), around.end(), *token) != around.end();
  if (wanted && !is_there) around.insert(around.begin(), *token);
  if (!wanted) std::erase(around, *token);
}

// BOS, EOS and ends from the files beside tokenizer.json.
Result<> read_configs(const std::filesystem::path& folder, TokenizerParts& parts) {
  ASSAY_TRY(const Json tokenizer_config, read_json_file(folder / "tokenizer_config.json"));
  ASSAY_TRY(const Json generation_config, read_json_file(folder / "generation_config.json"));
  ASSAY_TRY(const Json model_config, read_json_file(folder / "config.json"));
  parts.bos = token_named(tokenizer_config, "bos_token", parts.vocabulary);
  parts.eos = token_named(tokenizer_config, "eos_token", parts.vocabulary);
  for (const Json* config : {&generation_config, &model_config}) {
    ASSAY_TRY(const auto bos, ids_under(*config, "bos_token_id", parts.vocabulary));
    ASSAY_TRY(const auto eos, ids_under(*config, "eos_token_id", parts.vocabulary));
    if (!parts.bos && !bos.empty()) parts.bos = bos.front();
    if (!parts.eos && !eos.empty()) parts.eos = eos.front();
    parts.ends.insert(parts.ends.end(), eos.begin(), eos.end());
  }
  if (parts.eos) parts.ends.push_back(*parts.eos);
  add_known_ends(parts, KnownEnds::special_only);
  if (!flags_rule(string_of(tokenizer_config, "tokenizer_class"))) return success();
  if (tokenizer_config.find("add_bos_token")) apply_flag(parts.before, parts.bos, flag_of(tokenizer_config, "add_bos_token", false));
  if (tokenizer_config.find("add_eos_token")) apply_flag(parts.after, parts.eos, flag_of(tokenizer_config, "add_eos_token", false));
  return success();
}

// Tokens looked for after normalisation are looked for in their normalised form.
void place_added(AddedLists lists, TokenizerParts& parts) {
  for (const auto* list : {&lists.raw, &lists.normalized})
    for (const AddedToken& token : *list) parts.vocabulary.set_type(token.id, token.is_special ? TokenType::control : TokenType::user_defined);
  if (parts.normalizer.empty()) {
    lists.raw.insert(lists.raw.end(), lists.normalized.begin(), lists.normalized.end());
    lists.normalized.clear();
  }
  Regex::Scratch scratch;
  for (AddedToken& token : lists.normalized) token.text = parts.vocabulary.keep(parts.normalizer.run(token.text, true, scratch));
  parts.added = AddedTokens(std::move(lists.raw));
  parts.added_normalized = AddedTokens(std::move(lists.normalized));
}

Result<TokenizerParts> read_tokenizer(const Json& json) {
  TokenizerParts parts;
  const Json* model = json.find("model");
  if (!model || !model->object()) return malformed_json("model", "is absent");
  IdTable table(count_of(model->find("vocab")) + count_of(json.find("added_tokens")));
  std::vector<float> scores;
  ASSAY_TRY_VOID(read_vocabulary(*model, table, scores, parts.vocabulary));
  ASSAY_TRY(AddedLists added, read_added(json, table, parts.vocabulary));
  if (table.texts.empty()) return malformed_json(kVocabularyPath, "is empty");
  auto assigned = parts.vocabulary.assign(std::move(table.texts));
  if (!assigned) return malformed_json(kVocabularyPath, assigned.error().subject + " " + assigned.error().detail);
  ASSAY_TRY_VOID(read_normalizer(json.find("normalizer"), parts.normalizer));
  ASSAY_TRY(const PreTokenizerTraits traits, read_pre_tokenizer(json.find("pre_tokenizer"), parts.pre_tokenizer));
  ASSAY_TRY_VOID(build_model(*model, traits, std::move(scores), parts));
  ASSAY_TRY_VOID(read_post_processor(json.find("post_processor"), parts));
  ASSAY_TRY_VOID(read_decoder(json.find("decoder"), traits, parts.decode));
  place_added(std::move(added), parts);
  return parts;
}

}  // namespace

Result<TokenizerParts> load_hf_tokenizer(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer.json";
  ASSAY_TRY(const Json json, read_json_file(path));
  std::error_code ignored;
  if (json.is_null() && std::filesystem::exists(folder / "tokenizer.model", ignored))
    return Error{Code::unsupported, "tokenizer.model",
                 "is the folder's only tokenizer and Assay reads tokenizer.json; convert it, or feed token ids with --ids"};
  if (json.is_null())
    return Error{Code::missing, "tokenizer.json", "is not in '" + folder.string() + "': there is no tokenizer; feed token ids with --ids"};
  auto parts = read_tokenizer(json);
  if (!parts) {
    Error error = std::move(parts).error();
    error.file = path.string();
    return error;
  }
  ASSAY_TRY_VOID(read_configs(folder, *parts));
  return parts;
}

}  // namespace assay

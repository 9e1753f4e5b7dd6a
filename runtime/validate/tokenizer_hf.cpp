// Tokenizers of folders: tokenizer.json, and the ids and the chat template in the files beside it.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "runtime/model/tokenizer.h"
#include "runtime/validate/tokenizer_parts.h"

namespace assay::validation {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestJson = std::uint64_t{256} << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

class HfTokenizerCheck {
 public:
  explicit HfTokenizerCheck(Subject& subject)
      : subject_(subject),
        errors_before_(subject.errors()),
        folder_(subject.model().folder),
        path_((folder_ / "tokenizer.json").string()) {}

  TokenizerSummary run() {
    TokenizerSummary summary;
    summary.has_chat_template = has_template();
    if (!is_there(path_)) {
      summary.is_there = is_there(folder_ / "tokenizer.model");
      if (summary.is_there)
        subject_.remark({"tokenizer.not-run", Code::unsupported, "tokenizer.model",
                         "the folder's only tokenizer is tokenizer.model, and Assay reads tokenizer.json",
                         "convert it, or feed token ids", std::nullopt, (folder_ / "tokenizer.model").string()});
      return summary;
    }
    summary.is_there = true;
    const auto tokenizer = Tokenizer::open_folder(folder_);
    if (tokenizer) {
      summary.tokens = tokenizer->vocabulary_size();
      check_specials(*summary.tokens);
      return summary;
    }
    const auto json = read(path_, "tokenizer.json");
    if (!json) return summary;
    check_parts(*json);
    summary.tokens = tokens_.empty() ? std::nullopt : std::optional<std::uint64_t>(tokens_.rbegin()->first + 1);
    if (summary.tokens) check_specials(*summary.tokens);
    if (subject_.errors() > errors_before_) return summary;
    const Error& error = tokenizer.error();
    subject_.remark({error.code == Code::unsupported ? "tokenizer.not-run" : "tokenizer.load", error.code,
                     error.subject, error.detail, kOneRevision, error.offset, error.file.empty() ? path_ : error.file});
    return summary;
  }

 private:
  void wrong(std::string_view rule, Code code, std::string_view subject, std::string message) {
    subject_.remark({rule, code, std::string(subject), std::move(message), kOneRevision, std::nullopt, path_});
  }

  std::optional<Json> read(const fs::path& path, std::string_view rule) {
    const auto file = MappedFile::open(path);
    const Bytes bytes = file ? file->bytes() : Bytes();
    auto json =
        !file ? Result<Json>(file.error())
        : bytes.size() > kLargestJson
            ? Result<Json>(Error{Code::range, "",
                                 "it has " + std::to_string(bytes.size()) + " bytes, far more than any such file"})
            : parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                         {.max_tree_bytes = (std::size_t{64} << 20) + 16 * bytes.size()});
    if (json && json->is_object()) return std::move(*json);
    const std::string name = path.filename().string();
    subject_.remark({rule == "tokenizer.json" ? "tokenizer.json" : "folder.json", Code::malformed, name,
                     json ? "the file is not a JSON object" : "the file is not valid JSON: " + json.error().detail,
                     kDownloadAgain, json ? std::nullopt : json.error().offset, path.string()});
    return std::nullopt;
  }

  void check_parts(const Json& json) {
    const Json* model = json.find("model");
    if (model == nullptr || model->object() == nullptr)
      return wrong("tokenizer.vocabulary.missing", Code::missing, "model", "tokenizer.json has no model");
    const Json* type = model->find("type");
    constexpr std::array<std::string_view, 4> kTypes = {"BPE", "Unigram", "WordPiece", "WordLevel"};
    if (type != nullptr && type->string() != nullptr &&
        std::find(kTypes.begin(), kTypes.end(), *type->string()) == kTypes.end())
      wrong("tokenizer.model", Code::unsupported, "model.type",
            "\"" + printable(*type->string()) + "\" is no kind of tokenizer known to Assay");
    read_vocabulary(*model);
    read_added(json);
    if (tokens_.empty())
      return wrong("tokenizer.vocabulary.missing", Code::missing, "model.vocab", "the vocabulary is absent or empty");
    const Origin origin{.tokens = "model.vocab", .merges = "model.merges", .file = path_};
    std::vector<std::string_view> texts;
    for (const auto& token : tokens_) texts.push_back(token.second);
    check_token_texts(subject_, texts, origin);
    const Json* merges = model->find("merges");
    if (merges == nullptr || merges->array() == nullptr) return;
    const std::unordered_set<std::string_view> known(texts.begin(), texts.end());
    for (std::size_t i = 0; i < merges->array()->size() && !subject_.stopped(); ++i)
      check_merge(subject_, i, merge_of((*merges->array())[i]), known, origin);
  }
  static std::optional<MergeTexts> merge_of(const Json& json) {
    if (json.string() != nullptr) return split_merge(*json.string());
    const Json::Array* pair = json.array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) return std::nullopt;
    return MergeTexts{*(*pair)[0].string(), *(*pair)[1].string()};
  }

  void take(const Json* id, std::string_view text, std::string_view where) {
    const auto number = id != nullptr ? id->unsigned_integer() : std::nullopt;
    if (!number || *number >= (1u << 30)) {
      wrong("tokenizer.vocabulary.id", Code::range, where,
            "\"" + printable(text) + "\" has no id, or one that no vocabulary reaches");
      return;
    }
    const auto [at, is_new] = tokens_.emplace(*number, text);
    if (!is_new && at->second != text)
      wrong("tokenizer.vocabulary.id", Code::duplicate, where,
            "the id " + std::to_string(*number) + " belongs to \"" + printable(at->second) + "\" and to \"" +
                printable(text) + "\"");
  }
  void read_vocabulary(const Json& model) {
    const Json* vocab = model.find("vocab");
    if (vocab == nullptr) return;
    if (const Json::Object* object = vocab->object())
      for (const auto& [text, id] : *object) {
        if (subject_.stopped()) return;
        take(&id, text, "model.vocab");
      }
    const Json::Array* array = vocab->array();
    for (std::size_t i = 0; array != nullptr && i < array->size() && !subject_.stopped(); ++i) {
      const Json::Array* pair = (*array)[i].array();
      if (pair != nullptr && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_number())
        tokens_.emplace(i, *(*pair)[0].string());
      else
        wrong("tokenizer.vocabulary.id", Code::malformed, "model.vocab",
              "entry " + std::to_string(i) + " is not a pair of text and score");
    }
  }
  void read_added(const Json& json) {
    const Json* added = json.find("added_tokens");
    if (added == nullptr || added->array() == nullptr) return;
    for (const Json& each : *added->array()) {
      const Json* content = each.find("content");
      take(each.find("id"),
           content != nullptr && content->string() != nullptr ? std::string_view(*content->string())
                                                              : std::string_view(),
           "added_tokens");
    }
  }

  // Ids in config.json and generation_config.json.
  void check_specials(std::uint64_t tokens) {
    check_ids(subject_.model().config, subject_.config_path(), tokens);
    const fs::path generation = folder_ / "generation_config.json";
    if (!is_there(generation)) return;
    if (const auto json = read(generation, "folder.json")) check_ids(*json, generation.string(), tokens);
  }
  void check_ids(const Json& config, const std::string& file, std::uint64_t tokens) {
    const Json* size = config.find("vocab_size");
    const std::uint64_t limit = std::max(tokens, size != nullptr ? size->unsigned_integer().value_or(0) : 0);
    for (const std::string_view key : {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}) {
      const Json* value = config.find(key);
      if (value == nullptr || value->is_null()) continue;
      const Json::Array single{*value};
      for (const Json& each : value->array() != nullptr ? *value->array() : single) {
        const auto id = each.integer();
        if (id && (*id == -1 || (*id >= 0 && static_cast<std::uint64_t>(*id) < limit))) continue;
        subject_.remark({"tokenizer.special.range", Code::range, std::string(key),
                         id ? "is " + std::to_string(*id) + ", but the vocabulary ends at " + std::to_string(limit)
                            : "is not a whole number",
                         kOneRevision, std::nullopt, file});
      }
    }
  }

  void check_template(std::string_view text, const fs::path& path) {
    if (const auto problem = template_problem(text))
      subject_.remark({"tokenizer.chat-template.broken", Code::malformed, "chat_template",
                       "the template breaks Jinja's rules: " + *problem, kOneRevision, std::nullopt, path.string()});
  }

  bool has_template() {
    if (const fs::path path = folder_ / "chat_template.jinja"; is_there(path)) {
      std::ifstream in(path, std::ios::binary);
      check_template(std::string(std::istreambuf_iterator<char>(in), {}), path);
      return true;
    }
    if (is_there(folder_ / "chat_template.json")) return true;
    const fs::path path = folder_ / "tokenizer_config.json";
    const auto json = is_there(path) ? read(path, "folder.json") : std::nullopt;
    const Json* found = json ? json->find("chat_template") : nullptr;
    if (found == nullptr || found->is_null()) return false;
    if (found->string() != nullptr) check_template(*found->string(), path);
    if (const Json::Array* several = found->array())
      for (const Json& one : *several)
        if (const Json* text = one.find("template"); text != nullptr && text->string() != nullptr) check_template(*text->string(), path);
    return true;
  }

  Subject& subject_;
  std::size_t errors_before_;
  fs::path folder_;
  std::string path_;
  std::map<std::uint64_t, std::string> tokens_;
};

}  // namespace

TokenizerSummary check_hf_tokenizer(Subject& subject) {
  return HfTokenizerCheck(subject).run();
}

}  // namespace assay::validation

// Tokenizers inside GGUF files: types and lengths of the arrays, special ids, byte tokens, merges.
#include <algorithm>
#include <array>

#include "runtime/model/tokenizer.h"
#include "runtime/model/tokenizer/pretokenizer_names.h"
#include "runtime/model/tokenizer/vocabulary.h"
#include "runtime/validate/tokenizer_parts.h"

namespace assay::validation {

namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::array<std::string_view, 22> kSpecialIds = {
    "bos_token_id",       "eos_token_id",          "eot_token_id",     "eom_token_id",     "unknown_token_id",
    "seperator_token_id", "separator_token_id",    "padding_token_id", "cls_token_id",     "mask_token_id",
    "prefix_token_id",    "suffix_token_id",       "middle_token_id",  "fim_pre_token_id", "fim_suf_token_id",
    "fim_mid_token_id",   "fim_pad_token_id",      "fim_rep_token_id", "fim_sep_token_id", "start_token_id",
    "image_token_id",     "decoder_start_token_id"};
constexpr std::array<std::string_view, 8> kModels = {"llama", "gpt2",   "bert",   "t5",
                                                     "rwkv",  "plamo2", "gemma4", "whisper"};

class GgufTokenizerCheck {
 public:
  explicit GgufTokenizerCheck(Subject& subject)
      : subject_(subject), metadata_(subject.model().metadata), errors_before_(subject.errors()) {}

  TokenizerSummary run() {
    TokenizerSummary summary;
    const auto model = metadata_.string("tokenizer.ggml.model");
    if (!metadata_.has("tokenizer.ggml.model") || (model && (*model == "none" || *model == "no_vocab"))) return summary;
    summary.is_there = true;
    summary.has_chat_template = metadata_.has("tokenizer.chat_template");
    if (!model) return wrong("tokenizer.array-type", Code::type, "tokenizer.ggml.model", model.error().detail), summary;
    check_model(*model);
    auto texts = metadata_.strings(kTokens);
    if (!texts) {
      wrong(texts.error().code == Code::missing ? "tokenizer.vocabulary.missing" : "tokenizer.array-type",
            texts.error().code, kTokens, texts.error().detail);
      return summary;
    }
    texts_ = std::move(*texts);
    summary.tokens = texts_.size();
    if (texts_.empty())
      return wrong("tokenizer.vocabulary.missing", Code::missing, kTokens, "the vocabulary is empty"), summary;
    check_arrays(*model);
    check_specials();
    check_template();
    check_byte_tokens(*model);
    check_whole(*model);
    return summary;
  }

 private:
  bool wrong(std::string_view rule, Code code, std::string_view key, std::string message,
             std::string_view advice = kConvertAgain) {
    const MetaEntry* entry = metadata_.find(key);
    return subject_.remark({rule, code, std::string(key), std::move(message), advice,
                            entry != nullptr ? std::optional(entry->offset) : std::nullopt});
  }

  void check_model(std::string_view model) {
    constexpr std::string_view kKey = "tokenizer.ggml.model";
    if (std::find(kModels.begin(), kModels.end(), model) == kModels.end())
      wrong("tokenizer.model", Code::unsupported, kKey,
            "\"" + printable(model) + "\" is no kind of tokenizer known to Assay");
    constexpr std::string_view kPre = "tokenizer.ggml.pre";
    if (model != "gpt2") return;
    const auto pre = metadata_.string(kPre);
    if (!metadata_.has(kPre))
      wrong("tokenizer.pre-missing", Code::missing, kPre,
            "the file does not say how texts are cut before merging, and readers guess differently");
    else if (!pre)
      wrong("tokenizer.array-type", Code::type, kPre, pre.error().detail);
    else if (!find_pre_tokenizer(*pre))
      wrong("tokenizer.pre", Code::unsupported, kPre, "\"" + printable(*pre) + "\" is no pre-tokenizer known to Assay",
            "update Assay, or compare the file's hash");
  }

  // Readers take these arrays by address: the type of the elements must be the one they expect.
  void check_array(std::string_view key, MetaType wanted, bool is_needed) {
    const MetaEntry* entry = metadata_.find(key);
    if (entry == nullptr) {
      if (is_needed)
        wrong("tokenizer.array-missing", Code::missing, key,
              "this kind of tokenizer needs it, and the file does not have it");
      return;
    }
    const auto* array = std::get_if<MetaArray>(&entry->value);
    const bool is_kin = array != nullptr && wanted == MetaType::i32 && array->element == MetaType::u32;
    if (array == nullptr || (array->element != wanted && !is_kin)) {
      wrong("tokenizer.array-type", Code::type, key,
            "is " +
                (array == nullptr ? std::string(name_of(entry->type))
                                  : "an array of " + std::string(name_of(array->element))) +
                ", should be an array of " + std::string(name_of(wanted)));
    } else if (array->count != texts_.size()) {
      wrong("tokenizer.array-length", Code::shape, key,
            "has " + std::to_string(array->count) + " values for " + std::to_string(texts_.size()) + " tokens");
    }
  }
  void check_arrays(std::string_view model) {
    check_array("tokenizer.ggml.scores", MetaType::f32, model == "llama" || model == "t5");
    check_array("tokenizer.ggml.token_type", MetaType::i32, false);
    if (model != "gpt2") return;
    const MetaEntry* merges = metadata_.find(kMerges);
    const auto* array = merges == nullptr ? nullptr : std::get_if<MetaArray>(&merges->value);
    if (merges == nullptr)
      wrong("tokenizer.array-missing", Code::missing, kMerges,
            "this kind of tokenizer needs it, and the file does not have it");
    else if (array == nullptr || array->element != MetaType::string)
      wrong("tokenizer.array-type", Code::type, kMerges, "is not an array of strings");
  }

  void check_specials() {
    for (const std::string_view name : kSpecialIds) {
      const std::string key = "tokenizer.ggml." + std::string(name);
      if (!metadata_.has(key)) continue;
      const auto number = metadata_.number(key);
      if (number && (*number == -1 || *number == 4294967295.0)) continue;  // "there is none"
      const auto id = metadata_.unsigned_integer(key);
      if (id && *id < texts_.size()) continue;
      wrong("tokenizer.special.range", Code::range, key,
            id ? "is " + std::to_string(*id) + ", but the vocabulary ends at " + std::to_string(texts_.size())
               : id.error().detail);
    }
    if (!metadata_.has("tokenizer.ggml.eos_token_id"))
      wrong("tokenizer.eos", Code::missing, "tokenizer.ggml.eos_token_id",
            "the file does not say which token ends a text", "generation may not know when to stop");
  }

  void check_template() {
    constexpr std::string_view kKey = "tokenizer.chat_template";
    if (!metadata_.has(kKey)) return;
    const auto text = metadata_.string(kKey);
    if (!text) {
      wrong("tokenizer.chat-template.broken", Code::type, kKey, text.error().detail);
    } else if (const auto problem = template_problem(*text)) {
      wrong("tokenizer.chat-template.broken", Code::malformed, kKey, "the template breaks Jinja's rules: " + *problem);
    }
  }

  // Tokens "<0xNN>" of type byte stand for bytes that no other token covers.
  void check_byte_tokens(std::string_view model) {
    const auto types = metadata_.integers("tokenizer.ggml.token_type");
    std::array<bool, 256> covered{};
    std::size_t told = 0, bytes = 0;
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      const bool is_typed = types && id < types->size() && (*types)[id] == static_cast<std::int64_t>(TokenType::byte);
      const auto byte = texts_[id].starts_with("<0x") ? parse_byte_token(texts_[id]) : std::nullopt;
      if (byte) covered[*byte] = true, ++bytes;
      if (is_typed && !byte && told++ < kTold)
        wrong("tokenizer.byte-token.malformed", Code::malformed, kTokens,
              "token " + std::to_string(id) + " is of type byte and its text \"" + printable(texts_[id]) +
                  "\" names none");
    }
    const auto missing = std::count(covered.begin(), covered.end(), false);
    if (model == "llama" && missing > 0)
      wrong("tokenizer.byte-token.missing", Code::missing, kTokens,
            std::to_string(missing) + " of the 256 byte tokens <0x00> to <0xFF> are not in the vocabulary",
            "texts with characters outside the vocabulary cannot be encoded; readers that count on the tokens refuse "
            "the file");
  }

  // The tokenizer itself is the judge; parts are looked at when it refuses.
  void check_whole(std::string_view model) {
    const auto tokenizer = Tokenizer::open(subject_.model());
    if (tokenizer) {
      check_long_and_broken();
      return;
    }
    const Origin origin{.tokens = std::string(kTokens), .merges = std::string(kMerges)};
    check_token_texts(subject_, texts_, origin);
    const auto merges = model == "gpt2" ? metadata_.strings(kMerges)
                                        : Result<std::vector<std::string_view>>(std::vector<std::string_view>{});
    if (merges) {
      const std::unordered_set<std::string_view> tokens(texts_.begin(), texts_.end());
      for (std::size_t i = 0; i < merges->size() && !subject_.stopped(); ++i)
        check_merge(subject_, i, split_merge((*merges)[i]), tokens, origin);
    }
    const Error& error = tokenizer.error();
    if (subject_.errors() > errors_before_) return;
    subject_.remark({error.code == Code::unsupported ? "tokenizer.not-run" : "tokenizer.load", error.code,
                     error.subject, error.detail, kConvertAgain, error.offset});
  }
  // What a tokenizer that can be built may still have.
  void check_long_and_broken() {
    const auto is_odd = [](std::string_view text) { return text.size() > 65535 || !is_utf8(text); };
    if (std::any_of(texts_.begin(), texts_.end(), is_odd))
      check_token_texts(subject_, texts_, {std::string(kTokens), std::string(kMerges)});
  }

  Subject& subject_;
  const Metadata& metadata_;
  std::size_t errors_before_;
  std::vector<std::string_view> texts_;
};

}  // namespace

TokenizerSummary check_gguf_tokenizer(Subject& subject) {
  return GgufTokenizerCheck(subject).run();
}

}  // namespace assay::validation

// The tokenizer as a whole: can it be built, and does it fit the embedding? Its parts are looked at one by one only
// when it cannot be built.
#include "runtime/model/tokenizer.h"

#include "runtime/validate/subject.h"
#include "runtime/validate/tokenizer_parts.h"

namespace assay::validation {

namespace {

// Rows of the embedding, or what config.json says they are.
std::optional<std::uint64_t> embedding_rows(const ModelFile& model) {
  for (const std::string_view name : {"token_embd.weight", "model.embed_tokens.weight"})
    if (const TensorView* tensor = model.find(name); tensor != nullptr && tensor->shape.size() == 2)
      return tensor->shape[0];
  if (const Json* size = model.config.find("vocab_size")) return size->unsigned_integer();
  return std::nullopt;
}

void check_size(Subject& subject, std::uint64_t tokens) {
  const auto rows = embedding_rows(subject.model());
  if (!rows || *rows == tokens) return;
  const std::string counts =
      "the vocabulary has " + std::to_string(tokens) + " tokens, the embedding " + std::to_string(*rows) + " rows";
  if (tokens > *rows)
    subject.remark({"tokenizer.vocabulary.size", Code::mismatch, "vocabulary",
                    counts + ": ids beyond it would read past the end",
                    subject.is_gguf() ? kConvertAgain : kOneRevision});
  else
    subject.remark({"tokenizer.vocabulary.padded", Code::mismatch, "vocabulary", counts + "; the rest pads it",
                    "nothing to do: rows are often padded to a round number"});
}

}  // namespace

void check_tokenizer(Subject& subject) {
  const auto facts = subject.is_gguf() ? check_gguf_tokenizer(subject) : check_hf_tokenizer(subject);
  if (!facts.is_there) {
    subject.remark({"tokenizer.missing", Code::missing, "tokenizer", "there is no tokenizer with the weights",
                    "texts cannot be encoded: feed token ids, or add the tokenizer's files"});
    return;
  }
  if (facts.tokens) check_size(subject, *facts.tokens);
  if (!facts.has_chat_template)
    subject.remark({"tokenizer.chat-template", Code::missing, "chat template", "there is no chat template",
                    "nothing to do for a base model; a chat model needs its template"});
}

}  // namespace assay::validation

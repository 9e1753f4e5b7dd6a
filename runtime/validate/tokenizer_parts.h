// The checks of tokenizers by kind of file, and the look at single merges and tokens that both share.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/validate/subject.h"

namespace assay::validation {

struct TokenizerSummary {
  bool is_there = false;
  std::optional<std::uint64_t> tokens{};
  bool has_chat_template = false;
};
TokenizerSummary check_gguf_tokenizer(Subject& subject);
TokenizerSummary check_hf_tokenizer(Subject& subject);

// Where the parts of a tokenizer come from, for messages.
struct Origin {
  std::string tokens, merges;  // "tokenizer.ggml.tokens", "model.vocab"
  std::string file{};
};

// Texts that stand for two ids, texts that are no UTF-8 or far too long.
void check_token_texts(Subject& subject, const std::vector<std::string_view>& texts, const Origin& origin);

// Lines "a b", or pairs already taken apart; every text named must be a token, and so must the two joined.
using MergeTexts = std::pair<std::string_view, std::string_view>;
std::optional<MergeTexts> split_merge(std::string_view line);
void check_merge(Subject& subject, std::size_t number, std::optional<MergeTexts> merge,
                 const std::unordered_set<std::string_view>& tokens, const Origin& origin);

// What is wrong with the text of a chat template, with its line; nothing when it is a template, also one with constructs that
// Assay does not render.
std::optional<std::string> template_problem(std::string_view text);

// Findings of one kind are told one by one up to here, then counted.
inline constexpr std::size_t kTold = 20;

}  // namespace assay::validation

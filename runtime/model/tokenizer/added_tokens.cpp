// Cutting a text at its added tokens.
#include "runtime/model/tokenizer/added_tokens.h"

#include <algorithm>
#include <cctype>

namespace assay {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// A byte of a multi-byte character counts as part of a word.
bool is_word(char c) { return c == '_' || static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)); }

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin == 0 || !is_word(text[begin - 1])) && (end == text.size() || !is_word(text[end]));
}

Trie make_trie(const std::vector<AddedToken>& tokens, bool with_special) {
  std::vector<Trie::Entry> entries;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (with_special || !tokens[i].is_special) entries.emplace_back(tokens[i].text, static_cast<std::int32_t>(i));
  return Trie(std::move(entries));
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), all_(make_trie(tokens_, true)), plain_(make_trie(tokens_, false)) {}

std::vector<Fragment> AddedTokens::split(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  const Trie& trie = parse_special ? all_ : plain_;
  std::size_t plain = 0;  // where text not yet handed out begins
  for (std::size_t at = 0; at < text.size() && !trie.empty();) {
    if (!trie.can_start(text[at])) {
      ++at;
      continue;
    }
    const Trie::Match match = trie.longest(text.substr(at));
    const AddedToken* token = match.length ? &tokens_[static_cast<std::size_t>(match.value)] : nullptr;
    if (!token || (token->single_word && !stands_alone(text, at, at + match.length))) {
      ++at;
      continue;
    }
    std::size_t before = at, after = at + match.length;
    while (token->strips_left && before > plain && is_space(text[before - 1])) --before;
    while (token->strips_right && after < text.size() && is_space(text[after])) ++after;
    if (before > plain) fragments.push_back({text.substr(plain, before - plain)});
    fragments.push_back({text.substr(at, match.length), token->id});
    plain = at = after;
  }
  if (plain < text.size()) fragments.push_back({text.substr(plain)});
  return fragments;
}

}  // namespace assay

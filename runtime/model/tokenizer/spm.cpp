// SentencePiece BPE: linked symbols, a heap of candidate pairs, byte tokens for what is not in the vocabulary.
#include "runtime/model/tokenizer/spm.h"

#include <algorithm>

#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581 LOWER ONE EIGHTH BLOCK
constexpr std::size_t kLongestText = std::size_t{1} << 31;

// True when `token` has a U+2581 after another character.
bool crosses_words(std::string_view token) {
  for (std::size_t at = token.find(kSpace, 1); at != std::string_view::npos; at = token.find(kSpace, at + 1))
    if (at < kSpace.size() || token.substr(at - kSpace.size(), kSpace.size()) != kSpace) return true;
  return false;
}

// Bytes of the first word: spaces, then everything up to the next space.
std::size_t word_length(std::string_view text) {
  std::size_t at = 0;
  while (text.substr(at).starts_with(kSpace)) at += kSpace.size();
  return std::min(text.find(kSpace, at), text.size());
}

}  // namespace

Result<Spm> Spm::build(const Vocabulary& vocabulary, TokenId unknown) {
  Spm spm;
  spm.unknown_ = unknown;
  if (unknown == kNoToken && !vocabulary.has_all_byte_tokens())
    return Error{Code::malformed, "vocabulary",
                 "has neither all byte tokens <0x00> to <0xFF> nor an unknown token; text outside it could not be encoded"};
  spm.words_are_separate_ = true;
  for (std::size_t id = 0; id < vocabulary.size() && spm.words_are_separate_; ++id)
    spm.words_are_separate_ = !crosses_words(vocabulary.text(static_cast<TokenId>(id)));
  return spm;
}

void Spm::encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const {
  while (!text.empty()) {
    const std::size_t length = words_are_separate_ ? word_length(text) : std::min(text.size(), kLongestText - 1);
    const std::string_view word = text.substr(0, length);
    merge(vocabulary, word, scratch);
    for (std::int32_t i = 0; i >= 0; i = scratch.symbols_[i].next)
      append(vocabulary, word.substr(scratch.symbols_[i].begin, scratch.symbols_[i].length), out);
    text.remove_prefix(length);
  }
}

void Spm::merge(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& heap = scratch.heap_;
  symbols.clear();
  heap.clear();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8::step(text.substr(at));
    const auto index = static_cast<std::int32_t>(symbols.size());
    const bool is_last = at + length == text.size();
    symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(length), index - 1, is_last ? -1 : index + 1});
    at += length;
  }
  const auto later = [](const Scratch::Candidate& a, const Scratch::Candidate& b) {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  };
  const auto offer = [&](std::int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    const std::uint32_t length = symbols[left].length + symbols[symbols[left].next].length;
    const TokenId id = vocabulary.find(text.substr(symbols[left].begin, length));
    if (id == kNoToken) return;
    heap.push_back({vocabulary.score(id), left, length});
    std::push_heap(heap.begin(), heap.end(), later);
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<std::int32_t>(i));
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    auto& left = symbols[best.left];
    if (left.length == 0 || left.next < 0 || left.length + symbols[left.next].length != best.length) continue;
    auto& right = symbols[left.next];
    left.length += right.length;
    right.length = 0;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
}

void Spm::append(const Vocabulary& vocabulary, std::string_view symbol, std::vector<TokenId>& out) const {
  const TokenId id = vocabulary.find(symbol);
  if (id != kNoToken) {
    out.push_back(id);
    return;
  }
  for (const char c : symbol) {
    const TokenId byte = vocabulary.byte_token(static_cast<std::uint8_t>(c));
    if (byte == kNoToken) {
      out.push_back(unknown_);
      return;
    }
    out.push_back(byte);
  }
}

}  // namespace assay

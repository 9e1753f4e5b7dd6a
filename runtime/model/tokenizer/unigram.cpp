// The Viterbi search of a unigram tokenizer.
#include "runtime/model/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

// SentencePiece: an unknown character costs 10 more than the worst piece.
constexpr double kUnknownPenalty = 10.0;
constexpr double kUnreached = -std::numeric_limits<double>::infinity();

}  // namespace

Result<Unigram> Unigram::build(const Vocabulary& vocabulary, UnigramSettings settings) {
  if (settings.unknown == kNoToken && !(settings.byte_fallback && vocabulary.has_all_byte_tokens()))
    return Error{Code::malformed, "vocabulary",
                 "has neither an unknown token nor all byte tokens <0x00> to <0xFF>; text outside it could not be encoded"};
  Unigram unigram;
  unigram.settings_ = settings;
  std::vector<Trie::Entry> entries;
  double worst = std::numeric_limits<double>::max();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    if (type == TokenType::normal) worst = std::min<double>(worst, vocabulary.score(id));
    if (type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused)
      entries.emplace_back(vocabulary.text(id), id);
  }
  unigram.unknown_score_ = (entries.empty() ? 0.0 : worst) - kUnknownPenalty;
  unigram.trie_ = Trie(std::move(entries));
  return unigram;
}

double Unigram::score_of(const Vocabulary& vocabulary, TokenId id) const {
  return vocabulary.type(id) == TokenType::user_defined ? 0.0 : static_cast<double>(vocabulary.score(id));
}

void Unigram::encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const {
  if (text.empty()) return;
  search(vocabulary, text, scratch);
  auto& path = scratch.path_;
  path.clear();
  for (auto end = static_cast<std::uint32_t>(text.size()); end > 0; end = scratch.best_[end].begin)
    path.emplace_back(scratch.best_[end].begin, scratch.best_[end].id);
  std::reverse(path.begin(), path.end());
  for (std::size_t i = 0; i < path.size();) {
    if (path[i].second != kNoToken) {
      out.push_back(path[i++].second);
      continue;
    }
    std::size_t last = i + 1;
    while (settings_.fuse_unknown && last < path.size() && path[last].second == kNoToken) ++last;
    const std::size_t end = last < path.size() ? path[last].first : text.size();
    append_unknown(vocabulary, text.substr(path[i].first, end - path[i].first), out);
    i = last;
  }
}

void Unigram::search(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch) const {
  auto& best = scratch.best_;
  best.assign(text.size() + 1, {kUnreached, 0, kNoToken});
  best[0].score = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8::step(text.substr(at));
    const double so_far = best[at].score;
    const auto offer = [&](std::size_t end, double score, TokenId id) {
      if (score > best[end].score) best[end] = {score, static_cast<std::uint32_t>(at), id};
    };
    bool has_single = false;
    std::uint32_t node = 0;
    for (std::size_t end = at; end < text.size();) {
      node = trie_.walk(node, text[end++]);
      if (node == Trie::kNowhere) break;
      const TokenId id = trie_.value(node);
      if (id < 0) continue;
      has_single = has_single || end - at == length;
      offer(end, so_far + score_of(vocabulary, id), id);
    }
    if (!has_single) offer(at + length, so_far + unknown_score_, kNoToken);
    at += length;
  }
}

void Unigram::append_unknown(const Vocabulary& vocabulary, std::string_view text, std::vector<TokenId>& out) const {
  const auto has_byte = [&](char c) { return vocabulary.byte_token(static_cast<std::uint8_t>(c)) != kNoToken; };
  if (settings_.byte_fallback && std::all_of(text.begin(), text.end(), has_byte)) {
    for (const char c : text) out.push_back(vocabulary.byte_token(static_cast<std::uint8_t>(c)));
    return;
  }
  out.push_back(settings_.unknown);
}

}  // namespace assay

// The steps of a pre-tokenizer: each maps a list of pieces to a finer one.
#include "runtime/model/tokenizer/pretokenize.h"

#include <algorithm>

#include "runtime/model/tokenizer/byte_level.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

using Pieces = PreTokenizer::Pieces;
using Place = PreTokenizer::Place;

std::optional<Regex::Match> find(const SplitStep& step, std::string_view text, std::size_t from, Regex::Scratch& scratch) {
  if (const Regex* regex = std::get_if<Regex>(&step.pattern)) return regex->search(text, from, scratch);
  const std::string& literal = std::get<std::string>(step.pattern);
  const std::size_t at = literal.empty() ? std::string_view::npos : text.find(literal, from);
  if (at == std::string_view::npos) return std::nullopt;
  return Regex::Match{at, at + literal.size()};
}

// Puts the parts of one piece together as its behaviour says.
class Joiner {
 public:
  Joiner(SplitBehaviour behaviour, std::string_view text, std::vector<std::string_view>& out)
      : behaviour_(behaviour), text_(text), out_(out) {}

  void add(std::size_t begin, std::size_t end, bool is_match) {
    if (begin == end) return;
    switch (behaviour_) {
      case SplitBehaviour::isolated: return emit(begin, end);
      case SplitBehaviour::removed:
        if (!is_match) emit(begin, end);
        return;
      case SplitBehaviour::contiguous:
        if (has_last_ && last_is_match_ && is_match) extend(end);
        else emit(begin, end);
        break;
      case SplitBehaviour::merged_with_previous:
        if (is_match && has_last_ && !last_is_match_) extend(end);
        else emit(begin, end);
        break;
      case SplitBehaviour::merged_with_next:
        if (!is_match && has_last_ && last_is_match_) extend(end);
        else emit(begin, end);
        break;
    }
    has_last_ = true;
    last_is_match_ = is_match;
  }

 private:
  void emit(std::size_t begin, std::size_t end) {
    out_.push_back(text_.substr(begin, end - begin));
    begin_ = begin;
  }
  void extend(std::size_t end) { out_.back() = text_.substr(begin_, end - begin_); }

  SplitBehaviour behaviour_;
  std::string_view text_;
  std::vector<std::string_view>& out_;
  std::size_t begin_ = 0;
  bool has_last_ = false, last_is_match_ = false;
};

void apply(const SplitStep& step, std::string_view text, Place, Pieces& pieces) {
  Joiner joiner(step.behaviour, text, pieces.next);
  std::size_t at = 0;
  while (const auto match = find(step, text, at, pieces.regex)) {
    joiner.add(at, match->begin, step.invert);
    joiner.add(match->begin, match->end, !step.invert);
    at = match->end;
  }
  joiner.add(at, text.size(), step.invert);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void apply(const DigitGroupStep& step, std::string_view text, Place, Pieces& pieces) {
  const auto is_word = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80; };
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_digit(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (step.needs_word_end && end < text.size() && is_word(text[end])) {
      at = end;
      continue;
    }
    if (at > plain) pieces.next.push_back(text.substr(plain, at - plain));
    for (std::size_t length = (end - at) % 3 ? (end - at) % 3 : 3; at < end; at += length, length = 3)
      pieces.next.push_back(text.substr(at, length));
    plain = end;
  }
  if (plain < text.size()) pieces.next.push_back(text.substr(plain));
}

void apply(const MetaspaceStep& step, std::string_view text, Place place, Pieces& pieces) {
  std::string made;
  made.reserve(text.size() + text.size() / 2 + step.replacement.size());
  const bool begins = text.starts_with(' ') || text.starts_with(step.replacement);
  const bool prepends = step.prepend == Prepend::always || (step.prepend == Prepend::first && place.starts_input);
  if (prepends && place.starts_fragment && !begins && !text.empty()) made = step.replacement;
  for (const char c : text) {
    if (c == ' ') made += step.replacement;
    else made.push_back(c);
  }
  const std::string_view whole = pieces.made.emplace_back(std::move(made));
  std::size_t begin = 0;
  if (step.split && !step.replacement.empty()) {
    for (std::size_t at = whole.find(step.replacement, 1); at != std::string_view::npos; at = whole.find(step.replacement, at + 1)) {
      pieces.next.push_back(whole.substr(begin, at - begin));
      begin = at;
    }
  }
  if (begin < whole.size()) pieces.next.push_back(whole.substr(begin));
}

void apply(const PrefixSpaceStep&, std::string_view text, Place place, Pieces& pieces) {
  const bool prepends = place.starts_fragment && !text.starts_with(' ');
  pieces.next.push_back(prepends ? std::string_view(pieces.made.emplace_back(" ").append(text)) : text);
}

void apply(const ByteCharactersStep&, std::string_view text, Place, Pieces& pieces) {
  std::string& made = pieces.made.emplace_back();
  byte_level::append_characters(made, text);
  pieces.next.push_back(made);
}

}  // namespace

void PreTokenizer::run(std::string_view text, Place place, Pieces& pieces) const {
  pieces.views.clear();
  pieces.made.clear();
  if (text.empty()) return;
  pieces.views.push_back(text);
  for (const PreTokenizerStep& step : steps_) {
    pieces.next.clear();
    Place here = place;
    for (const std::string_view piece : pieces.views) {
      std::visit([&](const auto& each) { apply(each, piece, here, pieces); }, step);
      here.starts_input = false;
    }
    pieces.views.swap(pieces.next);
  }
}

}  // namespace assay

// Byte-pair encoding: a table of ranked pairs, a plain scan for short words and a heap over a linked list for long ones.
#include "runtime/model/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "runtime/model/tokenizer/byte_level.h"
#include "runtime/model/tokenizer/hash.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();
// Up to this many symbols, rescanning all pairs after each merge beats a heap.
constexpr std::size_t kShortWord = 48;

std::uint64_t pair_of(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

Error absent(std::size_t merge, std::string_view text) {
  return Error{Code::malformed, "merge " + std::to_string(merge),
               std::string("names '").append(text) + "', which is not in the vocabulary; the tokenizer's parts do not belong together"};
}

}  // namespace

Bpe::Scratch::Scratch(bool remember) {
  if (remember) words_.resize(kRememberedWords);
}

Bpe::Scratch::Remembered* Bpe::Scratch::place(std::string_view word) {
  if (words_.empty() || word.size() > kRememberedBytes) return nullptr;
  return &words_[hash_text(word) & (kRememberedWords - 1)];
}

Result<Bpe> Bpe::build(const Vocabulary& vocabulary, std::span<const Merge> merges, BpeSettings settings) {
  Bpe bpe;
  bpe.settings_ = settings;
  if (settings.byte_level) ASSAY_TRY_VOID(bpe.find_bytes(vocabulary));
  ASSAY_TRY_VOID(bpe.add_merges(vocabulary, merges));
  return bpe;
}

Result<> Bpe::find_bytes(const Vocabulary& vocabulary) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string character;
    utf8::append(character, byte_level::kCharacterOf[byte]);
    const TokenId id = vocabulary.find(character);
    byte_ids_[byte] = id == kNoToken ? settings_.unknown : id;
    // Published vocabularies lack bytes that their training text did not have (Falcon's: control characters, rare planes):
    // such bytes give no id, as in the models' own tokenizers. Without these three ranges hardly any text could be encoded.
    const bool is_common = (byte >= 0x20 && byte <= 0x7e) || byte == '\n' || (byte >= 0x80 && byte <= 0xbf);
    if (byte_ids_[byte] == kNoToken && is_common)
      return Error{Code::malformed, "byte " + std::to_string(byte),
                   "has no token ('" + character + "') in a byte-level vocabulary; text with it could not be encoded"};
  }
  return success();
}

Result<> Bpe::add_merges(const Vocabulary& vocabulary, std::span<const Merge> merges) {
  if (merges.size() > static_cast<std::size_t>(kNoRank) - 1) return Error{Code::range, "merges", "are too many"};
  slots_.assign(std::bit_ceil(std::max<std::size_t>(merges.size(), 8) * 2), Slot{});
  constexpr std::size_t kBatch = 64;
  std::vector<std::string_view> texts(2 * kBatch);
  std::vector<TokenId> ids(2 * kBatch);
  std::string joined;
  TokenId expected = kNoToken;  // trainers number tokens in merge order: the result of a merge usually follows the last one
  for (std::size_t first = 0; first < merges.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, merges.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      texts[2 * i] = merges[first + i].first;
      texts[2 * i + 1] = merges[first + i].second;
    }
    vocabulary.find_all(std::span(texts).first(2 * count), std::span(ids).first(2 * count));
    for (std::size_t i = 0; i < count; ++i)
      __builtin_prefetch(&slots_[hash_pair(pair_of(ids[2 * i], ids[2 * i + 1])) & (slots_.size() - 1)], 1);
    for (std::size_t i = 0; i < count; ++i) {
      const auto [left, right] = merges[first + i];
      if (ids[2 * i] == kNoToken) return absent(first + i, left);
      if (ids[2 * i + 1] == kNoToken) return absent(first + i, right);
      TokenId merged = expected;
      const std::string_view guess = vocabulary.has(expected) ? vocabulary.text(expected) : std::string_view();
      if (guess.size() != left.size() + right.size() || !guess.starts_with(left) || !guess.ends_with(right)) {
        joined.assign(left).append(right);
        merged = vocabulary.find(joined);
        if (merged == kNoToken) return absent(first + i, joined);
      }
      expected = merged + 1;
      insert(ids[2 * i], ids[2 * i + 1], {pair_of(ids[2 * i], ids[2 * i + 1]), static_cast<std::int32_t>(first + i), merged});
    }
  }
  return success();
}

void Bpe::insert(TokenId left, TokenId right, Slot slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash_pair(pair_of(left, right)) & mask;
  for (; slots_[at].merged != kNoToken; at = (at + 1) & mask)
    if (slots_[at].pair == slot.pair) return;  // the first of two equal merges counts
  slots_[at] = slot;
}

Bpe::Found Bpe::find(TokenId left, TokenId right) const {
  const std::uint64_t pair = pair_of(left, right);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash_pair(pair) & mask; slots_[at].merged != kNoToken; at = (at + 1) & mask)
    if (slots_[at].pair == pair) return {slots_[at].rank, slots_[at].merged};
  return {kNoRank, kNoToken};
}

void Bpe::encode(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const {
  if (word.empty()) return;
  Scratch::Remembered* place = scratch.place(word);
  if (place && place->bytes == word.size() && std::memcmp(place->text, word.data(), word.size()) == 0) {
    out.insert(out.end(), place->id, place->id + place->ids);
    return;
  }
  split(vocabulary, word, scratch);
  if (scratch.ids_.size() > kShortWord) merge_long(scratch);
  else if (scratch.ids_.size() > 1) merge_short(scratch);
  out.insert(out.end(), scratch.ids_.begin(), scratch.ids_.end());
  if (place && scratch.ids_.size() <= Scratch::kRememberedIds) {
    place->bytes = static_cast<std::uint8_t>(word.size());
    place->ids = static_cast<std::uint8_t>(scratch.ids_.size());
    std::copy(word.begin(), word.end(), place->text);
    std::copy(scratch.ids_.begin(), scratch.ids_.end(), place->id);
  }
}

// The word's first symbols into scratch.ids_.
void Bpe::split(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch) const {
  scratch.ids_.clear();
  if (settings_.ignore_merges || (settings_.whole_newlines && word.find_first_not_of('\n') == std::string_view::npos)) {
    std::string_view whole = word;
    if (settings_.byte_level && word.size() <= vocabulary.longest_text()) {
      scratch.mapped_.clear();
      byte_level::append_characters(scratch.mapped_, word);
      whole = scratch.mapped_;
    }
    const TokenId id = vocabulary.find(whole);
    if (id != kNoToken) {
      scratch.ids_.push_back(id);
      return;
    }
  }
  if (settings_.byte_level) {
    for (const char c : word) {
      const TokenId id = byte_ids_[static_cast<std::uint8_t>(c)];
      if (id != kNoToken) scratch.ids_.push_back(id);
    }
    return;
  }
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t length = utf8::step(word.substr(at));
    const TokenId id = vocabulary.find(word.substr(at, length));
    if (id != kNoToken) scratch.ids_.push_back(id);
    else split_unknown(vocabulary, word.substr(at, length), scratch.ids_);
    at += length;
  }
}

void Bpe::split_unknown(const Vocabulary& vocabulary, std::string_view character, std::vector<TokenId>& ids) const {
  const auto has_byte = [&](char c) { return vocabulary.byte_token(static_cast<std::uint8_t>(c)) != kNoToken; };
  if (settings_.byte_fallback && std::all_of(character.begin(), character.end(), has_byte)) {
    for (const char c : character) ids.push_back(vocabulary.byte_token(static_cast<std::uint8_t>(c)));
    return;
  }
  if (settings_.unknown == kNoToken) return;
  if (settings_.fuse_unknown && !ids.empty() && ids.back() == settings_.unknown) return;
  ids.push_back(settings_.unknown);
}

void Bpe::merge_short(Scratch& scratch) const {
  std::vector<TokenId>& ids = scratch.ids_;
  std::vector<Found>& found = scratch.found_;
  found.resize(ids.size() - 1);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) found[i] = find(ids[i], ids[i + 1]);
  while (!found.empty()) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < found.size(); ++i)
      if (found[i].rank < found[best].rank) best = i;
    if (found[best].rank == kNoRank) return;
    ids[best] = found[best].merged;
    const auto offset = static_cast<std::ptrdiff_t>(best);
    ids.erase(ids.begin() + offset + 1);
    found.erase(found.begin() + offset);
    if (best < found.size()) found[best] = find(ids[best], ids[best + 1]);
    if (best > 0) found[best - 1] = find(ids[best - 1], ids[best]);
  }
}

void Bpe::merge_long(Scratch& scratch) const {
  const std::vector<TokenId>& ids = scratch.ids_;
  std::vector<Symbol>& symbols = scratch.symbols_;
  std::vector<Candidate>& heap = scratch.heap_;
  const auto count = static_cast<std::int32_t>(ids.size());
  symbols.resize(ids.size());
  heap.clear();
  for (std::int32_t i = 0; i < count; ++i) symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
  const auto later = [](const Candidate& a, const Candidate& b) { return a.rank != b.rank ? a.rank > b.rank : a.left > b.left; };
  const auto candidate_at = [&](std::int32_t left) -> Candidate {
    const TokenId left_id = symbols[left].id, right_id = symbols[symbols[left].next].id;
    const Found found = find(left_id, right_id);
    return {found.rank, left, left_id, right_id, found.merged};
  };
  for (std::int32_t i = 0; i + 1 < count; ++i)
    if (const Candidate c = candidate_at(i); c.rank != kNoRank) heap.push_back(c);
  std::make_heap(heap.begin(), heap.end(), later);
  const auto offer = [&](std::int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    const Candidate c = candidate_at(left);
    if (c.rank == kNoRank) return;
    heap.push_back(c);
    std::push_heap(heap.begin(), heap.end(), later);
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate c = heap.back();
    heap.pop_back();
    Symbol& left = symbols[c.left];
    if (left.id != c.left_id || left.next < 0 || symbols[left.next].id != c.right_id) continue;  // merged away meanwhile
    Symbol& right = symbols[left.next];
    left.id = c.merged;
    right.id = kNoToken;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = c.left;
    offer(left.previous);
    offer(c.left);
  }
  scratch.ids_.clear();
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next) scratch.ids_.push_back(symbols[i].id);
}

}  // namespace assay

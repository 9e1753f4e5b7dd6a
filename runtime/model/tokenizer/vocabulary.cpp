// The vocabulary's hash index: open addressing, half full, tags beside ids so that most misses cost one cache line.
#include "runtime/model/tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>

#include "runtime/model/tokenizer/hash.h"

namespace assay {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Look-ups in flight at once: enough to hide the misses of a table larger than the caches.
constexpr std::size_t kBatch = 32;

std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

std::optional<std::uint8_t> parse_byte_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<std::uint8_t>(high * 16 + low);
}

Result<> Vocabulary::assign(std::vector<std::string_view> texts) {
  texts_ = std::move(texts);
  types_.assign(texts_.size(), TokenType::normal);
  byte_tokens_.fill(kNoToken);
  slots_.assign(std::bit_ceil(std::max<std::size_t>(texts_.size(), 8) * 2), Slot{});
  const std::size_t mask = slots_.size() - 1;
  std::array<std::uint64_t, kBatch> hashes{};
  for (std::size_t first = 0; first < texts_.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, texts_.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_text(texts_[first + i]);
      __builtin_prefetch(&slots_[hashes[i] & mask], 1);
    }
    for (std::size_t i = 0; i < count; ++i) ASSAY_TRY_VOID(insert(static_cast<TokenId>(first + i), hashes[i]));
  }
  return success();
}

Result<> Vocabulary::insert(TokenId id, std::uint64_t hash) {
  const std::string_view text = texts_[static_cast<std::size_t>(id)];
  if (text.empty()) return success();
  longest_ = std::max(longest_, text.size());
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  for (; slots_[at].id != kNoToken; at = (at + 1) & mask) {
    if (slots_[at].tag != tag_of(hash) || texts_[static_cast<std::size_t>(slots_[at].id)] != text) continue;
    return Error{Code::duplicate, "token " + std::to_string(id),
                 "has the same text as token " + std::to_string(slots_[at].id) + "; a vocabulary must not repeat itself"};
  }
  slots_[at] = {tag_of(hash), id};
  if (text.front() == '<')
    if (const auto byte = parse_byte_token(text)) byte_tokens_[*byte] = id;
  return success();
}

TokenId Vocabulary::probe(std::uint64_t hash, std::string_view text) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].id != kNoToken; at = (at + 1) & mask)
    if (slots_[at].tag == tag_of(hash) && texts_[static_cast<std::size_t>(slots_[at].id)] == text) return slots_[at].id;
  return kNoToken;
}

TokenId Vocabulary::find(std::string_view text) const {
  if (text.empty() || text.size() > longest_) return kNoToken;
  return probe(hash_text(text), text);
}

void Vocabulary::find_all(std::span<const std::string_view> texts, std::span<TokenId> ids) const {
  std::array<std::uint64_t, kBatch> hashes{};
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t first = 0; first < texts.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, texts.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_text(texts[first + i]);
      __builtin_prefetch(&slots_[hashes[i] & mask]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Slot& slot = slots_[hashes[i] & mask];
      if (slot.id != kNoToken) __builtin_prefetch(&texts_[static_cast<std::size_t>(slot.id)]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Slot& slot = slots_[hashes[i] & mask];
      if (slot.id != kNoToken) __builtin_prefetch(texts_[static_cast<std::size_t>(slot.id)].data());
    }
    for (std::size_t i = 0; i < count; ++i) ids[first + i] = texts[first + i].empty() ? kNoToken : probe(hashes[i], texts[first + i]);
  }
}

void Vocabulary::set_types(std::vector<TokenType> types) {
  if (types.size() == texts_.size()) types_ = std::move(types);
}

bool Vocabulary::has_all_byte_tokens() const {
  return std::none_of(byte_tokens_.begin(), byte_tokens_.end(), [](TokenId id) { return id == kNoToken; });
}

}  // namespace assay

// Vocabulary: the tokens of a tokenizer as views, their types and scores, and a hash index from text to id.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer.h"

namespace assay {

inline constexpr TokenId kNoToken = -1;

// GGUF's numbers (tokenizer.ggml.token_type).
enum class TokenType : std::uint8_t { undefined, normal, unknown, control, user_defined, unused, byte };

class Vocabulary {
 public:
  // Takes the tokens in id order and indexes them. The bytes behind the views must outlive the vocabulary (see `keep`).
  // An empty text is a hole: it has an id and is never found. Errors: duplicate (names the text and both ids).
  Result<> assign(std::vector<std::string_view> texts);

  // Copies text that lies in no mapping and returns a view that lives as long as the vocabulary.
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  TokenId find(std::string_view text) const;
  // find() for many texts at once, several look-ups in flight: the cost of start-up is cache misses.
  void find_all(std::span<const std::string_view> texts, std::span<TokenId> ids) const;

  std::size_t size() const { return texts_.size(); }
  bool has(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < texts_.size(); }
  std::string_view text(TokenId id) const { return texts_[static_cast<std::size_t>(id)]; }
  TokenType type(TokenId id) const { return types_[static_cast<std::size_t>(id)]; }
  float score(TokenId id) const { return scores_.empty() ? 0.0f : scores_[static_cast<std::size_t>(id)]; }
  std::size_t longest_text() const { return longest_; }

  // `types` and `scores` have one value per token, or are empty (all normal, all 0).
  void set_types(std::vector<TokenType> types);
  void set_type(TokenId id, TokenType type) { types_[static_cast<std::size_t>(id)] = type; }
  void set_scores(std::vector<float> scores) { scores_ = std::move(scores); }

  // The id of "<0xNN>" for a byte, kNoToken where there is none.
  TokenId byte_token(std::uint8_t byte) const { return byte_tokens_[byte]; }
  bool has_all_byte_tokens() const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // upper half of the hash
    TokenId id = kNoToken;
  };
  Result<> insert(TokenId id, std::uint64_t hash);
  TokenId probe(std::uint64_t hash, std::string_view text) const;

  std::vector<std::string_view> texts_;
  std::vector<TokenType> types_;
  std::vector<float> scores_;
  std::vector<Slot> slots_;
  std::deque<std::string> kept_;
  std::array<TokenId, 256> byte_tokens_{};
  std::size_t longest_ = 0;
};

// The byte a token "<0xNN>" names, nothing for any other text.
std::optional<std::uint8_t> parse_byte_token(std::string_view text);

}  // namespace assay

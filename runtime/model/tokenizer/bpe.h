// Bpe: byte-pair merges by rank, over bytes (GPT-2's alphabet) or over characters with byte fallback.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer/vocabulary.h"

namespace assay {

struct BpeSettings {
  bool byte_level = true;         // words are bytes, each a token of its own; else characters
  bool ignore_merges = false;     // a word that stands in the vocabulary is taken whole
  bool byte_fallback = false;     // characters: what the vocabulary lacks becomes <0xNN>
  bool whole_newlines = false;    // a word of newlines only is taken whole when the vocabulary has it
  bool fuse_unknown = false;      // neighbouring unknown characters become one token
  TokenId unknown = kNoToken;
};

using Merge = std::pair<std::string_view, std::string_view>;

class Bpe {
 public:
  // `merges` in rank order. Errors: malformed (a merge names a text that is no token; no token for a byte).
  static Result<Bpe> build(const Vocabulary& vocabulary, std::span<const Merge> merges, BpeSettings settings);

  // Working memory of one encode() call, kept from word to word.
  class Scratch;

  // Appends the ids of one word. n log n in its length.
  void encode(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  struct Slot {
    std::uint64_t pair = 0;
    std::int32_t rank = 0;
    TokenId merged = kNoToken;  // kNoToken: empty
  };
  struct Found {
    std::int32_t rank;
    TokenId merged;
  };
  struct Symbol {
    TokenId id;
    std::int32_t previous, next;
  };
  struct Candidate {
    std::int32_t rank, left;
    TokenId left_id, right_id, merged;
  };

  Result<> add_merges(const Vocabulary& vocabulary, std::span<const Merge> merges);
  Result<> find_bytes(const Vocabulary& vocabulary);
  void insert(TokenId left, TokenId right, Slot slot);
  Found find(TokenId left, TokenId right) const;
  void split(const Vocabulary& vocabulary, std::string_view word, Scratch& scratch) const;
  void split_unknown(const Vocabulary& vocabulary, std::string_view character, std::vector<TokenId>& ids) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  BpeSettings settings_;
  std::array<TokenId, 256> byte_ids_{};
  std::vector<Slot> slots_;
};

class Bpe::Scratch {
 public:
  // `remember`: keep the ids of short words met before (worth its memory for texts of more than a few kilobytes).
  explicit Scratch(bool remember);

 private:
  friend class Bpe;
  static constexpr std::size_t kRememberedBytes = 24, kRememberedIds = 8, kRememberedWords = 8192;
  struct Remembered {
    std::uint8_t bytes = 0, ids = 0;
    char text[kRememberedBytes];
    TokenId id[kRememberedIds];
  };
  Remembered* place(std::string_view word);

  std::vector<TokenId> ids_;
  std::vector<Found> found_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
  std::string mapped_;
  std::vector<Remembered> words_;
};

}  // namespace assay

// Spm: SentencePiece's BPE by scores: of all neighbours that form a token, the best-scored pair merges first.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer/vocabulary.h"

namespace assay {

class Spm {
 public:
  // Errors: malformed when a character outside the vocabulary could become nothing (neither byte tokens nor `unknown`).
  static Result<Spm> build(const Vocabulary& vocabulary, TokenId unknown);

  class Scratch {
    friend class Spm;
    struct Symbol {
      std::uint32_t begin, length;  // bytes of the text; length 0: merged into its left neighbour
      std::int32_t previous, next;
    };
    struct Candidate {
      float score;
      std::int32_t left;
      std::uint32_t length;  // of both sides together, to see whether they changed meanwhile
    };
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
  };

  // Appends the ids of `text`, in which U+2581 stands for a space. n log n.
  void encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  void merge(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch) const;
  void append(const Vocabulary& vocabulary, std::string_view symbol, std::vector<TokenId>& out) const;

  TokenId unknown_ = kNoToken;
  bool words_are_separate_ = false;  // no token continues across a U+2581: each word can be merged alone
};

}  // namespace assay

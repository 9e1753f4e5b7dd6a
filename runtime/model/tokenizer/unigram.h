// Unigram: SentencePiece's language model over pieces; the best-scored segmentation of a text (Viterbi).
#pragma once

#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/model/tokenizer/trie.h"
#include "runtime/model/tokenizer/vocabulary.h"

namespace assay {

struct UnigramSettings {
  TokenId unknown = kNoToken;
  bool byte_fallback = false;   // what the vocabulary lacks becomes <0xNN>
  bool fuse_unknown = true;     // neighbouring unknown characters become one token
};

class Unigram {
 public:
  // Tokens of type normal, user-defined and unused take part. Errors: malformed (no unknown token and no byte tokens).
  static Result<Unigram> build(const Vocabulary& vocabulary, UnigramSettings settings);

  class Scratch {
    friend class Unigram;
    struct Best {
      double score;
      std::uint32_t begin;  // where the piece that ends here starts
      TokenId id;
    };
    std::vector<Best> best_;
    std::vector<std::pair<std::uint32_t, TokenId>> path_;
  };

  // Appends the ids of `text`. Linear in its length (times the longest piece).
  void encode(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  double score_of(const Vocabulary& vocabulary, TokenId id) const;
  void search(const Vocabulary& vocabulary, std::string_view text, Scratch& scratch) const;
  void append_unknown(const Vocabulary& vocabulary, std::string_view text, std::vector<TokenId>& out) const;

  UnigramSettings settings_;
  Trie trie_;
  double unknown_score_ = 0;
};

}  // namespace assay

// AddedTokens: tokens that are found in the raw text before anything else (special tokens, user-defined ones).
#pragma once

#include <string_view>
#include <vector>

#include "runtime/model/tokenizer/trie.h"
#include "runtime/model/tokenizer/vocabulary.h"

namespace assay {

struct AddedToken {
  TokenId id = kNoToken;
  std::string_view text;
  bool is_special = false;    // read as plain text when special tokens are not parsed
  bool strips_left = false;   // swallows white space before it
  bool strips_right = false;  // and after it
  bool single_word = false;   // only where no letter or digit touches it
};

// A part of the input: an added token, or text (id == kNoToken).
struct Fragment {
  std::string_view text;
  TokenId id = kNoToken;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Cuts `text` at added tokens, leftmost first, of those the longest. Linear in the text.
  std::vector<Fragment> split(std::string_view text, bool parse_special) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  std::vector<AddedToken> tokens_;
  Trie all_, plain_;  // values index tokens_; plain_ holds those that are not special
};

}  // namespace assay

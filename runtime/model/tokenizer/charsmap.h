// Charsmap: SentencePiece's precompiled character map, a double-array trie from byte sequences to replacements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

class Charsmap {
 public:
  // Layout: u32 size of the trie in bytes, the trie's u32 units, then NUL-terminated replacements. Errors: malformed.
  static Result<Charsmap> parse(Bytes bytes);

  struct Match {
    std::size_t length = 0;  // bytes of the text it covers, 0: nothing
    std::string_view replacement;
  };
  // The longest entry at the start of `text`.
  Match longest(std::string_view text) const;

  std::string run(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace assay

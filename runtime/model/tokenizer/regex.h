// Regex: a compiled PCRE2 pattern with Unicode classes, written in the dialect of published tokenizers.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/error.h"

namespace assay {

class Regex {
 public:
  // Tokenizer files write Oniguruma (Ruby) syntax: ^ and $ match at lines, \s is White_Space, [a&&[^b]] intersects.
  // Errors: malformed (not a regular expression), unsupported (syntax without a counterpart in PCRE2).
  static Result<Regex> compile(std::string_view pattern);

  struct Match {
    std::size_t begin, end;
  };

  // Match data and stack of one thread; make one per encode call.
  class Scratch {
   public:
    Scratch();
    Scratch(Scratch&&) noexcept;
    ~Scratch();

   private:
    friend class Regex;
    struct State;
    std::unique_ptr<State> state_;
  };

  // The first match at or after `from` that is not empty. `text` must be well-formed UTF-8. A match that exceeds PCRE2's
  // limits counts as none: the text stays whole.
  std::optional<Match> search(std::string_view text, std::size_t from, Scratch& scratch) const;

 private:
  struct Free {
    void operator()(void* code) const;
  };
  std::unique_ptr<void, Free> code_;
};

}  // namespace assay

// From a template's characters to tokens: text between tags, and what stands in them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"

namespace assay::jinja {

enum class TokenKind : std::uint8_t {
  data,         // text to be printed as it is
  print_begin,  // {{
  print_end,
  block_begin,  // {%
  block_end,
  name,
  string,
  integer,
  number,
  symbol,  // an operator or a bracket: `text` is it
  end
};

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 1;
  std::string_view text{};  // of data and strings: the text itself, with what was escaped put in
};

// Texts that tokens view, when they are not in the source as they are.
using TextPool = std::deque<std::string>;

// `source` has "\n" line ends and no last one; it must outlive the tokens. White space is trimmed as transformers asks Jinja
// to: trim_blocks and lstrip_blocks. Errors: malformed, with the line.
Result<std::vector<Token>> tokenize(std::string_view source, TextPool& pool);

// "line 3: WHAT"
std::string at_line(int line, std::string_view what);

}  // namespace assay::jinja

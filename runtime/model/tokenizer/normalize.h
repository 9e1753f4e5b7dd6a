// Normalizer: rewrites text before it is cut into pieces (Unicode forms, case, replacements, charsmaps).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/model/tokenizer/charsmap.h"
#include "runtime/model/tokenizer/regex.h"

namespace assay {

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };
struct LowercaseStep {};
struct StripAccentsStep {};  // drops non-spacing marks
struct ToByteCharactersStep {};  // bytes become the characters that stand for them (byte_level.h)
struct ReplaceStep {
  std::variant<Regex, std::string> pattern;
  std::string with;
};
struct PrependStep {
  std::string text;
};
struct StripStep {
  bool left = true, right = true;
};

using NormalizeStep =
    std::variant<UnicodeForm, LowercaseStep, StripAccentsStep, ToByteCharactersStep, ReplaceStep, PrependStep, StripStep, Charsmap>;

class Normalizer {
 public:
  void add(NormalizeStep step);
  bool empty() const { return steps_.empty(); }
  // False when every step works on bytes: such text need not be UTF-8.
  bool needs_utf8() const { return needs_utf8_; }

  // `starts`: a prefix belongs in front (the text does not go on from bytes that were no UTF-8).
  std::string run(std::string_view text, bool starts, Regex::Scratch& scratch) const;

 private:
  std::vector<NormalizeStep> steps_;
  bool needs_utf8_ = false;
};

}  // namespace assay

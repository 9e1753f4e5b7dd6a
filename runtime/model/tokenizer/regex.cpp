// PCRE2 with JIT and UCP behind Regex, and the translation of Oniguruma's spelling into PCRE2's.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/model/tokenizer/regex.h"

#include <pcre2.h>

#include <array>

#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

struct Spelling {
  char letter;
  std::string_view outside, inside;  // of a character class
};
// What a backslash letter means to Oniguruma (and Rust's regex) with Unicode on, where PCRE2 differs.
constexpr std::array kSpellings = {
    Spelling{'s', "\\p{White_Space}", "\\p{White_Space}"},
    Spelling{'S', "\\P{White_Space}", "\\P{White_Space}"},
    Spelling{'w', "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    Spelling{'W', "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", ""},
    Spelling{'h', "[0-9a-fA-F]", "0-9a-fA-F"},
    Spelling{'H', "[^0-9a-fA-F]", ""},
};

Error unsupported(std::string_view pattern, std::string what) {
  return Error{Code::unsupported, std::string("regular expression '").append(pattern) + "'", std::move(what)};
}

// Rewrites a pattern for PCRE2. A class with an intersection, [a&&[^b]], becomes (?:(?![b])[a]).
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    std::string out;
    while (at_ < pattern_.size()) {
      if (pattern_[at_] == '\\') {
        ASSAY_TRY(const std::string escape, read_escape(false));
        out += escape;
      } else if (pattern_[at_] == '[') {
        ASSAY_TRY(const std::string set, read_class());
        out += set;
      } else {
        out += pattern_[at_++];
      }
    }
    return out;
  }

 private:
  Result<std::string> read_escape(bool in_class) {
    if (at_ + 1 >= pattern_.size()) return unsupported(pattern_, "ends in a backslash");
    const char letter = pattern_[at_ + 1];
    for (const Spelling& spelling : kSpellings) {
      if (spelling.letter != letter) continue;
      const std::string_view text = in_class ? spelling.inside : spelling.outside;
      if (text.empty()) return unsupported(pattern_, std::string("has \\") + letter + " inside a character class");
      at_ += 2;
      return std::string(text);
    }
    const std::size_t length = 1 + utf8::step(pattern_.substr(at_ + 1));
    std::string escape(pattern_.substr(at_, length));
    at_ += length;
    return escape;
  }

  // At '['. Copies the class; "&&[^...]" at its end turns into a negative look-ahead.
  Result<std::string> read_class() {
    std::string set(1, pattern_[at_++]);
    if (at_ < pattern_.size() && pattern_[at_] == '^') set += pattern_[at_++];
    for (bool first = true; at_ < pattern_.size(); first = false) {
      const std::string_view rest = pattern_.substr(at_);
      if (rest[0] == ']' && !first) {
        ++at_;
        return set + "]";
      }
      if (rest.starts_with("&&")) return read_intersection(set);
      if (rest[0] == '\\') {
        ASSAY_TRY(const std::string escape, read_escape(true));
        set += escape;
      } else if (rest.starts_with("[:")) {
        const std::size_t end = rest.find(":]");
        if (end == std::string_view::npos) return unsupported(pattern_, "has an unfinished character class");
        set += rest.substr(0, end + 2);
        at_ += end + 2;
      } else if (rest[0] == '[') {
        return unsupported(pattern_, "has a character class inside another");
      } else {
        set += pattern_[at_++];
      }
    }
    return unsupported(pattern_, "has an unfinished character class");
  }

  Result<std::string> read_intersection(const std::string& set) {
    at_ += 2;
    if (!pattern_.substr(at_).starts_with("[^") || set.starts_with("[^"))
      return unsupported(pattern_, "has a class intersection other than [a&&[^b]]");
    ASSAY_TRY(std::string other, read_class());
    if (at_ >= pattern_.size() || pattern_[at_] != ']' || !other.starts_with("[^"))
      return unsupported(pattern_, "has a class intersection other than [a&&[^b]]");
    ++at_;
    other.erase(1, 1);  // "[^b]" excludes what "[b]" matches
    return "(?:(?!" + other + ")" + set + "])";
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
};

}  // namespace

struct Regex::Scratch::State {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
};

Regex::Scratch::Scratch() : state_(std::make_unique<State>()) {
  // One pair of offsets is enough; the JIT stack grows up to 16 MiB for patterns that repeat groups over long texts.
  state_->data = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  state_->stack = pcre2_jit_stack_create(std::size_t{32} << 10, std::size_t{16} << 20, nullptr);
  if (state_->context && state_->stack) pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
}
Regex::Scratch::Scratch(Scratch&&) noexcept = default;
Regex::Scratch::~Scratch() {
  if (!state_) return;
  pcre2_match_data_free(state_->data);
  pcre2_match_context_free(state_->context);
  pcre2_jit_stack_free(state_->stack);
}

void Regex::Free::operator()(void* code) const { pcre2_code_free(static_cast<pcre2_code*>(code)); }

Result<Regex> Regex::compile(std::string_view pattern) {
  ASSAY_TRY(const std::string translated, Translator(pattern).run());
  int error = 0;
  PCRE2_SIZE where = 0;
  constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), kOptions, &error, &where, nullptr);
  if (!code) {
    std::array<PCRE2_UCHAR, 200> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return Error{Code::malformed, std::string("regular expression '").append(pattern) + "'",
                 std::string("does not compile: ") + reinterpret_cast<const char*>(text.data())};
  }
  Regex regex;
  regex.code_.reset(code);
  // Without JIT (not built in, or no executable memory) PCRE2 interprets: slower, the same answers.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return regex;
}

std::optional<Regex::Match> Regex::search(std::string_view text, std::size_t from, Scratch& scratch) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  pcre2_match_data* data = scratch.state_->data;
  if (!data) return std::nullopt;
  std::uint32_t options = PCRE2_NO_UTF_CHECK;
  while (from < text.size()) {
    const int count = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, options, data,
                                  scratch.state_->context);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT && (options & PCRE2_NO_JIT) == 0) {
      options |= PCRE2_NO_JIT;  // the interpreter keeps its stack on the heap
      continue;
    }
    if (count < 0) return std::nullopt;
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data);
    if (bounds[1] > bounds[0]) return Match{bounds[0], bounds[1]};
    if (bounds[0] >= text.size()) return std::nullopt;
    from = bounds[0] + utf8::step(text.substr(bounds[0]));  // an empty match splits nothing
  }
  return std::nullopt;
}

}  // namespace assay

// The steps of a normalizer. Unicode data by utf8proc.
#include "runtime/model/tokenizer/normalize.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/model/tokenizer/byte_level.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay {
namespace {

// Calls `visit(code point, its bytes)` for every character of well-formed text.
template <class Visit>
void each_character(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8::step(text.substr(at));
    visit(utf8::decode(text.substr(at), length), text.substr(at, length));
    at += length;
  }
}

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

bool is_space(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
  if (code == 0x85) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

std::string apply(UnicodeForm form, std::string_view text, bool, Regex::Scratch&) {
  if (is_ascii(text)) return std::string(text);
  int options = UTF8PROC_STABLE;
  options |= form == UnicodeForm::nfc || form == UnicodeForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == UnicodeForm::nfkc || form == UnicodeForm::nfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                             static_cast<utf8proc_option_t>(options));
  std::string out = size < 0 ? std::string(text) : std::string(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
  std::free(mapped);
  return out;
}

std::string apply(LowercaseStep, std::string_view text, bool, Regex::Scratch&) {
  std::string out;
  out.reserve(text.size());
  each_character(text, [&](char32_t code, std::string_view) {
    utf8::append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
    if (code == 0x130) utf8::append(out, 0x307);  // the one lower case of two characters: dotted capital I
  });
  return out;
}

std::string apply(StripAccentsStep, std::string_view text, bool, Regex::Scratch&) {
  std::string out;
  each_character(text, [&](char32_t code, std::string_view bytes) {
    if (utf8proc_category(static_cast<utf8proc_int32_t>(code)) != UTF8PROC_CATEGORY_MN) out += bytes;
  });
  return out;
}

std::string apply(ToByteCharactersStep, std::string_view text, bool, Regex::Scratch&) {
  std::string out;
  byte_level::append_characters(out, text);
  return out;
}

std::string apply(const ReplaceStep& step, std::string_view text, bool, Regex::Scratch& scratch) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  std::size_t done = 0;
  const auto replace = [&](std::size_t begin, std::size_t end) {
    out.append(text.substr(done, begin - done)).append(step.with);
    done = end;
  };
  if (const Regex* regex = std::get_if<Regex>(&step.pattern)) {
    while (const auto match = regex->search(text, done, scratch)) replace(match->begin, match->end);
  } else if (const std::string& literal = std::get<std::string>(step.pattern); !literal.empty()) {
    for (std::size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at + literal.size()))
      replace(at, at + literal.size());
  }
  return out.append(text.substr(done));
}

std::string apply(const PrependStep& step, std::string_view text, bool starts, Regex::Scratch&) {
  return text.empty() || !starts ? std::string(text) : step.text + std::string(text);
}

std::string apply(StripStep step, std::string_view text, bool, Regex::Scratch&) {
  std::size_t begin = text.size(), end = 0, at = 0;
  each_character(text, [&](char32_t code, std::string_view bytes) {
    if (!is_space(code)) {
      begin = std::min(begin, at);
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  if (!step.left) begin = 0;
  if (!step.right) end = text.size();
  return std::string(begin < end ? text.substr(begin, end - begin) : std::string_view());
}

std::string apply(const Charsmap& map, std::string_view text, bool, Regex::Scratch&) { return map.run(text); }

bool works_on_bytes(const NormalizeStep& step) {
  if (const auto* replace = std::get_if<ReplaceStep>(&step)) return std::holds_alternative<std::string>(replace->pattern);
  return std::holds_alternative<PrependStep>(step);
}

}  // namespace

void Normalizer::add(NormalizeStep step) {
  needs_utf8_ = needs_utf8_ || !works_on_bytes(step);
  steps_.push_back(std::move(step));
}

std::string Normalizer::run(std::string_view text, bool starts, Regex::Scratch& scratch) const {
  std::string out(text);
  for (const NormalizeStep& step : steps_)
    out = std::visit([&](const auto& each) { return apply(each, out, starts, scratch); }, step);
  return out;
}

}  // namespace assay

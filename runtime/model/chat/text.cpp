// Code points by utf8.h, classes and cases by utf8proc.
#include "runtime/model/chat/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "runtime/model/tokenizer/utf8.h"

namespace assay::jinja {

namespace {

struct Character {
  char32_t code;
  std::string_view bytes;
};

// The first character of `text`, which is not empty. Bytes that are no UTF-8 count as one each.
Character first_of(std::string_view text) {
  const std::size_t length = utf8::sequence_length(text);
  if (length == 0) return {0xfffd, text.substr(0, 1)};
  return {utf8::decode(text, length), text.substr(0, length)};
}

template <class Visit>
void for_each(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const Character character = first_of(text);
    visit(character);
    text.remove_prefix(character.bytes.size());
  }
}

Character last_of(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length)
    if (utf8::sequence_length(text.substr(text.size() - length)) == length) return first_of(text.substr(text.size() - length));
  return {0xfffd, text.substr(text.size() - 1)};
}

utf8proc_category_t category_of(char32_t code) { return utf8proc_category(static_cast<utf8proc_int32_t>(code)); }

void append_upper(std::string& out, const Character& character) {
  if (character.code == 0xdf) {
    out += "SS";
  } else if (character.code == 0xfffd) {
    out += character.bytes;
  } else {
    utf8::append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(character.code))));
  }
}

void append_lower(std::string& out, const Character& character) {
  if (character.code == 0x130)
    out += "i\xcc\x87";
  else if (character.code == 0xfffd)
    out += character.bytes;
  else
    utf8::append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character.code))));
}

// Upper case where `begins` says so, lower case elsewhere.
template <class Begins>
std::string cased(std::string_view text, Begins begins) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](const Character& character) { begins(character.code) ? append_upper(out, character) : append_lower(out, character); });
  return out;
}

bool breaks_line(char32_t code) {
  return (code >= 0x0a && code <= 0x0d) || (code >= 0x1c && code <= 0x1e) || code == 0x85 || code == 0x2028 || code == 0x2029;
}

}  // namespace

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for_each(text, [&](const Character&) { ++count; });
  return count;
}

std::size_t byte_of(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += utf8::step(text.substr(at));
  return at;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for_each(text, [&](const Character& character) { out.push_back(character.bytes); });
  return out;
}

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x20) || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool is_letter(char32_t code) {
  const utf8proc_category_t category = category_of(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_digit(char32_t code) { return category_of(code) == UTF8PROC_CATEGORY_ND; }
bool is_upper(char32_t code) { return category_of(code) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t code) { return category_of(code) == UTF8PROC_CATEGORY_LL; }

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
  const std::vector<std::string_view> set = chars ? characters(*chars) : std::vector<std::string_view>();
  const auto goes = [&](const Character& c) { return chars ? std::find(set.begin(), set.end(), c.bytes) != set.end() : is_space(c.code); };
  if (side != Side::right)
    while (!text.empty()) {
      const Character first = first_of(text);
      if (!goes(first)) break;
      text.remove_prefix(first.bytes.size());
    }
  if (side != Side::left)
    while (!text.empty()) {
      const Character last = last_of(text);
      if (!goes(last)) break;
      text.remove_suffix(last.bytes.size());
    }
  return text;
}

std::string to_upper(std::string_view text) {
  return cased(text, [](char32_t) { return true; });
}

std::string to_lower(std::string_view text) {
  return cased(text, [](char32_t) { return false; });
}

std::string swap_case(std::string_view text) { return cased(text, is_lower); }

std::string capitalize(std::string_view text) {
  bool is_first = true;
  return cased(text, [&](char32_t) { return std::exchange(is_first, false); });
}

std::string title(std::string_view text) {
  bool after_letter = false;
  return cased(text, [&](char32_t code) {
    const bool cases = utf8proc_tolower(static_cast<utf8proc_int32_t>(code)) != utf8proc_toupper(static_cast<utf8proc_int32_t>(code));
    return !std::exchange(after_letter, cases);
  });
}

std::string title_of_words(std::string_view text) {
  bool begins = true;
  return cased(text, [&](char32_t code) {
    const bool separates = is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
    return std::exchange(begins, separates);
  });
}

std::vector<std::string_view> split_lines(std::string_view text, bool keeps_ends) {
  std::vector<std::string_view> out;
  std::size_t first = 0, at = 0;
  while (at < text.size()) {
    const Character character = first_of(text.substr(at));
    const std::size_t end = at;
    at += character.bytes.size();
    if (!breaks_line(character.code)) continue;
    if (character.code == '\r' && at < text.size() && text[at] == '\n') ++at;
    out.push_back(text.substr(first, (keeps_ends ? at : end) - first));
    first = at;
  }
  if (first < text.size()) out.push_back(text.substr(first));
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, std::int64_t most) {
  std::vector<std::string_view> out;
  if (separator) {
    for (std::size_t found; most != 0 && (found = text.find(*separator)) != std::string_view::npos; --most) {
      out.push_back(text.substr(0, found));
      text.remove_prefix(found + separator->size());
    }
    out.push_back(text);
    return out;
  }
  for (text = strip(text, Side::left); !text.empty(); text = strip(text, Side::left), --most) {
    if (most == 0) {
      out.push_back(text);
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const Character character = first_of(text.substr(end));
      if (is_space(character.code)) break;
      end += character.bytes.size();
    }
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::optional<std::string_view> separator, std::int64_t most) {
  std::vector<std::string_view> out;
  if (separator) {
    for (std::size_t found; most != 0 && (found = text.rfind(*separator)) != std::string_view::npos; --most) {
      out.push_back(text.substr(found + separator->size()));
      text = text.substr(0, found);
    }
    out.push_back(text);
  } else {
    for (text = strip(text, Side::right); !text.empty(); text = strip(text, Side::right), --most) {
      if (most == 0) {
        out.push_back(text);
        break;
      }
      std::size_t first = text.size();
      while (first > 0) {
        const Character character = last_of(text.substr(0, first));
        if (is_space(character.code)) break;
        first -= character.bytes.size();
      }
      out.push_back(text.substr(first));
      text = text.substr(0, first);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

namespace {

// Calls `visit` with every part of the result, in order.
template <class Visit>
void replace_parts(std::string_view text, std::string_view old, std::string_view with, std::int64_t most, Visit visit) {
  if (old.empty()) {
    while (most-- != 0) {
      visit(with);
      if (text.empty()) return;
      const std::size_t length = utf8::step(text);
      visit(text.substr(0, length));
      text.remove_prefix(length);
    }
  } else {
    for (std::size_t found; most != 0 && (found = text.find(old)) != std::string_view::npos; --most) {
      visit(text.substr(0, found));
      visit(with);
      text.remove_prefix(found + old.size());
    }
  }
  visit(text);
}

}  // namespace

std::uint64_t replaced_size(std::string_view text, std::string_view old, std::string_view with, std::int64_t most) {
  std::uint64_t size = 0;
  replace_parts(text, old, with, most, [&](std::string_view part) { size += part.size(); });
  return size;
}

std::string replace(std::string_view text, std::string_view old, std::string_view with, std::int64_t most) {
  std::string out;
  replace_parts(text, old, with, most, [&](std::string_view part) { out += part; });
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

bool all_of(std::string_view text, bool (*is)(char32_t)) {
  bool all = !text.empty();
  for_each(text, [&](const Character& character) { all = all && is(character.code); });
  return all;
}

}  // namespace assay::jinja

// The rules of Jinja's lexer, one tag after another.
#include "runtime/model/chat/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/model/chat/text.h"
#include "runtime/model/tokenizer/utf8.h"

namespace assay::jinja {

std::string at_line(int line, std::string_view what) { return fmt::format("line {}: {}", line, what); }

namespace {

constexpr std::string_view kTag = "chat template";

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool is_name_part(char c) { return is_name_start(c) || is_ascii_digit(c); }

class Lexer {
 public:
  Lexer(std::string_view source, TextPool& pool) : source_(source), pool_(pool) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = find_tag();
      if (tag == std::string_view::npos) {
        emit_data(source_.substr(at_));
        at_ = source_.size();
        break;
      }
      ASSAY_TRY_VOID(read_tag(tag));
    }
    tokens_.push_back({TokenKind::end, line_});
    return std::move(tokens_);
  }

 private:
  Error fail(std::string_view what) const { return Error{Code::malformed, std::string(kTag), at_line(line_, what)}; }
  std::string_view rest() const { return source_.substr(at_); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  // The next "{{", "{%" or "{#".
  std::size_t find_tag() const {
    for (std::size_t at = source_.find('{', at_); at != std::string_view::npos; at = source_.find('{', at + 1))
      if (at + 1 < source_.size() && (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#')) return at;
    return std::string_view::npos;
  }

  void move(std::size_t bytes) {
    const std::string_view passed = source_.substr(at_, bytes);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    at_ += bytes;
  }
  void skip_space() { move(rest().size() - strip(rest(), Side::left).size()); }
  void emit_data(std::string_view text) {
    if (!text.empty()) tokens_.push_back({TokenKind::data, line_, text});
  }

  // What stays of the text before a tag: the sign after its first two characters says, or lstrip_blocks.
  std::string_view trim_before(std::string_view text, char sign, bool is_print) const {
    if (sign == '-') return strip(text, Side::right);
    if (sign == '+' || is_print) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t first = newline == std::string_view::npos ? 0 : newline + 1;
    const bool begins_line = newline != std::string_view::npos || line_starts_;
    return begins_line && strip(text.substr(first), Side::left).empty() ? text.substr(0, first) : text;
  }

  Result<> read_tag(std::size_t tag) {
    const char kind = source_[tag + 1];
    const char after = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const char sign = after == '-' || after == '+' ? after : '\0';
    emit_data(trim_before(source_.substr(at_, tag - at_), sign, kind == '{'));
    move(tag - at_ + (sign ? 3 : 2));
    line_starts_ = false;
    if (kind == '#') return skip_comment();
    if (kind == '%') {
      ASSAY_TRY(const bool was_raw, read_raw());
      if (was_raw) return success();
    }
    tokens_.push_back({kind == '{' ? TokenKind::print_begin : TokenKind::block_begin, line_});
    return read_inside(kind == '{' ? "}}" : "%}");
  }

  // Whether the end of a tag stands here; passes it with the white space that goes with it.
  bool skip_end(std::string_view mark) {
    const bool is_print = mark == "}}";
    if (peek() == '-' && source_.substr(at_ + 1, 2) == mark) {
      move(3);
      const std::size_t before = at_;
      skip_space();
      line_starts_ = at_ > before && source_[at_ - 1] == '\n';
      return true;
    }
    if (!is_print && peek() == '+' && source_.substr(at_ + 1, 2) == mark) {
      move(3);
      line_starts_ = false;
      return true;
    }
    if (rest().substr(0, 2) != mark) return false;
    move(2);
    line_starts_ = !is_print && peek() == '\n';
    if (line_starts_) move(1);
    return true;
  }

  Result<> skip_comment() {
    const int first_line = line_;
    for (; at_ < source_.size(); move(1))
      if (skip_end("#}")) return success();
    line_ = first_line;
    return fail("this comment has no end: #} is missing");
  }

  // {% raw %} ... {% endraw %}, when one begins here (after "{%").
  Result<bool> read_raw() {
    const std::string_view word = strip(rest(), Side::left);
    if (!word.starts_with("raw")) return false;
    const std::string_view close = strip(word.substr(3), Side::left);
    if (!close.starts_with("%}") && !close.starts_with("-%}")) return false;
    move(static_cast<std::size_t>(close.data() - rest().data()) + (close[0] == '-' ? 3 : 2));
    if (close[0] == '-') skip_space();
    const int first_line = line_;
    for (std::size_t tag = source_.find("{%", at_); tag != std::string_view::npos; tag = source_.find("{%", tag + 1)) {
      const char after = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      const char sign = after == '-' || after == '+' ? after : '\0';
      const std::string_view name = strip(source_.substr(tag + (sign ? 3 : 2)), Side::left);
      if (!name.starts_with("endraw")) continue;
      const std::string_view end = strip(name.substr(6), Side::left);
      if (!end.starts_with("%}") && !end.starts_with("-%}") && !end.starts_with("+%}")) continue;
      emit_data(trim_before(source_.substr(at_, tag - at_), sign, false));
      move(static_cast<std::size_t>(end.data() - rest().data()));
      skip_end("%}");
      return true;
    }
    line_ = first_line;
    return fail("this raw block has no end: {% endraw %} is missing");
  }

  Result<> read_inside(std::string_view mark) {
    std::string closers;  // of the brackets that are open
    const int first_line = line_;
    for (skip_space(); at_ < source_.size(); skip_space()) {
      const int line = line_;
      if (closers.empty() && skip_end(mark)) {
        tokens_.push_back({mark == "}}" ? TokenKind::print_end : TokenKind::block_end, line});
        return success();
      }
      ASSAY_TRY_VOID(read_token(closers));
    }
    line_ = first_line;
    return fail(fmt::format("this tag has no end: {} is missing", mark));
  }

  Result<> read_token(std::string& closers) {
    const char c = peek();
    if (is_ascii_digit(c)) return read_number();
    if (is_name_start(c)) {
      std::size_t length = 1;
      while (is_name_part(peek(length))) ++length;
      emit(TokenKind::name, length);
      return success();
    }
    if (c == '"' || c == '\'') return read_string(c);
    constexpr std::array<std::string_view, 26> kSymbols = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[", "]",
                                                           "(",  ")",  "{",  "}",  "<",  ">",  "=", ".", ":", "|", ",", ";"};
    for (const std::string_view symbol : kSymbols) {
      if (!rest().starts_with(symbol)) continue;
      ASSAY_TRY_VOID(balance(c, closers));
      emit(TokenKind::symbol, symbol.size());
      return success();
    }
    return fail(fmt::format("unexpected character \"{}\"", rest().substr(0, utf8::step(rest()))));
  }

  Result<> balance(char c, std::string& closers) const {
    if (c == '(') closers += ')';
    if (c == '[') closers += ']';
    if (c == '{') closers += '}';
    if (c != ')' && c != ']' && c != '}') return success();
    if (closers.empty()) return fail(fmt::format("unexpected \"{}\"", c));
    if (closers.back() != c) return fail(fmt::format("unexpected \"{}\", \"{}\" comes first", c, closers.back()));
    closers.pop_back();
    return success();
  }

  void emit(TokenKind kind, std::size_t bytes) {
    tokens_.push_back({kind, line_, rest().substr(0, bytes)});
    move(bytes);
  }

  // Digits with single underscores between them.
  std::size_t digits_from(std::size_t ahead) const {
    std::size_t end = ahead;
    while (is_ascii_digit(peek(end)) || (peek(end) == '_' && end > ahead && is_ascii_digit(peek(end + 1)))) ++end;
    return end;
  }

  Result<> read_number() {
    if (peek() == '0' && std::string_view("xXoObB").find(peek(1)) != std::string_view::npos && peek(1) != '\0')
      return fail("numbers in hexadecimal, octal or binary are not supported");
    std::size_t end = digits_from(0);
    bool is_float = false;
    const bool after_dot = !tokens_.empty() && tokens_.back().kind == TokenKind::symbol && tokens_.back().text == ".";
    if (!after_dot && peek(end) == '.' && is_ascii_digit(peek(end + 1))) {
      end = digits_from(end + 1);
      is_float = true;
    }
    if (!after_dot && (peek(end) == 'e' || peek(end) == 'E')) {
      const std::size_t first = end + (peek(end + 1) == '+' || peek(end + 1) == '-' ? 2 : 1);
      if (is_ascii_digit(peek(first))) {
        end = digits_from(first);
        is_float = true;
      }
    }
    emit(is_float ? TokenKind::number : TokenKind::integer, end);
    return success();
  }

  Result<> read_string(char quote) {
    std::size_t end = 1;
    bool has_escapes = false;
    for (; at_ + end < source_.size() && source_[at_ + end] != quote; ++end)
      if (source_[at_ + end] == '\\') {
        has_escapes = true;
        ++end;
      }
    if (at_ + end >= source_.size()) return fail("this string has no end");
    std::string_view text = source_.substr(at_ + 1, end - 1);
    if (has_escapes) {
      ASSAY_TRY(std::string plain, unescape(text));
      text = pool_.emplace_back(std::move(plain));
    }
    tokens_.push_back({TokenKind::string, line_, text});
    move(end + 1);
    return success();
  }

  // Python's escapes; unknown ones stay as they are.
  Result<std::string> unescape(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      if (const std::size_t simple = kFrom.find(c); simple != std::string_view::npos) {
        out += kTo[simple];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        ASSAY_TRY_VOID(append_code(out, text, i, c == 'x' ? 2 : c == 'u' ? 4 : 8));
      } else if (c >= '0' && c <= '7') {
        char32_t code = 0;
        std::size_t digits = 0;
        for (; digits < 3 && i + digits < text.size() && text[i + digits] >= '0' && text[i + digits] <= '7'; ++digits)
          code = code * 8 + static_cast<char32_t>(text[i + digits] - '0');
        utf8::append(out, code);
        i += digits - 1;
      } else if (c == 'N') {
        return fail("characters by name (\\N{...}) are not supported");
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  // "xNN", "uNNNN" or "UNNNNNNNN" at `i`, which then stands on the last digit.
  Result<> append_code(std::string& out, std::string_view text, std::size_t& i, std::size_t digits) const {
    char32_t code = 0;
    for (std::size_t digit = 1; digit <= digits; ++digit) {
      const char c = i + digit < text.size() ? text[i + digit] : '\0';
      const int value = is_ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (value < 0) return fail(fmt::format("an escape needs {} hexadecimal digits", digits));
      code = code * 16 + static_cast<char32_t>(value);
      if (code > 0x10ffff) return fail("an escape is no character");
    }
    if (code >= 0xd800 && code <= 0xdfff) return fail("half a surrogate pair is no character");
    i += digits;
    utf8::append(out, code);
    return success();
  }

  std::string_view source_;
  TextPool& pool_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // whether the text from here begins a line
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source, TextPool& pool) { return Lexer(source, pool).run(); }

}  // namespace assay::jinja

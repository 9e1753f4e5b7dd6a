// Expressions by Jinja's grammar, one function for each rank of operators.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "runtime/model/chat/builtins.h"
#include "runtime/model/chat/parser.h"

namespace assay::jinja {

namespace {

constexpr int kMaxNesting = 60;    // of brackets and signs
constexpr std::size_t kMaxSteps = 200;  // of a.b.c(d)[e] | f, which nest as deeply

}  // namespace

using Parsed = ExpressionParser::Parsed;

bool ExpressionParser::ends_tuple(std::string_view end) const {
  const TokenKind kind = tokens_.front().kind;
  return kind == TokenKind::print_end || kind == TokenKind::block_end || tokens_.is_symbol(")") || (!end.empty() && tokens_.is_name(end));
}

Parsed ExpressionParser::parse_tuple(bool with_choice, std::string_view end) {
  Expression tuple{Form::tuple, tokens_.front().line};
  bool has_comma = false;
  while (!ends_tuple(end)) {
    ASSAY_TRY(const Expression* part, with_choice ? parse_choice() : parse_either());
    tuple.parts.push_back(part);
    if (!tokens_.skip_symbol(",")) break;
    has_comma = true;
  }
  if (!has_comma && tuple.parts.size() == 1) return tuple.parts[0];
  if (!has_comma) return tokens_.fail("an expression is missing");
  return &syntax_.expressions.emplace_back(std::move(tuple));
}

Parsed ExpressionParser::parse_target(std::string_view end, bool with_attribute) {
  const auto parse_name = [&]() -> Parsed {
    static constexpr std::array<std::string_view, 6> kConstants = {"true", "false", "True", "False", "none", "None"};
    const Token& token = tokens_.front();
    if (tokens_.skip_symbol("(")) {
      ASSAY_TRY(const Expression* inner, parse_target({}));
      ASSAY_TRY_VOID(tokens_.expect_symbol(")"));
      return inner;
    }
    if (token.kind != TokenKind::name || std::find(kConstants.begin(), kConstants.end(), token.text) != kConstants.end()) return tokens_.fail("the name of a variable is missing");
    Expression& variable = make(Form::variable, token.line);
    variable.name = tokens_.take().text;
    return &variable;
  };
  if (++depth_ > kMaxNesting) return tokens_.fail("brackets are nested too deeply");
  ASSAY_TRY(const Expression* first, parse_name());
  --depth_;
  if (with_attribute && tokens_.skip_symbol(".")) {
    if (tokens_.front().kind != TokenKind::name) return tokens_.fail("the name of an attribute is missing");
    Expression& attribute = make(Form::attribute, first->line);
    attribute.parts = {first};
    attribute.name = tokens_.take().text;
    return &attribute;
  }
  if (!tokens_.is_symbol(",")) return first;
  Expression& tuple = make(Form::tuple, first->line);
  tuple.parts = {first};
  while (tokens_.skip_symbol(",")) {
    if (ends_tuple(end) || tokens_.is_symbol("=")) break;
    ASSAY_TRY(const Expression* part, parse_name());
    tuple.parts.push_back(part);
  }
  return &tuple;
}

Parsed ExpressionParser::parse_choice() {
  if (++depth_ > kMaxNesting) return tokens_.fail("brackets are nested too deeply");
  const int line = tokens_.front().line;
  ASSAY_TRY(const Expression* value, parse_either());
  std::size_t steps = 0;
  while (tokens_.skip_name("if")) {
    if (++steps > kMaxSteps) return tokens_.fail("the expression is too long");
    ASSAY_TRY(const Expression* test, parse_either());
    Expression& choice = make(Form::choice, line);
    choice.parts = {test, value};
    if (tokens_.skip_name("else")) {
      ASSAY_TRY(const Expression* otherwise, parse_choice());
      choice.parts.push_back(otherwise);
    }
    value = &choice;
  }
  --depth_;
  return value;
}

// operand symbol operand symbol ...; the operand itself when no symbol follows. Words stand for symbols, too.
Parsed ExpressionParser::parse_chain(Form form, std::initializer_list<std::string_view> symbols, Parsed (ExpressionParser::*operand)()) {
  Expression chain{form, tokens_.front().line};
  ASSAY_TRY(const Expression* first, (this->*operand)());
  chain.parts.push_back(first);
  const auto is_symbol = [&] {
    const Token& token = tokens_.front();
    return (token.kind == TokenKind::symbol || token.kind == TokenKind::name) && std::find(symbols.begin(), symbols.end(), token.text) != symbols.end();
  };
  while (is_symbol()) {
    chain.symbols.push_back(tokens_.take().text);
    ASSAY_TRY(const Expression* part, (this->*operand)());
    chain.parts.push_back(part);
  }
  if (chain.parts.size() == 1) return first;
  return &syntax_.expressions.emplace_back(std::move(chain));
}

Parsed ExpressionParser::parse_either() { return parse_chain(Form::either, {"or"}, &ExpressionParser::parse_both); }
Parsed ExpressionParser::parse_both() { return parse_chain(Form::both, {"and"}, &ExpressionParser::parse_not); }
Parsed ExpressionParser::parse_sum() { return parse_chain(Form::arithmetic, {"+", "-"}, &ExpressionParser::parse_concat); }
Parsed ExpressionParser::parse_concat() { return parse_chain(Form::concat, {"~"}, &ExpressionParser::parse_product); }
Parsed ExpressionParser::parse_product() { return parse_chain(Form::arithmetic, {"*", "/", "//", "%"}, &ExpressionParser::parse_power); }
Parsed ExpressionParser::parse_power() { return parse_chain(Form::arithmetic, {"**"}, &ExpressionParser::parse_unary_with_filters); }

Parsed ExpressionParser::parse_not() {
  if (!tokens_.is_name("not")) return parse_compare();
  if (++depth_ > kMaxNesting) return tokens_.fail("signs are nested too deeply");
  Expression& invert = make(Form::invert, tokens_.take().line);
  ASSAY_TRY(const Expression* of, parse_not());
  invert.parts = {of};
  --depth_;
  return &invert;
}

Parsed ExpressionParser::parse_compare() {
  static constexpr std::array<std::string_view, 6> kSymbols = {"==", "!=", "<", "<=", ">", ">="};
  Expression chain{Form::compare, tokens_.front().line};
  ASSAY_TRY(const Expression* first, parse_sum());
  chain.parts.push_back(first);
  while (true) {
    const Token& token = tokens_.front();
    if ((token.kind == TokenKind::symbol && std::find(kSymbols.begin(), kSymbols.end(), token.text) != kSymbols.end()) || tokens_.is_name("in")) {
      chain.symbols.push_back(tokens_.take().text);
    } else if (tokens_.is_name("not") && tokens_.next().kind == TokenKind::name && tokens_.next().text == "in") {
      tokens_.take();
      tokens_.take();
      chain.symbols.push_back("not in");
    } else {
      break;
    }
    ASSAY_TRY(const Expression* part, parse_sum());
    chain.parts.push_back(part);
  }
  if (chain.parts.size() == 1) return first;
  return &syntax_.expressions.emplace_back(std::move(chain));
}

Parsed ExpressionParser::parse_unary(bool with_filters) {
  const int line = tokens_.front().line;
  if (!tokens_.is_symbol("-") && !tokens_.is_symbol("+")) {
    ASSAY_TRY(const Expression* primary, parse_primary());
    ASSAY_TRY(const Expression* whole, parse_postfix(primary));
    return with_filters ? parse_filters_and_tests(whole) : Parsed(whole);
  }
  if (++depth_ > kMaxNesting) return tokens_.fail("signs are nested too deeply");
  Expression& sign = make(tokens_.take().text == "-" ? Form::negate : Form::plus, line);
  ASSAY_TRY(const Expression* of, parse_unary(false));
  sign.parts = {of};
  --depth_;
  ASSAY_TRY(const Expression* whole, parse_postfix(&sign));
  return with_filters ? parse_filters_and_tests(whole) : Parsed(whole);
}

Parsed ExpressionParser::parse_primary() {
  const Token token = tokens_.front();
  Expression& out = make(Form::constant, token.line);
  if (token.kind == TokenKind::name) {
    tokens_.take();
    if (token.text == "true" || token.text == "True" || token.text == "false" || token.text == "False") {
      out.value = token.text == "true" || token.text == "True";
    } else if (token.text == "none" || token.text == "None") {
      out.value = None{};
    } else if (token.text == "varargs" || token.text == "kwargs") {
      return tokens_.unsupported(fmt::format("\"{}\" of a macro", token.text));
    } else {
      out.form = Form::variable;
      out.name = token.text;
    }
    return &out;
  }
  if (token.kind == TokenKind::string) {
    tokens_.take();
    if (tokens_.front().kind != TokenKind::string) {
      out.value = Text{token.text};
      return &out;
    }
    std::string joined(token.text);
    while (tokens_.front().kind == TokenKind::string) joined += tokens_.take().text;
    out.value = Text{syntax_.pool.emplace_back(std::move(joined))};
    return &out;
  }
  if (token.kind == TokenKind::integer || token.kind == TokenKind::number) return parse_number();
  if (tokens_.is_symbol("[")) return parse_list();
  if (tokens_.is_symbol("{")) return parse_dict();
  if (!tokens_.skip_symbol("(")) return tokens_.fail("an expression is missing");
  if (tokens_.skip_symbol(")")) {
    out.form = Form::tuple;
    return &out;
  }
  ASSAY_TRY(const Expression* inner, parse_tuple());
  ASSAY_TRY_VOID(tokens_.expect_symbol(")"));
  return inner;
}

Parsed ExpressionParser::parse_number() {
  const Token token = tokens_.front();
  Expression& out = make(Form::constant, token.line);
  std::string digits(token.text);
  std::erase(digits, '_');
  if (token.kind == TokenKind::integer) {
    std::int64_t value = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (end.ec != std::errc()) return tokens_.unsupported("an integer of more than 64 bits");
    out.value = value;
  } else {
    double value = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (end.ec == std::errc::result_out_of_range) return tokens_.unsupported("a number that large or small");
    out.value = value;
  }
  tokens_.take();
  return &out;
}

Parsed ExpressionParser::parse_list() {
  Expression& list = make(Form::list, tokens_.take().line);
  while (!tokens_.is_symbol("]")) {
    if (!list.parts.empty()) ASSAY_TRY_VOID(tokens_.expect_symbol(","));
    if (tokens_.is_symbol("]")) break;
    ASSAY_TRY(const Expression* part, parse_choice());
    list.parts.push_back(part);
  }
  tokens_.take();
  return &list;
}

Parsed ExpressionParser::parse_dict() {
  Expression& dict = make(Form::dict, tokens_.take().line);
  while (!tokens_.is_symbol("}")) {
    if (!dict.parts.empty()) ASSAY_TRY_VOID(tokens_.expect_symbol(","));
    if (tokens_.is_symbol("}")) break;
    ASSAY_TRY(const Expression* key, parse_choice());
    ASSAY_TRY_VOID(tokens_.expect_symbol(":"));
    ASSAY_TRY(const Expression* value, parse_choice());
    dict.parts.push_back(key);
    dict.parts.push_back(value);
  }
  tokens_.take();
  return &dict;
}

// Any number of .name, [item] and (arguments).
Parsed ExpressionParser::parse_postfix(const Expression* of) {
  for (std::size_t steps = 0;; ++steps) {
    if (steps > kMaxSteps) return tokens_.fail("the expression is too long");
    if (tokens_.is_symbol(".")) {
      ASSAY_TRY(of, parse_attribute(of));
    } else if (tokens_.is_symbol("[")) {
      ASSAY_TRY(of, parse_subscript(of));
    } else if (tokens_.is_symbol("(")) {
      ASSAY_TRY(of, parse_call(of));
    } else {
      return of;
    }
  }
}

// Any number of | filter, is test and (arguments).
Parsed ExpressionParser::parse_filters_and_tests(const Expression* of) {
  for (std::size_t steps = 0;; ++steps) {
    if (steps > kMaxSteps) return tokens_.fail("the expression is too long");
    if (tokens_.skip_symbol("|")) {
      ASSAY_TRY(of, parse_filter(of));
    } else if (tokens_.is_name("is")) {
      ASSAY_TRY(of, parse_test(of));
    } else if (tokens_.is_symbol("(")) {
      ASSAY_TRY(of, parse_call(of));
    } else {
      return of;
    }
  }
}

Parsed ExpressionParser::parse_attribute(const Expression* of) {
  const int line = tokens_.take().line;
  if (tokens_.front().kind == TokenKind::name) {
    Expression& attribute = make(Form::attribute, line);
    attribute.parts = {of};
    attribute.name = tokens_.take().text;
    return &attribute;
  }
  if (tokens_.front().kind != TokenKind::integer) return tokens_.fail("a name or a number is missing after \".\"");
  ASSAY_TRY(const Expression* index, parse_number());
  Expression& item = make(Form::item, line);
  item.parts = {of, index};
  return &item;
}

Parsed ExpressionParser::parse_subscript(const Expression* of) {
  const int line = tokens_.take().line;
  const Expression* parts[3] = {nullptr, nullptr, nullptr};
  std::size_t colons = 0;
  for (std::size_t i = 0;; ++i) {
    if (!tokens_.is_symbol(":") && !tokens_.is_symbol("]")) {
      ASSAY_TRY(parts[i], parse_choice());
    }
    if (i == 2 || !tokens_.skip_symbol(":")) break;
    ++colons;
  }
  if (tokens_.is_symbol(",")) return tokens_.unsupported("an index of several parts");
  ASSAY_TRY_VOID(tokens_.expect_symbol("]"));
  if (colons == 0 && parts[0] == nullptr) return tokens_.fail("an index is missing");
  Expression& out = make(colons == 0 ? Form::item : Form::slice, line);
  out.parts = {of, parts[0]};
  if (colons > 0) out.parts.insert(out.parts.end(), {parts[1], parts[2]});
  return &out;
}

Result<> ExpressionParser::parse_arguments(Expression& call) {
  ASSAY_TRY_VOID(tokens_.expect_symbol("("));
  bool is_first = true;
  while (!tokens_.is_symbol(")")) {
    if (!is_first) ASSAY_TRY_VOID(tokens_.expect_symbol(","));
    is_first = false;
    if (tokens_.is_symbol(")")) break;
    if (tokens_.is_symbol("*") || tokens_.is_symbol("**")) return tokens_.unsupported("a call with *arguments or **arguments");
    if (tokens_.front().kind == TokenKind::name && tokens_.next().kind == TokenKind::symbol && tokens_.next().text == "=") {
      call.symbols.push_back(tokens_.take().text);
      tokens_.take();
    } else if (!call.symbols.empty()) {
      return tokens_.fail("an argument without a name follows one with a name");
    }
    ASSAY_TRY(const Expression* argument, parse_choice());
    call.parts.push_back(argument);
  }
  tokens_.take();
  return success();
}

Parsed ExpressionParser::parse_call(const Expression* of) {
  Expression& call = make(Form::call, tokens_.front().line);
  call.parts = {of};
  ASSAY_TRY_VOID(parse_arguments(call));
  return &call;
}

Result<> ExpressionParser::note_unknown(std::string_view kind, std::string_view name) {
  Error unknown = tokens_.unsupported(fmt::format("the {} \"{}\"", kind, name));
  if (branches_ == 0) return unknown;
  if (syntax_.unknown.empty()) syntax_.unknown = std::move(unknown.detail);
  return success();
}

Parsed ExpressionParser::parse_filter(const Expression* input) {
  Expression& filter = make(Form::filter, tokens_.front().line);
  filter.parts = {input};
  if (tokens_.front().kind != TokenKind::name) return tokens_.fail("the name of a filter is missing");
  filter.name = tokens_.front().text;
  filter.filter = find_filter(filter.name);
  if (filter.filter == nullptr) ASSAY_TRY_VOID(note_unknown("filter", filter.name));
  tokens_.take();
  if (tokens_.is_symbol("(")) ASSAY_TRY_VOID(parse_arguments(filter));
  return &filter;
}

Parsed ExpressionParser::parse_filters(const Expression* input) {
  for (std::size_t steps = 0; tokens_.skip_symbol("|"); ++steps) {
    if (steps > kMaxSteps) return tokens_.fail("the expression is too long");
    ASSAY_TRY(input, parse_filter(input));
  }
  return input;
}

Parsed ExpressionParser::parse_first_filter() {
  ASSAY_TRY(const Expression* first, parse_filter(nullptr));
  return parse_filters(first);
}

Parsed ExpressionParser::parse_test(const Expression* of) {
  const int line = tokens_.take().line;
  const bool is_negated = tokens_.skip_name("not");
  Expression& test = make(Form::test, line);
  test.parts = {of};
  if (tokens_.front().kind != TokenKind::name) return tokens_.fail("the name of a test is missing");
  test.name = tokens_.front().text;
  test.test = find_test(test.name);
  if (test.test == nullptr) ASSAY_TRY_VOID(note_unknown("test", test.name));
  tokens_.take();
  if (tokens_.is_symbol("(")) {
    ASSAY_TRY_VOID(parse_arguments(test));
  } else {
    static constexpr std::array<std::string_view, 8> kWords = {"else", "or", "and", "if", "is", "in", "not", "recursive"};
    const Token& token = tokens_.front();
    const bool is_word = token.kind == TokenKind::name && std::find(kWords.begin(), kWords.end(), token.text) != kWords.end();
    const bool begins = token.kind == TokenKind::name || token.kind == TokenKind::string || token.kind == TokenKind::integer || token.kind == TokenKind::number ||
                        tokens_.is_symbol("[") || tokens_.is_symbol("{");
    if (begins && !is_word) {
      ASSAY_TRY(const Expression* argument, parse_primary());
      ASSAY_TRY(argument, parse_postfix(argument));
      test.parts.push_back(argument);
    }
  }
  if (!is_negated) return &test;
  Expression& invert = make(Form::invert, line);
  invert.parts = {&test};
  return &invert;
}

}  // namespace assay::jinja

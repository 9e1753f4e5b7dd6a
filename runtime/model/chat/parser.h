// Tokens one after another, and the expressions they make.
#pragma once

#include <string>
#include <string_view>

#include "runtime/model/chat/syntax.h"

namespace assay::jinja {

class TokenStream {
 public:
  explicit TokenStream(const std::vector<Token>& tokens) : tokens_(tokens) {}

  const Token& front() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }  // the end stays

  bool is_symbol(std::string_view symbol) const { return front().kind == TokenKind::symbol && front().text == symbol; }
  bool is_name(std::string_view name) const { return front().kind == TokenKind::name && front().text == name; }
  bool skip_symbol(std::string_view symbol) { return is_symbol(symbol) && (take(), true); }
  bool skip_name(std::string_view name) { return is_name(name) && (take(), true); }
  Result<> expect(TokenKind kind);
  Result<> expect_symbol(std::string_view symbol);

  Error fail(std::string_view what) const;         // malformed, with the line and what stands there
  Error unsupported(std::string_view what) const;  // "{% include %}"

 private:
  std::string described() const;
  const std::vector<Token>& tokens_;
  std::size_t at_ = 0;
};

class ExpressionParser {
 public:
  ExpressionParser(Syntax& syntax, TokenStream& tokens) : syntax_(syntax), tokens_(tokens) {}
  using Parsed = Result<const Expression*>;

  Parsed parse() { return parse_choice(); }
  // One expression, or several with commas between them. `end`: a word that ends it, too.
  Parsed parse_tuple(bool with_choice = true, std::string_view end = {});
  // What may stand before "=" or "in": names, tuples of them, and name.attribute where that is allowed.
  Parsed parse_target(std::string_view end, bool with_attribute = false);
  // "| f | g(1)" after `input`; nullptr when there is none and no input.
  Parsed parse_filters(const Expression* input);
  Parsed parse_first_filter();  // without the first "|"

  // Inside of {% if %} a filter or a test may be unknown until it is needed, as in Jinja.
  void enter_branch() { ++branches_; }
  void leave_branch() { --branches_; }

 private:
  Expression& make(Form form, int line) { return syntax_.expressions.emplace_back(Expression{form, line}); }
  bool ends_tuple(std::string_view end) const;
  Parsed parse_choice();
  Parsed parse_either();
  Parsed parse_both();
  Parsed parse_not();
  Parsed parse_compare();
  Parsed parse_chain(Form form, std::initializer_list<std::string_view> symbols, Parsed (ExpressionParser::*operand)());
  Parsed parse_sum();
  Parsed parse_concat();
  Parsed parse_product();
  Parsed parse_power();
  Parsed parse_unary_with_filters() { return parse_unary(true); }
  Parsed parse_unary(bool with_filters);
  Parsed parse_primary();
  Parsed parse_list();
  Parsed parse_dict();
  Parsed parse_number();
  Parsed parse_postfix(const Expression* of);
  Parsed parse_filters_and_tests(const Expression* of);
  Parsed parse_attribute(const Expression* of);
  Parsed parse_subscript(const Expression* of);
  Parsed parse_call(const Expression* of);
  Parsed parse_filter(const Expression* input);  // after its "|"
  Parsed parse_test(const Expression* of);
  Result<> parse_arguments(Expression& call);
  Result<> note_unknown(std::string_view kind, std::string_view name);

  Syntax& syntax_;
  TokenStream& tokens_;
  int depth_ = 0, branches_ = 0;
};

}  // namespace assay::jinja

// Statements of chat templates; what Jinja has and Assay does not render is refused by name.
#include "runtime/model/chat/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace assay::jinja {

namespace {

constexpr std::string_view kSubject = "chat template";
constexpr int kMaxNesting = 100;

class StatementParser {
 public:
  StatementParser(Syntax& syntax, TokenStream& tokens) : syntax_(syntax), tokens_(tokens), expressions_(syntax, tokens) {}

  Result<> run() {
    ASSAY_TRY(syntax_.body, parse_block({}));
    return success();
  }

 private:
  const Token& token() const { return tokens_.front(); }
  Statement& make(Act act, int line) { return syntax_.statements.emplace_back(Statement{act, line}); }

  // Up to a tag whose first word is one of `ends`; that word is passed. Without ends, up to the end of the template.
  Result<Block> parse_block(std::initializer_list<std::string_view> ends) {
    const int line = token().line;
    if (++depth_ > kMaxNesting) return tokens_.fail("blocks are nested too deeply");
    Block block;
    while (token().kind != TokenKind::end) {
      if (token().kind == TokenKind::data) {
        Statement& data = make(Act::data, token().line);
        data.text = tokens_.take().text;
        block.push_back(&data);
      } else if (token().kind == TokenKind::print_begin) {
        ASSAY_TRY(const Statement* print, parse_print());
        block.push_back(print);
      } else {
        tokens_.take();  // block_begin
        if (token().kind != TokenKind::name) return tokens_.fail("a tag begins with a word");
        if (std::find(ends.begin(), ends.end(), token().text) != ends.end()) {
          last_end_ = tokens_.take().text;
          --depth_;
          return block;
        }
        ASSAY_TRY(const Statement* statement, parse_tag());
        block.push_back(statement);
      }
    }
    if (ends.size() > 0) return Error{Code::malformed, std::string(kSubject), at_line(line, fmt::format("the block that begins here has no end: {} is missing", *(ends.end() - 1)))};
    --depth_;
    return block;
  }
  // The block and the end of the tag that ends it.
  Result<Block> parse_body(std::string_view end) {
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
    ASSAY_TRY(Block body, parse_block({end}));
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
    return body;
  }

  Result<const Statement*> parse_print() {
    Statement& print = make(Act::print, tokens_.take().line);
    ASSAY_TRY(print.value, expressions_.parse_tuple());
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::print_end));
    return &print;
  }

  using Parse = Result<const Statement*> (StatementParser::*)(int line);
  Result<const Statement*> parse_tag() {
    struct Row {
      std::string_view word;
      Parse parse;
    };
    using S = StatementParser;
    static constexpr std::array<Row, 10> kTags = {{{"if", &S::parse_if},
                                                   {"for", &S::parse_for},
                                                   {"set", &S::parse_set},
                                                   {"macro", &S::parse_macro},
                                                   {"call", &S::parse_call},
                                                   {"filter", &S::parse_filter},
                                                   {"with", &S::parse_with},
                                                   {"generation", &S::parse_generation},
                                                   {"break", &S::parse_break},
                                                   {"continue", &S::parse_continue}}};
    for (const Row& row : kTags)
      if (row.word == token().text) {
        const int line = tokens_.take().line;
        return (this->*row.parse)(line);
      }
    static constexpr std::array<std::string_view, 9> kForeign = {"include", "import", "from", "extends", "block", "autoescape", "print", "do", "trans"};
    const std::string_view word = token().text;
    if (std::find(kForeign.begin(), kForeign.end(), word) != kForeign.end()) return tokens_.unsupported(fmt::format("{{% {} %}}", word));
    return tokens_.fail(fmt::format("\"{}\" begins no tag here", word));
  }

  Result<const Statement*> parse_if(int line) {
    Statement& choose = make(Act::choose, line);
    expressions_.enter_branch();
    ASSAY_TRY_VOID(parse_branches(choose));
    expressions_.leave_branch();
    return &choose;
  }

  Result<> parse_branches(Statement& choose) {
    while (true) {
      Branch branch;
      ASSAY_TRY(branch.test, expressions_.parse_tuple(false));
      ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
      ASSAY_TRY(branch.body, parse_block({"elif", "else", "endif"}));
      choose.branches.push_back(std::move(branch));
      if (last_end_ == "elif") continue;
      if (last_end_ == "else") {
        ASSAY_TRY(choose.otherwise, parse_body("endif"));
        return success();
      }
      return tokens_.expect(TokenKind::block_end);
    }
  }

  Result<const Statement*> parse_for(int line) {
    Statement& repeat = make(Act::repeat, line);
    ASSAY_TRY(repeat.target, expressions_.parse_target("in"));
    if (!tokens_.skip_name("in")) return tokens_.fail("\"in\" is missing");
    ASSAY_TRY(repeat.value, expressions_.parse_tuple(false, "recursive"));
    if (tokens_.skip_name("if")) {
      ASSAY_TRY(repeat.test, expressions_.parse());
    }
    if (tokens_.is_name("recursive")) return tokens_.unsupported("a recursive loop");
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
    ++loops_;
    ASSAY_TRY(repeat.body, parse_block({"else", "endfor"}));
    --loops_;
    if (last_end_ == "else") {
      ASSAY_TRY(repeat.otherwise, parse_body("endfor"));
      return &repeat;
    }
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
    return &repeat;
  }

  Result<const Statement*> parse_set(int line) {
    Statement& set = make(Act::set, line);
    ASSAY_TRY(set.target, expressions_.parse_target({}, true));
    if (tokens_.skip_symbol("=")) {
      ASSAY_TRY(set.value, expressions_.parse_tuple());
      ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
      return &set;
    }
    set.act = Act::set_block;
    ASSAY_TRY(set.value, expressions_.parse_filters(nullptr));
    ASSAY_TRY(set.body, parse_outside_loops("endset"));
    return &set;
  }

  // A body that is rendered for itself: break and continue do not reach out of it.
  Result<Block> parse_outside_loops(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    ASSAY_TRY(Block body, parse_body(end));
    loops_ = loops;
    return body;
  }

  Result<> parse_signature(Statement& macro) {
    ASSAY_TRY_VOID(tokens_.expect_symbol("("));
    while (!tokens_.is_symbol(")")) {
      if (!macro.parameters.empty()) ASSAY_TRY_VOID(tokens_.expect_symbol(","));
      if (token().kind != TokenKind::name) return tokens_.fail("the name of a parameter is missing");
      macro.parameters.push_back(tokens_.take().text);
      if (tokens_.skip_symbol("=")) {
        ASSAY_TRY(const Expression* value, expressions_.parse());
        macro.defaults.push_back(value);
      } else if (!macro.defaults.empty()) {
        return tokens_.fail("a parameter without a default follows one with a default");
      }
    }
    return tokens_.expect_symbol(")");
  }

  Result<const Statement*> parse_macro(int line) {
    Statement& macro = make(Act::macro, line);
    if (token().kind != TokenKind::name) return tokens_.fail("the macro's name is missing");
    macro.text = tokens_.take().text;
    ASSAY_TRY_VOID(parse_signature(macro));
    ASSAY_TRY(macro.body, parse_outside_loops("endmacro"));
    return &macro;
  }

  Result<const Statement*> parse_call(int line) {
    Statement& call = make(Act::call, line);
    call.text = "caller";
    if (tokens_.is_symbol("(")) ASSAY_TRY_VOID(parse_signature(call));
    ASSAY_TRY(call.value, expressions_.parse());
    if (call.value->form != Form::call) return tokens_.fail("{% call %} needs a call");
    ASSAY_TRY(call.body, parse_outside_loops("endcall"));
    return &call;
  }

  Result<const Statement*> parse_filter(int line) {
    Statement& filter = make(Act::filter, line);
    ASSAY_TRY(filter.value, expressions_.parse_first_filter());
    ASSAY_TRY(filter.body, parse_outside_loops("endfilter"));
    return &filter;
  }

  Result<const Statement*> parse_with(int line) {
    Statement& with = make(Act::with, line);
    while (token().kind != TokenKind::block_end) {
      if (!with.targets.empty()) ASSAY_TRY_VOID(tokens_.expect_symbol(","));
      ASSAY_TRY(const Expression* target, expressions_.parse_target({}));
      ASSAY_TRY_VOID(tokens_.expect_symbol("="));
      ASSAY_TRY(const Expression* value, expressions_.parse());
      with.targets.push_back(target);
      with.values.push_back(value);
    }
    ASSAY_TRY(with.body, parse_body("endwith"));
    return &with;
  }

  Result<const Statement*> parse_generation(int line) {
    Statement& scope = make(Act::scope, line);
    ASSAY_TRY(scope.body, parse_outside_loops("endgeneration"));
    return &scope;
  }

  Result<const Statement*> parse_leave(int line, Act act, std::string_view word) {
    if (loops_ == 0) return tokens_.fail(fmt::format("\"{}\" stands outside of a loop", word));
    ASSAY_TRY_VOID(tokens_.expect(TokenKind::block_end));
    return &make(act, line);
  }
  Result<const Statement*> parse_break(int line) { return parse_leave(line, Act::leave_loop, "break"); }
  Result<const Statement*> parse_continue(int line) { return parse_leave(line, Act::next_round, "continue"); }

  Syntax& syntax_;
  TokenStream& tokens_;
  ExpressionParser expressions_;
  std::string_view last_end_;  // the word that ended the last block
  int depth_ = 0, loops_ = 0;
};

}  // namespace

Error TokenStream::fail(std::string_view what) const {
  return Error{Code::malformed, std::string(kSubject), at_line(front().line, fmt::format("{}, at {}", what, described()))};
}

Error TokenStream::unsupported(std::string_view what) const {
  return Error{Code::unsupported, std::string(kSubject), at_line(front().line, fmt::format("{} is not supported", what))};
}

std::string TokenStream::described() const {
  switch (front().kind) {
    case TokenKind::end: return "the end of the template";
    case TokenKind::data: return "text";
    case TokenKind::print_begin: return "\"{{\"";
    case TokenKind::print_end: return "\"}}\"";
    case TokenKind::block_begin: return "\"{%\"";
    case TokenKind::block_end: return "\"%}\"";
    default: return fmt::format("\"{}\"", front().text.substr(0, 40));
  }
}

Result<> TokenStream::expect(TokenKind kind) {
  if (front().kind != kind) return fail(kind == TokenKind::block_end ? "the tag should end" : "the expression should end");
  take();
  return success();
}

Result<> TokenStream::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) return fail(fmt::format("\"{}\" is missing", symbol));
  return success();
}

Result<> parse(Syntax& syntax) {
  ASSAY_TRY(const std::vector<Token> tokens, tokenize(syntax.source, syntax.pool));
  TokenStream stream(tokens);
  return StatementParser(syntax, stream).run();
}

}  // namespace assay::jinja

// A chat template as a tree: expressions and statements, and the texts they view.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/chat/lexer.h"
#include "runtime/model/chat/value.h"

namespace assay::jinja {

struct FilterRow;
struct TestRow;

enum class Form : std::uint8_t {
  constant,   // value
  variable,   // name
  list,       // parts
  tuple,      // parts
  dict,       // parts: key, value, key, value ...
  attribute,  // parts[0] . name
  item,       // parts[0] [ parts[1] ]
  slice,      // parts[0] [ parts[1] : parts[2] : parts[3] ], each of which may be missing
  call,       // parts[0] ( rest of parts )
  filter,     // parts[0] | filter ( rest of parts ); parts[0] is missing in {% filter %} and {% set x | f %}
  test,       // parts[0] is test ( rest of parts )
  negate, plus, invert,  // - + not, of parts[0]
  arithmetic,  // parts[0] symbols[0] parts[1] symbols[1] parts[2] ..., from the left
  concat,      // parts[0] ~ parts[1] ~ ...
  compare,     // parts[0] symbols[0] parts[1] and parts[1] symbols[1] parts[2] ...
  both, either,  // and, or
  choice       // parts[1] if parts[0] else parts[2], which may be missing
};

struct Expression {
  Form form = Form::constant;
  int line = 1;
  Value value{};
  std::string_view name{};
  std::vector<const Expression*> parts{};
  std::vector<std::string_view> symbols{};   // operators; of a call, filter or test: the names of the last symbols.size() parts
  const FilterRow* filter = nullptr;
  const TestRow* test = nullptr;
};

struct Statement;
using Block = std::vector<const Statement*>;

enum class Act : std::uint8_t {
  data,       // text
  print,      // value
  choose,     // branches, otherwise
  repeat,     // for target in value if test: body, otherwise
  set,        // target = value
  set_block,  // target = body, through the filter `value` when there is one
  macro,      // name (parameters = defaults): body
  call,       // body is caller() of the call `value`; parameters
  filter,     // body through the filter `value`
  with,       // targets = values: body
  scope,      // body with variables of its own
  leave_loop, next_round
};

struct Branch {
  const Expression* test = nullptr;
  Block body;
};

struct Statement {
  Act act = Act::data;
  int line = 1;
  std::string_view text{};  // data; name of a macro
  const Expression* target = nullptr;
  const Expression* value = nullptr;
  const Expression* test = nullptr;
  std::vector<Branch> branches{};
  std::vector<const Expression*> targets{}, values{};
  std::vector<std::string_view> parameters{};
  std::vector<const Expression*> defaults{};  // of the last parameters
  Block body{}, otherwise{};
};

// Owns what the pointers above lead to; stays where it is.
struct Syntax {
  std::string source;
  TextPool pool;
  std::deque<Expression> expressions;
  std::deque<Statement> statements;
  Block body;
  std::string unknown;  // the first filter or test in a branch that Assay does not know, with its line
};

// Errors: malformed (it is no template), unsupported (it is one, with a construct that Assay does not render); both with
// the line.
Result<> parse(Syntax& syntax);

}  // namespace assay::jinja

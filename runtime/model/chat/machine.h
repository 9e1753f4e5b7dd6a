// Machine: carries a template out, counting every step.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/model/chat/builtins.h"
#include "runtime/model/chat/chat_template.h"
#include "runtime/model/chat/syntax.h"

namespace assay::jinja {

// The variables of a loop, a macro or a block, and what is around them.
struct Frame {
  const Frame* outer = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables{};
};

struct Macro {
  const Statement* definition = nullptr;
  Frame* frame = nullptr;  // where it was defined
};

// {{ loop }}
struct Loop {
  std::vector<Value> items;
  std::size_t index = 0;
  std::optional<std::vector<Value>> changed{};  // what loop.changed() saw last
};

class Machine {
 public:
  Machine(const Syntax& syntax, const RenderOptions& options) : syntax_(syntax), options_(options), store_(options.limits.memory_bytes) {}

  // Errors: as ChatTemplate::render.
  Result<std::string> run(const Json& variables);

  // For filters, tests, methods and functions:
  Store& store() { return store_; }
  const std::tm& now() const { return options_.now; }
  std::uint64_t text_limit() const { return options_.limits.output_bytes; }
  Result<> spend(std::uint64_t bytes);  // for looking through so many bytes. Errors: range, too many steps
  Result<std::string> text_of(const Value& value);  // str()
  // value.name, and value[key]: Undefined where there is none. Errors: type, of an undefined value.
  Result<Value> attribute(const Value& value, std::string_view name);
  Result<Value> item(const Value& value, const Value& key);
  // "a.b.0" step by step, or an index.
  Result<Value> path(const Value& value, const Value& attribute);
  // What a loop over the value visits; generators are empty afterwards. Errors: type.
  Result<std::vector<Value>> iterate(const Value& value);
  Result<Value> call(const Value& callee, const Arguments& arguments);
  Result<bool> contains(const Value& container, const Value& element);
  Result<Value> calculate(std::string_view symbol, const Value& a, const Value& b);

 private:
  enum class Flow : std::uint8_t { normal, leave_loop, next_round };

  // evaluate.cpp
  Result<Value> evaluate(const Expression& expression);
  Result<Value> evaluate_form(const Expression& expression);
  Value look_up(std::string_view name) const;
  Result<Value> make_list(const Expression& expression);
  Result<Value> make_dict(const Expression& expression);
  Result<Value> slice(const Expression& expression);
  Result<Arguments> evaluate_arguments(const Expression& call);
  Result<Value> evaluate_call(const Expression& call, const Value* caller = nullptr);
  Result<Value> apply_filter(const Expression& filter, const Value* input);
  Result<Value> evaluate_chain(const Expression& chain);
  Result<Value> evaluate_comparison(const Expression& comparison);
  Result<bool> holds(std::string_view symbol, const Value& a, const Value& b);
  Result<Value> call_macro(const Macro& macro, const Arguments& arguments);

  // execute.cpp
  Result<Flow> execute(const Block& block);
  Result<Flow> execute_statement(const Statement& statement);
  Result<Flow> choose(const Statement& statement);
  Result<Flow> repeat(const Statement& statement);
  Result<std::vector<Value>> rounds(const Statement& statement, Frame& frame);
  Result<> set(const Statement& statement);
  Result<> make_macro(const Statement& statement);
  Result<> call_block(const Statement& statement);
  Result<Flow> with(const Statement& statement);
  Result<> print(const Value& value);
  Result<> emit(std::string_view text);
  Result<Value> capture(const Block& block);  // rendered with variables of its own
  Result<> assign(const Expression& target, const Value& value);
  Result<Frame*> push_frame(Frame* outer);

  Result<> step();
  Error located(Error error, int line);

  const Syntax& syntax_;
  const RenderOptions& options_;
  Store store_;
  std::deque<Frame> frames_;  // macros may refer to them to the end
  std::deque<Macro> macros_;
  std::deque<Loop> loops_;
  Frame* frame_ = nullptr;
  std::string* out_ = nullptr;
  std::uint64_t steps_ = 0;
  int depth_ = 0;
  bool is_located_ = false;
};

}  // namespace assay::jinja

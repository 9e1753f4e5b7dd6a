// Statements: output, branches, loops, variables, macros.
#include <fmt/format.h>

#include "runtime/model/chat/machine.h"

namespace assay::jinja {

Result<std::string> Machine::run(const Json& variables) {
  std::string out;
  out_ = &out;
  ASSAY_TRY(frame_, push_frame(nullptr));
  if (const Json::Object* members = variables.object())
    for (const auto& [name, member] : *members) {
      if (variables.find(name) != &member) continue;  // a later one has the same name
      ASSAY_TRY(const Value value, store_.from_json(member));
      frame_->variables.emplace_back(name, value);
    }
  ASSAY_TRY(frame_, push_frame(frame_));  // what the template sets goes before what it was given
  ASSAY_TRY([[maybe_unused]] const Flow flow, execute(syntax_.body));
  return out;
}

Result<Frame*> Machine::push_frame(Frame* outer) {
  ASSAY_TRY_VOID(store_.charge(sizeof(Frame) + 64));
  return &frames_.emplace_back(Frame{outer});
}

Result<> Machine::emit(std::string_view text) {
  if (text.size() + out_->size() > options_.limits.output_bytes) return Error{Code::memory, "output", fmt::format("is longer than {} MB", options_.limits.output_bytes >> 20)};
  *out_ += text;
  return spend(text.size());
}

Result<> Machine::print(const Value& value) {
  if (const Text* text = as<Text>(value)) return emit(text->bytes);
  ASSAY_TRY(const std::string text, text_of(value));
  return emit(text);
}

Result<Machine::Flow> Machine::execute(const Block& block) {
  for (const Statement* statement : block) {
    if (++depth_ > options_.limits.depth) return located({Code::range, "depth", "expressions, blocks and calls are nested too deeply"}, statement->line);
    auto flow = execute_statement(*statement);
    --depth_;
    if (!flow) return located(std::move(flow).error(), statement->line);
    if (*flow != Flow::normal) return *flow;
  }
  return Flow::normal;
}

Result<Machine::Flow> Machine::execute_statement(const Statement& s) {
  ASSAY_TRY_VOID(step());
  switch (s.act) {
    case Act::data: ASSAY_TRY_VOID(emit(s.text)); break;
    case Act::print: {
      ASSAY_TRY(const Value value, evaluate(*s.value));
      ASSAY_TRY_VOID(print(value));
      break;
    }
    case Act::choose: return choose(s);
    case Act::repeat: return repeat(s);
    case Act::set:
    case Act::set_block: ASSAY_TRY_VOID(set(s)); break;
    case Act::macro: ASSAY_TRY_VOID(make_macro(s)); break;
    case Act::call: ASSAY_TRY_VOID(call_block(s)); break;
    case Act::filter: {
      ASSAY_TRY(const Value body, capture(s.body));
      ASSAY_TRY(const Value value, apply_filter(*s.value, &body));
      ASSAY_TRY_VOID(print(value));
      break;
    }
    case Act::with: return with(s);
    case Act::scope: {
      ASSAY_TRY(const Value body, capture(s.body));
      ASSAY_TRY_VOID(print(body));
      break;
    }
    case Act::leave_loop: return Flow::leave_loop;
    case Act::next_round: return Flow::next_round;
  }
  return Flow::normal;
}

Result<Machine::Flow> Machine::choose(const Statement& s) {
  for (const Branch& branch : s.branches) {
    ASSAY_TRY(const Value test, evaluate(*branch.test));
    if (is_true(test)) return execute(branch.body);
  }
  return execute(s.otherwise);
}

// What the loop visits: those for which its test holds.
Result<std::vector<Value>> Machine::rounds(const Statement& s, Frame& frame) {
  ASSAY_TRY(const Value value, evaluate(*s.value));
  ASSAY_TRY(std::vector<Value> items, iterate(value));
  if (s.test == nullptr) return items;
  std::vector<Value> kept;
  Frame* const outside = std::exchange(frame_, &frame);
  for (const Value& item : items) {
    frame.variables.clear();
    ASSAY_TRY_VOID(assign(*s.target, item));
    ASSAY_TRY(const Value test, evaluate(*s.test));
    if (is_true(test)) kept.push_back(item);
  }
  frame_ = outside;
  return kept;
}

Result<Machine::Flow> Machine::repeat(const Statement& s) {
  Frame* const outside = frame_;
  ASSAY_TRY(Frame* inside, push_frame(outside));
  ASSAY_TRY(std::vector<Value> items, rounds(s, *inside));
  ASSAY_TRY_VOID(store_.charge(sizeof(Loop)));
  Loop& loop = loops_.emplace_back(Loop{std::move(items)});
  frame_ = inside;
  Flow flow = Flow::normal;
  bool went_through = false;  // jinja2's {% else %} is for loops no round of which came to its end: {% continue %} and {% break %} do not
  for (loop.index = 0; loop.index < loop.items.size() && flow != Flow::leave_loop; ++loop.index) {
    inside->variables.clear();
    inside->variables.emplace_back("loop", &loop);
    const Value item = loop.items[loop.index];
    ASSAY_TRY_VOID(assign(*s.target, item));
    ASSAY_TRY(flow, execute(s.body));
    went_through = went_through || flow == Flow::normal;
  }
  flow = Flow::normal;
  if (!went_through) {
    inside->variables.clear();
    ASSAY_TRY(flow, execute(s.otherwise));
  }
  frame_ = outside;
  return flow;
}

Result<> Machine::assign(const Expression& target, const Value& value) {
  if (target.form == Form::variable) {
    for (auto& [name, known] : frame_->variables)
      if (name == target.name) {
        known = value;
        return success();
      }
    ASSAY_TRY_VOID(store_.charge(sizeof(Value)));
    frame_->variables.emplace_back(target.name, value);
    return success();
  }
  if (target.form == Form::attribute) {
    const Value object = look_up(target.parts[0]->name);
    Dict* names = as_namespace(object);
    if (names == nullptr) return Error{Code::malformed, "set", fmt::format("only a namespace's attributes can be set; '{}' is a {}", target.parts[0]->name, type_name(object))};
    return store_.set(*names, Text{target.name}, value);
  }
  ASSAY_TRY(const std::vector<Value> items, iterate(value));
  if (is_undefined(value) || items.size() != target.parts.size())
    return Error{Code::malformed, "set", fmt::format("{} values cannot go into {} variables", items.size(), target.parts.size())};
  for (std::size_t i = 0; i < items.size(); ++i) ASSAY_TRY_VOID(assign(*target.parts[i], items[i]));
  return success();
}

Result<> Machine::set(const Statement& s) {
  if (s.act == Act::set) {
    ASSAY_TRY(const Value value, evaluate(*s.value));
    return assign(*s.target, value);
  }
  ASSAY_TRY(Value value, capture(s.body));
  if (s.value != nullptr) {
    const Value body = value;
    ASSAY_TRY(value, apply_filter(*s.value, &body));
  }
  return assign(*s.target, value);
}

Result<Value> Machine::capture(const Block& block) {
  Frame* const outside = frame_;
  ASSAY_TRY(frame_, push_frame(outside));
  std::string text;
  std::string* const out = std::exchange(out_, &text);
  ASSAY_TRY([[maybe_unused]] const Flow flow, execute(block));
  out_ = out;
  frame_ = outside;
  return store_.text(std::move(text));
}

Result<> Machine::make_macro(const Statement& s) {
  ASSAY_TRY_VOID(store_.charge(sizeof(Macro)));
  const Macro* macro = &macros_.emplace_back(Macro{&s, frame_});
  Expression name{Form::variable, s.line};
  name.name = s.text;
  return assign(name, macro);
}

Result<> Machine::call_block(const Statement& s) {
  ASSAY_TRY_VOID(store_.charge(sizeof(Macro)));
  const Value caller = static_cast<const Macro*>(&macros_.emplace_back(Macro{&s, frame_}));
  ASSAY_TRY(const Value value, evaluate_call(*s.value, &caller));
  return print(value);
}

Result<Machine::Flow> Machine::with(const Statement& s) {
  std::vector<Value> values;
  for (const Expression* expression : s.values) {
    ASSAY_TRY(const Value value, evaluate(*expression));
    values.push_back(value);
  }
  Frame* const outside = frame_;
  ASSAY_TRY(frame_, push_frame(outside));
  for (std::size_t i = 0; i < values.size(); ++i) ASSAY_TRY_VOID(assign(*s.targets[i], values[i]));
  ASSAY_TRY(const Flow flow, execute(s.body));
  frame_ = outside;
  return flow;
}

}  // namespace assay::jinja

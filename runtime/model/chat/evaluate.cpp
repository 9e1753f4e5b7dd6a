// Expressions: names, attributes, items, calls, operators.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

Error undefined_error(const Value& value) { return Error{Code::malformed, "value", why(*as<Undefined>(value))}; }

// Python's rule for where a slice begins and ends.
std::int64_t clamp_index(std::optional<std::int64_t> index, std::int64_t size, std::int64_t lowest, std::int64_t highest, std::int64_t otherwise) {
  if (!index) return otherwise;
  const std::int64_t at = *index < 0 ? std::max<std::int64_t>(*index, -size - 1) + size : *index;
  return std::clamp(at, lowest, highest);
}

}  // namespace

Error Machine::located(Error error, int line) {
  if (is_located_) return error;
  is_located_ = true;
  return Error{error.code, "chat template", at_line(line, error.detail)};
}

Result<> Machine::step() {
  if (++steps_ > options_.limits.steps) return Error{Code::range, "steps", fmt::format("takes more than {} steps", options_.limits.steps)};
  return success();
}

Result<> Machine::spend(std::uint64_t bytes) {
  steps_ += bytes / 64;
  return step();
}

Result<std::string> Machine::text_of(const Value& value) { return to_text(value, text_limit()); }

Result<Value> Machine::evaluate(const Expression& expression) {
  if (auto counted = step(); !counted) return located(std::move(counted).error(), expression.line);
  if (++depth_ > options_.limits.depth) return located({Code::range, "depth", "expressions, blocks and calls are nested too deeply"}, expression.line);
  auto value = evaluate_form(expression);
  --depth_;
  if (!value) return located(std::move(value).error(), expression.line);
  return value;
}

Result<Value> Machine::evaluate_form(const Expression& e) {
  switch (e.form) {
    case Form::constant: return e.value;
    case Form::variable: return look_up(e.name);
    case Form::list:
    case Form::tuple: return make_list(e);
    case Form::dict: return make_dict(e);
    case Form::slice: return slice(e);
    case Form::call: return evaluate_call(e);
    case Form::filter: return apply_filter(e, nullptr);
    case Form::arithmetic:
    case Form::concat:
    case Form::both:
    case Form::either: return evaluate_chain(e);
    case Form::compare: return evaluate_comparison(e);
    default: break;
  }
  ASSAY_TRY(const Value first, evaluate(*e.parts[0]));
  switch (e.form) {
    case Form::attribute: return attribute(first, e.name);
    case Form::item: {
      ASSAY_TRY(const Value key, evaluate(*e.parts[1]));
      return item(first, key);
    }
    case Form::test: {
      ASSAY_TRY(const Arguments arguments, evaluate_arguments(e));
      if (e.test == nullptr) return Error{Code::unsupported, "test", fmt::format("the test \"{}\" is not supported", e.name)};
      ASSAY_TRY(const bool result, e.test->holds(*this, first, arguments));
      return Value(result);
    }
    case Form::negate:
      if (const double* number = as<double>(first)) return Value(-*number);
      return calculate("-", Value(std::int64_t{0}), first);
    case Form::plus: return calculate("+", Value(std::int64_t{0}), first);
    case Form::invert: return Value(!is_true(first));
    default: break;
  }
  // choice
  if (is_true(first)) return evaluate(*e.parts[1]);
  if (e.parts.size() > 2) return evaluate(*e.parts[2]);
  return Value(Undefined{"the missing else of an if"});
}

Value Machine::look_up(std::string_view name) const {
  for (const Frame* frame = frame_; frame != nullptr; frame = frame->outer)
    for (const auto& [known, value] : frame->variables)
      if (known == name) return value;
  if (const auto function = find_function(name)) return *function;
  return Undefined{name};
}

Result<Value> Machine::make_list(const Expression& e) {
  std::vector<Value> items;
  for (const Expression* part : e.parts) {
    ASSAY_TRY(const Value value, evaluate(*part));
    items.push_back(value);
  }
  ASSAY_TRY(List* list, store_.list(std::move(items), e.form == Form::tuple ? ListForm::tuple : ListForm::list));
  return Value(list);
}

Result<Value> Machine::make_dict(const Expression& e) {
  ASSAY_TRY(Dict* dict, store_.dict());
  for (std::size_t i = 0; i < e.parts.size(); i += 2) {
    ASSAY_TRY(const Value key, evaluate(*e.parts[i]));
    ASSAY_TRY(const Value value, evaluate(*e.parts[i + 1]));
    ASSAY_TRY_VOID(store_.set(*dict, key, value));
  }
  return Value(dict);
}

Result<Value> Machine::attribute(const Value& value, std::string_view name) {
  if (is_undefined(value)) return undefined_error(value);
  if (Dict* names = as_namespace(value)) {
    const Value* found = find(*names, name);
    return found ? *found : Value(Undefined{name, "namespace"});
  }
  if (Loop* const* found = as<Loop*>(value)) {
    const Loop& loop = **found;
    const auto index = static_cast<std::int64_t>(loop.index), size = static_cast<std::int64_t>(loop.items.size());
    if (name == "index") return Value(index + 1);
    if (name == "index0") return Value(index);
    if (name == "revindex") return Value(size - index);
    if (name == "revindex0") return Value(size - index - 1);
    if (name == "first") return Value(index == 0);
    if (name == "last") return Value(index + 1 == size);
    if (name == "length") return Value(size);
    if (name == "depth") return Value(std::int64_t{1});
    if (name == "depth0") return Value(std::int64_t{0});
    if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
    if (name == "nextitem" && index + 1 < size) return loop.items[loop.index + 1];
  }
  if (has_method(value, name)) return store_.method(value, name);
  if (Dict* dict = as_dict(value))
    if (const Value* found = find(*dict, name)) return *found;
  return Value(Undefined{name, type_name(value)});
}

Result<Value> Machine::item(const Value& value, const Value& key) {
  if (is_undefined(value)) return undefined_error(value);
  const Text* text_key = as<Text>(key);
  if (Dict* dict = as_dict(value)) {
    ASSAY_TRY_VOID(spend(dict->entries.size() * sizeof(Value)));
    if (is_hashable(key))
      if (const Value* found = find(*dict, key)) return *found;
    if (text_key != nullptr && has_method(value, text_key->bytes)) return store_.method(value, text_key->bytes);
    return Value(Undefined{text_key ? text_key->bytes : std::string_view(), type_name(value)});
  }
  if (text_key != nullptr) return attribute(value, text_key->bytes);
  std::int64_t of_bool = 0;
  const std::int64_t* index = as_integer(key, of_bool);
  if (const List* list = as_list(value); list != nullptr && index != nullptr && list->form != ListForm::generator && list->form != ListForm::view) {
    const auto size = static_cast<std::int64_t>(list->items.size());
    const std::int64_t at = *index < 0 && *index >= -size ? *index + size : *index;
    if (at >= 0 && at < size) return list->items[static_cast<std::size_t>(at)];
  }
  if (const Text* text = as<Text>(value); text != nullptr && index != nullptr) {
    ASSAY_TRY_VOID(spend(text->bytes.size()));
    const std::vector<std::string_view> parts = characters(text->bytes);
    const auto size = static_cast<std::int64_t>(parts.size());
    const std::int64_t at = *index < 0 && *index >= -size ? *index + size : *index;
    if (at >= 0 && at < size) return Value(Text{parts[static_cast<std::size_t>(at)], text->is_safe});
  }
  return Value(Undefined{{}, type_name(value)});
}

Result<Value> Machine::path(const Value& value, const Value& attribute) {
  const Text* names = as<Text>(attribute);
  if (names == nullptr) return item(value, attribute);
  Value out = value;
  for (const std::string_view name : split(names->bytes, ".", -1)) {
    Value key = Text{name};
    if (all_of(name, is_digit) && name.size() < 10) key = std::int64_t{std::stoll(std::string(name))};
    ASSAY_TRY(out, item(out, key));
  }
  return out;
}

Result<Value> Machine::slice(const Expression& e) {
  ASSAY_TRY(const Value of, evaluate(*e.parts[0]));
  if (is_undefined(of)) return undefined_error(of);
  std::optional<std::int64_t> bounds[3];
  for (std::size_t i = 0; i < 3; ++i) {
    if (e.parts[i + 1] == nullptr) continue;
    ASSAY_TRY(const Value bound, evaluate(*e.parts[i + 1]));
    std::int64_t of_bool = 0;
    if (const std::int64_t* integer = as_integer(bound, of_bool))
      bounds[i] = *integer;
    else if (!is_none(bound))
      return Error{Code::malformed, "slice", fmt::format("a slice needs integers, not a {}", type_name(bound))};
  }
  const std::int64_t by = bounds[2].value_or(1);
  if (by == 0) return Error{Code::malformed, "slice", "a slice cannot go in steps of 0"};
  const List* list = as_list(of);
  const Text* text = as<Text>(of);
  if ((list == nullptr && text == nullptr) || (list != nullptr && (list->form == ListForm::generator || list->form == ListForm::view))) return Value(Undefined{{}, type_name(of)});
  const std::vector<std::string_view> parts = text ? characters(text->bytes) : std::vector<std::string_view>();
  const auto size = static_cast<std::int64_t>(text ? parts.size() : list->items.size());
  ASSAY_TRY_VOID(spend(static_cast<std::uint64_t>(size) * 8));
  const std::int64_t first = clamp_index(bounds[0], size, by < 0 ? -1 : 0, by < 0 ? size - 1 : size, by < 0 ? size - 1 : 0);
  const std::int64_t end = clamp_index(bounds[1], size, by < 0 ? -1 : 0, by < 0 ? size - 1 : size, by < 0 ? -1 : size);
  std::string joined;
  std::vector<Value> items;
  for (std::int64_t at = first; by > 0 ? at < end : at > end;) {
    if (text)
      joined += parts[static_cast<std::size_t>(at)];
    else
      items.push_back(list->items[static_cast<std::size_t>(at)]);
    if (by > 0 ? by >= end - at : by <= end - at) break;  // no overflow with large steps
    at += by;
  }
  if (text) return store_.text(std::move(joined), text->is_safe);
  ASSAY_TRY(List* out, store_.list(std::move(items), list->form));
  return Value(out);
}

Result<std::vector<Value>> Machine::iterate(const Value& value) {
  std::vector<Value> out;
  if (List* list = as_list(value)) {
    ASSAY_TRY_VOID(store_.charge(list->items.size() * sizeof(Value)));
    out = list->items;
    if (list->form == ListForm::generator) list->items.clear();
  } else if (const Dict* dict = as_dict(value)) {
    ASSAY_TRY_VOID(store_.charge(dict->entries.size() * sizeof(Value)));
    for (const auto& entry : dict->entries) out.push_back(entry.first);
  } else if (const Text* text = as<Text>(value)) {
    ASSAY_TRY_VOID(store_.charge(text->bytes.size() * sizeof(Value)));
    for (const std::string_view character : characters(text->bytes)) out.push_back(Text{character});
  } else if (!is_undefined(value)) {
    return Error{Code::malformed, "loop", fmt::format("a {} has no items to visit", type_name(value))};
  }
  ASSAY_TRY_VOID(spend(out.size() * 8));
  return out;
}

Result<Arguments> Machine::evaluate_arguments(const Expression& e) {
  Arguments out;
  const std::size_t first_named = e.parts.size() - e.symbols.size();
  for (std::size_t i = 1; i < e.parts.size(); ++i) {
    ASSAY_TRY(const Value value, evaluate(*e.parts[i]));
    if (i < first_named)
      out.positional.push_back(value);
    else
      out.named.emplace_back(e.symbols[i - first_named], value);
  }
  return out;
}

Result<Value> Machine::evaluate_call(const Expression& e, const Value* caller) {
  const Expression& callee = *e.parts[0];
  const auto arguments_with_caller = [&]() -> Result<Arguments> {
    ASSAY_TRY(Arguments arguments, evaluate_arguments(e));
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    return arguments;
  };
  if (callee.form == Form::attribute) {  // a method, called at once
    ASSAY_TRY(const Value self, evaluate(*callee.parts[0]));
    if (has_method(self, callee.name)) {
      ASSAY_TRY(const Arguments arguments, arguments_with_caller());
      return call_method(*this, self, callee.name, arguments);
    }
    ASSAY_TRY(const Value function, attribute(self, callee.name));
    ASSAY_TRY(const Arguments arguments, arguments_with_caller());
    return call(function, arguments);
  }
  ASSAY_TRY(const Value function, evaluate(callee));
  ASSAY_TRY(const Arguments arguments, arguments_with_caller());
  return call(function, arguments);
}

Result<Value> Machine::call(const Value& callee, const Arguments& arguments) {
  if (const auto* macro = as<const Macro*>(callee)) return call_macro(**macro, arguments);
  if (const auto* method = as<const Method*>(callee)) return call_method(*this, (*method)->self, (*method)->name, arguments);
  if (const Function* function = as<Function>(callee)) return call_function(*this, *function, arguments);
  if (is_undefined(callee)) return undefined_error(callee);
  return Error{Code::malformed, "call", fmt::format("a {} cannot be called", type_name(callee))};
}

Result<Value> Machine::apply_filter(const Expression& e, const Value* input) {
  Value value;
  if (e.parts[0] == nullptr) {
    value = *input;
  } else if (e.parts[0]->form == Form::filter && input != nullptr) {
    ASSAY_TRY(value, apply_filter(*e.parts[0], input));
  } else {
    ASSAY_TRY(value, evaluate(*e.parts[0]));
  }
  ASSAY_TRY(const Arguments arguments, evaluate_arguments(e));
  if (e.filter == nullptr) return Error{Code::unsupported, "filter", fmt::format("the filter \"{}\" is not supported", e.name)};
  return e.filter->apply(*this, value, arguments);
}

Result<Value> Machine::evaluate_chain(const Expression& e) {
  if (e.form == Form::concat) {
    std::string joined;
    for (const Expression* part : e.parts) {
      ASSAY_TRY(const Value value, evaluate(*part));
      ASSAY_TRY(const std::string text, text_of(value));
      joined += text;
      if (joined.size() > text_limit()) return too_long();
    }
    return store_.text(std::move(joined));
  }
  ASSAY_TRY(Value value, evaluate(*e.parts[0]));
  for (std::size_t i = 1; i < e.parts.size(); ++i) {
    if (e.form == Form::both && !is_true(value)) return value;
    if (e.form == Form::either && is_true(value)) return value;
    ASSAY_TRY(const Value next, evaluate(*e.parts[i]));
    if (e.form == Form::arithmetic) {
      ASSAY_TRY(value, calculate(e.symbols[i - 1], value, next));
    } else {
      value = next;
    }
  }
  return value;
}

Result<bool> Machine::holds(std::string_view symbol, const Value& a, const Value& b) {
  const Text* text = as<Text>(a);
  ASSAY_TRY_VOID(spend(text ? text->bytes.size() : 8));
  if (symbol == "==") return are_equal(a, b);
  if (symbol == "!=") return !are_equal(a, b);
  if (symbol == "in" || symbol == "not in") {
    ASSAY_TRY(const bool found, contains(b, a));
    return found == (symbol == "in");
  }
  if (is_undefined(a)) return undefined_error(a);
  if (is_undefined(b)) return undefined_error(b);
  ASSAY_TRY(const int order, compare(a, b));
  if (symbol == "<") return order < 0;
  if (symbol == "<=") return order <= 0;
  if (symbol == ">") return order > 0;
  return order >= 0;
}

Result<Value> Machine::evaluate_comparison(const Expression& e) {
  ASSAY_TRY(Value left, evaluate(*e.parts[0]));
  for (std::size_t i = 1; i < e.parts.size(); ++i) {
    ASSAY_TRY(const Value right, evaluate(*e.parts[i]));
    ASSAY_TRY(const bool result, holds(e.symbols[i - 1], left, right));
    if (!result) return Value(false);
    left = right;
  }
  return Value(true);
}

Result<Value> Machine::call_macro(const Macro& macro, const Arguments& arguments) {
  const Statement& definition = *macro.definition;
  const std::vector<std::string_view>& names = definition.parameters;
  if (arguments.positional.size() > names.size())
    return Error{Code::malformed, "call", fmt::format("the macro '{}' takes {} arguments, not {}", definition.text, names.size(), arguments.positional.size())};
  std::vector<std::optional<Value>> values(names.size());
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) values[i] = arguments.positional[i];
  Value caller = Undefined{"caller"};
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end() && name != "caller") return Error{Code::malformed, "call", fmt::format("the macro '{}' has no parameter '{}'", definition.text, name)};
    if (found == names.end())
      caller = value;
    else if (auto& slot = values[static_cast<std::size_t>(found - names.begin())])
      return Error{Code::malformed, "call", fmt::format("the macro '{}' is given '{}' twice", definition.text, name)};
    else
      slot = value;
  }
  Frame* const outside = frame_;
  ASSAY_TRY(frame_, push_frame(macro.frame));
  Frame* const inside = frame_;
  inside->variables.emplace_back("caller", caller);
  const std::size_t first_default = names.size() - definition.defaults.size();
  for (std::size_t i = 0; i < names.size(); ++i) {
    Value value = Undefined{names[i]};
    if (values[i]) {
      value = *values[i];
    } else if (i >= first_default) {
      ASSAY_TRY(value, evaluate(*definition.defaults[i - first_default]));
    }
    inside->variables.emplace_back(names[i], value);
  }
  std::string text;
  std::string* const out = std::exchange(out_, &text);
  ASSAY_TRY([[maybe_unused]] const Flow flow, execute(definition.body));
  out_ = out;
  frame_ = outside;
  return store_.text(std::move(text));
}

}  // namespace assay::jinja

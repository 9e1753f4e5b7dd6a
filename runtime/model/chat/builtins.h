// The filters, tests, methods and functions that a template may name, as tables.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/model/chat/value.h"

namespace assay::jinja {

class Machine;

struct Arguments {
  std::vector<Value> positional{};
  std::vector<std::pair<std::string_view, Value>> named{};
  bool empty() const { return positional.empty() && named.empty(); }
};

// What a filter needs of its arguments, by place or by name. Errors: usage (too many, unknown, twice).
class Bound {
 public:
  static Result<Bound> make(const Arguments& arguments, std::initializer_list<std::string_view> names);

  // Nothing when the argument was not given.
  const Value* at(std::size_t index) const { return values_[index] ? &*values_[index] : nullptr; }
  Value value_or(std::size_t index, Value otherwise) const { return values_[index].value_or(otherwise); }
  bool flag(std::size_t index, bool otherwise = false) const { return values_[index] ? is_true(*values_[index]) : otherwise; }
  // Errors: type, the argument is something else; usage, it is missing and there is no default.
  Result<std::int64_t> integer(std::size_t index, std::optional<std::int64_t> otherwise = {}) const;
  Result<std::string_view> text(std::size_t index, std::optional<std::string_view> otherwise = {}) const;

 private:
  std::vector<std::string_view> names_;
  std::vector<std::optional<Value>> values_;
};

struct FilterRow {
  std::string_view name;
  Result<Value> (*apply)(Machine& machine, const Value& input, const Arguments& arguments);
};
const FilterRow* find_filter(std::string_view name);

struct TestRow {
  std::string_view name;
  Result<bool> (*holds)(Machine& machine, const Value& value, const Arguments& arguments);
};
const TestRow* find_test(std::string_view name);

// Whether values of this kind have the method; whether it can be called here is told when it is.
bool has_method(const Value& self, std::string_view name);
// Errors: unsupported (a method Assay does not have), usage, type, range.
Result<Value> call_method(Machine& machine, const Value& self, std::string_view name, const Arguments& arguments);

std::optional<Function> find_function(std::string_view name);
// raise_exception is Code::malformed: the template refuses the conversation.
Result<Value> call_function(Machine& machine, Function function, const Arguments& arguments);

// "%s and %d" % arguments. Errors: usage, type, memory.
Result<Value> format_text(Machine& machine, std::string_view pattern, const std::vector<Value>& values);

}  // namespace assay::jinja

// The tests of {{ value is test }}.
#include <fmt/format.h>

#include <array>

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

using Holds = Result<bool> (*)(Machine&, const Value&, const Arguments&);

// A test without arguments.
template <bool (*Is)(const Value&)>
Result<bool> plain(Machine&, const Value& value, const Arguments& arguments) {
  if (!arguments.empty()) return Error{Code::malformed, "test", "this test takes no arguments"};
  return Is(value);
}

bool is_defined(const Value& value) { return !is_undefined(value); }
bool is_boolean(const Value& value) { return as<bool>(value) != nullptr; }
bool is_true_itself(const Value& value) { return is_boolean(value) && is_true(value); }
bool is_false_itself(const Value& value) { return is_boolean(value) && !is_true(value); }
bool is_integer(const Value& value) { return as<std::int64_t>(value) != nullptr; }
bool is_float(const Value& value) { return as<double>(value) != nullptr; }
bool is_number(const Value& value) { return is_boolean(value) || is_integer(value) || is_float(value); }
bool is_string(const Value& value) { return as<Text>(value) != nullptr; }
bool is_mapping(const Value& value) { return as_dict(value) != nullptr; }
bool is_iterable(const Value& value) { return is_string(value) || is_mapping(value) || as_list(value) != nullptr || is_undefined(value) || as<Loop*>(value) != nullptr; }
bool is_callable(const Value& value) {
  return as<const Macro*>(value) != nullptr || as<const Method*>(value) != nullptr || as<Function>(value) != nullptr || is_undefined(value);
}
bool is_escaped(const Value& value) { return is_string(value) && as<Text>(value)->is_safe; }
bool is_sequence(const Value& value) {
  const List* list = as_list(value);
  return is_string(value) || is_mapping(value) || is_undefined(value) || (list != nullptr && list->form != ListForm::generator && list->form != ListForm::view);
}

// Some characters have cases, and all of those have this one.
template <bool (*Is)(char32_t), bool (*IsOther)(char32_t)>
Result<bool> has_case(Machine& machine, const Value& value, const Arguments&) {
  ASSAY_TRY(const std::string text, machine.text_of(value));
  bool some = false;
  for (const std::string_view character : characters(text)) {
    if (all_of(character, IsOther)) return false;
    some = some || all_of(character, Is);
  }
  return some;
}

Result<bool> divides(Machine& machine, const Value& value, const Value& by, std::int64_t rest) {
  ASSAY_TRY(const Value remainder, machine.calculate("%", value, by));
  return are_equal(remainder, rest);
}
Result<bool> is_odd(Machine& machine, const Value& value, const Arguments&) { return divides(machine, value, std::int64_t{2}, 1); }
Result<bool> is_even(Machine& machine, const Value& value, const Arguments&) { return divides(machine, value, std::int64_t{2}, 0); }

Result<Value> only_argument(const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty()) return Error{Code::malformed, "test", "this test takes one argument"};
  return arguments.positional[0];
}

Result<bool> is_divisible(Machine& machine, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const Value by, only_argument(arguments));
  return divides(machine, value, by, 0);
}

Result<bool> is_equal(Machine&, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const Value other, only_argument(arguments));
  return are_equal(value, other);
}
Result<bool> is_unequal(Machine& machine, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const bool equal, is_equal(machine, value, arguments));
  return !equal;
}

template <int Sign, bool OrEqual>
Result<bool> is_ordered(Machine&, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const Value other, only_argument(arguments));
  for (const Value* of : {&value, &other})
    if (const Undefined* undefined = as<Undefined>(*of)) return Error{Code::malformed, "value", why(*undefined)};
  ASSAY_TRY(const int order, compare(value, other));
  return order == Sign || (OrEqual && order == 0);
}

Result<bool> is_in(Machine& machine, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const Value container, only_argument(arguments));
  return machine.contains(container, value);
}

// The same object: for what templates compare so, that is the same kind and an equal value, or the same list.
Result<bool> is_same(Machine&, const Value& value, const Arguments& arguments) {
  ASSAY_TRY(const Value other, only_argument(arguments));
  if (value.index() != other.index()) return false;
  if (as_list(value)) return as_list(value) == as_list(other);
  if (as_dict(value)) return as_dict(value) == as_dict(other);
  return are_equal(value, other);
}

Result<bool> is_filter(Machine&, const Value& value, const Arguments&) { return is_string(value) && find_filter(as<Text>(value)->bytes) != nullptr; }
Result<bool> is_test(Machine&, const Value& value, const Arguments&) { return is_string(value) && find_test(as<Text>(value)->bytes) != nullptr; }

constexpr std::array kTests = {
    TestRow{"defined", plain<is_defined>}, TestRow{"undefined", plain<is_undefined>}, TestRow{"none", plain<is_none>}, TestRow{"boolean", plain<is_boolean>},
    TestRow{"true", plain<is_true_itself>}, TestRow{"false", plain<is_false_itself>}, TestRow{"integer", plain<is_integer>}, TestRow{"float", plain<is_float>},
    TestRow{"number", plain<is_number>}, TestRow{"string", plain<is_string>}, TestRow{"mapping", plain<is_mapping>}, TestRow{"iterable", plain<is_iterable>},
    TestRow{"sequence", plain<is_sequence>}, TestRow{"callable", plain<is_callable>}, TestRow{"escaped", plain<is_escaped>},
    TestRow{"upper", has_case<is_upper, is_lower>}, TestRow{"lower", has_case<is_lower, is_upper>}, TestRow{"odd", is_odd}, TestRow{"even", is_even},
    TestRow{"divisibleby", is_divisible}, TestRow{"in", is_in}, TestRow{"sameas", is_same}, TestRow{"filter", is_filter}, TestRow{"test", is_test},
    TestRow{"eq", is_equal}, TestRow{"equalto", is_equal}, TestRow{"==", is_equal}, TestRow{"ne", is_unequal}, TestRow{"!=", is_unequal},
    TestRow{"lt", is_ordered<-1, false>}, TestRow{"lessthan", is_ordered<-1, false>}, TestRow{"<", is_ordered<-1, false>},
    TestRow{"le", is_ordered<-1, true>}, TestRow{"<=", is_ordered<-1, true>}, TestRow{"gt", is_ordered<1, false>}, TestRow{"greaterthan", is_ordered<1, false>},
    TestRow{">", is_ordered<1, false>}, TestRow{"ge", is_ordered<1, true>}, TestRow{">=", is_ordered<1, true>}};

}  // namespace

const TestRow* find_test(std::string_view name) {
  for (const TestRow& row : kTests)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace assay::jinja

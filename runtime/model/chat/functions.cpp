// Functions that templates call by name, and printf's formats.
#include <fmt/format.h>
#include <fmt/printf.h>

#include <array>
#include <cmath>
#include <ctime>

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as Jinja's sandbox has it

Error wrong(std::string detail) { return Error{Code::malformed, "function", std::move(detail)}; }

Result<Value> make_range(Machine& machine, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"start", "stop", "step"}));
  ASSAY_TRY(std::int64_t start, bound.integer(0));
  std::int64_t stop = start, by = 1;
  if (bound.at(1) == nullptr) {
    start = 0;
  } else {
    ASSAY_TRY(stop, bound.integer(1));
    ASSAY_TRY(by, bound.integer(2, 1));
  }
  if (by == 0) return wrong("range cannot go in steps of 0");
  constexpr std::int64_t kFar = std::int64_t{1} << 60;
  if (std::abs(start) > kFar || std::abs(stop) > kFar || std::abs(by) > kFar) return wrong("range takes smaller numbers");
  const std::int64_t span = by > 0 ? stop - start : start - stop;
  const std::int64_t count = span <= 0 ? 0 : (span - 1) / std::abs(by) + 1;
  if (count > kMaxRange) return Error{Code::range, "range", fmt::format("range of more than {} numbers", kMaxRange)};
  std::vector<Value> items;
  for (std::int64_t i = 0; i < count; ++i) items.push_back(start + i * by);
  ASSAY_TRY(List* list, machine.store().list(std::move(items), ListForm::range));
  return Value(list);
}

Result<Value> make_dict(Machine& machine, const Arguments& arguments, bool is_namespace) {
  ASSAY_TRY(Dict* dict, machine.store().dict());
  dict->is_namespace = is_namespace;
  if (arguments.positional.size() > 1) return wrong("at most one mapping is taken");
  if (!arguments.positional.empty()) {
    const Dict* from = as_dict(arguments.positional[0]);
    if (from == nullptr) return wrong("a mapping is needed");
    for (const auto& [key, value] : from->entries) ASSAY_TRY_VOID(machine.store().set(*dict, key, value));
  }
  for (const auto& [name, value] : arguments.named) ASSAY_TRY_VOID(machine.store().set(*dict, Text{name}, value));
  return Value(dict);
}

Result<Value> refuse_conversation(Machine& machine, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"message"}));
  ASSAY_TRY(const std::string message, machine.text_of(bound.value_or(0, Text{})));
  return Error{Code::malformed, "conversation", "the template refuses this conversation: " + message};
}

Result<Value> format_time(Machine& machine, const Arguments& arguments) {
  ASSAY_TRY(const Bound bound, Bound::make(arguments, {"format"}));
  ASSAY_TRY(const std::string_view format, bound.text(0));
  if (format.size() > 1000) return wrong("strftime_now takes at most 1000 characters");
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (i + 1 < format.size() && format[i + 1] == '-') ++i;
    if (++i >= format.size() || std::string_view("aAbBcdeDFHIjklmMpPRSTuUwWxXyY%").find(format[i]) == std::string_view::npos)
      return Error{Code::unsupported, "strftime_now", fmt::format("the time format \"{}\" is not supported", format)};
  }
  char text[8192];
  const std::size_t size = std::strftime(text, sizeof text, std::string(format).c_str(), &machine.now());
  return machine.store().text(std::string(text, size));
}

}  // namespace

std::optional<Function> find_function(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Function>, 5> kFunctions = {{{"range", Function::range},
                                                                               {"dict", Function::dict},
                                                                               {"namespace", Function::make_namespace},
                                                                               {"raise_exception", Function::raise_exception},
                                                                               {"strftime_now", Function::strftime_now}}};
  for (const auto& [known, function] : kFunctions)
    if (known == name) return function;
  return std::nullopt;
}

Result<Value> call_function(Machine& machine, Function function, const Arguments& arguments) {
  switch (function) {
    case Function::range: return make_range(machine, arguments);
    case Function::dict: return make_dict(machine, arguments, false);
    case Function::make_namespace: return make_dict(machine, arguments, true);
    case Function::raise_exception: return refuse_conversation(machine, arguments);
    case Function::strftime_now: return format_time(machine, arguments);
  }
  return wrong("no such function");
}

namespace {

struct Conversion {
  std::string flags;
  int width = 0, precision = -1;
  char kind = '\0';
};

// "%-5.2f" from after its "%"; `at` then stands behind it.
Result<Conversion> read_conversion(std::string_view pattern, std::size_t& at) {
  Conversion out;
  const auto number = [&] {
    int value = 0;
    for (; at < pattern.size() && pattern[at] >= '0' && pattern[at] <= '9' && value < 100'000; ++at) value = value * 10 + (pattern[at] - '0');
    return value;
  };
  for (; at < pattern.size() && std::string_view("-+ 0#").find(pattern[at]) != std::string_view::npos; ++at)
    if (out.flags.find(pattern[at]) == std::string::npos) out.flags += pattern[at];
  out.width = number();
  if (at < pattern.size() && pattern[at] == '.') {
    ++at;
    out.precision = number();
  }
  if (out.width > 1000 || out.precision > 1000) return wrong("a format takes a width of at most 1000");
  if (at >= pattern.size()) return wrong("the format ends after a \"%\"");
  out.kind = pattern[at++];
  if (std::string_view("sdiufFeEgGxXr").find(out.kind) == std::string_view::npos) return Error{Code::unsupported, "format", fmt::format("the format \"%{}\" is not supported", out.kind)};
  return out;
}

template <class T>
Result<std::string> print_number(const std::string& pattern, T number) {
  try {
    return fmt::sprintf(pattern, number);
  } catch (const fmt::format_error&) {
    return Error{Code::unsupported, "format", fmt::format("the format \"{}\" is not supported", pattern)};
  }
}

Result<std::string> convert(Machine& machine, const Conversion& how, const Value& value) {
  std::string pattern = "%" + how.flags + (how.width > 0 ? std::to_string(how.width) : "");
  if (how.precision >= 0) pattern += "." + std::to_string(how.precision);
  if (how.kind == 's' || how.kind == 'r') {
    ASSAY_TRY(std::string text, how.kind == 's' ? machine.text_of(value) : to_literal(value, machine.text_limit()));
    if (how.precision >= 0) text.resize(byte_of(text, static_cast<std::size_t>(how.precision)));
    const auto size = static_cast<int>(count_characters(text));
    const std::string padding(static_cast<std::size_t>(std::max(0, how.width - size)), ' ');
    return how.flags.find('-') != std::string::npos ? text + padding : padding + text;
  }
  double number = 0;
  if (!as_number(value, number)) return wrong(fmt::format("the format \"%{}\" needs a number, not a {}", how.kind, type_name(value)));
  std::int64_t of_bool = 0;
  const std::int64_t* integer = as_integer(value, of_bool);
  if (std::string_view("fFeEgG").find(how.kind) != std::string_view::npos) return print_number(pattern + how.kind, number);
  if (integer == nullptr && (how.kind == 'x' || how.kind == 'X')) return wrong("the format \"%x\" needs an integer");
  if (integer == nullptr && !(std::fabs(number) < 9.2e18)) return Error{Code::range, "integer", "an integer of more than 64 bits"};
  const auto whole = integer ? *integer : static_cast<std::int64_t>(number);
  if (how.kind == 'x' || how.kind == 'X') {
    if (whole < 0) return Error{Code::unsupported, "format", "the format \"%x\" of a negative number is not supported"};
    return print_number(pattern + how.kind, whole);
  }
  return print_number(pattern + 'd', whole);
}

}  // namespace

Result<Value> format_text(Machine& machine, std::string_view pattern, const std::vector<Value>& values) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] != '%') {
      out += pattern[at++];
      continue;
    }
    ++at;
    if (at < pattern.size() && pattern[at] == '%') {
      out += pattern[at++];
      continue;
    }
    if (at < pattern.size() && pattern[at] == '(') return Error{Code::unsupported, "format", "formats with names, %(name)s, are not supported"};
    ASSAY_TRY(const Conversion how, read_conversion(pattern, at));
    if (next >= values.size()) return wrong("there are fewer values than the format has places");
    ASSAY_TRY(const std::string text, convert(machine, how, values[next++]));
    out += text;
    if (out.size() > machine.text_limit()) return too_long();
  }
  // A single mapping may stay unused, as in Python.
  if (next < values.size() && !(values.size() == 1 && as_dict(values[0]))) return wrong("there are more values than the format has places");
  return machine.store().text(std::move(out));
}

}  // namespace assay::jinja

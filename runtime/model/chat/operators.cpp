// Arithmetic and containment by Python's rules; integers have 64 bits and say so when that is not enough.
#include <fmt/format.h>

#include <cmath>

#include "runtime/model/chat/machine.h"
#include "runtime/model/chat/text.h"

namespace assay::jinja {

namespace {

Error too_large() { return Error{Code::range, "integer", "an integer of more than 64 bits"}; }

Result<Value> power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  std::int64_t out = 1;
  if (exponent > 64 && base >= -1 && base <= 1) exponent = exponent % 2 == 0 ? 2 : 1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(out, base, &out)) return too_large();
  return Value(out);
}

Result<Value> calculate_integers(std::string_view symbol, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (symbol == "+") return __builtin_add_overflow(a, b, &out) ? Result<Value>(too_large()) : Value(out);
  if (symbol == "-") return __builtin_sub_overflow(a, b, &out) ? Result<Value>(too_large()) : Value(out);
  if (symbol == "*") return __builtin_mul_overflow(a, b, &out) ? Result<Value>(too_large()) : Value(out);
  if (symbol == "**") return power(a, b);
  if (b == 0) return Error{Code::malformed, "division", "division by zero"};
  if (symbol == "/") return Value(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) return symbol == "%" ? Value(std::int64_t{0}) : calculate_integers("-", 0, a);
  const std::int64_t quotient = a / b, remainder = a % b;
  const bool rounds_down = remainder != 0 && (remainder < 0) != (b < 0);
  if (symbol == "//") return Value(quotient - (rounds_down ? 1 : 0));
  return Value(rounds_down ? remainder + b : remainder);
}

Result<Value> calculate_floats(std::string_view symbol, double a, double b) {
  if (symbol == "+") return Value(a + b);
  if (symbol == "-") return Value(a - b);
  if (symbol == "*") return Value(a * b);
  if (symbol == "**") return Value(std::pow(a, b));
  if (b == 0) return Error{Code::malformed, "division", "division by zero"};
  if (symbol == "/") return Value(a / b);
  if (symbol == "//") return Value(std::floor(a / b));
  const double remainder = std::fmod(a, b);
  return Value(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder);
}

Result<Value> repeat_text(Machine& machine, const Text& text, std::int64_t times) {
  const std::uint64_t count = times < 0 ? 0 : static_cast<std::uint64_t>(times);
  if (count > 0 && text.bytes.size() > machine.text_limit() / count) return too_long();
  std::string out;
  for (std::uint64_t i = 0; i < count && !text.bytes.empty(); ++i) out += text.bytes;
  return machine.store().text(std::move(out), text.is_safe);
}

Result<Value> repeat_list(Machine& machine, const List& list, std::int64_t times) {
  const std::uint64_t count = times < 0 || list.items.empty() ? 0 : static_cast<std::uint64_t>(times);
  if (count > 1'000'000 || count * list.items.size() > 1'000'000) return Error{Code::memory, "list", "grows beyond a million items"};
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < count; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
  ASSAY_TRY(List* out, machine.store().list(std::move(items), list.form));
  return Value(out);
}

Result<Value> join_texts(Machine& machine, const Text& a, const Text& b) {
  if (a.bytes.size() + b.bytes.size() > machine.text_limit()) return too_long();
  const bool is_safe = a.is_safe || b.is_safe;
  const auto part = [&](const Text& text) { return is_safe && !text.is_safe ? escape_html(text.bytes) : std::string(text.bytes); };
  return machine.store().text(part(a) + part(b), is_safe);
}

}  // namespace

Result<Value> Machine::calculate(std::string_view symbol, const Value& a, const Value& b) {
  if (symbol == "%")
    if (const Text* pattern = as<Text>(a)) {
      const List* tuple = as_list(b);
      return format_text(*this, pattern->bytes, tuple != nullptr && tuple->form == ListForm::tuple ? tuple->items : std::vector<Value>{b});
    }
  for (const Value* value : {&a, &b})
    if (const Undefined* undefined = as<Undefined>(*value)) return Error{Code::malformed, "value", why(*undefined)};
  std::int64_t a_bool = 0, b_bool = 0;
  const std::int64_t *a_integer = as_integer(a, a_bool), *b_integer = as_integer(b, b_bool);
  if (a_integer && b_integer) return calculate_integers(symbol, *a_integer, *b_integer);
  double a_number = 0, b_number = 0;
  if (as_number(a, a_number) && as_number(b, b_number)) return calculate_floats(symbol, a_number, b_number);
  const Text *a_text = as<Text>(a), *b_text = as<Text>(b);
  const List *a_list = as_list(a), *b_list = as_list(b);
  if (symbol == "+" && a_text && b_text) return join_texts(*this, *a_text, *b_text);
  if (symbol == "+" && a_list && b_list && a_list->form == b_list->form && a_list->form <= ListForm::tuple) {
    ASSAY_TRY_VOID(store_.charge((a_list->items.size() + b_list->items.size()) * sizeof(Value)));
    std::vector<Value> items = a_list->items;
    items.insert(items.end(), b_list->items.begin(), b_list->items.end());
    ASSAY_TRY(List* out, store_.list(std::move(items), a_list->form));
    return Value(out);
  }
  if (symbol == "*" && (a_integer || b_integer)) {
    const std::int64_t times = a_integer ? *a_integer : *b_integer;
    if (a_text || b_text) return repeat_text(*this, a_text ? *a_text : *b_text, times);
    const List* list = a_list ? a_list : b_list;
    if (list != nullptr && list->form <= ListForm::tuple) return repeat_list(*this, *list, times);
  }
  return Error{Code::malformed, "operator", fmt::format("\"{}\" cannot join a {} and a {}", symbol, type_name(a), type_name(b))};
}

Result<bool> Machine::contains(const Value& container, const Value& element) {
  if (const Text* text = as<Text>(container)) {
    const Text* part = as<Text>(element);
    if (part == nullptr) return Error{Code::malformed, "in", fmt::format("a str contains texts only, not a {}", is_undefined(element) ? why(*as<Undefined>(element)) : std::string(type_name(element)))};
    ASSAY_TRY_VOID(spend(text->bytes.size()));
    return text->bytes.find(part->bytes) != std::string_view::npos;
  }
  if (Dict* dict = as_dict(container)) {
    ASSAY_TRY_VOID(spend(dict->entries.size() * 16));
    if (!is_hashable(element)) return Error{Code::malformed, "in", fmt::format("a {} cannot be a key", type_name(element))};
    return find(*dict, element) != nullptr;
  }
  if (List* list = as_list(container)) {
    ASSAY_TRY_VOID(spend(list->items.size() * 16));
    bool found = false;
    for (const Value& item : list->items) found = found || are_equal(item, element);
    if (list->form == ListForm::generator) list->items.clear();
    return found;
  }
  if (is_undefined(container)) return false;
  return Error{Code::malformed, "in", fmt::format("a {} contains nothing", type_name(container))};
}

}  // namespace assay::jinja

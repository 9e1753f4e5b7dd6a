// The two halves of the table of filters, and what they share.
#pragma once

#include <span>

#include "runtime/model/chat/machine.h"

namespace assay::jinja {

std::span<const FilterRow> text_filters();
std::span<const FilterRow> sequence_filters();

inline bool is_safe(const Value& value) { return as<Text>(value) != nullptr && as<Text>(value)->is_safe; }
inline Error wrong(std::string detail) { return Error{Code::malformed, "filter", std::move(detail)}; }
// Errors: the value is undefined, by its name.
inline Result<> require_defined(const Value& value) {
  if (const Undefined* undefined = as<Undefined>(value)) return Error{Code::malformed, "value", why(*undefined)};
  return success();
}
// int() and float() of Python: nothing where they would fail.
std::optional<std::int64_t> parse_integer(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace assay::jinja

// Arguments by place and by name.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/model/chat/builtins.h"

namespace assay::jinja {

Result<Bound> Bound::make(const Arguments& arguments, std::initializer_list<std::string_view> names) {
  Bound out;
  out.names_ = names;
  out.values_.resize(names.size());
  if (arguments.positional.size() > names.size()) return Error{Code::malformed, "call", fmt::format("at most {} arguments are taken, not {}", names.size(), arguments.positional.size())};
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) out.values_[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return Error{Code::malformed, "call", fmt::format("there is no argument '{}'", name)};
    auto& slot = out.values_[static_cast<std::size_t>(found - names.begin())];
    if (slot) return Error{Code::malformed, "call", fmt::format("the argument '{}' is given twice", name)};
    slot = value;
  }
  return out;
}

Result<std::int64_t> Bound::integer(std::size_t index, std::optional<std::int64_t> otherwise) const {
  const Value* value = at(index);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) return Error{Code::malformed, "call", fmt::format("the argument '{}' is missing", names_[index])};
  std::int64_t of_bool = 0;
  if (const std::int64_t* integer = as_integer(*value, of_bool)) return *integer;
  return Error{Code::malformed, "call", fmt::format("the argument '{}' must be an integer, not a {}", names_[index], type_name(*value))};
}

Result<std::string_view> Bound::text(std::size_t index, std::optional<std::string_view> otherwise) const {
  const Value* value = at(index);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) return Error{Code::malformed, "call", fmt::format("the argument '{}' is missing", names_[index])};
  if (const Text* text = as<Text>(*value)) return text->bytes;
  return Error{Code::malformed, "call", fmt::format("the argument '{}' must be a text, not a {}", names_[index], type_name(*value))};
}

}  // namespace assay::jinja

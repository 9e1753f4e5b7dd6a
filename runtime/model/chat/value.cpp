// The store, and Python's rules of truth, equality and order.
#include "runtime/model/chat/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace assay::jinja {

namespace {

constexpr int kMaxDepth = 100;           // of values inside values
constexpr std::uint64_t kVisits = 1e6;   // values looked at in one comparison: shared lists can unfold without end

Error too_deep() { return Error{Code::range, "value", "lists and mappings are nested too deeply"}; }

}  // namespace

Error too_long() { return Error{Code::memory, "text", "a text grows beyond what a template may use"}; }

std::string why(const Undefined& undefined) {
  if (undefined.of.empty()) return fmt::format("'{}' is undefined", undefined.name);
  if (undefined.name.empty()) return fmt::format("the {} has no such item", undefined.of);
  return fmt::format("the {} has no '{}'", undefined.of, undefined.name);
}

Result<> Store::charge(std::uint64_t bytes) {
  if (bytes > limit_bytes_ - used_bytes_)
    return Error{Code::memory, "memory", fmt::format("needs more than the {} MB that a template may use", limit_bytes_ >> 20)};
  used_bytes_ += bytes;
  return success();
}

Result<Value> Store::text(std::string bytes, bool is_safe) {
  ASSAY_TRY_VOID(charge(bytes.size() + sizeof(std::string)));
  return Value(Text{texts_.emplace_back(std::move(bytes)), is_safe});
}

Result<List*> Store::list(std::vector<Value> items, ListForm form, std::string_view name) {
  ASSAY_TRY_VOID(charge(items.size() * sizeof(Value) + sizeof(List)));
  return &lists_.emplace_back(List{form, std::move(items), name});
}

Result<Dict*> Store::dict() {
  ASSAY_TRY_VOID(charge(sizeof(Dict)));
  return &dicts_.emplace_back();
}

Result<> Store::append(List& list, Value value) {
  ASSAY_TRY_VOID(charge(sizeof(Value)));
  list.items.push_back(value);
  return success();
}

Result<> Store::set(Dict& dict, Value key, Value value) {
  if (!is_hashable(key)) return Error{Code::type, "key", fmt::format("a {} cannot be a key", type_name(key))};
  if (Value* found = find(dict, key)) {
    *found = value;
    return success();
  }
  ASSAY_TRY_VOID(charge(2 * sizeof(Value)));
  dict.entries.emplace_back(key, value);
  return success();
}

Result<Value> Store::method(Value self, std::string_view name) {
  ASSAY_TRY_VOID(charge(sizeof(Method)));
  return Value(&methods_.emplace_back(Method{self, name}));
}

Result<Value> Store::from_json(const Json& json) {
  if (json.is_null()) return Value(None{});
  if (const auto boolean = json.boolean()) return Value(*boolean);
  if (const auto integer = json.integer()) return Value(*integer);
  if (const auto number = json.number()) return Value(*number);
  if (const std::string* string = json.string()) return text(*string);
  if (const Json::Array* array = json.array()) {
    ASSAY_TRY(List* out, list({}));
    for (const Json& element : *array) {
      ASSAY_TRY(const Value value, from_json(element));
      ASSAY_TRY_VOID(append(*out, value));
    }
    return Value(out);
  }
  ASSAY_TRY(Dict* out, dict());
  std::unordered_map<std::string_view, std::size_t> places;  // a later member of the same name replaces an earlier one
  for (const auto& [name, member] : *json.object()) {
    ASSAY_TRY(const Value value, from_json(member));
    const auto [place, is_new] = places.emplace(name, out->entries.size());
    if (!is_new) {
      out->entries[place->second].second = value;
      continue;
    }
    ASSAY_TRY(const Value key, text(name));
    ASSAY_TRY_VOID(charge(2 * sizeof(Value)));
    out->entries.emplace_back(key, value);
  }
  return Value(out);
}

Dict* as_dict(const Value& value) {
  Dict* const* found = std::get_if<Dict*>(&value);
  return found && !(*found)->is_namespace ? *found : nullptr;
}

Dict* as_namespace(const Value& value) {
  Dict* const* found = std::get_if<Dict*>(&value);
  return found && (*found)->is_namespace ? *found : nullptr;
}

const std::int64_t* as_integer(const Value& value, std::int64_t& of_bool) {
  if (const bool* boolean = as<bool>(value)) {
    of_bool = *boolean ? 1 : 0;
    return &of_bool;
  }
  return as<std::int64_t>(value);
}

bool as_number(const Value& value, double& out) {
  std::int64_t of_bool = 0;
  if (const std::int64_t* integer = as_integer(value, of_bool))
    out = static_cast<double>(*integer);
  else if (const double* number = as<double>(value))
    out = *number;
  else
    return false;
  return true;
}

std::string_view type_name(const Value& value) {
  if (const List* list = as_list(value)) {
    switch (list->form) {
      case ListForm::list: return "list";
      case ListForm::tuple: return "tuple";
      case ListForm::generator: return "generator";
      case ListForm::view: return list->name;
      case ListForm::range: return "range";
    }
  }
  if (as_namespace(value)) return "namespace";
  constexpr std::string_view kNames[] = {"undefined", "none", "bool", "int", "float", "str", "list", "dict", "macro", "method", "loop", "function"};
  return kNames[value.index()];
}

bool is_true(const Value& value) {
  if (const bool* boolean = as<bool>(value)) return *boolean;
  if (const std::int64_t* integer = as<std::int64_t>(value)) return *integer != 0;
  if (const double* number = as<double>(value)) return *number != 0;
  if (const Text* text = as<Text>(value)) return !text->bytes.empty();
  if (const List* list = as_list(value)) return list->form == ListForm::generator || !list->items.empty();
  if (const Dict* dict = as_dict(value)) return !dict->entries.empty();
  return !is_undefined(value) && !is_none(value);
}

namespace {

bool are_equal(const Value& a, const Value& b, int depth, std::uint64_t& visits);

bool are_equal_lists(const List& a, const List& b, int depth, std::uint64_t& visits) {
  if (&a == &b) return true;
  const bool compares = a.form == b.form && a.form != ListForm::generator && (a.form != ListForm::view || a.name == "dict_keys");
  if (!compares || a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!are_equal(a.items[i], b.items[i], depth + 1, visits)) return false;
  return true;
}

bool are_equal_dicts(Dict& a, Dict& b, int depth, std::uint64_t& visits) {
  if (&a == &b) return true;
  if (a.is_namespace || b.is_namespace || a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = find(b, key);
    if (other == nullptr || !are_equal(value, *other, depth + 1, visits)) return false;
  }
  return true;
}

bool are_equal(const Value& a, const Value& b, int depth, std::uint64_t& visits) {
  if (depth > kMaxDepth || visits == 0) return false;
  --visits;
  std::int64_t a_bool = 0, b_bool = 0;
  const std::int64_t* a_integer = as_integer(a, a_bool);
  const std::int64_t* b_integer = as_integer(b, b_bool);
  if (a_integer && b_integer) return *a_integer == *b_integer;
  double a_number = 0, b_number = 0;
  if (as_number(a, a_number) && as_number(b, b_number)) return a_number == b_number;
  if (a.index() != b.index()) return false;
  if (const Text* text = as<Text>(a)) return text->bytes == as<Text>(b)->bytes;
  if (const List* list = as_list(a)) return are_equal_lists(*list, *as_list(b), depth, visits);
  if (Dict* const* dict = std::get_if<Dict*>(&a)) return are_equal_dicts(**dict, *std::get<Dict*>(b), depth, visits);
  if (const auto* macro = as<const Macro*>(a)) return *macro == *as<const Macro*>(b);
  if (const auto* method = as<const Method*>(a)) return *method == *as<const Method*>(b);
  if (const auto* loop = as<Loop*>(a)) return *loop == *as<Loop*>(b);
  if (const Function* function = as<Function>(a)) return *function == *as<Function>(b);
  return true;  // both undefined, or both none
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

Result<int> compare(const Value& a, const Value& b, int depth) {
  if (depth > kMaxDepth) return too_deep();
  std::int64_t a_bool = 0, b_bool = 0;
  const std::int64_t* a_integer = as_integer(a, a_bool);
  const std::int64_t* b_integer = as_integer(b, b_bool);
  if (a_integer && b_integer) return order(*a_integer, *b_integer);
  double a_number = 0, b_number = 0;
  if (as_number(a, a_number) && as_number(b, b_number)) return order(a_number, b_number);
  const Text *a_text = as<Text>(a), *b_text = as<Text>(b);
  if (a_text && b_text) return order(a_text->bytes, b_text->bytes);
  const List *a_list = as_list(a), *b_list = as_list(b);
  if (a_list && b_list && a_list->form == b_list->form && a_list->form <= ListForm::tuple) {
    for (std::size_t i = 0; i < std::min(a_list->items.size(), b_list->items.size()); ++i)
      if (!are_equal(a_list->items[i], b_list->items[i])) return compare(a_list->items[i], b_list->items[i], depth + 1);
    return order(a_list->items.size(), b_list->items.size());
  }
  return Error{Code::type, "order", fmt::format("a {} and a {} have no order", type_name(a), type_name(b))};
}

}  // namespace

bool are_equal(const Value& a, const Value& b) {
  std::uint64_t visits = kVisits;
  return are_equal(a, b, 0, visits);
}

Result<int> compare(const Value& a, const Value& b) { return compare(a, b, 0); }

Value* find(Dict& dict, const Value& key) {
  for (auto& [known, value] : dict.entries)
    if (are_equal(known, key)) return &value;
  return nullptr;
}

Value* find(Dict& dict, std::string_view key) {
  for (auto& [known, value] : dict.entries)
    if (const Text* text = as<Text>(known); text != nullptr && text->bytes == key) return &value;
  return nullptr;
}

bool is_hashable(const Value& value) {
  if (as_dict(value)) return false;
  const List* list = as_list(value);
  if (list == nullptr || list->form == ListForm::range || list->form == ListForm::generator) return true;
  return list->form == ListForm::tuple && list->items.size() < 16 && std::all_of(list->items.begin(), list->items.end(), [](const Value& item) { return !as_list(item) && !as_dict(item); });
}

}  // namespace assay::jinja

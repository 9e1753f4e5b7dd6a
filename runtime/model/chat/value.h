// What a chat template computes with: Python's values as far as templates use them, in a store that counts its memory.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay::jinja {

struct List;
struct Dict;
struct Macro;
struct Method;
struct Loop;

struct Undefined {
  std::string_view name{};  // of the variable, or of what was looked for in a value
  std::string_view of{};    // the type of that value
};
// "'x' is undefined", "a dict has no 'x'"
std::string why(const Undefined& undefined);
struct None {};
struct Text {
  std::string_view bytes;  // UTF-8
  bool is_safe = false;    // escaped already, or said to be
};
// Names that a template finds without anybody setting them.
enum class Function : std::uint8_t { range, dict, make_namespace, raise_exception, strftime_now };

// Lists and dicts are shared by reference, as in Python; all of them live in a Store.
using Value = std::variant<Undefined, None, bool, std::int64_t, double, Text, List*, Dict*, const Macro*, const Method*, Loop*, Function>;

// What Python has several types for. Generators are true whatever they hold, have no length and give their items once.
enum class ListForm : std::uint8_t { list, tuple, generator, view, range };
struct List {
  ListForm form = ListForm::list;
  std::vector<Value> items;
  std::string_view name{};  // of a view: "dict_items"; of a generator: what made it
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;  // in the order in which they came
  bool is_namespace = false;
};

// A method that was taken from a value and not called yet: {% set upper = name.upper %}.
struct Method {
  Value self;
  std::string_view name;
};

// A text that would grow beyond what a template may use.
Error too_long();

// Owns every value of one rendering. Nothing is freed before its end, so that what was allocated bounds what was done.
class Store {
 public:
  explicit Store(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  Store(const Store&) = delete;

  // Counts bytes that are about to be used. Errors: memory, beyond the limit; nothing must be allocated then.
  Result<> charge(std::uint64_t bytes);
  std::uint64_t used_bytes() const { return used_bytes_; }

  Result<Value> text(std::string bytes, bool is_safe = false);
  Result<List*> list(std::vector<Value> items, ListForm form = ListForm::list, std::string_view name = {});
  Result<Dict*> dict();
  Result<> append(List& list, Value value);
  // Replaces or appends.
  Result<> set(Dict& dict, Value key, Value value);
  Result<Value> method(Value self, std::string_view name);
  Result<Value> from_json(const Json& json);

 private:
  std::uint64_t limit_bytes_, used_bytes_ = 0;
  std::deque<std::string> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Method> methods_;
};

template <class T>
const T* as(const Value& value) {
  return std::get_if<T>(&value);
}
inline List* as_list(const Value& value) {
  List* const* found = std::get_if<List*>(&value);
  return found ? *found : nullptr;
}
// A mapping: a dict, not a namespace.
Dict* as_dict(const Value& value);
Dict* as_namespace(const Value& value);
inline bool is_undefined(const Value& value) { return std::holds_alternative<Undefined>(value); }
inline bool is_none(const Value& value) { return std::holds_alternative<None>(value); }
// Integers and truth values, which Python counts among them.
const std::int64_t* as_integer(const Value& value, std::int64_t& of_bool);
bool as_number(const Value& value, double& out);

// "str", "list", "dict": what messages call it.
std::string_view type_name(const Value& value);
bool is_true(const Value& value);
bool are_equal(const Value& a, const Value& b);
// -1, 0 or 1. Errors: type, when the two have no order.
Result<int> compare(const Value& a, const Value& b);
Value* find(Dict& dict, const Value& key);
Value* find(Dict& dict, std::string_view key);
// Whether it may be a key: lists and dicts may not.
bool is_hashable(const Value& value);

// The text that {{ value }} prints: str() of Python. Errors: memory, when it grows beyond the limit; values that hold
// themselves are cut at a depth.
Result<std::string> to_text(const Value& value, std::uint64_t limit_bytes);
// As Python writes it in a program: repr().
Result<std::string> to_literal(const Value& value, std::uint64_t limit_bytes);
// Python's str() of a float: the shortest digits that read back, "1.0", "1e+16".
std::string float_text(double value);

struct JsonStyle {
  int indent = -1;  // below 0: on one line
  bool ascii = false;
  bool sorts_keys = false;
  std::string item_separator = ", ", key_separator = ": ";
};
// json.dumps() as transformers calls it. Errors: type (a value JSON cannot hold), memory.
Result<std::string> to_json(const Value& value, const JsonStyle& style, std::uint64_t limit_bytes);

}  // namespace assay::jinja

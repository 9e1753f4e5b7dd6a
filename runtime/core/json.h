// Json: a small document tree that keeps key order and duplicate keys (a validator must see both). Boost.JSON parses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(std::uint64_t value) : value_(value) {}
  Json(int value) : value_(static_cast<std::int64_t>(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_integer() const {
    return std::holds_alternative<std::int64_t>(value_) || std::holds_alternative<std::uint64_t>(value_);
  }
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }

  // The value when it has that kind (and, for integers, that range), else nothing / nullptr.
  std::optional<bool> boolean() const;
  std::optional<double> number() const;
  std::optional<std::int64_t> integer() const;
  std::optional<std::uint64_t> unsigned_integer() const;
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  Array* array() { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }
  Object* object() { return std::get_if<Object>(&value_); }

  // The member of an object (the last one when a key stands twice), nullptr when this is no object or has no such key.
  const Json* find(std::string_view key) const;
  // Appends a member; makes a null into an object.
  Json& set(std::string_view key, Json value);
  // Appends an element; makes a null into an array.
  Json& push(Json value);

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> value_;
};

struct JsonLimits {
  std::size_t max_depth = 64;
  // What the tree may take in memory, roughly; a few bytes of text can ask for a hundred.
  std::size_t max_tree_bytes = static_cast<std::size_t>(-1);
};

// A document as it is read, without a tree: for texts whose size nobody vouches for. Every answer says whether to go
// on.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual bool begin_object() = 0;
  virtual bool end_object() = 0;
  virtual bool begin_array() = 0;
  virtual bool end_array() = 0;
  // `at`: where the key's text stands, when it stands there without escapes.
  virtual bool key(std::string_view text, std::optional<std::size_t> at) = 0;
  virtual bool string(std::string_view text) = 0;
  virtual bool scalar(const Json& value) = 0;  // a number, a bool or null
};

// Reads strict JSON into `events`. The error's offset is the byte where reading stopped; Code::interrupted when an
// event answered no.
Result<> read_json(std::string_view text, JsonEvents& events, JsonLimits limits = {});

// Parses strict JSON (UTF-8 checked, no comments, no trailing commas). The error's offset is the byte where parsing
// stopped.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

// Compact text, or indented by `indent` spaces. NaN and infinity are written as null. Strings are escaped so that the
// text is safe inside an HTML script element too ('<' and U+2028/2029 are escaped).
std::string to_text(const Json& value, int indent = 0);

// Quoted and escaped JSON string.
std::string quote_json(std::string_view text);

}  // namespace assay

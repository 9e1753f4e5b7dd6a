// Metadata: GGUF key-value pairs, typed, with strings and arrays as views into the mapping.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

enum class MetaType : std::uint8_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};  // GGUF's numbers
std::string_view name_of(MetaType type);
// Bytes of one value, 0 for strings and arrays.
std::uint64_t size_of(MetaType type);

// An array as it lies in the file: `count` elements of `element`; strings are length-prefixed one after another.
struct MetaArray {
  MetaType element = MetaType::u8;
  std::uint64_t count = 0;
  Bytes bytes;
};

// Integers are widened (unsigned to u64, signed to i64), floats to double.
using MetaValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, MetaArray>;

struct MetaEntry {
  std::string_view key;
  MetaType type = MetaType::u8;
  MetaValue value;
  std::uint64_t offset = 0;  // of the key in the file
};

class Metadata {
 public:
  void add(MetaEntry entry) { entries_.push_back(entry); }
  const std::vector<MetaEntry>& entries() const { return entries_; }
  const MetaEntry* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // Typed look-ups. Absent key: Code::missing; another type or out of range: Code::type / Code::range; all name the
  // key.
  Result<std::uint64_t> unsigned_integer(std::string_view key) const;  // any integer type, not negative
  Result<double> number(std::string_view key) const;                   // float or integer
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  Result<std::vector<std::string_view>> strings(std::string_view key) const;
  Result<std::vector<std::int64_t>> integers(std::string_view key) const;  // an array of any integer (or bool) type
  Result<std::vector<float>> floats(std::string_view key) const;           // an array of f32 or f64

 private:
  std::vector<MetaEntry> entries_;
};

}  // namespace assay

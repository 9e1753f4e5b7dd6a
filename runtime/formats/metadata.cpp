// Typed look-ups in GGUF metadata.
#include "runtime/formats/metadata.h"

#include <algorithm>
#include <array>
#include <limits>

#include "runtime/formats/reporter.h"

namespace assay {

namespace {

Error wrong_type(const MetaEntry& entry, std::string_view wanted) {
  std::string is = std::string(name_of(entry.type));
  if (const auto* array = std::get_if<MetaArray>(&entry.value)) is = "array of " + std::string(name_of(array->element));
  return Error{Code::type, printable(entry.key), "is of type " + is + ", should be " + std::string(wanted), "",
               entry.offset};
}

Result<const MetaEntry*> required(const Metadata& metadata, std::string_view key) {
  if (const MetaEntry* entry = metadata.find(key)) return entry;
  return Error{Code::missing, std::string(key), "the file has no such key"};
}

Result<MetaArray> array_of(const MetaEntry& entry, std::string_view wanted) {
  if (const auto* array = std::get_if<MetaArray>(&entry.value)) return *array;
  return wrong_type(entry, wanted);
}

Result<std::int64_t> next_integer(ByteReader& reader, const MetaEntry& entry, MetaType element) {
  const auto widen = [](auto value) { return static_cast<std::int64_t>(*value); };
  switch (element) {
    case MetaType::u8:
    case MetaType::boolean:
      return widen(reader.read<std::uint8_t>());
    case MetaType::i8:
      return widen(reader.read<std::int8_t>());
    case MetaType::u16:
      return widen(reader.read<std::uint16_t>());
    case MetaType::i16:
      return widen(reader.read<std::int16_t>());
    case MetaType::u32:
      return widen(reader.read<std::uint32_t>());
    case MetaType::i32:
      return widen(reader.read<std::int32_t>());
    case MetaType::i64:
      return widen(reader.read<std::int64_t>());
    case MetaType::u64: {
      const std::uint64_t value = *reader.read<std::uint64_t>();
      if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return static_cast<std::int64_t>(value);
      return Error{Code::range, printable(entry.key), "an element is " + std::to_string(value) + ", more than fits", "",
                   entry.offset};
    }
    default:
      return wrong_type(entry, "an array of integers");
  }
}

}  // namespace

std::string_view name_of(MetaType type) {
  constexpr std::array<std::string_view, 13> kNames = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                       "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<std::size_t>(type)];
}

std::uint64_t size_of(MetaType type) {
  constexpr std::array<std::uint8_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kSizes[static_cast<std::size_t>(type)];
}

const MetaEntry* Metadata::find(std::string_view key) const {
  for (const MetaEntry& entry : entries_)
    if (entry.key == key) return &entry;
  return nullptr;
}

Result<std::uint64_t> Metadata::unsigned_integer(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  if (const auto* value = std::get_if<std::uint64_t>(&entry->value)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&entry->value)) {
    if (*value >= 0) return static_cast<std::uint64_t>(*value);
    return Error{Code::range, printable(key), "is " + std::to_string(*value) + ", should not be negative", "",
                 entry->offset};
  }
  return wrong_type(*entry, "an integer");
}

Result<double> Metadata::number(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  if (const auto* value = std::get_if<double>(&entry->value)) return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&entry->value)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::int64_t>(&entry->value)) return static_cast<double>(*value);
  return wrong_type(*entry, "a number");
}

Result<bool> Metadata::boolean(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  if (const auto* value = std::get_if<bool>(&entry->value)) return *value;
  return wrong_type(*entry, "a bool");
}

Result<std::string_view> Metadata::string(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  if (const auto* value = std::get_if<std::string_view>(&entry->value)) return *value;
  return wrong_type(*entry, "a string");
}

Result<std::vector<std::string_view>> Metadata::strings(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  ASSAY_TRY(const MetaArray array, array_of(*entry, "an array of strings"));
  if (array.element != MetaType::string) return wrong_type(*entry, "an array of strings");
  std::vector<std::string_view> out;
  out.reserve(std::min<std::uint64_t>(array.count, array.bytes.size() / 8));
  ByteReader reader(array.bytes);
  for (std::uint64_t i = 0; i < array.count; ++i) {
    const auto length = reader.read<std::uint64_t>();
    const auto text = length ? reader.read_text(*length) : std::nullopt;
    if (!text)
      return Error{Code::truncated, printable(key), "element " + std::to_string(i) + " passes the end of the array", "",
                   entry->offset};
    out.push_back(*text);
  }
  return out;
}

Result<std::vector<std::int64_t>> Metadata::integers(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  ASSAY_TRY(const MetaArray array, array_of(*entry, "an array of integers"));
  const std::uint64_t size = size_of(array.element);
  if (size == 0 || array.element == MetaType::f32 || array.element == MetaType::f64)
    return wrong_type(*entry, "an array of integers");
  if (array.bytes.size() / size < array.count)
    return Error{Code::truncated, printable(key), "the array is cut short", "", entry->offset};
  std::vector<std::int64_t> out;
  out.reserve(array.count);
  ByteReader reader(array.bytes);
  for (std::uint64_t i = 0; i < array.count; ++i) {
    ASSAY_TRY(const std::int64_t value, next_integer(reader, *entry, array.element));
    out.push_back(value);
  }
  return out;
}

Result<std::vector<float>> Metadata::floats(std::string_view key) const {
  ASSAY_TRY(const MetaEntry* entry, required(*this, key));
  ASSAY_TRY(const MetaArray array, array_of(*entry, "an array of floats"));
  const bool is_double = array.element == MetaType::f64;
  if (!is_double && array.element != MetaType::f32) return wrong_type(*entry, "an array of floats");
  if (array.bytes.size() / size_of(array.element) < array.count)
    return Error{Code::truncated, printable(key), "the array is cut short", "", entry->offset};
  std::vector<float> out(array.count);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = is_double ? static_cast<float>(load<double>(array.bytes.data() + 8 * i))
                       : load<float>(array.bytes.data() + 4 * i);
  return out;
}

}  // namespace assay

// GGUF strings and key-value pairs: every length is held against the bytes left before it is believed.
#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/formats/gguf_parts.h"

namespace assay::gguf {

bool report_cut(const ByteReader& reader, Reporter& report, std::string_view what, std::string_view subject) {
  report.error({.rule = "gguf.truncated",
                .code = Code::truncated,
                .offset = reader.offset(),
                .subject = printable(subject),
                .message = "the file ends inside " + std::string(what) + ": " + std::to_string(reader.remaining()) +
                           " bytes are left",
                .advice = std::string(kDownloadAgain)});
  return false;
}

std::optional<std::string_view> read_text(ByteReader& reader, Reporter& report, std::string_view what,
                                          std::string_view subject) {
  const std::uint64_t at = reader.offset();
  const auto length = reader.read<std::uint64_t>();
  if (!length) return report_cut(reader, report, "the length of " + std::string(what), subject), std::nullopt;
  if (const auto text = reader.read_text(*length)) return text;
  report.error({.rule = "gguf.string.past-end",
                .code = Code::truncated,
                .offset = at,
                .subject = printable(subject),
                .message = std::string(what) + " declares " + std::to_string(*length) + " bytes, but only " +
                           std::to_string(reader.remaining()) + " are left in the file",
                .advice = std::string(kDownloadAgain)});
  return std::nullopt;
}

namespace {

constexpr std::size_t kMaxKey = 65535;

// "key 17", for what has no name yet.
std::string key_number(std::uint64_t index) {
  return "key " + std::to_string(index);
}

bool check_key(std::string_view key, std::uint64_t index, std::uint64_t at, Reporter& report) {
  if (key.empty())
    return report.error({.rule = "gguf.key.empty",
                         .code = Code::malformed,
                         .offset = at,
                         .subject = key_number(index),
                         .message = "the key is empty",
                         .advice = "the writer is at fault: convert the model again"});
  if (key.size() > kMaxKey)
    return report.error({.rule = "gguf.key.too-long",
                         .code = Code::range,
                         .offset = at,
                         .subject = printable(key),
                         .message = "the key has " + std::to_string(key.size()) + " bytes; 65535 are allowed",
                         .advice = std::string(kDownloadAgain)});
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (std::all_of(key.begin(), key.end(), is_plain)) return true;
  if (!is_utf8(key))
    return report.warning({.rule = "gguf.key.not-utf8",
                           .code = Code::malformed,
                           .offset = at,
                           .subject = printable(key),
                           .message = "the key is not valid UTF-8",
                           .advice = "the file may be damaged: compare its hash"});
  return report.note({.rule = "gguf.key.grammar",
                      .code = Code::malformed,
                      .offset = at,
                      .subject = printable(key),
                      .message = "the key is not in lower_snake_case with dots",
                      .advice = "harmless; the writer should rename it"});
}

bool report_type(Reporter& report, std::uint64_t at, std::string_view key, std::string_view what, std::uint32_t type) {
  report.error({.rule = "gguf.value.type",
                .code = Code::malformed,
                .offset = at,
                .subject = printable(key),
                .message = std::string(what) + " " + std::to_string(type) + " does not exist (0 to 12 do)",
                .advice = std::string(kDownloadAgain)});
  return false;
}

// Walks the strings of an array; keeps the bytes as they are.
bool skip_strings(ByteReader& reader, std::uint64_t count, std::string_view key, Reporter& report) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = reader.offset();
    const auto length = reader.read<std::uint64_t>();
    if (length && reader.read_bytes(*length)) continue;
    const std::string what = "array element " + std::to_string(i);
    if (!length) return report_cut(reader, report, what, key);
    report.error({.rule = "gguf.string.past-end",
                  .code = Code::truncated,
                  .offset = at,
                  .subject = printable(key),
                  .message = what + " declares " + std::to_string(*length) + " bytes, but only " +
                             std::to_string(reader.remaining()) + " are left in the file",
                  .advice = std::string(kDownloadAgain)});
    return false;
  }
  return true;
}

bool check_bools(Bytes values, std::uint64_t at, std::string_view key, Reporter& report) {
  const auto odd = std::find_if(values.begin(), values.end(), [](std::byte value) { return value > std::byte{1}; });
  if (odd == values.end()) return true;
  return report.warning(
      {.rule = "gguf.value.bool",
       .code = Code::malformed,
       .offset = at + static_cast<std::uint64_t>(odd - values.begin()),
       .subject = printable(key),
       .message = "a bool is stored as " + std::to_string(static_cast<int>(*odd)) + ", not 0 or 1; read as true",
       .advice = "the writer is at fault, or the file is damaged: compare its hash"});
}

std::optional<MetaValue> read_array(ByteReader& reader, std::string_view key, Reporter& report) {
  const std::uint64_t at = reader.offset();
  const auto type = reader.read<std::uint32_t>();
  const auto count = type ? reader.read<std::uint64_t>() : std::nullopt;
  if (!count) return report_cut(reader, report, "an array header", key), std::nullopt;
  if (*type > 12) return report_type(report, at, key, "array element type", *type), std::nullopt;
  MetaArray array{static_cast<MetaType>(*type), *count, {}};
  if (array.element == MetaType::array) {
    report.error({.rule = "gguf.array.nested",
                  .code = Code::unsupported,
                  .offset = at,
                  .subject = printable(key),
                  .message = "an array of arrays, which no current reader accepts",
                  .advice = "drop the key when converting; it is not needed to run a model"});
    return std::nullopt;
  }
  const std::uint64_t smallest = array.element == MetaType::string ? 8 : size_of(array.element);
  if (*count > reader.remaining() / smallest) {
    report.error({.rule = "gguf.array.past-end",
                  .code = Code::truncated,
                  .offset = at,
                  .subject = printable(key),
                  .message = "an array of " + std::to_string(*count) + " " + std::string(name_of(array.element)) +
                             " values does not fit into the " + std::to_string(reader.remaining()) +
                             " bytes left in the file",
                  .advice = std::string(kDownloadAgain)});
    return std::nullopt;
  }
  ByteReader walk = reader;
  const std::uint64_t start = reader.offset();
  if (array.element == MetaType::string && !skip_strings(walk, *count, key, report)) return std::nullopt;
  const std::uint64_t size = array.element == MetaType::string ? walk.offset() - start : *count * smallest;
  array.bytes = *reader.read_bytes(size);
  if (array.element == MetaType::boolean && !check_bools(array.bytes, start, key, report)) return std::nullopt;
  return array;
}

template <class Stored, class Widened>
std::optional<MetaValue> read_scalar(ByteReader& reader) {
  if (const auto value = reader.read<Stored>()) return MetaValue(static_cast<Widened>(*value));
  return std::nullopt;
}

std::optional<MetaValue> read_number(ByteReader& reader, MetaType type) {
  switch (type) {
    case MetaType::u8:
      return read_scalar<std::uint8_t, std::uint64_t>(reader);
    case MetaType::i8:
      return read_scalar<std::int8_t, std::int64_t>(reader);
    case MetaType::u16:
      return read_scalar<std::uint16_t, std::uint64_t>(reader);
    case MetaType::i16:
      return read_scalar<std::int16_t, std::int64_t>(reader);
    case MetaType::u32:
      return read_scalar<std::uint32_t, std::uint64_t>(reader);
    case MetaType::i32:
      return read_scalar<std::int32_t, std::int64_t>(reader);
    case MetaType::u64:
      return read_scalar<std::uint64_t, std::uint64_t>(reader);
    case MetaType::i64:
      return read_scalar<std::int64_t, std::int64_t>(reader);
    case MetaType::f32:
      return read_scalar<float, double>(reader);
    case MetaType::f64:
      return read_scalar<double, double>(reader);
    case MetaType::boolean:
      return read_scalar<std::uint8_t, bool>(reader);
    case MetaType::string:
    case MetaType::array:
      break;
  }
  return std::nullopt;
}

std::optional<MetaValue> read_value(ByteReader& reader, MetaType type, std::string_view key, Reporter& report) {
  if (type == MetaType::array) return read_array(reader, key, report);
  if (type == MetaType::string) {
    const auto text = read_text(reader, report, "string value", key);
    return text ? std::optional<MetaValue>(*text) : std::nullopt;
  }
  const ByteReader before = reader;
  const auto value = read_number(reader, type);
  if (!value) return report_cut(reader, report, "a value", key), std::nullopt;
  if (type == MetaType::boolean && !check_bools(*ByteReader(before).read_bytes(1), before.offset(), key, report))
    return std::nullopt;
  const double* number = std::get_if<double>(&*value);
  if (number == nullptr || std::isfinite(*number)) return value;
  if (!report.warning({.rule = "gguf.value.not-finite",
                       .code = Code::range,
                       .offset = before.offset(),
                       .subject = printable(key),
                       .message = "the value is NaN or infinite",
                       .advice = "a model that uses it cannot give sane results"}))
    return std::nullopt;
  return value;
}

// Keys that stand twice, in file order of the later one. Sorting keeps this n log n whatever the keys are.
bool check_duplicate_keys(const Metadata& metadata, Reporter& report) {
  std::vector<const MetaEntry*> sorted;
  for (const MetaEntry& entry : metadata.entries()) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const MetaEntry* a, const MetaEntry* b) {
    return a->key != b->key ? a->key < b->key : a->offset < b->offset;
  });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->key != sorted[i - 1]->key) continue;
    if (!report.error({.rule = "gguf.key.duplicate",
                       .code = Code::duplicate,
                       .offset = sorted[i]->offset,
                       .subject = printable(sorted[i]->key),
                       .message = "the key stands twice (first at byte " + std::to_string(sorted[i - 1]->offset) +
                                  "), and readers differ in which value they take",
                       .advice = "convert the model again, or remove one of the two"}))
      return false;
  }
  return true;
}

}  // namespace

bool read_metadata(ByteReader& reader, std::uint64_t count, Reporter& report, Metadata& metadata) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = reader.offset();
    const auto key = read_text(reader, report, "the key", key_number(i));
    if (!key || !check_key(*key, i, at, report)) return false;
    const std::uint64_t type_at = reader.offset();
    const auto type = reader.read<std::uint32_t>();
    if (!type) return report_cut(reader, report, "a value type", *key);
    if (*type > 12) return report_type(report, type_at, *key, "value type", *type);
    const auto value = read_value(reader, static_cast<MetaType>(*type), *key, report);
    if (!value) return false;
    metadata.add({*key, static_cast<MetaType>(*type), *value, at});
  }
  return check_duplicate_keys(metadata, report);
}

std::uint64_t read_alignment(const Metadata& metadata, Reporter& report) {
  const MetaEntry* entry = metadata.find("general.alignment");
  if (entry == nullptr) return kGgufDefaultAlignment;
  const std::string key(entry->key);
  const std::string advice = "the writer is at fault or the file is damaged: convert or download it again";
  if (entry->type != MetaType::u32) {
    report.error({.rule = "gguf.alignment.type",
                  .code = Code::type,
                  .offset = entry->offset,
                  .subject = key,
                  .message = "the alignment is stored as " + std::string(name_of(entry->type)) + ", should be u32",
                  .advice = advice});
    return kGgufDefaultAlignment;
  }
  const std::uint64_t alignment = std::get<std::uint64_t>(entry->value);
  if (!std::has_single_bit(alignment) || alignment > kGgufMaxAlignment) {
    report.error({.rule = "gguf.alignment.value",
                  .code = Code::range,
                  .offset = entry->offset,
                  .subject = key,
                  .message = "the alignment is " + std::to_string(alignment) + ", should be a power of two from 8 to " +
                             std::to_string(kGgufMaxAlignment),
                  .advice = advice});
    return kGgufDefaultAlignment;
  }
  if (alignment < 8)
    report.warning(
        {.rule = "gguf.alignment.small",
         .code = Code::range,
         .offset = entry->offset,
         .subject = key,
         .message = "the alignment is " + std::to_string(alignment) + "; the format asks for a multiple of 8",
         .advice = "convert the model again for full speed"});
  return alignment;
}

}  // namespace assay::gguf

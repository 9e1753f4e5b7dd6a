// safetensors: header length, JSON header, one entry per tensor. Where tensors lie is checked in
// safetensors_layout.cpp.
#include "runtime/formats/safetensors.h"

#include <algorithm>

#include "runtime/formats/reporter.h"
#include "runtime/formats/safetensors_parts.h"

namespace assay {

namespace {

using safetensors::Entry;

// The header's text, its length held against the file.
std::optional<std::string_view> read_header(Bytes bytes, Reporter& report) {
  const auto wrong = [&](Code code, std::string message) {
    report.error({.rule = "safetensors.header.length",
                  .code = code,
                  .offset = 0,
                  .subject = "header length",
                  .message = std::move(message),
                  .advice = std::string(kDownloadAgain)});
    return std::nullopt;
  };
  ByteReader reader(bytes);
  const auto length = reader.read<std::uint64_t>();
  if (!length)
    return wrong(Code::truncated,
                 "the file has only " + std::to_string(bytes.size()) + " bytes; the header length alone takes 8");
  if (*length > kSafetensorsMaxHeader)
    return wrong(Code::range,
                 "the file declares a header of " + std::to_string(*length) + " bytes; 100000000 are allowed");
  if (*length > reader.remaining())
    return wrong(Code::truncated, "the file declares a header of " + std::to_string(*length) + " bytes, but only " +
                                      std::to_string(reader.remaining()) +
                                      " follow: " + std::to_string(*length - reader.remaining()) + " are missing");
  if (*length < 2)
    return wrong(Code::malformed,
                 "the file declares a header of " + std::to_string(*length) + " bytes; the shortest is {}");
  return reader.read_text(*length);
}

std::optional<Json> parse_header(std::string_view header, Reporter& report) {
  const std::size_t start = header.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || header[start] != '{') {
    report.error({.rule = "safetensors.header.start",
                  .code = Code::malformed,
                  .offset = 8,
                  .subject = "header",
                  .message = "the header begins with \"" + printable(header.substr(0, 8)) + "\", not with {",
                  .advice = "this is no safetensors file, or its start is damaged: download it again"});
    return std::nullopt;
  }
  if (start != 0 && !report.warning({.rule = "safetensors.header.space",
                                     .code = Code::malformed,
                                     .offset = 8,
                                     .subject = "header",
                                     .message = "the header begins with white space; the format asks for {",
                                     .advice = "some readers refuse this: save the file again"}))
    return std::nullopt;
  auto json = parse_json(header);
  if (json) return std::move(*json);
  const bool is_text = is_utf8(header);
  report.error(
      {.rule = is_text ? "safetensors.header.json" : "safetensors.header.utf8",
       .code = Code::malformed,
       .offset = 8 + json.error().offset.value_or(0),
       .subject = "header",
       .message = is_text ? "the header is not valid JSON: " + json.error().detail : "the header is not valid UTF-8",
       .advice = std::string(kDownloadAgain)});
  return std::nullopt;
}

// __metadata__: an object of strings.
bool check_annotations(const Json& value, NameFinder& places, Reporter& report) {
  const Json::Object* members = value.object();
  const auto wrong = [&](std::string message) {
    return report.error({.rule = "safetensors.metadata",
                         .code = Code::type,
                         .offset = places.find("__metadata__"),
                         .subject = "__metadata__",
                         .message = std::move(message),
                         .advice = "the writer is at fault: save the file again"});
  };
  if (members == nullptr) return wrong("must be an object of strings");
  for (const auto& [key, text] : *members)
    if (!text.is_string() && !wrong("the value of \"" + printable(key) + "\" is not a string")) return false;
  return true;
}

// Reads one tensor entry. Findings carry the tensor's name and where it stands in the header.
class EntryReader {
 public:
  EntryReader(std::string_view name, NameFinder& places, Reporter& report)
      : name_(name), places_(places), report_(report) {}

  // Nothing when the entry is wrong; that has been reported.
  std::optional<Entry> read(const Json& json) {
    const Json::Object* members = json.object();
    if (members == nullptr) return wrong("field-missing", Code::type, "the entry is not an object"), std::nullopt;
    if (!check_fields(*members)) return std::nullopt;
    Entry entry;
    entry.name = name_;
    if (!read_dtype(*json.find("dtype"), entry) || !read_shape(*json.find("shape"), entry) ||
        !read_offsets(*json.find("data_offsets"), entry) || !check_size(entry))
      return std::nullopt;
    return entry;
  }

 private:
  bool wrong(std::string_view rule, Code code, std::string message) {
    report_.error({.rule = "safetensors." + std::string(rule),
                   .code = code,
                   .offset = places_.find(name_),
                   .subject = printable(name_),
                   .message = std::move(message),
                   .advice = "the file is damaged or its writer is at fault: download or save it again"});
    return false;
  }

  bool check_fields(const Json::Object& members) {
    for (const std::string_view field : {"dtype", "shape", "data_offsets"}) {
      const auto count =
          std::count_if(members.begin(), members.end(), [&](const auto& member) { return member.first == field; });
      if (count == 0) return wrong("field-missing", Code::missing, "the entry has no " + std::string(field));
      if (count > 1)
        return wrong("field-duplicate", Code::duplicate, "the entry has " + std::string(field) + " more than once");
    }
    for (const auto& [key, value] : members) {
      if (key == "dtype" || key == "shape" || key == "data_offsets") continue;
      report_.note({.rule = "safetensors.field-unknown",
                    .code = Code::malformed,
                    .offset = places_.find(name_),
                    .subject = printable(name_),
                    .message = "the entry has an unknown field \"" + printable(key) + "\"",
                    .advice = "ignored"});
      break;
    }
    return !report_.stopped();
  }

  bool read_dtype(const Json& json, Entry& entry) {
    const std::string* name = json.string();
    if (name == nullptr) return wrong("dtype", Code::type, "dtype is not a string");
    const auto format = format_from_safetensors(*name);
    if (!format)
      return wrong("dtype", Code::unsupported, "dtype \"" + printable(*name) + "\" is not one of the format's");
    entry.format = *format;
    return true;
  }

  bool read_shape(const Json& json, Entry& entry) {
    const Json::Array* sizes = json.array();
    if (sizes == nullptr) return wrong("shape-type", Code::type, "shape is not an array");
    for (const Json& size : *sizes) {
      const auto value = size.unsigned_integer();
      if (!value) return wrong("shape-type", Code::type, "shape holds something that is no whole number from 0 up");
      entry.shape.push_back(*value);
    }
    return true;
  }

  bool read_offsets(const Json& json, Entry& entry) {
    const Json::Array* offsets = json.array();
    if (offsets == nullptr || offsets->size() != 2)
      return wrong("offset-type", Code::type, "data_offsets is not a pair of numbers");
    const auto begin = (*offsets)[0].unsigned_integer();
    const auto end = (*offsets)[1].unsigned_integer();
    if (!begin || !end)
      return wrong("offset-type", Code::type, "data_offsets holds something that is no whole number from 0 up");
    if (*end < *begin)
      return wrong("offset-order", Code::malformed,
                   "data_offsets end at " + std::to_string(*end) + " before they begin at " + std::to_string(*begin));
    entry.begin = *begin;
    entry.end = *end;
    return true;
  }

  // The reference multiplies the sizes in order and refuses an overflow even where a later size is 0.
  bool check_size(const Entry& entry) {
    std::uint64_t values = 1;
    for (const std::uint64_t size : entry.shape) {
      const auto product = checked_multiply(values, size);
      if (!product) return wrong("shape-overflow", Code::range, "the shape has more values than fit into 64 bits");
      values = *product;
    }
    const DtypeRow& type = dtype_of(entry.format);
    if (values % type.block_values != 0)
      return wrong("shape-size", Code::shape,
                   std::to_string(values) + " values of " + std::string(type.name) + " do not end on a byte");
    const auto bytes = checked_multiply(values / type.block_values, type.block_bytes);
    if (!bytes) return wrong("shape-overflow", Code::range, "the shape takes more bytes than fit into 64 bits");
    if (*bytes == entry.end - entry.begin) return true;
    return wrong("shape-size", Code::shape,
                 "dtype and shape take " + std::to_string(*bytes) + " bytes, data_offsets span " +
                     std::to_string(entry.end - entry.begin));
  }

  std::string_view name_;
  NameFinder& places_;
  Reporter& report_;
};

bool check_duplicates(const Json::Object& members, NameFinder& places, Reporter& report) {
  std::vector<std::string_view> names;
  for (const auto& member : members) names.push_back(member.first);
  std::sort(names.begin(), names.end());
  for (auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end();
       twice = std::adjacent_find(std::next(twice), names.end())) {
    if (!report.error({.rule = "safetensors.duplicate",
                       .code = Code::duplicate,
                       .offset = places.find(*twice, 1),
                       .subject = printable(*twice),
                       .message = "the header names this tensor twice",
                       .advice = "readers differ in which one they take: save the file again"}))
      return false;
  }
  return true;
}

}  // namespace

std::optional<SafetensorsContents> parse_safetensors(Bytes bytes, std::string_view file, FindingSink& sink) {
  Reporter report(sink, std::string(file));
  const auto header = read_header(bytes, report);
  if (!header) return std::nullopt;
  auto json = parse_header(*header, report);
  if (!json) return std::nullopt;
  const Json::Object& members = *json->object();
  NameFinder places(*header, 8);
  if (!check_duplicates(members, places, report)) return std::nullopt;

  SafetensorsContents contents;
  contents.data_offset = 8 + header->size();
  std::vector<Entry> entries;
  bool complete = true;
  for (const auto& [name, value] : members) {
    if (name == "__metadata__") {
      if (!check_annotations(value, places, report)) return std::nullopt;
      contents.annotations = value;
      continue;
    }
    auto entry = EntryReader(name, places, report).read(value);
    if (report.stopped()) return std::nullopt;
    if (entry) entries.push_back(std::move(*entry));
    complete = complete && entry.has_value();
  }
  if (!safetensors::place_entries(bytes, std::move(entries), complete, places, report, contents)) return std::nullopt;
  return contents;
}

}  // namespace assay

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

bool check_start(std::string_view header, Reporter& report) {
  const std::size_t start = header.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || header[start] != '{') {
    report.error({.rule = "safetensors.header.start",
                  .code = Code::malformed,
                  .offset = 8,
                  .subject = "header",
                  .message = "the header begins with \"" + printable(header.substr(0, 8)) + "\", not with {",
                  .advice = "this is no safetensors file, or its start is damaged: download it again"});
    return false;
  }
  return start == 0 || report.warning({.rule = "safetensors.header.space",
                                       .code = Code::malformed,
                                       .offset = 8,
                                       .subject = "header",
                                       .message = "the header begins with white space; the format asks for {",
                                       .advice = "some readers refuse this: save the file again"});
}

void report_json(std::string_view header, const Error& error, Reporter& report) {
  const bool is_text = is_utf8(header);
  report.error({.rule = is_text ? "safetensors.header.json" : "safetensors.header.utf8",
                .code = Code::malformed,
                .offset = 8 + error.offset.value_or(0),
                .subject = "header",
                .message = is_text ? "the header is not valid JSON: " + error.detail : "the header is not valid UTF-8",
                .advice = std::string(kDownloadAgain)});
}

// A header much larger than the tensors it describes is there to be expensive to read.
bool warn_bloat(std::uint64_t header, std::uint64_t data, Reporter& report) {
  constexpr std::uint64_t kUsual = 64 * 1024;
  if (header <= kUsual || header <= data) return true;
  return report.warning(
      {.rule = "safetensors.header.bloat",
       .code = Code::range,
       .offset = 0,
       .subject = "header length",
       .message = "the header takes " + std::to_string(header) + " bytes, more than the " + std::to_string(data) +
                  " bytes of tensors it describes",
       .advice = "look at what fills it before passing the file on; saving it again removes padding"});
}

bool check_duplicates(const std::vector<Entry>& entries, Reporter& report) {
  std::vector<const Entry*> sorted;
  sorted.reserve(entries.size());
  for (const Entry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry* a, const Entry* b) { return a->name != b->name ? a->name < b->name : a->at < b->at; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->name != sorted[i - 1]->name) continue;
    if (!report.error({.rule = "safetensors.duplicate",
                       .code = Code::duplicate,
                       .offset = sorted[i]->at,
                       .subject = printable(sorted[i]->name),
                       .message = "the header names this tensor twice",
                       .advice = "readers differ in which one they take: save the file again"}))
      return false;
  }
  return true;
}

// Entries are about as large as their text, up to this many: a header cannot ask for more memory than a few times its
// size.
bool check_count(std::size_t count, Reporter& report) {
  if (count <= kMaxTensors) return true;
  return report.error({.rule = "safetensors.count",
                       .code = Code::range,
                       .offset = 8,
                       .subject = "header",
                       .message = "the header names more than " + std::to_string(kMaxTensors) + " tensors",
                       .advice = "no model has so many in one file: split it into shards if they are real"});
}

}  // namespace

std::optional<SafetensorsContents> parse_safetensors(Bytes bytes, std::string_view file, FindingSink& sink) {
  Reporter report(sink, std::string(file));
  const auto header = read_header(bytes, report);
  if (!header || !check_start(*header, report)) return std::nullopt;
  safetensors::Header contents_of_header;
  const auto read = safetensors::read_entries(*header, report, contents_of_header);
  if (report.stopped()) return std::nullopt;
  if (!read) return report_json(*header, read.error(), report), std::nullopt;
  std::vector<Entry>& entries = contents_of_header.entries;
  if (!check_count(entries.size(), report) || !check_duplicates(entries, report)) return std::nullopt;

  SafetensorsContents contents;
  contents.data_offset = 8 + header->size();
  contents.annotations = std::move(contents_of_header.annotations);
  if (!warn_bloat(header->size(), bytes.size() - contents.data_offset, report)) return std::nullopt;
  std::erase_if(entries, [](const Entry& entry) { return !entry.is_good; });
  if (!safetensors::place_entries(bytes, std::move(entries), contents_of_header.is_complete, report, contents))
    return std::nullopt;
  return contents;
}

}  // namespace assay

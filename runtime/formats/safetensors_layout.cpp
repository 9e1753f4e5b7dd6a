// Where the tensors of a safetensors file lie: no hole, no overlap, nothing past the end, nothing after the last.
#include <algorithm>
#include <tuple>

#include "runtime/formats/safetensors_parts.h"

namespace assay::safetensors {

namespace {

bool report_neighbour(const Entry& entry, std::uint64_t expected, NameFinder& places, Reporter& report) {
  const bool overlaps = entry.begin < expected;
  return report.error({.rule = overlaps ? "safetensors.overlap" : "safetensors.hole",
                       .code = Code::malformed,
                       .offset = places.find(entry.name),
                       .subject = printable(entry.name),
                       .message = overlaps ? "the tensor begins at data offset " + std::to_string(entry.begin) +
                                                 ", inside its predecessor, which ends at " + std::to_string(expected)
                                           : std::to_string(entry.begin - expected) +
                                                 " bytes before the tensor (from data offset " +
                                                 std::to_string(expected) + ") belong to no tensor",
                       .advice = "the file is damaged or its writer is at fault: download or save it again"});
}

bool report_truncated(const Entry& cut, std::uint64_t end, std::uint64_t available, const SafetensorsContents& contents,
                      Reporter& report) {
  const std::uint64_t size = contents.data_offset + available;
  return report.error({.rule = "safetensors.truncated",
                       .code = Code::truncated,
                       .offset = size,
                       .subject = printable(cut.name),
                       .message = "the tensor ends at data offset " + std::to_string(cut.end) +
                                  ", the file holds data up to " + std::to_string(available) + ": " +
                                  std::to_string(end - available) + " bytes are missing at its end",
                       .advice = std::string(kDownloadAgain)});
}

}  // namespace

bool place_entries(Bytes file, std::vector<Entry> entries, bool complete, NameFinder& places, Reporter& report,
                   SafetensorsContents& contents) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  const std::uint64_t available = file.size() - contents.data_offset;
  std::uint64_t end = 0;
  const Entry* cut = nullptr;
  for (const Entry& entry : entries) {
    const bool is_wrong = entry.begin < end || (complete && entry.begin > end);
    if (is_wrong && !report_neighbour(entry, end, places, report)) return false;
    end = std::max(end, entry.end);
    if (entry.end > available && cut == nullptr) cut = &entry;
  }
  if (cut != nullptr && !report_truncated(*cut, end, available, contents, report)) return false;
  if (complete && end < available &&
      !report.error({.rule = "safetensors.trailing",
                     .code = Code::malformed,
                     .offset = contents.data_offset + end,
                     .subject = "end of file",
                     .message = std::to_string(available - end) + " bytes follow the last tensor",
                     .advice = "the file is damaged or was appended to: download it again"}))
    return false;

  for (Entry& entry : entries) {
    if (entry.end > available) continue;
    const std::uint64_t offset = contents.data_offset + entry.begin;
    contents.tensors.push_back({std::move(entry.name),
                                entry.format,
                                std::move(entry.shape),
                                file.subspan(offset, entry.end - entry.begin),
                                {},
                                0,
                                offset});
  }
  return true;
}

}  // namespace assay::safetensors

// Where the tensors of a safetensors file lie: no hole, no overlap, nothing past the end, nothing after the last.
#include <algorithm>
#include <tuple>

#include "runtime/formats/safetensors_parts.h"

namespace assay::safetensors {

namespace {

bool report_neighbour(const Entry& entry, std::uint64_t expected, Reporter& report) {
  const bool overlaps = entry.begin < expected;
  return report.error({.rule = overlaps ? "safetensors.overlap" : "safetensors.hole",
                       .code = Code::malformed,
                       .offset = entry.at,
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

// Readers that use elements in place want them at multiples of their size. Told once: it is the header's length or the
// order of the tensors, so rarely one tensor's fault.
bool note_misaligned(const std::vector<Entry>& entries, const SafetensorsContents& contents, Reporter& report) {
  const auto is_misaligned = [&](const Entry& entry) {
    const DtypeRow& type = dtype_of(entry.format);
    return type.block_values == 1 && entry.end > entry.begin &&
           (contents.data_offset + entry.begin) % type.block_bytes != 0;
  };
  const auto first = std::find_if(entries.begin(), entries.end(), is_misaligned);
  if (first == entries.end()) return true;
  const auto count = std::count_if(first, entries.end(), is_misaligned);
  return report.note({.rule = "safetensors.misaligned",
                      .code = Code::malformed,
                      .offset = contents.data_offset + first->begin,
                      .subject = printable(first->name),
                      .message = std::to_string(count) + " of " + std::to_string(entries.size()) +
                                 " tensors, this one first, do not begin at a multiple of their element's size",
                      .advice = "readers that use the file in place copy them: save it again for full speed"});
}

}  // namespace

bool place_entries(Bytes file, std::vector<Entry> entries, bool complete, Reporter& report,
                   SafetensorsContents& contents) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  const std::uint64_t available = file.size() - contents.data_offset;
  std::uint64_t end = 0;
  const Entry* cut = nullptr;
  for (const Entry& entry : entries) {
    const bool is_wrong = entry.begin < end || (complete && entry.begin > end);
    if (is_wrong && !report_neighbour(entry, end, report)) return false;
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

  if (!note_misaligned(entries, contents, report)) return false;

  contents.tensors.reserve(entries.size());
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

// The GGUF tensor table and the placement of tensor data: types, shapes, sizes, offsets, gaps, overlaps, truncation.
#include <algorithm>
#include <limits>
#include <numeric>

#include "runtime/formats/gguf_parts.h"

namespace assay::gguf {

namespace {

constexpr std::uint64_t kMaxValues = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

bool check_name(const TensorInfo& info, std::uint64_t index, Reporter& report) {
  const std::string number = "tensor " + std::to_string(index);
  if (info.name.empty())
    return report.error({.rule = "gguf.tensor.name",
                         .code = Code::malformed,
                         .offset = info.at,
                         .subject = number,
                         .message = "the tensor has an empty name",
                         .advice = "the writer is at fault: convert the model again"});
  if (info.name.size() > kGgufMaxName)
    return report.error(
        {.rule = "gguf.tensor.name",
         .code = Code::range,
         .offset = info.at,
         .subject = printable(info.name),
         .message = "the tensor's name has " + std::to_string(info.name.size()) + " bytes; 64 are allowed",
         .advice = "the file is damaged or its writer is at fault: download or convert it again"});
  if (info.name.size() == kGgufMaxName)
    return report.warning({.rule = "gguf.tensor.name-64",
                           .code = Code::range,
                           .offset = info.at,
                           .subject = printable(info.name),
                           .message = "the tensor's name has 64 bytes, which the format allows and some readers refuse",
                           .advice = "keep names to 63 bytes"});
  if (!is_utf8(info.name))
    return report.warning({.rule = "gguf.tensor.name-utf8",
                           .code = Code::malformed,
                           .offset = info.at,
                           .subject = printable(info.name),
                           .message = "the tensor's name is not valid UTF-8",
                           .advice = "the file may be damaged: compare its hash"});
  return true;
}

// Reads the dimensions, fastest first in the file, slowest first in `shape`. False when the table cannot be followed.
bool read_shape(ByteReader& reader, TensorInfo& info, Reporter& report) {
  const std::uint64_t at = reader.offset();
  const auto dims = reader.read<std::uint32_t>();
  if (!dims) return report_cut(reader, report, "the tensor table", info.name);
  if (*dims > kGgufMaxDims) {
    report.error({.rule = "gguf.tensor.dims",
                  .code = Code::range,
                  .offset = at,
                  .subject = printable(info.name),
                  .message = "the tensor declares " + std::to_string(*dims) + " dimensions; at most 4 are allowed",
                  .advice = std::string(kDownloadAgain)});
    return false;
  }
  info.shape.resize(*dims);
  for (auto size = info.shape.rbegin(); size != info.shape.rend(); ++size) {
    const auto value = reader.read<std::uint64_t>();
    if (!value) return report_cut(reader, report, "the tensor table", info.name);
    *size = *value;
  }
  if (*dims > 0) return true;
  return report.warning({.rule = "gguf.tensor.scalar",
                         .code = Code::shape,
                         .offset = at,
                         .subject = printable(info.name),
                         .message = "the tensor has no dimensions; read as one value",
                         .advice = "some readers refuse this"});
}

std::string shape_text(const TensorInfo& info) {
  std::string text;
  for (auto size = info.shape.rbegin(); size != info.shape.rend(); ++size)
    text += (text.empty() ? "[" : ", ") + std::to_string(*size);
  return text.empty() ? "[]" : text + "]";
}

bool report_type(const TensorInfo& info, std::uint32_t type, std::uint64_t at, Reporter& report) {
  Finding finding{.rule = "gguf.tensor.type", .code = Code::unsupported, .offset = at, .subject = printable(info.name)};
  if (const auto removed = removed_ggml_type(type)) {
    finding.rule = "gguf.tensor.type-removed";
    finding.message =
        "the tensor has type " + std::to_string(type) + " (" + std::string(*removed) + "), which ggml has removed";
    finding.advice = "convert the original model again or download a current GGUF, for example as Q4_0 or Q4_K_M";
  } else {
    finding.message = "the tensor has type " + std::to_string(type) + ", which Assay does not know";
    finding.advice = "the file is damaged, or newer than this Assay: compare its hash, or update Assay";
  }
  return report.error(std::move(finding));
}

// Fills info.bytes, or reports why there is no size.
bool measure(TensorInfo& info, Reporter& report) {
  const auto wrong = [&](std::string rule, std::string message, std::string advice) {
    return report.error({.rule = std::move(rule),
                         .code = Code::shape,
                         .offset = info.at,
                         .subject = printable(info.name),
                         .message = std::move(message),
                         .advice = std::move(advice)});
  };
  std::uint64_t values = 1;
  for (const std::uint64_t size : info.shape) {
    if (size == 0)
      return wrong("gguf.tensor.zero-dim", "the shape " + shape_text(info) + " has a zero",
                   "convert the model again without empty tensors");
    const auto product = checked_multiply(values, size);
    if (!product || *product > kMaxValues)
      return wrong("gguf.tensor.overflow", "the shape " + shape_text(info) + " has more values than fit into 63 bits",
                   std::string(kDownloadAgain));
    values = *product;
  }
  const DtypeRow& type = dtype_of(info.format);
  const std::uint64_t row = info.shape.empty() ? 1 : info.shape.back();
  if (row % type.block_values != 0)
    return wrong("gguf.tensor.block",
                 "rows of " + std::to_string(row) + " values are no multiple of the " +
                     std::to_string(type.block_values) + " values of a " + std::string(type.name) + " block",
                 "the file is damaged or its writer is at fault: download or convert it again");
  info.bytes = checked_multiply(values / type.block_values, type.block_bytes);
  if (info.bytes) return true;
  return wrong("gguf.tensor.overflow", "the shape " + shape_text(info) + " takes more bytes than fit into 64 bits",
               std::string(kDownloadAgain));
}

// Indices of `infos` in the order `before` gives, ties in file order.
template <class Before>
std::vector<std::size_t> ordered(const std::vector<TensorInfo>& infos, Before before) {
  std::vector<std::size_t> order(infos.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return before(infos[a], infos[b]); });
  return order;
}

bool check_duplicate_names(const std::vector<TensorInfo>& infos, Reporter& report) {
  const auto order = ordered(infos, [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TensorInfo& info = infos[order[i]];
    const TensorInfo& first = infos[order[i - 1]];
    if (info.name != first.name) continue;
    if (!report.error(
            {.rule = "gguf.tensor.duplicate",
             .code = Code::duplicate,
             .offset = info.at,
             .subject = printable(info.name),
             .message = "two tensors have this name (the first row is at byte " + std::to_string(first.at) + ")",
             .advice = "convert the model again: readers differ in which one they take"}))
      return false;
  }
  return true;
}

}  // namespace

bool read_tensor_table(ByteReader& reader, std::uint64_t count, Reporter& report, std::vector<TensorInfo>& infos) {
  for (std::uint64_t i = 0; i < count; ++i) {
    TensorInfo info;
    info.at = reader.offset();
    const auto name = read_text(reader, report, "the name of tensor " + std::to_string(i), "tensor table");
    if (!name) return false;
    info.name = *name;
    if (!check_name(info, i, report) || !read_shape(reader, info, report)) return false;
    const std::uint64_t type_at = reader.offset();
    const auto type = reader.read<std::uint32_t>();
    const auto offset = type ? reader.read<std::uint64_t>() : std::nullopt;
    if (!offset) return report_cut(reader, report, "the tensor table", info.name);
    info.offset = *offset;
    if (const auto format = format_from_ggml(*type)) {
      info.format = *format;
      if (!measure(info, report) && report.stopped()) return false;
    } else if (!report_type(info, *type, type_at, report)) {
      return false;
    }
    infos.push_back(std::move(info));
  }
  return check_duplicate_names(infos, report);
}

namespace {

std::optional<std::uint64_t> pad(std::uint64_t value, std::uint64_t alignment) {
  const auto sum = checked_add(value, alignment - 1);
  return sum ? std::optional(*sum & ~(alignment - 1)) : std::nullopt;
}

// Where the data of `info` ends, from the start of the file.
std::optional<std::uint64_t> end_of(const TensorInfo& info, std::uint64_t data_offset) {
  const auto begin = checked_add(data_offset, info.offset);
  return begin && info.bytes ? checked_add(*begin, *info.bytes) : std::nullopt;
}

// Whether the table is exactly what a writer makes: every tensor begins where the one before ends, padded.
bool is_contiguous(const std::vector<TensorInfo>& infos, std::uint64_t alignment) {
  std::uint64_t expected = 0;
  for (const TensorInfo& info : infos) {
    if (!info.bytes || info.offset != expected) return false;
    const auto end = checked_add(info.offset, *info.bytes);
    const auto next = end ? pad(*end, alignment) : std::nullopt;
    if (!next) return false;
    expected = *next;
  }
  return true;
}

// A well-made table whose data the file does not hold to its end: the file was cut short.
bool report_truncated(Bytes file, const std::vector<TensorInfo>& infos, Reporter& report, std::uint64_t data_offset) {
  const auto cut = std::find_if(infos.begin(), infos.end(), [&](const TensorInfo& info) {
    const auto end = end_of(info, data_offset);
    return !end || *end > file.size();
  });
  if (cut == infos.end()) return true;
  const std::uint64_t needed = end_of(infos.back(), data_offset).value_or(std::numeric_limits<std::uint64_t>::max());
  return report.error({.rule = "gguf.truncated",
                       .code = Code::truncated,
                       .offset = std::min<std::uint64_t>(file.size(), data_offset + cut->offset),
                       .subject = printable(cut->name),
                       .message = "the file has " + std::to_string(file.size()) + " bytes and should have " +
                                  std::to_string(needed) + ": " + std::to_string(needed - file.size()) +
                                  " are missing, from this tensor on (" + std::to_string(infos.end() - cut) + " of " +
                                  std::to_string(infos.size()) + " tensors are not whole)",
                       .advice = "the download was cut short: download it again"});
}

bool check_bounds(Bytes file, const TensorInfo& info, Reporter& report, const GgufContents& contents) {
  const auto end = end_of(info, contents.data_offset);
  if (!end || *end > file.size())
    return report.error({.rule = "gguf.tensor.past-end",
                         .code = Code::truncated,
                         .offset = info.at,
                         .subject = printable(info.name),
                         .message = "the tensor's " + std::to_string(*info.bytes) + " bytes at data offset " +
                                    std::to_string(info.offset) + " pass the end of the file, which has " +
                                    std::to_string(file.size()) + " bytes",
                         .advice = std::string(kDownloadAgain)});
  if (info.offset % contents.alignment == 0) return true;
  return report.error({.rule = "gguf.tensor.misaligned",
                       .code = Code::malformed,
                       .offset = info.at,
                       .subject = printable(info.name),
                       .message = "the tensor's data offset " + std::to_string(info.offset) +
                                  " is no multiple of the alignment " + std::to_string(contents.alignment),
                       .advice = "the file is damaged or its writer is at fault: download or convert it again"});
}

// Overlaps and gaps between neighbours in the order of their data. Every tensor here ends inside the file. Where some
// are left out (not `complete`), a gap may be theirs and is not reported.
bool check_neighbours(const std::vector<TensorInfo>& whole, bool complete, Reporter& report,
                      const GgufContents& contents) {
  const auto order = ordered(whole, [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
  std::uint64_t end = 0;
  const TensorInfo* before = nullptr;
  for (const std::size_t i : order) {
    const TensorInfo& info = whole[i];
    const std::uint64_t expected = *pad(end, contents.alignment);
    if (info.offset < end &&
        !report.error({.rule = "gguf.tensor.overlap",
                       .code = Code::malformed,
                       .offset = info.at,
                       .subject = printable(info.name),
                       .message = "the tensor's data begins at data offset " + std::to_string(info.offset) +
                                  ", inside " + printable(before->name) + ", which ends at " + std::to_string(end),
                       .advice = std::string(kDownloadAgain)}))
      return false;
    if (complete && info.offset > expected &&
        !report.warning(
            {.rule = "gguf.tensor.gap",
             .code = Code::malformed,
             .offset = contents.data_offset + expected,
             .subject = printable(info.name),
             .message = std::to_string(info.offset - expected) + " unused bytes lie before the tensor's data",
             .advice = "some readers refuse gaps: convert the model again"}))
      return false;
    if (info.offset + *info.bytes >= end) end = info.offset + *info.bytes, before = &info;
  }
  return true;
}

bool check_order(const std::vector<TensorInfo>& whole, Reporter& report) {
  const auto later = std::adjacent_find(whole.begin(), whole.end(),
                                        [](const TensorInfo& a, const TensorInfo& b) { return a.offset > b.offset; });
  if (later == whole.end()) return true;
  const TensorInfo& info = *std::next(later);
  return report.warning({.rule = "gguf.tensor.order",
                         .code = Code::malformed,
                         .offset = info.at,
                         .subject = printable(info.name),
                         .message = "the tensor's data lies before that of its predecessor in the table",
                         .advice = "some readers want file order: convert the model again"});
}

bool check_trailing(Bytes file, const std::vector<TensorInfo>& infos, Reporter& report, const GgufContents& contents) {
  std::uint64_t end = infos.empty() ? 0 : contents.data_offset;
  for (const TensorInfo& info : infos) {
    const auto own = end_of(info, contents.data_offset);
    if (!own) return true;  // reported already; where the file should end is not known
    end = std::max(end, *own);
  }
  const auto padded = pad(end, contents.alignment);
  const std::uint64_t last = infos.empty() ? contents.data_offset : padded.value_or(file.size());
  if (file.size() <= last) return true;
  return report.warning({.rule = "gguf.trailing",
                         .code = Code::malformed,
                         .offset = last,
                         .subject = "end of file",
                         .message = std::to_string(file.size() - last) + " bytes follow the last tensor",
                         .advice = "harmless to read, but compare the file's hash: something was appended"});
}

}  // namespace

bool place_tensors(Bytes file, std::vector<TensorInfo> infos, Reporter& report, GgufContents& contents) {
  const bool contiguous = is_contiguous(infos, contents.alignment);
  if (contiguous && !report_truncated(file, infos, report, contents.data_offset)) return false;
  if (!check_trailing(file, infos, report, contents)) return false;

  // From here on only what is whole inside the file.
  const std::size_t all = infos.size();
  std::erase_if(infos, [&](const TensorInfo& info) {
    if (!info.bytes || report.stopped()) return true;
    if (!contiguous) check_bounds(file, info, report, contents);
    const auto end = end_of(info, contents.data_offset);
    return !end || *end > file.size();
  });
  if (report.stopped()) return false;
  if (!contiguous && (!check_neighbours(infos, infos.size() == all, report, contents) || !check_order(infos, report)))
    return false;

  contents.tensors.reserve(infos.size());
  for (TensorInfo& info : infos) {
    const std::uint64_t offset = contents.data_offset + info.offset;
    contents.tensors.push_back(
        {std::string(info.name), info.format, std::move(info.shape), file.subspan(offset, *info.bytes), {}, 0, offset});
  }
  return true;
}

}  // namespace assay::gguf

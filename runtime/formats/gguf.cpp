// GGUF: magic, version, counts, and the order in which the parts are read.
#include "runtime/formats/gguf.h"

#include <algorithm>
#include <cstdio>

#include "runtime/formats/gguf_parts.h"

namespace assay {

namespace {

// The smallest key: length, type, one byte of value. The smallest tensor row: name length, dimension count, type,
// offset.
constexpr std::uint64_t kSmallestKey = 8 + 4 + 1;
constexpr std::uint64_t kSmallestTensor = 8 + 4 + 4 + 8;
constexpr std::string_view kConvertAgain =
    "convert the original model again with a current converter, or download a current GGUF";

bool check_magic(ByteReader& reader, Reporter& report) {
  const auto magic = reader.read_text(4);
  if (!magic)
    return report.error({.rule = "gguf.truncated",
                         .code = Code::truncated,
                         .offset = 0,
                         .subject = "magic",
                         .message = "the file has only " + std::to_string(reader.remaining()) + " bytes",
                         .advice = std::string(kDownloadAgain)}),
           false;
  if (*magic == "GGUF") return true;
  report.error({.rule = "gguf.magic",
                .code = Code::malformed,
                .offset = 0,
                .subject = "magic",
                .message = "the first four bytes are \"" + printable(*magic) + "\", not \"GGUF\"",
                .advice = "this is no GGUF file, or its start is damaged: download it again"});
  return false;
}

bool report_version(std::uint32_t version, Reporter& report) {
  Finding finding{.rule = "gguf.version", .code = Code::unsupported, .offset = 4, .subject = "version"};
  if ((version & 0xffffu) == 0 && version != 0) {
    finding.rule = "gguf.endianness";
    char field[16];
    std::snprintf(field, sizeof field, "0x%08x", version);
    finding.message = "the file is big-endian (its version reads as " + std::string(field) + ")";
    finding.advice =
        "Assay reads little-endian GGUF: download the little-endian file or convert the model again without the "
        "big-endian option";
  } else if (version == 0) {
    finding.code = Code::malformed;
    finding.message = "version 0 does not exist";
    finding.advice = kDownloadAgain;
  } else if (version == 1) {
    finding.message = "GGUF version 1 (of August 2023, 32-bit counts) is no longer read by anything current";
    finding.advice = kConvertAgain;
  } else {
    finding.message = "GGUF version " + std::to_string(version) + " is newer than the versions Assay knows (2 and 3)";
    finding.advice = "update Assay, or get the model as version 3";
  }
  report.error(std::move(finding));
  return false;
}

// Reads a count and holds it against the bytes left before anything is allocated from it.
std::optional<std::uint64_t> read_count(ByteReader& reader, Reporter& report, std::string_view what) {
  const std::uint64_t at = reader.offset();
  const auto count = reader.read<std::uint64_t>();
  if (!count) return gguf::report_cut(reader, report, "the " + std::string(what) + " count", "header"), std::nullopt;
  const std::uint64_t smallest = what == "tensor" ? kSmallestTensor : kSmallestKey;
  const std::uint64_t most = what == "tensor" ? kMaxTensors : kGgufMaxKeys;
  if (*count <= std::min(reader.remaining() / smallest, most)) return *count;
  report.error({.rule = what == "tensor" ? "gguf.count.tensors" : "gguf.count.keys",
                .code = Code::range,
                .offset = at,
                .subject = std::string(what) + " count",
                .message = *count > reader.remaining() / smallest
                               ? "the header declares " + std::to_string(*count) + ", but the " +
                                     std::to_string(reader.remaining()) + " bytes left cannot hold more than " +
                                     std::to_string(reader.remaining() / smallest)
                               : "the header declares " + std::to_string(*count) + "; more than " +
                                     std::to_string(most) + " are in no model and are not read",
                .advice = std::string(kDownloadAgain)});
  return std::nullopt;
}

void note_padding(Bytes bytes, std::uint64_t from, std::uint64_t to, Reporter& report) {
  for (std::uint64_t at = from; at < to && at < bytes.size(); ++at) {
    if (bytes[at] == std::byte{0}) continue;
    report.note({.rule = "gguf.padding.nonzero",
                 .code = Code::malformed,
                 .offset = at,
                 .subject = "padding",
                 .message = "the padding before the tensor data is not zero",
                 .advice = "harmless; the writer should write zeros"});
    return;
  }
}

}  // namespace

std::optional<GgufContents> parse_gguf(Bytes bytes, std::string_view file, FindingSink& sink) {
  Reporter report(sink, std::string(file));
  ByteReader reader(bytes);
  if (!check_magic(reader, report)) return std::nullopt;

  const auto version = reader.read<std::uint32_t>();
  if (!version) return gguf::report_cut(reader, report, "the version", "header"), std::nullopt;
  if (*version != 2 && *version != 3) return report_version(*version, report), std::nullopt;

  const auto tensor_count = read_count(reader, report, "tensor");
  if (!tensor_count) return std::nullopt;
  const auto key_count = read_count(reader, report, "key");
  if (!key_count) return std::nullopt;

  GgufContents contents;
  contents.version = *version;
  if (!gguf::read_metadata(reader, *key_count, report, contents.metadata)) return std::nullopt;
  contents.alignment = gguf::read_alignment(contents.metadata, report);
  if (report.stopped()) return std::nullopt;

  std::vector<gguf::TensorInfo> infos;
  if (!gguf::read_tensor_table(reader, *tensor_count, report, infos)) return std::nullopt;
  // No overflow: an offset in a file plus at most 16 MiB.
  contents.data_offset = (reader.offset() + contents.alignment - 1) & ~(contents.alignment - 1);
  note_padding(bytes, reader.offset(), contents.data_offset, report);
  if (!gguf::place_tensors(bytes, std::move(infos), report, contents)) return std::nullopt;
  return contents;
}

}  // namespace assay

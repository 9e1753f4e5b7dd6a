// The three parts of the GGUF parser, private to it: strings and metadata, tensor table, placement of tensor data.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/formats/gguf.h"
#include "runtime/formats/reporter.h"

namespace assay::gguf {

// Each of these returns nothing or false when parsing cannot or should not go on; then an error has been reported.

// `what` names the text for messages ("key", "string value"), `subject` what it belongs to.
std::optional<std::string_view> read_text(ByteReader& reader, Reporter& report, std::string_view what,
                                          std::string_view subject);

// Reports that the file ends inside a fixed-size field.
bool report_cut(const ByteReader& reader, Reporter& report, std::string_view what, std::string_view subject);

bool read_metadata(ByteReader& reader, std::uint64_t count, Reporter& report, Metadata& metadata);

// The file's alignment from its metadata; the default when it has none or a wrong one (reported).
std::uint64_t read_alignment(const Metadata& metadata, Reporter& report);

// One row of the tensor table. `bytes` is absent where type or shape is wrong (reported).
struct TensorInfo {
  std::string_view name;
  std::uint64_t at = 0;  // of the row in the file
  FormatId format = FormatId::F32;
  std::vector<std::uint64_t> shape;  // slowest first
  std::optional<std::uint64_t> bytes;
  std::uint64_t offset = 0;  // from the start of the data section
};
bool read_tensor_table(ByteReader& reader, std::uint64_t count, Reporter& report, std::vector<TensorInfo>& infos);

// Checks where every tensor lies and adds the whole ones to `contents` (whose data_offset and alignment are set).
bool place_tensors(Bytes file, std::vector<TensorInfo> infos, Reporter& report, GgufContents& contents);

}  // namespace assay::gguf

// The GGUF parser (versions 2 and 3): bytes in, metadata and tensor views out, everything noteworthy into a sink.
// Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/formats/finding.h"
#include "runtime/formats/metadata.h"
#include "runtime/formats/tensor.h"

namespace assay {

inline constexpr std::uint32_t kGgufMaxDims = 4;
inline constexpr std::size_t kGgufMaxName = 64;          // of a tensor, in bytes
inline constexpr std::uint64_t kGgufMaxKeys = 1u << 17;  // like kMaxTensors: files have some dozens
inline constexpr std::uint64_t kGgufDefaultAlignment = 32;
inline constexpr std::uint64_t kGgufMaxAlignment = 1u << 24;  // far above any page; more only wastes the file

struct GgufContents {
  std::uint32_t version = 0;
  std::uint64_t alignment = kGgufDefaultAlignment;
  std::uint64_t data_offset = 0;
  Metadata metadata;                // views into `bytes`
  std::vector<TensorView> tensors;  // in file order; those that are not whole inside the file are left out
};

// Nothing when the header cannot be followed to its end or the sink wants no more; then an error has been reported.
// Touches the header only, no tensor data.
std::optional<GgufContents> parse_gguf(Bytes bytes, std::string_view file, FindingSink& sink);

}  // namespace assay

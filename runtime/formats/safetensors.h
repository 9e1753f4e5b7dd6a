// The safetensors parser: bytes in, tensor views out, everything noteworthy into a sink. All rules of the format's
// reference reader, and duplicate keys besides. Layout: https://github.com/huggingface/safetensors#format
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/core/json.h"
#include "runtime/formats/finding.h"
#include "runtime/formats/tensor.h"

namespace assay {

inline constexpr std::uint64_t kSafetensorsMaxHeader = 100'000'000;

struct SafetensorsContents {
  std::uint64_t data_offset = 0;
  Json annotations;                 // __metadata__ (strings), null where there is none
  std::vector<TensorView> tensors;  // in the order of their data; shapes as written; any address, aligned or not
};

// Nothing when the header cannot be read or the sink wants no more; then an error has been reported. Touches no tensor
// data.
std::optional<SafetensorsContents> parse_safetensors(Bytes bytes, std::string_view file, FindingSink& sink);

}  // namespace assay

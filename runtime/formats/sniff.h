// What a file is by its first bytes: a model Assay opens, or something known by name that it refuses with advice.
#pragma once

#include <optional>
#include <string_view>

#include "runtime/core/bytes.h"
#include "runtime/formats/finding.h"

namespace assay {

enum class Content : std::uint8_t { gguf, safetensors, json, refused };

struct Sniffed {
  Content content = Content::refused;
  std::optional<Finding> refusal{};  // set when refused
};

// Content decides; `file_name` only where the content says nothing.
Sniffed sniff(Bytes bytes, std::string_view file_name);

}  // namespace assay

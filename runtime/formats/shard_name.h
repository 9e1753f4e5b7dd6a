// Shard names: NAME-00001-of-00003.gguf or .safetensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assay {

struct ShardName {
  std::string prefix;        // before "-00001-of-"
  std::string extension;     // ".gguf"
  std::uint32_t number = 0;  // counted from 1
  std::uint32_t count = 0;

  // The name of another part of the same set.
  std::string part(std::uint32_t part_number) const;
};

// The parts of a file name (without folders), nothing when it is no shard's.
std::optional<ShardName> parse_shard_name(std::string_view file_name);

}  // namespace assay

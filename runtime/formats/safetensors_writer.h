// SafetensorsWriter: streams one .safetensors file; header first, then tensor bytes in order.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"
#include "runtime/formats/dtype.h"

namespace assay {

// Use like GgufWriter. The header is padded with spaces to 8 bytes. Tensors are written in the order added; add them
// with larger element types first and every tensor is aligned to its type.
class SafetensorsWriter {
 public:
  SafetensorsWriter();
  ~SafetensorsWriter();
  SafetensorsWriter(SafetensorsWriter&&) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) noexcept;

  void set_metadata(std::string_view key, std::string_view value);
  // The format must have a safetensors dtype.
  Result<> add_tensor(std::string_view name, FormatId format, std::vector<std::uint64_t> shape);
  Result<> begin(const std::filesystem::path& path);
  Result<> write(Bytes bytes);
  Result<> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct ShardEntry {
  std::string tensor;
  std::string file;
};
// Writes model.safetensors.index.json: metadata.total_size and weight_map.
Result<> write_shard_index(const std::filesystem::path& path, const std::vector<ShardEntry>& entries,
                           std::uint64_t total_size);

}  // namespace assay

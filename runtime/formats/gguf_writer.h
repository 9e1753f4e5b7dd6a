// GgufWriter: streams a GGUF v3 file; metadata and tensor table first, then tensor bytes in order.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/formats/dtype.h"
#include "runtime/formats/metadata.h"

namespace assay {

// Use: add keys and tensors, begin(path), then write() exactly the declared bytes of every tensor in order (in pieces
// of any size; padding is added), finish(). Memory does not grow with the data. The file is written under a temporary
// name beside the target and renamed by finish(), so that a broken run leaves no half file under the right name.
class GgufWriter {
 public:
  GgufWriter();
  ~GgufWriter();
  GgufWriter(GgufWriter&&) noexcept;
  GgufWriter& operator=(GgufWriter&&) noexcept;

  void set_u32(std::string_view key, std::uint32_t value);
  void set_u64(std::string_view key, std::uint64_t value);
  void set_i32(std::string_view key, std::int32_t value);
  void set_f32(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_strings(std::string_view key, const std::vector<std::string>& values);
  void set_i32s(std::string_view key, const std::vector<std::int32_t>& values);
  void set_f32s(std::string_view key, const std::vector<float>& values);
  void copy(const MetaEntry& entry);  // any entry of an open file, as it is

  // `shape` as in TensorView (slowest first). The format must have a ggml id and shape.back() be a multiple of its
  // block.
  Result<> add_tensor(std::string_view name, FormatId format, std::vector<std::uint64_t> shape);

  Result<> begin(const std::filesystem::path& path);
  Result<> write(Bytes bytes);
  Result<> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay

// TensorStream: what both writers do after their header; the declared bytes of every tensor in order, padded, counted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/formats/dtype.h"
#include "runtime/formats/output_file.h"

namespace assay {

struct DeclaredTensor {
  std::string name;
  std::uint64_t bytes = 0;
};

class TensorStream {
 public:
  // `header` is written first; data after it is padded to `alignment` (a power of two) after every tensor.
  static Result<TensorStream> begin(const std::filesystem::path& path, Bytes header,
                                    std::vector<DeclaredTensor> tensors, std::uint64_t alignment);

  Result<> write(Bytes bytes);
  Result<> finish();

 private:
  TensorStream(OutputFile file, std::vector<DeclaredTensor> tensors, std::uint64_t alignment)
      : file_(std::move(file)), tensors_(std::move(tensors)), alignment_(alignment) {}
  Result<> close_full_tensors();

  OutputFile file_;
  std::vector<DeclaredTensor> tensors_;
  std::uint64_t alignment_;
  std::size_t current_ = 0;
  std::uint64_t in_current_ = 0;
};

// `bytes` rounded up to a multiple of `alignment`, nothing when that wraps.
std::optional<std::uint64_t> padded(std::uint64_t bytes, std::uint64_t alignment);

// The bytes a tensor takes: rows of whole blocks. An error names the tensor.
Result<std::uint64_t> bytes_of_tensor(std::string_view name, FormatId format, const std::vector<std::uint64_t>& shape);

}  // namespace assay

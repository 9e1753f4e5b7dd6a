// MappedFile: a whole file mapped read-only; owns the mapping.
#pragma once

#include <filesystem>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

class MappedFile {
 public:
  // Maps all of a regular file. Errors: not_found, io (a folder, a permission, the map itself). An empty file maps to no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace assay

// FileLock: an flock on a file, the kind Python's filelock takes; the system frees it when its holder dies.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <utility>

#include "runtime/core/error.h"

namespace assay {

class FileLock {
 public:
  // Nothing when somebody else holds it. Makes the folders above; the file stays when the lock is freed. Errors:
  // denied, io.
  static Result<std::optional<FileLock>> try_take(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace assay

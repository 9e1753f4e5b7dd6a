// SHA-256 of bytes and files, as lower-case hex. OpenSSL stays in the .cpp.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"
#include "runtime/core/progress.h"

namespace assay {

// Feed bytes in pieces of any size, then finish() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(Bytes bytes);
  std::string finish();  // 64 hex digits; the object starts afresh

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of(Bytes bytes);

// Reads the file in pieces of a megabyte, so that memory does not grow with it. Errors: not_found, io, interrupted.
Result<std::string> sha256_of_file(const std::filesystem::path& path, ProgressFn progress = ignore_progress);

}  // namespace assay

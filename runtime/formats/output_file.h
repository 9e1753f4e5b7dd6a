// OutputFile: a file written under a temporary name beside its target and renamed when it is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

// Collects writes into 2 MiB pieces. An object that is destroyed before commit() removes the temporary file.
class OutputFile {
 public:
  // `expected_bytes`, when known, is held against the free space first.
  static Result<OutputFile> create(const std::filesystem::path& target, std::uint64_t expected_bytes = 0);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  Result<> write(Bytes bytes);
  Result<> write_zeros(std::uint64_t count);
  Result<> commit();
  std::uint64_t written() const { return written_; }

 private:
  OutputFile() = default;
  Result<> flush();
  Result<> write_all(Bytes bytes);
  Error failure(std::string_view what, int number) const;

  int descriptor_ = -1;
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::vector<std::byte> pending_;
  std::uint64_t written_ = 0;
};

}  // namespace assay

// Digest: what a file must hash to: SHA-256 (large files), or git's SHA-1 of a blob (small files of a repository).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"
#include "runtime/core/progress.h"

namespace assay {

enum class DigestKind : std::uint8_t { sha256, git_sha1 };

struct Digest {
  DigestKind kind = DigestKind::sha256;
  std::string hex;  // lower case
};

// A hub's etag is the file's hash: 64 hex digits are SHA-256, 40 are git's SHA-1. Nothing for any other text.
std::optional<Digest> digest_of_etag(std::string_view etag);

// "SHA-256", "git SHA-1"
std::string_view name_of(DigestKind kind);

class Hasher {
 public:
  // Git's hash begins with the size, so that it must be known from the start.
  Hasher(DigestKind kind, std::uint64_t size);
  Hasher(Hasher&&) noexcept;
  ~Hasher();
  void update(Bytes bytes);
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Result<std::string> hash_file(const std::filesystem::path& path, DigestKind kind,
                              ProgressFn progress = ignore_progress);

}  // namespace assay

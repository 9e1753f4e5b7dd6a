// The Hugging Face cache: where blobs, refs, snapshots and locks of a repository are, and how a file gets its names.
//
// models--ORG--REPO/blobs/ETAG, refs/REVISION (a commit as text), snapshots/COMMIT/PATH -> ../../blobs/ETAG, and
// .locks/models--ORG--REPO/ETAG.lock: as Python's huggingface_hub and its relatives have it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

class CacheLayout {
 public:
  explicit CacheLayout(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path repository(std::string_view name) const;
  std::filesystem::path blob(std::string_view repository_name, std::string_view etag) const;
  std::filesystem::path snapshot(std::string_view repository_name, std::string_view commit) const;
  std::filesystem::path ref(std::string_view repository_name, std::string_view revision) const;
  std::filesystem::path lock(std::string_view repository_name, std::string_view etag) const;

  // "models--ORG--REPO" <-> "ORG/REPO"; empty when the folder is none of a model.
  static std::string folder_of(std::string_view repository_name);
  static std::string name_of_folder(std::string_view folder);

 private:
  std::filesystem::path root_;
};

// A name that came over the network as a path below a folder: relative, plain components, no "..", no NUL, no device
// names, no back-slashes, no drive letters. Errors: denied, naming what is wrong with it.
Result<std::filesystem::path> safe_path(std::string_view name);

// Whether every existing folder from `root` down to `path` is a real one: a link in the way could lead out of `root`.
// Errors: denied.
Result<> check_folders(const std::filesystem::path& root, const std::filesystem::path& path);

// An etag as a file name: quotes and W/ gone; one that is no plain name becomes its SHA-256.
std::string etag_name(std::string_view etag);

enum class LinkKind : std::uint8_t {
  symlink,
  none
};  // none: the file itself lies in the snapshot (HF_HUB_DISABLE_SYMLINKS)

// Makes snapshots/COMMIT/PATH stand for the blob. Where links are off or the disk has none, the blob is moved there, or
// copied when others refer to it. Errors: denied, io, space.
Result<std::filesystem::path> add_to_snapshot(const CacheLayout& layout, std::string_view repository_name,
                                              std::string_view commit, const std::filesystem::path& path,
                                              std::string_view etag, LinkKind kind);

// refs/REVISION says COMMIT; nothing is written for a revision that is the commit itself.
Result<> write_ref(const CacheLayout& layout, std::string_view repository_name, std::string_view revision,
                   std::string_view commit);

// The commit that a revision stands for in the cache, or the revision when a snapshot has that name; empty when neither
// is there.
std::string cached_commit(const CacheLayout& layout, std::string_view repository_name, std::string_view revision);

bool is_commit(std::string_view text);  // 40 hex digits

}  // namespace assay

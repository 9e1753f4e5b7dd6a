// What lies in a hub cache: repositories with their revisions, and what is left over from downloads that ended early.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"

namespace assay {

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  // branches and tags that stand for it; none: detached
  std::uint64_t bytes = 0;        // of its files, those that other revisions share included
  std::size_t files = 0;
};

struct CachedRepository {
  std::string name;
  std::uint64_t bytes = 0;  // on the disk
  std::vector<CachedRevision> revisions;
};

enum class LeftoverKind : std::uint8_t {
  partial,       // a download of Assay's that can go on
  foreign,       // another client's unfinished file (.incomplete, .downloadInProgress)
  temporary,     // a name that was to be renamed
  unreferenced,  // a blob that no snapshot refers to
  dangling       // a name in a snapshot whose blob is gone
};
std::string_view name_of(LeftoverKind kind);

struct Leftover {
  LeftoverKind kind = LeftoverKind::partial;
  std::filesystem::path path;
  std::string repository;
  std::uint64_t bytes = 0;        // on the disk
  std::uint64_t total_bytes = 0;  // of the whole file, where that is known
  std::chrono::seconds age{0};    // since it was last written
  std::filesystem::path lock;     // of its download; empty: none
  bool is_in_use = false;         // somebody holds that lock
};

struct CacheScan {
  std::vector<CachedRepository> repositories;  // by name
  std::vector<Leftover> leftovers;
  std::uint64_t bytes = 0;  // everything
};

// `files_folder`: where files of plain URLs lie; only leftovers are looked for there. A cache that does not exist is
// empty.
CacheScan scan_cache(const std::filesystem::path& cache, const std::filesystem::path& files_folder = {});

// Removes it unless its lock is held now. False when it is in use. Errors: denied, io.
Result<bool> remove_leftover(const Leftover& leftover);

// Takes a revision's names away; its blobs then are unreferenced unless others share them. Errors: denied, io.
Result<> remove_revision(const std::filesystem::path& cache, const std::string& repository, const std::string& commit);

struct CorruptBlob {
  std::filesystem::path path;
  std::string repository, actual;  // what it hashes to
  std::uint64_t bytes = 0;
};
// Hashes every blob whose name is a hash. Errors: interrupted.
Result<std::vector<CorruptBlob>> find_corrupt_blobs(const std::filesystem::path& cache,
                                                    ProgressFn progress = ignore_progress);

}  // namespace assay

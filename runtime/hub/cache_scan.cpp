// A walk over a hub cache.
#include "runtime/hub/cache_scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/disk.h"
#include "runtime/hub/file_lock.h"
#include "runtime/hub/partial.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

struct Entry {
  fs::path path;
  fs::file_type type = fs::file_type::none;  // links are not followed
  std::uint64_t bytes = 0;
  std::chrono::seconds age{0};
};

std::vector<Entry> entries_below(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code problem;
  const std::time_t now = std::time(nullptr);
  for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, problem), end;
       !problem && at != end; at.increment(problem)) {
    struct stat info {};
    if (::lstat(at->path().c_str(), &info) != 0) continue;
    std::error_code ignored;
    entries.push_back({at->path(), at->symlink_status(ignored).type(), static_cast<std::uint64_t>(info.st_size),
                       std::chrono::seconds(std::max<std::int64_t>(0, now - info.st_mtime))});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return entries;
}

bool ends_with(const fs::path& path, std::string_view ending) {
  return path.native().ends_with(ending);
}

std::optional<LeftoverKind> kind_of(const fs::path& path) {
  if (ends_with(path, kPartialSuffix)) return LeftoverKind::partial;
  if (ends_with(path, ".incomplete") || ends_with(path, ".downloadInProgress")) return LeftoverKind::foreign;
  if (ends_with(path, kTemporarySuffix)) return LeftoverKind::temporary;
  return std::nullopt;
}

bool is_held(const fs::path& lock) {
  std::error_code ignored;
  if (lock.empty() || !fs::exists(lock, ignored)) return false;
  const auto taken = FileLock::try_take(lock);
  return taken && !taken->has_value();
}

Leftover leftover_of(LeftoverKind kind, const Entry& entry, const std::string& repository, fs::path lock) {
  Leftover out{.kind = kind,
               .path = entry.path,
               .repository = repository,
               .bytes = entry.bytes,
               .age = entry.age,
               .lock = std::move(lock)};
  if (kind == LeftoverKind::partial) {
    if (const auto facts = look_at_partial(entry.path)) out.total_bytes = facts->size, out.bytes = facts->have_bytes;
  }
  out.is_in_use = is_held(out.lock);
  return out;
}

// Of a file outside the cache the lock is FILE.lock, and the partial file FILE.ETAG.assay.partial.
void scan_files(const fs::path& folder, CacheScan& scan) {
  for (const Entry& entry : entries_below(folder)) {
    if (entry.type != fs::file_type::regular) continue;
    const auto kind = kind_of(entry.path);
    if (!kind) continue;
    std::string base = entry.path.string();
    base.resize(base.size() - std::min(base.size(), std::string_view(kPartialSuffix).size()));
    scan.leftovers.push_back(leftover_of(*kind, entry, "", base.substr(0, base.rfind('.')) + ".lock"));
  }
}

std::map<std::string, std::vector<std::string>> refs_by_commit(const fs::path& repository) {
  std::map<std::string, std::vector<std::string>> refs;
  for (const Entry& entry : entries_below(repository / "refs")) {
    std::ifstream in(entry.path);
    std::string commit;
    if (entry.type == fs::file_type::regular && std::getline(in, commit))
      refs[commit].push_back(entry.path.lexically_relative(repository / "refs").generic_string());
  }
  return refs;
}

// The revisions of a repository; the blobs they refer to go into `used`, names without a blob into the scan.
void scan_snapshots(const fs::path& folder, CachedRepository& repository, std::set<fs::path>& used, CacheScan& scan) {
  auto refs = refs_by_commit(folder);
  std::map<std::string, CachedRevision> revisions;
  for (const Entry& entry : entries_below(folder / "snapshots")) {
    const std::string commit = entry.path.lexically_relative(folder / "snapshots").begin()->string();
    CachedRevision& revision = revisions[commit];
    revision.commit = commit;
    if (entry.type == fs::file_type::directory) continue;
    if (const auto kind = kind_of(entry.path)) {
      scan.leftovers.push_back(leftover_of(*kind, entry, repository.name, {}));
      continue;
    }
    std::error_code problem;
    const std::uint64_t bytes = fs::file_size(entry.path, problem);
    if (problem) {
      scan.leftovers.push_back(leftover_of(LeftoverKind::dangling, entry, repository.name, {}));
      continue;
    }
    revision.bytes += bytes;
    ++revision.files;
    if (entry.type == fs::file_type::symlink) used.insert(fs::weakly_canonical(entry.path, problem));
    if (entry.type == fs::file_type::regular) repository.bytes += bytes;
  }
  for (auto& [commit, revision] : revisions) {
    revision.refs = refs[commit];
    repository.revisions.push_back(std::move(revision));
  }
}

void scan_repository(const CacheLayout& layout, const fs::path& folder, CacheScan& scan) {
  CachedRepository repository{
      .name = CacheLayout::name_of_folder(folder.filename().string()), .bytes = 0, .revisions = {}};
  std::set<fs::path> used;
  scan_snapshots(folder, repository, used, scan);
  std::error_code ignored;
  const fs::path blobs = fs::weakly_canonical(folder / "blobs", ignored);
  for (const Entry& entry : entries_below(blobs)) {
    if (entry.type != fs::file_type::regular) continue;
    repository.bytes += entry.bytes;
    const std::string name = entry.path.filename().string();
    const fs::path lock = layout.lock(repository.name, name.substr(0, name.find('.')));
    const bool is_journal = ends_with(entry.path, std::string(kPartialSuffix) + ".json");
    if (is_journal && fs::exists(entry.path.parent_path() / entry.path.stem(), ignored)) continue;
    if (const auto kind = is_journal ? LeftoverKind::temporary : kind_of(entry.path))
      scan.leftovers.push_back(leftover_of(*kind, entry, repository.name, lock));
    else if (!used.contains(entry.path))
      scan.leftovers.push_back(leftover_of(LeftoverKind::unreferenced, entry, repository.name, lock));
  }
  scan.bytes += repository.bytes;
  scan.repositories.push_back(std::move(repository));
}

}  // namespace

std::string_view name_of(LeftoverKind kind) {
  constexpr std::string_view kNames[] = {"unfinished", "unfinished by another program", "temporary", "unreferenced",
                                         "dangling link"};
  return kNames[static_cast<std::size_t>(kind)];
}

CacheScan scan_cache(const fs::path& cache, const fs::path& files_folder) {
  CacheScan scan;
  const CacheLayout layout(cache);
  std::vector<fs::path> folders;
  std::error_code problem;
  for (fs::directory_iterator at(cache, problem), end; !problem && at != end; at.increment(problem))
    if (!CacheLayout::name_of_folder(at->path().filename().string()).empty()) folders.push_back(at->path());
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) scan_repository(layout, folder, scan);
  if (!files_folder.empty()) scan_files(files_folder, scan);
  return scan;
}

Result<bool> remove_leftover(const Leftover& leftover) {
  std::error_code problem;
  std::optional<FileLock> lock;
  if (!leftover.lock.empty()) {
    ASSAY_TRY(lock, FileLock::try_take(leftover.lock));
    if (!lock) return false;
  }
  // Whoever held the lock before may have finished the file meanwhile.
  if (leftover.kind == LeftoverKind::dangling && fs::exists(leftover.path, problem)) return true;
  fs::remove(leftover.path, problem);
  if (problem) return disk_error(leftover.path, "cannot be removed", problem.value());
  if (leftover.kind == LeftoverKind::partial) fs::remove(leftover.path.string() + ".json", problem);
  return true;
}

Result<> remove_revision(const fs::path& cache, const std::string& repository, const std::string& commit) {
  ASSAY_TRY(const fs::path safe, safe_path(commit));
  const CacheLayout layout(cache);
  std::error_code problem;
  fs::remove_all(layout.snapshot(repository, safe.string()), problem);
  if (problem) return disk_error(layout.snapshot(repository, safe.string()), "cannot be removed", problem.value());
  for (const auto& [target, names] : refs_by_commit(layout.repository(repository)))
    for (const std::string& name : names)
      if (target == commit) fs::remove(layout.ref(repository, name), problem);
  return success();
}

Result<std::vector<CorruptBlob>> find_corrupt_blobs(const fs::path& cache, ProgressFn progress) {
  std::vector<CorruptBlob> corrupt;
  for (const CachedRepository& repository : scan_cache(cache).repositories) {
    for (const Entry& entry : entries_below(CacheLayout(cache).repository(repository.name) / "blobs")) {
      const auto digest = digest_of_etag(entry.path.filename().string());
      if (!digest || entry.type != fs::file_type::regular) continue;
      const Result<std::string> hash = hash_file(entry.path, digest->kind, progress);
      if (!hash && hash.error().code == Code::interrupted) return hash.error();
      const std::string actual = hash ? *hash : "cannot be read";
      if (actual != digest->hex) corrupt.push_back({entry.path, repository.name, actual, entry.bytes});
    }
  }
  return corrupt;
}

}  // namespace assay

// Which names and blobs of a snapshot can go.
#include "runtime/registry/removal.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/file_lock.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// The folder snapshots/COMMIT that a file of the cache lies in.
fs::path snapshot_of(const RegistryModel& model) {
  if (model.files.empty()) return {};
  fs::path folder = model.files.front().path;
  while (folder.has_relative_path() && folder.filename() != model.commit) folder = folder.parent_path();
  return folder.filename() == model.commit ? folder : fs::path();
}

// The blob behind a name, or the file itself.
fs::path blob_behind(const fs::path& name) {
  std::error_code problem;
  const fs::path real = fs::canonical(name, problem);
  return problem ? fs::path() : real;
}

// How many names in all snapshots lead to each blob.
std::map<fs::path, int> references_in(const fs::path& repository) {
  std::map<fs::path, int> out;
  std::error_code problem;
  for (fs::recursive_directory_iterator at(repository / "snapshots", problem), end; !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) ++out[blob_behind(at->path())];
  }
  return out;
}

bool is_empty_folder(const fs::path& folder) {
  std::error_code problem;
  return fs::is_directory(folder, problem) && fs::is_empty(folder, problem) && !problem;
}

// Removes folders from `folder` up to (not including) `top` while they are empty.
void remove_empty(fs::path folder, const fs::path& top) {
  std::error_code ignored;
  for (; folder != top && is_empty_folder(folder); folder = folder.parent_path()) fs::remove(folder, ignored);
}

void remove_refs_to(const fs::path& repository, const std::string& commit) {
  std::error_code problem, ignored;
  std::vector<fs::path> gone;
  for (fs::recursive_directory_iterator at(repository / "refs", problem), end; !problem && at != end;
       at.increment(problem)) {
    std::ifstream in(at->path());
    std::string line;
    std::getline(in, line);
    if (line == commit) gone.push_back(at->path());
  }
  for (const fs::path& ref : gone) {
    fs::remove(ref, ignored);
    remove_empty(ref.parent_path(), repository);
  }
}

}  // namespace

RemovalPlan plan_removal(const RegistryModel& model, const std::vector<RegistryModel>& models) {
  RemovalPlan out;
  if (model.source == "url") {
    for (const RegistryFile& file : model.files) out.blobs.push_back(file.path), out.freed_bytes += file.bytes;
    return out;
  }
  const fs::path snapshot = snapshot_of(model);
  if (model.source != "hub" || snapshot.empty()) return out;
  std::set<fs::path> names, needed;
  bool is_shared = false;
  for (const RegistryModel& other : models)
    if (other.name != model.name && other.is_here() && other.commit == model.commit && snapshot_of(other) == snapshot) {
      is_shared = true;
      for (const RegistryFile& file : other.files) needed.insert(file.path);
    }
  for (const RegistryFile& file : model.files) names.insert(file.path);
  std::error_code problem;
  for (fs::recursive_directory_iterator at(snapshot, problem), end; !is_shared && !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    if (!at->is_directory(ignored)) names.insert(at->path());
  }
  std::map<fs::path, int> references = references_in(snapshot.parent_path().parent_path());
  for (const fs::path& name : names) {
    if (needed.contains(name)) continue;
    out.links.push_back(name);
    const fs::path blob = blob_behind(name);
    std::error_code ignored;
    const std::uintmax_t bytes = blob.empty() ? 0 : fs::file_size(blob, ignored);
    if (blob.empty()) continue;  // a link whose blob is gone
    if (--references[blob] > 0) {
      out.kept.push_back(blob);
      out.kept_bytes += bytes;
    } else {
      if (blob != name) out.blobs.push_back(blob);
      out.freed_bytes += bytes;
    }
  }
  // Two names for one blob, both going: it is freed once.
  std::erase_if(out.kept, [&](const fs::path& blob) { return references[blob] == 0; });
  return out;
}

Result<> remove_files(const RemovalPlan& plan, const RegistryModel& model, const fs::path& cache) {
  const CacheLayout layout(cache);
  std::vector<FileLock> locks;
  for (const fs::path& blob : plan.blobs) {
    if (model.source != "hub") break;
    ASSAY_TRY(auto lock, FileLock::try_take(layout.lock(model.repository, blob.filename().string())));
    if (!lock)
      return Error{Code::denied, model.name,
                   "another process is at one of its files (" + blob.filename().string() + "); wait for it"};
    locks.push_back(std::move(*lock));
  }
  const auto remove = [](const fs::path& path) -> Result<> {
    std::error_code problem;
    fs::remove(path, problem);
    if (problem) return Error{Code::io, "", "cannot be removed: " + problem.message(), path.string()};
    return success();
  };
  for (const fs::path& link : plan.links) ASSAY_TRY_VOID(remove(link));
  for (const fs::path& blob : plan.blobs) ASSAY_TRY_VOID(remove(blob));
  if (model.source != "hub") {
    for (const fs::path& file : plan.blobs) remove_empty(file.parent_path(), cache);
    return success();
  }
  const fs::path repository = layout.repository(model.repository),
                 snapshot = layout.snapshot(model.repository, model.commit);
  for (const fs::path& link : plan.links) remove_empty(link.parent_path(), snapshot.parent_path());
  std::error_code ignored;
  if (!fs::exists(snapshot, ignored)) remove_refs_to(repository, model.commit);
  for (const char* folder : {"snapshots", "blobs", "refs"}) remove_empty(repository / folder, cache);
  return success();
}

}  // namespace assay

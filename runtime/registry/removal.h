// Removal: takes a model out of the cache and frees the blobs that nothing else refers to.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/registry/registry.h"

namespace assay {

// What will go. Files of imported models are the user's and stay.
struct RemovalPlan {
  std::vector<std::filesystem::path> links;  // names in snapshots, or whole files where links are off
  std::vector<std::filesystem::path> blobs;  // that nothing else refers to
  std::vector<std::filesystem::path> kept;   // blobs that other snapshots refer to
  std::uint64_t freed_bytes = 0, kept_bytes = 0;
};

// `models` are all of the registry: files that another one needs too are left alone. When no other model is in the
// snapshot, what stands beside the weights goes, too.
RemovalPlan plan_removal(const RegistryModel& model, const std::vector<RegistryModel>& models);

// Takes each blob's lock (a download of it elsewhere stops the removal), removes, and clears away what became empty:
// folders of snapshots, their refs, the repository. `cache` is the folder that the links lie in. Errors: denied, when a
// blob is in use; io.
Result<> remove_files(const RemovalPlan& plan, const RegistryModel& model, const std::filesystem::path& cache);

}  // namespace assay

// Export: a model's files under their own names in a folder of the user's, checked on the way.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/core/progress.h"
#include "runtime/registry/registry.h"

namespace assay {

struct ExportOptions {
  bool links = false;     // hard links instead of copies, where the disk allows it
  bool replaces = false;  // files that are there
};

struct Exported {
  std::vector<RegistryFile> files;  // as they are now, each with its SHA-256
  std::uint64_t bytes = 0;
};

// Copies every file, hashing it as it goes, and writes SHA256SUMS beside them, which `assay validate --level hash`
// reads. Whole files only, whatever happens. Errors: duplicate (a file is there), mismatch (a file is not what was
// recorded: nothing of it is left), space, io, interrupted.
Result<Exported> export_model(const RegistryModel& model, const std::filesystem::path& folder,
                              const ExportOptions& options, ProgressFn progress);

}  // namespace assay

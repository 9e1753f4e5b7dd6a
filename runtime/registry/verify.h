// Verify and renew: whether recorded models are still what they were, and whether a hub has newer ones.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "runtime/core/progress.h"
#include "runtime/registry/fetch_model.h"

namespace assay {

enum class FileVerdict : std::uint8_t {
  good,     // the recorded hash
  damaged,  // another hash or size
  missing,
  unknown  // nothing is recorded to compare with
};
inline constexpr std::array<std::string_view, 4> kFileVerdictNames = {"good", "damaged", "missing", "unknown"};
constexpr std::span<const std::string_view> enum_names(FileVerdict) {
  return kFileVerdictNames;
}

struct VerifiedFile {
  std::string name, path, hash;  // hash: as it is; empty when it was not read
  FileVerdict verdict = FileVerdict::good;
  std::string detail;

  static constexpr auto fields() {
    using V = VerifiedFile;
    constexpr Better none = Better::none;
    return std::tuple(Field{"name", "", none, &V::name}, Field{"path", "", none, &V::path},
                      Field{"hash", "", none, &V::hash}, Field{"verdict", "", none, &V::verdict},
                      Field{"detail", "", none, &V::detail});
  }
};

struct VerifiedModel {
  std::string name;
  std::vector<VerifiedFile> files;
  std::vector<std::string> errors;  // of its structure
  bool is_good = false;
  bool is_repaired = false;

  static constexpr auto fields() {
    using V = VerifiedModel;
    constexpr Better none = Better::none;
    return std::tuple(Field{"name", "", none, &V::name}, Field{"files", "", none, &V::files},
                      Field{"errors", "", none, &V::errors}, Field{"is_good", "", none, &V::is_good},
                      Field{"is_repaired", "", none, &V::is_repaired});
  }
};

// The validator's structure and hash levels over the weights, and the hashes of what stands beside them. Offline.
// Errors: interrupted.
Result<VerifiedModel> verify_model(const RegistryModel& model, ProgressFn progress);

// Fetches the bad files of `verified` again, of the commit that was recorded. Errors: unsupported, for models that did
// not come from a hub; those of Hub.
Result<> repair_model(Library& library, const HubOptions& options, const RegistryModel& model,
                      const VerifiedModel& verified, PullEvents events);

// What a hub has of a model now.
struct Newer {
  std::string name, repository, revision, commit, newest_commit;
  bool is_outdated = false;         // its own files have changed
  std::uint64_t missing_bytes = 0;  // to fetch
  std::uint64_t changed_files = 0;
  std::string problem;  // why it could not be told

  static constexpr auto fields() {
    using N = Newer;
    constexpr Better none = Better::none;
    return std::tuple(Field{"name", "", none, &N::name}, Field{"repository", "", none, &N::repository},
                      Field{"revision", "", none, &N::revision}, Field{"commit", "", none, &N::commit},
                      Field{"newest_commit", "", none, &N::newest_commit},
                      Field{"is_outdated", "", none, &N::is_outdated},
                      Field{"missing_bytes", "B", none, &N::missing_bytes},
                      Field{"changed_files", "", none, &N::changed_files}, Field{"problem", "", none, &N::problem});
  }
};

// Whether a newer one can be asked for: downloaded from a hub, and not an old snapshot or pinned to a commit.
bool can_be_renewed(const RegistryModel& model);

// Asks the hub for the model's files at its revision. `plan` fetches what has changed. Errors: those of Hub::plan.
struct Renewal {
  Newer newer;
  PullPlan plan;
};
Result<Renewal> look_for_newer(Hub& hub, const RegistryModel& model, PullEvents events);

}  // namespace assay

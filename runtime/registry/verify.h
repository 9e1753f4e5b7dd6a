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

  static constexpr void fields(auto visit) {
    using V = VerifiedFile;
    constexpr Better none = Better::none;
    visit("name", "", none, &V::name);
    visit("path", "", none, &V::path);
    visit("hash", "", none, &V::hash);
    visit("verdict", "", none, &V::verdict);
    visit("detail", "", none, &V::detail);
  }
};

struct VerifiedModel {
  std::string name;
  std::vector<VerifiedFile> files;
  std::vector<std::string> errors;  // of its structure
  bool is_good = false;
  bool is_repaired = false;

  static constexpr void fields(auto visit) {
    using V = VerifiedModel;
    constexpr Better none = Better::none;
    visit("name", "", none, &V::name);
    visit("files", "", none, &V::files);
    visit("errors", "", none, &V::errors);
    visit("is_good", "", none, &V::is_good);
    visit("is_repaired", "", none, &V::is_repaired);
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

  static constexpr void fields(auto visit) {
    using N = Newer;
    constexpr Better none = Better::none;
    visit("name", "", none, &N::name);
    visit("repository", "", none, &N::repository);
    visit("revision", "", none, &N::revision);
    visit("commit", "", none, &N::commit);
    visit("newest_commit", "", none, &N::newest_commit);
    visit("is_outdated", "", none, &N::is_outdated);
    visit("missing_bytes", "B", none, &N::missing_bytes);
    visit("changed_files", "", none, &N::changed_files);
    visit("problem", "", none, &N::problem);
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

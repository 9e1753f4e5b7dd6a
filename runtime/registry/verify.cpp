// Hashes of what is here against what was recorded, and commits against what a hub says.
#include "runtime/registry/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/digest.h"
#include "runtime/validate/validate.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// The weights' hashes, from the pass that also reads their structure; none when it could not be opened.
Result<std::map<std::string, std::string>> validate_weights(const RegistryModel& model, VerifiedModel& out,
                                                            ProgressFn progress) {
  std::map<std::string, std::string> hashes;
  ValidateOptions options{.numbers = false, .hash = true};
  for (const RegistryFile& file : model.files)
    if (file.has_sha256()) options.known[fs::path(file.path).filename().string()] = file.hash;
  auto validation = validate(model.path, options, progress);
  if (!validation && validation.error().code == Code::interrupted) return std::move(validation).error();
  if (!validation) {
    out.errors.push_back(validation.error().message());
    return hashes;
  }
  for (const FileHash& hash : validation->hashes) hashes[hash.file.filename().string()] = hash.sha256;
  for (const Finding& finding : validation->findings)
    if (finding.severity == Severity::error && finding.rule != "hash.mismatch")
      out.errors.push_back(finding.rule + ": " + (finding.subject.empty() ? "" : finding.subject + ": ") +
                           finding.message);
  return hashes;
}

Result<VerifiedFile> verify_file(const RegistryFile& file, const std::string& known_hash, ProgressFn progress) {
  VerifiedFile out{.name = file.name, .path = file.path, .hash = known_hash, .detail = {}};
  std::error_code problem;
  const std::uintmax_t bytes = fs::file_size(file.path, problem);
  if (problem) {
    out.verdict = FileVerdict::missing;
    out.detail = "is not there";
    return out;
  }
  const auto digest = digest_of_etag(file.hash);
  if (bytes != file.bytes) {
    out.verdict = FileVerdict::damaged;
    out.detail = fmt::format("has {} bytes, and {} were recorded", bytes, file.bytes);
    return out;
  }
  if (!digest) {
    out.verdict = FileVerdict::unknown;
    out.detail = "nothing is recorded to compare it with";
    return out;
  }
  if (out.hash.empty()) {
    auto hash = hash_file(file.path, digest->kind, progress);
    if (!hash && hash.error().code == Code::interrupted) return std::move(hash).error();
    if (!hash) {
      out.verdict = FileVerdict::damaged;
      out.detail = hash.error().message();
      return out;
    }
    out.hash = std::move(*hash);
  }
  if (out.hash != digest->hex) {
    out.verdict = FileVerdict::damaged;
    out.detail = fmt::format("its {} is {}, and {} was recorded", name_of(digest->kind), out.hash, digest->hex);
  }
  return out;
}

// A name as a glob that means only itself.
std::string literal_glob(std::string_view name) {
  std::string out;
  for (const char c : name) out += c == '*' || c == '?' || c == '[' ? fmt::format("[{}]", c) : std::string(1, c);
  return out;
}

bool is_bad(const VerifiedFile& file) {
  return file.verdict == FileVerdict::damaged || file.verdict == FileVerdict::missing;
}

}  // namespace

Result<VerifiedModel> verify_model(const RegistryModel& model, ProgressFn progress) {
  VerifiedModel out;
  out.name = model.name;
  ASSAY_TRY(const auto hashes, validate_weights(model, out, progress));
  for (const RegistryFile& file : model.files) {
    const auto known = hashes.find(fs::path(file.path).filename().string());
    ASSAY_TRY(VerifiedFile verified,
              verify_file(file, known == hashes.end() || !file.has_sha256() ? "" : known->second, progress));
    out.files.push_back(std::move(verified));
  }
  out.is_good = out.errors.empty() && std::none_of(out.files.begin(), out.files.end(), is_bad);
  return out;
}

Result<> repair_model(Library& library, const HubOptions& options, const RegistryModel& model,
                      const VerifiedModel& verified, PullEvents events) {
  if (model.source != "hub")
    return Error{Code::unsupported, model.name,
                 "did not come from a hub (" + model.source + "); get its files again where they came from"};
  FileChoice choice;
  for (const VerifiedFile& file : verified.files)
    if (is_bad(file)) choice.include.push_back(literal_glob(file.name));
  if (choice.include.empty())
    return Error{Code::malformed, model.name,
                 "has the hashes that were recorded, and is no good model all the same; the hub's file is bad"};
  HubOptions again = options;
  again.downloads_again = true;
  again.cache_folder = library.places().hub_cache;
  Hub hub(std::move(again));
  ASSAY_TRY(const PullPlan plan, hub.plan({.repository = model.repository, .revision = model.commit}, choice, events));
  ASSAY_TRY([[maybe_unused]] const PullResult pulled, hub.pull(plan, events));
  ASSAY_TRY_VOID(library.reconcile());
  return success();
}

bool can_be_renewed(const RegistryModel& model) {
  return model.source == "hub" && model.is_here() && model.name.find('@') == std::string::npos &&
         !is_commit(model.revision);
}

Result<Renewal> look_for_newer(Hub& hub, const RegistryModel& model, PullEvents events) {
  HubSource source{.repository = model.repository, .revision = model.revision};
  if (model.format == "gguf" && !model.files.empty()) {
    source.kind = SourceKind::file;
    source.file = model.files.front().name;
  }
  ASSAY_TRY(PullPlan plan, hub.plan(source, {}, events));
  Newer newer;
  newer.name = model.name;
  newer.repository = model.repository;
  newer.revision = plan.revision;
  newer.commit = model.commit;
  newer.newest_commit = plan.commit;
  for (const PlannedFile& file : plan.files) {
    const auto old = std::find_if(model.files.begin(), model.files.end(),
                                  [&](const RegistryFile& each) { return each.name == file.name; });
    const bool is_same =
        old != model.files.end() && (old->hash.empty() ? old->bytes == file.size : old->hash == file.etag);
    if (!is_same && plan.commit != model.commit) ++newer.changed_files;
  }
  newer.is_outdated = newer.changed_files > 0;
  newer.missing_bytes = plan.missing_bytes;
  return Renewal{std::move(newer), std::move(plan)};
}

}  // namespace assay

// validate(): the levels one after another, from the same parsers that open files.
#include "runtime/validate/validate.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "runtime/formats/shard_name.h"
#include "runtime/validate/hashes.h"
#include "runtime/validate/numbers.h"
#include "runtime/validate/pass.h"
#include "runtime/validate/subject.h"

namespace assay {

namespace fs = std::filesystem;

std::size_t Validation::count(Severity severity) const {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(),
                                                [&](const Finding& finding) { return finding.severity == severity; }));
}

namespace validation {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_structure(Subject& subject) {
  check_keys(subject);
  check_tensors(subject);
  check_tokenizer(subject);
  check_folder(subject);
}

// Numbers and hashes in one walk over the bytes.
Result<> check_bytes(Subject& subject, const ValidateOptions& options, std::vector<FileHash>* hashes,
                     ProgressFn progress) {
  const bool hash = hashes != nullptr;
  if (!options.numbers && !hash) return success();
  ASSAY_TRY(const PassResult result, run_pass(subject.model(), {options.numbers, hash, options.threads}, progress));
  if (options.numbers) {
    report_numbers(subject, result.numbers);
    report_duplicates(subject, result.numbers);
    report_padding(subject);
  }
  if (!hash) return success();
  for (std::size_t i = 0; i < hashes->size(); ++i) (*hashes)[i].sha256 = result.hashes[i];
  report_hashes(subject, *hashes);
  return success();
}

void check_unchanged(Subject& subject) {
  for (const MappedFile& file : subject.model().files)
    if (const auto unchanged = file.check_unchanged(); !unchanged)
      subject.remark({"file.changed", unchanged.error().code, file.path().filename().string(), unchanged.error().detail,
                      "findings above may speak of bytes that are gone", std::nullopt, file.path().string()});
}

// A path that cannot be looked at at all, which is no finding about a model.
Result<> check_readable(const fs::path& path) {
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (!fs::exists(status)) return Error{Code::not_found, "", "no such file or folder; check the path", path.string()};
  if (fs::is_directory(status)) {
    const fs::directory_iterator at(path, problem);
    if (problem)
      return Error{Code::io, "", "cannot read the folder: " + problem.message() + "; check its permissions",
                   path.string()};
    return success();
  }
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  return success();
}

}  // namespace
}  // namespace validation

Result<> validate(const ModelFile& model, const ValidateOptions& options, FindingSink& sink, ProgressFn progress) {
  validation::Subject subject(model, sink);
  validation::check_structure(subject);
  ASSAY_TRY_VOID(validation::check_bytes(subject, options, nullptr, progress));
  if (options.run) validation::check_run(subject, options.backends);
  validation::check_unchanged(subject);
  return success();
}

Result<Validation> validate(const fs::path& path, const ValidateOptions& options, ProgressFn progress) {
  using Clock = std::chrono::steady_clock;
  ASSAY_TRY_VOID(validation::check_readable(path));
  Validation out;
  out.path = path;
  AllFindings sink;
  auto start = Clock::now();
  const auto model = open_model(path, sink);
  if (!model) {
    out.findings = sink.findings();
    out.structure_s = validation::seconds_since(start);
    return out;
  }
  validation::Subject subject(*model, sink);
  validation::check_structure(subject);
  out.quality = estimate_quality(*model);
  out.file_bytes = model->file_bytes();
  out.structure_s = validation::seconds_since(start);

  start = Clock::now();
  if (options.hash) {
    ASSAY_TRY(out.hashes, validation::known_hashes(*model, options));
  }
  ASSAY_TRY_VOID(validation::check_bytes(subject, options, options.hash ? &out.hashes : nullptr, progress));
  out.pass_s = validation::seconds_since(start);

  start = Clock::now();
  if (options.run) validation::check_run(subject, options.backends);
  out.run_s = validation::seconds_since(start);
  validation::check_unchanged(subject);
  out.findings = sink.findings();
  return out;
}

namespace {

bool is_weights_folder(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"})
    if (fs::exists(folder / name, ignored)) return true;
  return false;
}

}  // namespace

std::vector<fs::path> models_at(const fs::path& path) {
  std::error_code problem;
  if (!fs::is_directory(path, problem) || is_weights_folder(path)) return {path};
  std::vector<fs::path> found;
  std::set<std::string> sets;
  const bool is_repository = fs::is_directory(path / "snapshots", problem) && fs::is_directory(path / "blobs", problem);
  for (fs::directory_iterator at(is_repository ? path / "snapshots" : path, problem), end; !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    const std::string name = at->path().filename().string();
    if (is_repository && at->is_directory(ignored)) {
      for (fs::path& each : models_at(at->path())) found.push_back(std::move(each));
    } else if (!is_repository && name.ends_with(".gguf")) {
      const auto part = parse_shard_name(name);
      if (!part || sets.insert(part->prefix).second) found.push_back(at->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found.empty() ? std::vector{path} : found;
}

}  // namespace assay

// Validate: every defect of a model, named. One call for files and folders, one for a model that is already open.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"
#include "runtime/formats/model_file.h"
#include "runtime/validate/quality.h"
#include "runtime/validate/run_check.h"

namespace assay {

// What is looked at. Structure always is: the rest reads what the structure describes.
struct ValidateOptions {
  bool numbers = true;                 // every weight
  bool hash = false;                   // SHA-256 of every file, against what is known of it
  bool run = false;                    // a short prompt on every backend of `backends`
  int threads = 0;                     // 0: as many as this process may use
  std::string sha256{};                // what the (only) file must hash to, in hex
  std::filesystem::path sums{};        // a SHA256SUMS file; empty: one beside the weights is used
  std::map<std::string, std::string> known{};  // SHA-256 by file name, as somebody else recorded them
  std::vector<RunBackend> backends{};  // for `run`; the first one is the truth
};

// One file and its hash. `expected` is empty where nothing is recorded of it; `source` says where it was found.
struct FileHash {
  std::filesystem::path file;
  std::string sha256, expected, source;
};

struct Validation {
  std::filesystem::path path;
  std::vector<Finding> findings;  // in the order they were found
  std::vector<FileHash> hashes;
  std::optional<Quality> quality;  // absent where the file could not be followed to its end
  std::uint64_t file_bytes = 0;
  double structure_s = 0, pass_s = 0, run_s = 0;  // how long each part took; pass: numbers and hash

  std::size_t count(Severity severity) const;
};

// Opens and checks. Everything wrong with the file is a finding; an Error means that it could not be looked at at all
// (not_found, io), that the options contradict each other (usage) or that `progress` said stop (interrupted).
Result<Validation> validate(const std::filesystem::path& path, const ValidateOptions& options = {},
                            ProgressFn progress = ignore_progress);

// The checks of an open model, into `sink`: structure (beyond what the parsers said on opening), numbers and run.
Result<> validate(const ModelFile& model, const ValidateOptions& options, FindingSink& sink,
                  ProgressFn progress = ignore_progress);

// What a user's path stands for: itself, or the models in it (a folder of several GGUF files, a repository of the hub's
// cache with its snapshots).
std::vector<std::filesystem::path> models_at(const std::filesystem::path& path);

}  // namespace assay

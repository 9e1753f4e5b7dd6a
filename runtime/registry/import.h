// Import: models that came another way: files and folders of the user's, the stores of ollama and LM Studio.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/core/progress.h"
#include "runtime/registry/library.h"

namespace assay {

// What a path holds, as records whose hashes are known only where the store tells them (ollama). Nothing is copied or
// changed.
struct ImportFound {
  std::string kind;  // "file", "folder", "ollama", "lmstudio"
  std::vector<RegistryModel> models;
  std::vector<std::string> problems;  // what was left out, each with its reason
};

// A model file or folder, the folder of an ollama store (manifests and blobs) or of an LM Studio one
// (ORG/REPO/FILE.gguf), or the words "ollama" and "lmstudio" for the stores in their usual places. Errors: not_found,
// and missing when nothing is a model.
Result<ImportFound> find_imports(const std::filesystem::path& path, const Places& places);

// Opens the model (headers only) and hashes the files whose hash is not known. Errors: those of open_model;
// interrupted.
Result<> complete_import(RegistryModel& model, ProgressFn progress);

// Errors: duplicate, when another model has that name.
Result<> check_name_is_free(Registry& registry, const RegistryModel& model);

}  // namespace assay

// The models that lie whole in a Hugging Face cache, as the registry records them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/registry/catalogue.h"
#include "runtime/registry/registry.h"

namespace assay {

// Every model of every snapshot in `cache` (…/huggingface/hub): GGUF files (all parts of a split one) and folders of
// safetensors (all shards of the index). Incomplete ones are left out. A model that is a row of the catalogue has its
// id as name, others "ORG/REPO:QUANT" or "ORG/REPO"; those of older snapshots have "@COMMIT" behind. Reads small JSON
// files only.
std::vector<RegistryModel> models_in_cache(const std::filesystem::path& cache, const Catalogue& catalogue);

// The name of a repository's model that is no row of the catalogue: ORG/REPO:QUANT of a GGUF file, ORG/REPO/FILE where
// its name says no quantisation, ORG/REPO when `gguf` is empty.
std::string name_in_cache(const std::string& repository, const std::string& gguf);

// Models that came from plain URLs: `folder` holds HOST/PATH, which is their name.
std::vector<RegistryModel> models_of_urls(const std::filesystem::path& folder);

// The models among the files of one folder, which is a snapshot or one of the user's, and of those below. Their names
// are their files' names in it; those of folders the folder's, empty for `folder` itself.
std::vector<RegistryModel> models_in_folder(const std::filesystem::path& folder, bool goes_deep = true);

}  // namespace assay

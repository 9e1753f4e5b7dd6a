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
// safetensors (all shards of the index). Incomplete ones are left out. A model that is a row of the catalogue has its id as
// name, others "ORG/REPO:QUANT" or "ORG/REPO"; those of older snapshots have "@COMMIT" behind. Reads small JSON files only.
std::vector<RegistryModel> models_in_cache(const std::filesystem::path& cache, const Catalogue& catalogue);

// The models among the files of one folder, which is a snapshot, or a folder of the user's. Their names are file names.
std::vector<RegistryModel> models_in_folder(const std::filesystem::path& folder);

// "Q4_K_M" of "model-Q4_K_M-00001-of-00002.gguf", in capitals; empty when the name has none.
std::string quantization_of(std::string_view file_name);

}  // namespace assay

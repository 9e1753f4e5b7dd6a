// Places: where the registry, the catalogue, the caches and the bundled models lie.
#pragma once

#include <filesystem>

#include "runtime/hub/options.h"

namespace assay {

struct Places {
  std::filesystem::path
      home;  // $ASSAY_HOME, else $XDG_DATA_HOME/assay, else ~/.local/share/assay: assay.db, results, catalogue.yaml
  std::filesystem::path cache;      // $XDG_CACHE_HOME/assay, else ~/.cache/assay
  std::filesystem::path hub_cache;  // the Hugging Face cache, shared with other programs
  std::filesystem::path url_files;  // what came from plain URLs: HOST/PATH
  std::filesystem::path ollama;     // $OLLAMA_MODELS, else ~/.ollama/models
  std::filesystem::path lm_studio;  // ~/.lmstudio/models, else ~/.cache/lm-studio/models
  std::filesystem::path fixtures;   // of the checkout that `program` was built in; empty when it is not there
};

Places read_places(Environment environment, const HubOptions& hub, const std::filesystem::path& program);

}  // namespace assay

// Places: where the registry, the catalogue, the caches and the bundled models lie.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime/core/function_ref.h"

namespace assay {

struct Places {
  std::filesystem::path home;       // $ASSAY_HOME, else $XDG_DATA_HOME/assay, else ~/.local/share/assay: assay.db, results, catalogue.yaml
  std::filesystem::path cache;      // $XDG_CACHE_HOME/assay, else ~/.cache/assay
  std::filesystem::path hub_cache;  // the Hugging Face cache, shared with other programs
  std::filesystem::path ollama;     // $OLLAMA_MODELS, else ~/.ollama/models
  std::filesystem::path lm_studio;  // ~/.lmstudio/models, else ~/.cache/lm-studio/models
  std::filesystem::path fixtures;   // of the checkout that the program was built in; empty when it is not there
};

// A variable of the environment, empty when it is not set. Programs give getenv; libraries do not ask the environment.
using EnvironmentFn = FunctionRef<std::string(const char* name)>;
Places read_places(EnvironmentFn environment, const std::filesystem::path& program);

}  // namespace assay

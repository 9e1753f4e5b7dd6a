// The rules by which folders follow from the environment.
#include "runtime/registry/places.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// fixtures/ of the checkout: a few folders above build/PRESET/bin.
fs::path fixtures_above(const fs::path& program) {
  fs::path folder = program.parent_path();
  for (int level = 0; level < 5 && folder.has_relative_path(); ++level, folder = folder.parent_path()) {
    std::error_code ignored;
    if (fs::is_directory(folder / "fixtures" / "models", ignored)) return folder / "fixtures";
  }
  return {};
}

}  // namespace

Places read_places(EnvironmentFn environment, const fs::path& program) {
  const std::string home = environment("HOME");
  const fs::path user = home.empty() ? fs::temp_directory_path() : fs::path(home);
  const auto folder = [&](const char* variable, const fs::path& otherwise) {
    const std::string value = environment(variable);
    return value.empty() ? otherwise : fs::path(value);
  };
  Places out;
  const fs::path caches = folder("XDG_CACHE_HOME", user / ".cache");
  out.home = folder("ASSAY_HOME", folder("XDG_DATA_HOME", user / ".local" / "share") / "assay");
  out.cache = caches / "assay";
  out.hub_cache = folder("HF_HUB_CACHE", folder("HUGGINGFACE_HUB_CACHE", folder("HF_HOME", caches / "huggingface") / "hub"));
  out.ollama = folder("OLLAMA_MODELS", user / ".ollama" / "models");
  std::error_code ignored;
  out.lm_studio = user / ".lmstudio" / "models";
  if (const fs::path older = user / ".cache" / "lm-studio" / "models"; !fs::exists(out.lm_studio, ignored) && fs::exists(older, ignored)) out.lm_studio = older;
  out.fixtures = fixtures_above(program);
  return out;
}

}  // namespace assay

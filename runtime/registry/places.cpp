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

Places read_places(Environment environment, const HubOptions& hub, const fs::path& program) {
  const auto folder = [&](const char* variable, const fs::path& otherwise) {
    const std::string value = environment(variable).value_or("");
    return value.empty() ? otherwise : fs::path(value);
  };
  const fs::path user = folder("HOME", fs::temp_directory_path());
  Places out;
  out.home = folder("ASSAY_HOME", folder("XDG_DATA_HOME", user / ".local" / "share") / "assay");
  out.cache = folder("XDG_CACHE_HOME", user / ".cache") / "assay";
  out.hub_cache = hub.cache_folder;
  out.url_files = hub.files_folder;
  out.ollama = folder("OLLAMA_MODELS", user / ".ollama" / "models");
  std::error_code ignored;
  out.lm_studio = user / ".lmstudio" / "models";
  if (const fs::path older = user / ".cache" / "lm-studio" / "models";
      !fs::exists(out.lm_studio, ignored) && fs::exists(older, ignored))
    out.lm_studio = older;
  out.fixtures = fixtures_above(program);
  return out;
}

}  // namespace assay

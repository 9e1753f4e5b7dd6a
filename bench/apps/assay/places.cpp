// Environment and /proc/self/exe behind the places.
#include "bench/apps/assay/places.h"

#include <cstdlib>
#include <string>

#include "runtime/registry/places.h"

namespace assay {

namespace fs = std::filesystem;

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

namespace {

// The hub's places do not matter here.
Places own_places() {
  const auto environment = [](const char* name) { return environment_variable(name); };
  return read_places(environment, HubOptions{}, {});
}

}  // namespace

fs::path home_folder() { return own_places().home; }
fs::path cache_folder() { return own_places().cache; }

fs::path program_beside(const char* name) {
  std::error_code problem;
  return fs::read_symlink("/proc/self/exe", problem).parent_path() / name;
}

}  // namespace assay

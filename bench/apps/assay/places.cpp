// Environment and /proc/self/exe behind the places.
#include "bench/apps/assay/places.h"

#include <cstdlib>
#include <string>

namespace assay {

namespace fs = std::filesystem;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path user_folder(const char* base, const char* below_home) {
  if (const std::string folder = variable(base); !folder.empty()) return fs::path(folder) / "assay";
  const std::string home = variable("HOME");
  return (home.empty() ? fs::temp_directory_path() : fs::path(home) / below_home) / "assay";
}

}  // namespace

fs::path home_folder() {
  if (const std::string home = variable("ASSAY_HOME"); !home.empty()) return home;
  return user_folder("XDG_DATA_HOME", ".local/share");
}

fs::path cache_folder() { return user_folder("XDG_CACHE_HOME", ".cache"); }

fs::path program_beside(const char* name) {
  std::error_code problem;
  return fs::read_symlink("/proc/self/exe", problem).parent_path() / name;
}

}  // namespace assay

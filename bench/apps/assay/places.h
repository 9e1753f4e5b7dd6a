// Places: where assay keeps results, caches and its own programs. Here, and nowhere below, the environment is read.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace assay {

// Nothing when it is not set.
std::optional<std::string> environment_variable(const char* name);

// $ASSAY_HOME, else $XDG_DATA_HOME/assay, else ~/.local/share/assay: assay.db and results/.
std::filesystem::path home_folder();
// $XDG_CACHE_HOME/assay, else ~/.cache/assay: hashes, checks, synthetic models.
std::filesystem::path cache_folder();
// A program that stands beside this one.
std::filesystem::path program_beside(const char* name);

}  // namespace assay

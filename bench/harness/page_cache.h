// Page cache: drop files from it and see whether they are gone, so that a cold start is one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay {

// Asks the system to forget the cached pages of every file, then counts what is left (mincore). Empty when nothing is left,
// else why the files are not cold.
std::string drop_from_page_cache(const std::vector<std::filesystem::path>& files);

}  // namespace assay

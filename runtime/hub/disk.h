// The disk: folders, free space, files and names that survive a power cut, and errors that say what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "runtime/core/error.h"

namespace assay {

// Names the path and what to do; the code is space, denied or io.
Error disk_error(const std::filesystem::path& path, std::string_view what, int number);

Result<> make_folders(const std::filesystem::path& folder);

// Free for this user on the disk of `path`, which need not exist yet; nothing where the system does not say.
std::uint64_t free_bytes(const std::filesystem::path& path);

// The names in a folder survive a power cut from here on. A file system that cannot do it is not an error.
void sync_folder(const std::filesystem::path& folder);

// `path` with an ending that nobody else uses at the same time, in this process, in another, or on another machine.
inline constexpr const char* kTemporarySuffix = ".assay.tmp";
std::filesystem::path temporary_beside(const std::filesystem::path& path);

// Writes under another name beside `path` first, so that `path` is always whole. `is_synced`: it survives a power cut.
Result<> write_whole(const std::filesystem::path& path, std::string_view text, bool is_synced = false);

}  // namespace assay

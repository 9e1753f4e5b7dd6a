// Place: where one file of a plan is kept: its name, its partial file, its lock, and the note that says which version
// it is.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime/core/error.h"
#include "runtime/hub/hub.h"

namespace assay {

struct Place {
  std::filesystem::path target;  // the file with the bytes: a blob, or the file itself
  std::filesystem::path partial, lock;
  std::filesystem::path note;  // FILE.metadata for files outside the cache; empty in it
};

// In the cache of a repository, or below `folder` under its own name (with .cache/huggingface/download beside it, as
// Python has it).
Place place_in_cache(const std::filesystem::path& cache, const std::string& repository, const std::string& etag);
Place place_in_folder(const std::filesystem::path& folder, const std::filesystem::path& name, const std::string& etag);

// FILE.metadata: commit, etag and time of a download, a line each.
struct DownloadNote {
  std::string commit, etag;
};
std::optional<DownloadNote> read_note(const Place& place);  // nothing when the file was changed after the note
Result<> write_note(const Place& place, const DownloadNote& note);

// Whether the complete file is there already, by its size and, outside the cache, its note.
bool is_there(const Place& place, std::optional<std::uint64_t> size, const std::string& etag);

}  // namespace assay

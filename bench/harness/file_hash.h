// Hashes of model files, and small facts kept between runs as JSON files in a cache folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/core/describe.h"
#include "runtime/core/error.h"

namespace assay {

// SHA-256 of one file; of several, the hash over their hashes in order. What was hashed before and has not changed since
// (path, size, time, inode) comes from `cache_folder`; an empty one keeps nothing. Errors: not_found, io.
Result<std::string> hash_files(const std::vector<std::filesystem::path>& files, const std::filesystem::path& cache_folder);

// A cache that cannot be written or holds nonsense is no error: things are then worked out again.
Result<Json> read_cached_json(const std::filesystem::path& file);
void write_cached_json(const std::filesystem::path& file, const Json& json);

template <Described T>
Result<T> read_cached(const std::filesystem::path& file) {
  ASSAY_TRY(const Json json, read_cached_json(file));
  return from_json<T>(json);
}
template <Described T>
void write_cached(const std::filesystem::path& file, const T& value) {
  write_cached_json(file, to_json(value));
}

}  // namespace assay

// Hashing and the JSON files of the cache.
#include "bench/harness/file_hash.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "runtime/core/mapped_file.h"
#include "runtime/core/sha256.h"
#include "runtime/formats/output_file.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

struct HashedFile {
  std::string identity, sha256;

  static constexpr void fields(auto visit) {
    visit("identity", "", Better::none, &HashedFile::identity);
    visit("sha256", "", Better::none, &HashedFile::sha256);
  }
};

Result<std::string> hash_file(const fs::path& path, const fs::path& cache_folder) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Error{errno == ENOENT ? Code::not_found : Code::io, "", std::string("cannot read: ") + std::strerror(errno), path.string()};
  std::error_code ignored;
  const std::string identity = fmt::format("{} {} {}.{:09} {}", fs::absolute(path, ignored).string(), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino);
  const fs::path cached = cache_folder.empty() ? fs::path() : cache_folder / "hashes" / sha256_of(std::as_bytes(std::span(identity)));
  if (!cached.empty())
    if (const auto known = read_cached<HashedFile>(cached); known && known->identity == identity && known->sha256.size() == 64) return known->sha256;
  ASSAY_TRY(std::string hash, sha256_of_file(path));
  if (!cached.empty()) write_cached(cached, HashedFile{identity, hash});
  return hash;
}

}  // namespace

Result<std::string> hash_files(const std::vector<fs::path>& files, const fs::path& cache_folder) {
  std::string joined, last;
  for (const fs::path& file : files) {
    ASSAY_TRY(last, hash_file(file, cache_folder));
    joined += last + "\n";
  }
  return files.size() == 1 ? last : sha256_of(std::as_bytes(std::span(joined)));
}

Result<Json> read_cached_json(const fs::path& file) {
  ASSAY_TRY(const MappedFile mapped, MappedFile::open(file));
  return parse_json({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()});
}

void write_cached_json(const fs::path& file, const Json& json) {
  std::error_code problem;
  fs::create_directories(file.parent_path(), problem);
  auto out = OutputFile::create(file);
  if (!out) return;
  const std::string text = to_text(json);
  if (out->write(std::as_bytes(std::span(text)))) (void)out->commit();
}

}  // namespace assay

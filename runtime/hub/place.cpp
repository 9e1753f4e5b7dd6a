// Names around a file, and notes of downloads.
#include "runtime/hub/place.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <fstream>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/disk.h"
#include "runtime/hub/partial.h"

namespace assay {

namespace fs = std::filesystem;

Place place_in_cache(const fs::path& cache, const std::string& repository, const std::string& etag) {
  const CacheLayout layout(cache);
  const fs::path blob = layout.blob(repository, etag);
  return {.target = blob, .partial = blob.string() + kPartialSuffix, .lock = layout.lock(repository, etag), .note = {}};
}

Place place_in_folder(const fs::path& folder, const fs::path& name, const std::string& etag) {
  const std::string beside = (folder / ".cache" / "huggingface" / "download" / name).string();
  return {.target = folder / name,
          .partial = beside + "." + etag_name(etag) + kPartialSuffix,
          .lock = beside + ".lock",
          .note = beside + ".metadata"};
}

std::optional<DownloadNote> read_note(const Place& place) {
  std::ifstream in(place.note);
  DownloadNote note;
  std::string time;
  if (place.note.empty() || !std::getline(in, note.commit) || !std::getline(in, note.etag) || !std::getline(in, time))
    return std::nullopt;
  double noted = 0;
  const auto [end, problem] = std::from_chars(time.data(), time.data() + time.size(), noted);
  struct stat info {};
  if (problem != std::errc() || end == time.data() || ::stat(place.target.c_str(), &info) != 0) return std::nullopt;
  if (static_cast<double>(info.st_mtime) > noted + 1) return std::nullopt;
  return note;
}

Result<> write_note(const Place& place, const DownloadNote& note) {
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return write_whole(place.note, fmt::format("{}\n{}\n{:.6f}\n", note.commit, note.etag, now));
}

bool is_there(const Place& place, std::optional<std::uint64_t> size, const std::string& etag) {
  std::error_code problem;
  const fs::file_status status = fs::status(place.target, problem);
  if (problem || status.type() != fs::file_type::regular) return false;
  if (size && (fs::file_size(place.target, problem) != *size || problem)) return false;
  if (place.note.empty()) return size.has_value();
  const auto note = read_note(place);
  return note && !etag.empty() && note->etag == etag;
}

}  // namespace assay

// Names and links of the Hugging Face cache.
#include "runtime/hub/cache_layout.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <fstream>

#include "runtime/core/bytes.h"
#include "runtime/core/sha256.h"
#include "runtime/hub/disk.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "models--";
constexpr const char* kTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of files from a model hub.\n";

Error unsafe(std::string_view name, std::string_view why) {
  return Error{Code::denied, std::string(name.substr(0, 200)),
               "the hub names a file that is not fetched: its name " + std::string(why)};
}

// Windows keeps these for devices, whatever follows the first dot.
bool is_device_name(std::string_view part) {
  std::string base(part.substr(0, part.find('.')));
  std::transform(base.begin(), base.end(), base.begin(),
                 [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  constexpr std::array<std::string_view, 4> kPlain = {"CON", "PRN", "AUX", "NUL"};
  if (std::find(kPlain.begin(), kPlain.end(), base) != kPlain.end()) return true;
  return base.size() == 4 && (base.starts_with("COM") || base.starts_with("LPT")) && base[3] >= '1' && base[3] <= '9';
}

Result<> check_component(std::string_view name, std::string_view part) {
  if (part.empty()) return unsafe(name, "has an empty component");
  if (part == "." || part == "..") return unsafe(name, "leads to another folder");
  if (part.size() > 255) return unsafe(name, "has a component of more than 255 bytes");
  if (is_device_name(part)) return unsafe(name, "is a device on some systems");
  return success();
}

fs::path relative_blob(const fs::path& path, std::string_view etag) {
  fs::path out = "../..";  // from snapshots/COMMIT
  for (auto part = path.begin(); std::next(part) != path.end(); ++part) out /= "..";
  return out / "blobs" / std::string(etag);
}

bool is_same_link(const fs::path& link, const fs::path& target) {
  std::error_code problem;
  return fs::read_symlink(link, problem) == target && !problem;
}

// The blob itself under the snapshot's name, for disks without links.
Result<> place_file(const fs::path& blob, const fs::path& pointer) {
  if (::link(blob.c_str(), pointer.c_str()) == 0 || errno == EEXIST) return success();
  std::error_code problem;
  const fs::path temporary = temporary_beside(pointer);
  fs::copy_file(blob, temporary, fs::copy_options::overwrite_existing, problem);
  if (!problem) fs::rename(temporary, pointer, problem);
  if (problem) return disk_error(pointer, "cannot be copied from the cache", problem.value());
  return success();
}

}  // namespace

std::string CacheLayout::folder_of(std::string_view repository_name) {
  std::string out(kPrefix);
  for (const char c : repository_name) {
    if (c == '/')
      out += "--";
    else
      out += c;
  }
  return out;
}

std::string CacheLayout::name_of_folder(std::string_view folder) {
  if (!folder.starts_with(kPrefix)) return "";
  std::string out(folder.substr(kPrefix.size()));
  if (const std::size_t at = out.find("--"); at != std::string::npos) out.replace(at, 2, "/");
  return out;
}

fs::path CacheLayout::repository(std::string_view name) const {
  return root_ / folder_of(name);
}
fs::path CacheLayout::blob(std::string_view name, std::string_view etag) const {
  return repository(name) / "blobs" / std::string(etag);
}
fs::path CacheLayout::snapshot(std::string_view name, std::string_view commit) const {
  return repository(name) / "snapshots" / std::string(commit);
}
fs::path CacheLayout::ref(std::string_view name, std::string_view revision) const {
  return repository(name) / "refs" / std::string(revision);
}
fs::path CacheLayout::lock(std::string_view name, std::string_view etag) const {
  return root_ / ".locks" / folder_of(name) / (std::string(etag) + ".lock");
}

Result<fs::path> safe_path(std::string_view name) {
  if (name.empty() || name.size() > 4096) return unsafe(name, "is empty or very long");
  const bool has_control =
      std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
  if (has_control) return unsafe(name, "has control characters");
  if (name.find('\\') != std::string_view::npos) return unsafe(name, "has a back-slash");
  if (name.front() == '/') return unsafe(name, "is absolute");
  if (name.size() > 1 && name[1] == ':') return unsafe(name, "begins with a drive letter");
  fs::path path;
  for (std::string_view rest = name;;) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    ASSAY_TRY_VOID(check_component(name, rest.substr(0, end)));
    path /= std::string(rest.substr(0, end));
    if (end == rest.size()) return path;
    rest.remove_prefix(end + 1);
  }
}

Result<> check_folders(const fs::path& root, const fs::path& path) {
  fs::path place = root;
  for (const fs::path& part : path.parent_path()) {
    place /= part;
    std::error_code problem;
    const fs::file_status status = fs::symlink_status(place, problem);
    if (status.type() == fs::file_type::not_found) return success();
    if (status.type() != fs::file_type::directory)
      return Error{Code::denied, "", "is a link or a file where a folder is needed; remove it, or name another folder",
                   place.string()};
  }
  return success();
}

std::string etag_name(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  const bool is_plain =
      !etag.empty() && etag.size() <= 128 && etag.front() != '.' && std::all_of(etag.begin(), etag.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
      });
  return is_plain ? std::string(etag) : sha256_of(std::as_bytes(std::span(etag)));
}

Result<fs::path> add_to_snapshot(const CacheLayout& layout, std::string_view name, std::string_view commit,
                                 const fs::path& path, std::string_view etag, LinkKind kind) {
  const fs::path folder = layout.snapshot(name, commit), pointer = folder / path, blob = layout.blob(name, etag);
  ASSAY_TRY_VOID(check_folders(folder, path));
  ASSAY_TRY_VOID(make_folders(pointer.parent_path()));
  const fs::path target = relative_blob(path, etag);
  if (kind == LinkKind::symlink) {
    if (is_same_link(pointer, target)) return pointer;
    const fs::path temporary = temporary_beside(pointer);
    if (::symlink(target.c_str(), temporary.c_str()) == 0) {
      if (::rename(temporary.c_str(), pointer.c_str()) != 0) return disk_error(pointer, "cannot be linked", errno);
      sync_folder(pointer.parent_path());
      return pointer;
    }
    const bool has_no_links = errno == EPERM || errno == ENOSYS || errno == ENOTSUP;
    if (!has_no_links) return disk_error(pointer, "cannot be linked", errno);
  }
  std::error_code ignored;
  if (fs::equivalent(pointer, blob, ignored)) return pointer;
  ::unlink(pointer.c_str());
  ASSAY_TRY_VOID(place_file(blob, pointer));
  return pointer;
}

Result<> write_ref(const CacheLayout& layout, std::string_view name, std::string_view revision,
                   std::string_view commit) {
  if (revision == commit) return success();
  ASSAY_TRY(const fs::path safe, safe_path(revision));
  ASSAY_TRY_VOID(check_folders(layout.repository(name) / "refs", safe));
  std::error_code ignored;
  if (const fs::path tag = layout.root() / "CACHEDIR.TAG"; !fs::exists(tag, ignored))
    ASSAY_TRY_VOID(write_whole(tag, kTag));
  return write_whole(layout.ref(name, safe.string()), commit, true);
}

std::string cached_commit(const CacheLayout& layout, std::string_view name, std::string_view revision) {
  if (const auto safe = safe_path(revision); safe) {
    std::ifstream in(layout.ref(name, safe->string()));
    std::string commit;
    if (std::getline(in, commit)) {
      while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) commit.pop_back();
      if (is_commit(commit)) return commit;
    }
  }
  std::error_code ignored;
  if (is_commit(revision) && fs::is_directory(layout.snapshot(name, revision), ignored)) return std::string(revision);
  return "";
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(),
                                          [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

}  // namespace assay

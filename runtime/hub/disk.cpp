// POSIX behind the disk.
#include "runtime/hub/disk.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace assay {

namespace fs = std::filesystem;

Error disk_error(const fs::path& path, std::string_view what, int number) {
  std::string detail = std::string(what) + ": " + std::strerror(number);
  Code code = Code::io;
  if (number == ENOSPC || number == EDQUOT) {
    code = Code::space;
    detail +=
        "; free some space, or name another folder with --cache-dir or --local-dir, and run the command again: it goes "
        "on where it stopped";
  }
  if (number == EACCES || number == EPERM || number == EROFS) {
    code = Code::denied;
    detail += "; name a folder that you can write to with --cache-dir or --local-dir";
  }
  return Error{code, "", std::move(detail), path.string()};
}

Result<> make_folders(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return disk_error(folder, "the folder cannot be made", problem.value());
  return success();
}

std::uint64_t free_bytes(const fs::path& path) {
  std::error_code problem;
  fs::path place = fs::absolute(path, problem);
  struct statvfs facts {};
  while (::statvfs(place.c_str(), &facts) != 0) {
    if (!place.has_relative_path()) return std::numeric_limits<std::uint64_t>::max();
    place = place.parent_path();
  }
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

fs::path temporary_beside(const fs::path& path) {
  std::random_device random;
  return path.string() + "." + std::to_string(random()) + std::to_string(random()) + kTemporarySuffix;
}

Result<> write_whole(const fs::path& path, std::string_view text, bool is_synced) {
  ASSAY_TRY_VOID(make_folders(path.parent_path()));
  const fs::path temporary = temporary_beside(path);
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return disk_error(path, "cannot be written", errno);
  int problem = 0;
  if (::write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    problem = errno != 0 ? errno : ENOSPC;
  if (problem == 0 && is_synced && ::fsync(descriptor) != 0 && errno != EINVAL && errno != ENOTSUP) problem = errno;
  ::close(descriptor);
  if (problem == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) return success();
  if (problem == 0) problem = errno;
  ::unlink(temporary.c_str());
  return disk_error(path, "cannot be written", problem);
}

}  // namespace assay

// flock behind FileLock.
#include "runtime/hub/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/hub/disk.h"

namespace assay {

namespace fs = std::filesystem;

Result<std::optional<FileLock>> FileLock::try_take(const fs::path& path) {
  ASSAY_TRY_VOID(make_folders(path.parent_path()));
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return disk_error(path, "cannot be locked", errno);
    FileLock lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<FileLock>();
      if (errno == EINTR) continue;
      return disk_error(path, "cannot be locked; use a cache folder on a disk of this machine (--cache-dir)", errno);
    }
    // Some clients remove the file when they free the lock: then this is a lock on nothing.
    struct stat held {
    }, named{};
    if (::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev)
      return std::optional<FileLock>(std::move(lock));
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace assay

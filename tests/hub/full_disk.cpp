// A pwrite whose disk is full after ASSAY_TEST_DISK_BYTES bytes, for programs that are started with this library preloaded.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

extern "C" __attribute__((visibility("default"))) ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  static const auto real = reinterpret_cast<ssize_t (*)(int, const void*, size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
  static std::atomic<long long> written{0};
  const char* limit = std::getenv("ASSAY_TEST_DISK_BYTES");
  if (limit != nullptr && (written += static_cast<long long>(count)) > std::atoll(limit)) {
    errno = ENOSPC;
    return -1;
  }
  return real(file, bytes, count, offset);
}

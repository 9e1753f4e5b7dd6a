/* A pwrite whose disk is full after ASSAY_TEST_DISK_BYTES bytes, for programs that are started with this library preloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_llong written;

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  static ssize_t (*real)(int, const void*, size_t, off_t);
  if (!real) real = (ssize_t(*)(int, const void*, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  const char* limit = getenv("ASSAY_TEST_DISK_BYTES");
  if (limit && atomic_fetch_add(&written, (long long)count) + (long long)count > atoll(limit)) {
    errno = ENOSPC;
    return -1;
  }
  return real(file, bytes, count, offset);
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off_t offset) { return pwrite(file, bytes, count, offset); }

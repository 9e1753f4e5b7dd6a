// mmap behind MappedFile, and the signal handler that keeps a program alive when a mapped file shrinks.
#include "runtime/core/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace assay {

namespace {

Error io_error(const std::filesystem::path& path, std::string_view what, int number) {
  const Code code = number == ENOENT ? Code::not_found : Code::io;
  return Error{code, "", std::string(what) + ": " + std::strerror(number), path.string()};
}

struct FileDescriptor {
  int number;
  ~FileDescriptor() {
    if (number >= 0) ::close(number);
  }
};

std::uint64_t page_start(std::uint64_t offset) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return offset / page * page;
}

// Pages of 2 MB save most of a program's first touches of its weights and most of the walks through page tables after that.
// A file system that can keep files in such pages reads them so when it is asked before it reads; what is in memory already
// stays as it is.
bool ask_for_huge_pages(void* at, std::size_t size) { return ::madvise(at, size, MADV_HUGEPAGE) == 0; }

// From Linux 6.13 on a file mapping with that advice is read megabytes ahead, whatever the device's setting.
bool advice_reads_far_ahead() {
  utsname names{};
  int major = 0, minor = 0;
  if (::uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 13);
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Memory that lies in huge pages as bytes at `like` would, so that it can take their place page by page. MAP_FAILED without memory.
void* map_like(const std::byte* like, std::size_t size) {
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), whole = (size + page - 1) / page * page;
  void* const room = ::mmap(nullptr, whole + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return room;
  const std::size_t before = (reinterpret_cast<std::uintptr_t>(like) - reinterpret_cast<std::uintptr_t>(room)) % kHugePage;
  std::byte* const out = static_cast<std::byte*>(room) + before;
  if (before > 0) ::munmap(room, before);
  ::munmap(out + whole, kHugePage - before);
  (void)ask_for_huge_pages(out, whole);
  return out;
}

// Asking for what will be needed makes the system read single pages; its own reading ahead of faults takes runs of pages at
// once, which is up to twice as fast, but only as far as the device's setting lets it: 128 KB by default.
bool system_reads_far_ahead(std::uint64_t device) {
  constexpr long kFarKilobytes = 2048;
  const std::string block = "/sys/dev/block/" + std::to_string(major(device)) + ":" + std::to_string(minor(device));
  for (const char* place : {"/queue/read_ahead_kb", "/../queue/read_ahead_kb"}) {  // of a disk; of a partition's disk
    const FileDescriptor file{::open((block + place).c_str(), O_RDONLY | O_CLOEXEC)};
    char text[24] = {};
    if (file.number >= 0 && ::read(file.number, text, sizeof text - 1) > 0) return std::strtol(text, nullptr, 10) >= kFarKilobytes;
  }
  return false;
}

// The mappings a signal handler may repair. Global because a handler can reach nothing else; lock-free because a
// handler may use nothing else. Mappings beyond the table are not guarded.
struct Guard {
  std::atomic<bool> is_taken{false}, is_damaged{false};
  std::atomic<std::uintptr_t> begin{0}, end{0};  // end 0: not in use
};
constexpr std::size_t kGuards = 4096;
std::array<Guard, kGuards> guards;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

std::optional<std::size_t> take_guard(const std::byte* data, std::size_t size) {
  for (std::size_t i = 0; i < kGuards; ++i) {
    if (guards[i].is_taken.exchange(true)) continue;
    guards[i].is_damaged = false;
    guards[i].begin = reinterpret_cast<std::uintptr_t>(data);
    guards[i].end = reinterpret_cast<std::uintptr_t>(data) + size;
    return i;
  }
  return std::nullopt;
}

void release_guard(std::size_t place) {
  guards[place].end = 0;
  guards[place].is_taken = false;
}

// Puts zeros where the file has gone, from the page of the fault to the end of the mapping.
void repair(int signal, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (Guard& guard : guards) {
    const std::uintptr_t end = guard.end;
    if (end == 0 || at < guard.begin || at >= end) continue;
    guard.is_damaged = true;
    const std::uintptr_t from = at / page * page;
    void* wanted = reinterpret_cast<void*>(from);  // NOLINT(performance-no-int-to-ptr): the address of the fault
    if (::mmap(wanted, end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) return;
  }
  ::signal(signal, SIG_DFL);  // not ours: returning repeats the fault, now deadly
}

}  // namespace

void survive_shrinking_files() {
  struct sigaction action = {};
  action.sa_sigaction = repair;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

namespace {

MappedFile::Identity identity_of(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
          static_cast<std::uint64_t>(info.st_size), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return io_error(path, "cannot open", errno);
  struct stat info {};
  if (::fstat(file.number, &info) != 0) return io_error(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode))
    return Error{Code::io, "", "not a regular file; name a model file or its folder", path.string()};

  MappedFile mapped;
  mapped.path_ = path;
  mapped.identity_ = identity_of(info);
  mapped.size_ = static_cast<std::size_t>(info.st_size);
  if (mapped.size_ == 0) return mapped;
  void* address = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_SHARED, file.number, 0);
  if (address == MAP_FAILED) {
    const int number = errno;
    mapped.size_ = 0;
    return io_error(path, "cannot map", number);
  }
  mapped.data_ = static_cast<const std::byte*>(address);
  mapped.is_read_far_ahead_ = ask_for_huge_pages(address, mapped.size_) && advice_reads_far_ahead();
  mapped.guard_ = take_guard(mapped.data_, mapped.size_);
  return mapped;
}

Result<> MappedFile::check_unchanged() const {
  struct stat info {};
  const bool is_there = ::stat(path_.c_str(), &info) == 0;
  const bool is_damaged = guard_ && guards[*guard_].is_damaged;
  if (is_there && !is_damaged && identity_of(info) == identity_) return success();
  std::string what = "the file changed while it was open";
  if (!is_there) what += " (it is gone)";
  if (is_there && static_cast<std::uint64_t>(info.st_size) != identity_.size)
    what += " (" + std::to_string(identity_.size) + " bytes then, " + std::to_string(info.st_size) + " now)";
  return Error{Code::io, "", what + "; let the download or conversion finish, then try again", path_.string()};
}

Result<> MappedFile::copy_into_memory() {
  if (size_ == 0) return success();
  const FileDescriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return io_error(path_, "cannot open", errno);
  void* const copy = map_like(data_, size_);
  if (copy == MAP_FAILED) return Error{Code::memory, "", std::string("no memory for a copy of ") + std::to_string(size_) + " bytes; leave it mapped instead", path_.string()};
  std::size_t done = 0;
  int number = 0;
  while (done < size_) {
    const ssize_t count = ::pread(file.number, static_cast<std::byte*>(copy) + done, size_ - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      number = count < 0 ? errno : EIO;  // shorter than it was
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  if (auto same = check_unchanged(); done == size_ && !same) {  // another file under the name, or written to meanwhile
    ::munmap(copy, size_);
    return same;
  }
  if (done == size_ && ::mprotect(copy, size_, PROT_READ) == 0 && ::mremap(copy, size_, size_, MREMAP_MAYMOVE | MREMAP_FIXED, data_) != MAP_FAILED) return success();
  if (number == 0) number = errno;
  ::munmap(copy, size_);
  return io_error(path_, "cannot read", number);
}

Result<> MappedFile::lock() const {
  if (size_ == 0 || ::mlock(data_, size_) == 0) return success();
  const int number = errno;
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  std::string what = "cannot lock " + std::to_string(size_) + " bytes in memory: " + std::strerror(number);
  if (limit.rlim_cur != RLIM_INFINITY) what += "; this process may lock " + std::to_string(limit.rlim_cur) + " (ulimit -l)";
  return Error{Code::memory, "", what, path_.string()};
}

void MappedFile::walk_ahead(std::uint64_t offset, std::uint64_t size) const {
  if (is_read_far_ahead_ || is_resident(offset) || system_reads_far_ahead(identity_.device)) return;
  const std::uint64_t from = page_start(offset), count = std::min<std::uint64_t>(offset - from + size, size_ - from);
  ::madvise(const_cast<std::byte*>(data_ + from), count, MADV_WILLNEED);  // advice: failing costs nothing
}

// Asking for what is there already costs a look at every page; one page answers for its neighbours.
bool MappedFile::is_resident(std::uint64_t offset) const {
  if (offset >= size_) return true;  // nothing to ask for
  unsigned char page = 0;
  return ::mincore(const_cast<std::byte*>(data_ + page_start(offset)), 1, &page) == 0 && (page & 1) != 0;
}

void MappedFile::map_in(std::uint64_t offset, std::uint64_t size) const {
  // A fault maps the pages around it, 16 by default, where they are in memory; asking for a whole range with madvise
  // costs more than these reads.
  constexpr std::uint64_t kAround = 64 * 1024;
  const std::uint64_t end = std::min<std::uint64_t>(size_, offset + size);
  for (std::uint64_t at = offset; at < end; at += kAround) (void)*static_cast<const volatile std::byte*>(data_ + at);
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  std::swap(identity_, other.identity_);
  std::swap(is_read_far_ahead_, other.is_read_far_ahead_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  ::munmap(const_cast<std::byte*>(data_), size_);
  if (guard_) release_guard(*guard_);
}

}  // namespace assay

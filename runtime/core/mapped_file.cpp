// mmap behind MappedFile.
#include "runtime/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace assay {

namespace {

Error io_error(const std::filesystem::path& path, std::string what, int number) {
  const Code code = number == ENOENT ? Code::not_found : Code::io;
  return Error{code, "", what + ": " + std::strerror(number), path.string()};
}

struct FileDescriptor {
  int number;
  ~FileDescriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number < 0) return io_error(path, "cannot open", errno);
  struct stat info {};
  if (::fstat(file.number, &info) != 0) return io_error(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode)) return Error{Code::io, "", "not a regular file; name a model file or its folder", path.string()};

  MappedFile mapped;
  mapped.path_ = path;
  mapped.size_ = static_cast<std::size_t>(info.st_size);
  if (mapped.size_ == 0) return mapped;
  void* address = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_SHARED, file.number, 0);
  if (address == MAP_FAILED) {
    const int number = errno;
    mapped.size_ = 0;
    return io_error(path, "cannot map", number);
  }
  mapped.data_ = static_cast<const std::byte*>(address);
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace assay

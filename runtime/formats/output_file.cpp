// POSIX files behind OutputFile.
#include "runtime/formats/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace assay {

namespace fs = std::filesystem;

namespace {

// Written at multiples of itself: a file system that keeps files in pages of 2 MB in memory makes them from such writes.
constexpr std::size_t kPiece = std::size_t{2} << 20;
constexpr int kTries = 100;  // other files of the same temporary name

Error cannot(const fs::path& path, std::string_view what, int number) {
  std::string detail = std::string(what) + ": " + std::strerror(number);
  if (number == ENOSPC || number == EDQUOT) detail += "; free some space or write to another disk";
  if (number == EACCES || number == EROFS) detail += "; choose a folder that can be written to";
  if (number == ENOENT) detail += "; create the folder first";
  return Error{Code::io, "", std::move(detail), path.string()};
}

Result<> check_target(const fs::path& target, const fs::path& folder, std::uint64_t expected_bytes) {
  std::error_code problem;
  if (fs::is_directory(target, problem)) return Error{Code::io, "", "is a folder; name a file", target.string()};
  const fs::space_info space = fs::space(folder, problem);
  if (problem || expected_bytes <= space.available) return success();
  return Error{Code::io, "",
               "needs " + std::to_string(expected_bytes) + " bytes, and only " + std::to_string(space.available) +
                   " are free on this disk; free some space or write to another disk",
               target.string()};
}

}  // namespace

Result<OutputFile> OutputFile::create(const fs::path& target, std::uint64_t expected_bytes) {
  const fs::path folder = target.parent_path().empty() ? fs::path(".") : target.parent_path();
  ASSAY_TRY_VOID(check_target(target, folder, expected_bytes));
  OutputFile file;
  file.target_ = target;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::string name = ".";
    name.append(target.filename().string()).append(".").append(std::to_string(::getpid())).append("-");
    name.append(std::to_string(attempt)).append(".partial");
    file.temporary_ = folder / name;
    file.descriptor_ = ::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor_ >= 0) return file;
    if (errno != EEXIST) break;
  }
  return cannot(target, "cannot create", errno);
}

OutputFile::OutputFile(OutputFile&& other) noexcept {
  *this = std::move(other);
}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(target_, other.target_);
  std::swap(temporary_, other.temporary_);
  std::swap(pending_, other.pending_);
  std::swap(written_, other.written_);
  return *this;
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

Error OutputFile::failure(std::string_view what, int number) const {
  return cannot(target_, what, number);
}

Result<> OutputFile::write_all(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), std::size_t{1} << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure("cannot write the whole file", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return success();
}

Result<> OutputFile::flush() {
  ASSAY_TRY_VOID(write_all(pending_));
  pending_.clear();
  return success();
}

Result<> OutputFile::write(Bytes bytes) {
  if (descriptor_ < 0) return Error{Code::usage, "", "the file is already complete", target_.string()};
  written_ += bytes.size();
  const std::size_t room = kPiece - pending_.size();
  if (bytes.size() >= room) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(room));
    ASSAY_TRY_VOID(flush());
    bytes = bytes.subspan(room);
    const std::size_t whole = bytes.size() / kPiece * kPiece;
    ASSAY_TRY_VOID(write_all(bytes.first(whole)));
    bytes = bytes.subspan(whole);
  }
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  return success();
}

Result<> OutputFile::write_zeros(std::uint64_t count) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (count > 0) {
    const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
    ASSAY_TRY_VOID(write(Bytes(kZeros).first(piece)));
    count -= piece;
  }
  return success();
}

Result<> OutputFile::commit() {
  if (descriptor_ < 0) return Error{Code::usage, "", "the file is already complete", target_.string()};
  ASSAY_TRY_VOID(flush());
  // On the disk before it gets its name: after a power cut the name stands for all of the file or for the old one.
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) return failure("cannot complete", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) == 0 && ::rename(temporary_.c_str(), target_.c_str()) == 0) return success();
  const int number = errno;
  ::unlink(temporary_.c_str());
  return failure("cannot complete", number);
}

}  // namespace assay

// open, write, ftruncate behind LinesFile.
#include "bench/harness/lines_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/core/mapped_file.h"
#include "runtime/formats/output_file.h"

namespace assay {

namespace {

Error failure(const std::filesystem::path& path, std::string_view what, int number) {
  const char* advice = number == ENOSPC ? "; make room and use --resume" : "";
  return Error{Code::io, "", fmt::format("{}: {}{}", what, std::strerror(number), advice), path.string()};
}

// The end of the last whole line.
Result<std::uint64_t> whole_lines(int file, std::uint64_t size) {
  char piece[4096];
  while (size > 0) {
    const std::uint64_t from = size > sizeof piece ? size - sizeof piece : 0;
    const ssize_t count = ::pread(file, piece, size - from, static_cast<off_t>(from));
    if (count <= 0) return Error{Code::io, "", "cannot read it to its end"};
    for (ssize_t i = count; i-- > 0;)
      if (piece[i] == '\n') return from + static_cast<std::uint64_t>(i) + 1;
    size = from;
  }
  return std::uint64_t{0};
}

}  // namespace

Result<LinesFile> LinesFile::open(const std::filesystem::path& path) {
  std::error_code problem;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), problem);
  LinesFile out;
  out.path_ = path;
  out.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (out.descriptor_ < 0) return failure(path, "cannot write", errno);
  struct stat info {};
  if (::fstat(out.descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) return Error{Code::io, "", "is no file that lines can be added to", path.string()};
  auto whole = whole_lines(out.descriptor_, static_cast<std::uint64_t>(info.st_size));
  if (!whole) return Error{Code::io, "", whole.error().detail, path.string()};
  out.size_ = *whole;
  if (out.size_ != static_cast<std::uint64_t>(info.st_size) && ::ftruncate(out.descriptor_, static_cast<off_t>(out.size_)) != 0) return failure(path, "cannot cut its unfinished line", errno);
  return out;
}

LinesFile::LinesFile(LinesFile&& other) noexcept { *this = std::move(other); }
LinesFile& LinesFile::operator=(LinesFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}
LinesFile::~LinesFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<> LinesFile::append(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::pwrite(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(size_ + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int number = count == 0 ? ENOSPC : errno;
      (void)!::ftruncate(descriptor_, static_cast<off_t>(size_));
      return failure(path_, "cannot write", number);
    }
    done += static_cast<std::size_t>(count);
  }
  if (::fdatasync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) {
    const int number = errno;
    (void)!::ftruncate(descriptor_, static_cast<off_t>(size_));
    return failure(path_, "cannot write", number);
  }
  size_ += text.size();
  return success();
}

Result<JsonLines> read_json_lines(const std::filesystem::path& path) {
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  JsonLines out;
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    const bool is_whole = end < text.size();
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (auto json = parse_json(line)) out.lines.push_back({number, std::move(*json)});
    else out.problems.push_back(fmt::format("{}:{}: {}", path.string(), number, is_whole ? "is not JSON: " + json.error().detail : "the line is cut short; what it was to say is lost"));
  }
  return out;
}

Result<> write_text_file(const std::filesystem::path& path, std::string_view text) {
  ASSAY_TRY(OutputFile file, OutputFile::create(path));
  ASSAY_TRY_VOID(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

}  // namespace assay

// posix_fadvise and mincore behind drop_from_page_cache().
#include "bench/harness/page_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/core/mapped_file.h"

namespace assay {

namespace {

void drop(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ::fdatasync(file);  // pages that are not written yet cannot be dropped
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

// Pages of the file that are in memory.
std::string count_resident(const std::filesystem::path& path) {
  const auto mapped = MappedFile::open(path);
  if (!mapped) return mapped.error().message();
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((mapped->bytes().size() + page - 1) / page);
  if (pages.empty()) return "";
  if (::mincore(const_cast<std::byte*>(mapped->bytes().data()), mapped->bytes().size(), pages.data()) != 0) return "mincore does not tell";
  std::size_t resident = 0;
  for (const unsigned char state : pages) resident += state & 1;
  if (resident == 0) return "";
  return fmt::format("{} of {} pages stayed in the page cache", resident, pages.size());
}

}  // namespace

std::string drop_from_page_cache(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) drop(file);
  for (const auto& file : files)
    if (std::string left = count_resident(file); !left.empty()) return left;
  return "";
}

}  // namespace assay

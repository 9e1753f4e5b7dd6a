// Mapping whole files, and what is not a file.
#include "runtime/core/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/host.h"
#include "tests/support/data.h"

namespace assay {
namespace {

TEST(MappedFile, ShowsEveryByte) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  const std::string text = std::string(5000, 'x') + "end";
  std::ofstream(path) << text;
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ(file->bytes().size(), text.size());
  EXPECT_EQ(std::memcmp(file->bytes().data(), text.data(), text.size()), 0);
  EXPECT_EQ(file->path(), path);
}

TEST(MappedFile, EmptyFileMapsToNoBytes) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "empty";
  std::ofstream(path).flush();
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, MissingFileAndFolderAreToldApart) {
  const auto missing = MappedFile::open("no/such/file");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message().find("no/such/file"), std::string::npos);
  const test::TemporaryFolder folder;
  const auto as_file = MappedFile::open(folder.path());
  ASSERT_FALSE(as_file);
  EXPECT_EQ(as_file.error().code, Code::io);
}

TEST(MappedFile, CopyKeepsAddressesAndNoLongerSeesTheFile) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  const std::string text = std::string(50'000, 'x') + "end";
  std::ofstream(path) << text;
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  const std::byte* before = file->bytes().data();
  const auto copied = file->copy_into_memory();
  ASSERT_TRUE(copied) << copied.error().message();
  EXPECT_EQ(file->bytes().data(), before);
  std::fstream(path) << "changed in place";
  EXPECT_EQ(std::memcmp(before, text.data(), text.size()), 0);
  EXPECT_FALSE(file->check_unchanged()) << "the change is still told";
}

TEST(MappedFile, CopyOfAFileThatBecameShorterIsAnErrorAndTheMappingStays) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  std::ofstream(path) << std::string(50'000, 'x');
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  std::filesystem::resize_file(path, 5'000);
  const auto copied = file->copy_into_memory();
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().code, Code::io);
  EXPECT_EQ(file->bytes()[100], std::byte{'x'});
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMlockIsReplaced = true;  // by one that does nothing
#else
constexpr bool kMlockIsReplaced = false;
#endif

TEST(MappedFile, CopyOfAnotherFileUnderTheSameNameIsAnError) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file", other = folder.path() / "other";
  std::ofstream(path) << std::string(50'000, 'x');
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  std::ofstream(other) << std::string(50'000, 'y');
  std::filesystem::rename(other, path);
  EXPECT_FALSE(file->copy_into_memory());
  EXPECT_EQ(file->bytes()[100], std::byte{'x'});
}

TEST(MappedFile, LockedPagesAreCountedOrTheLimitIsNamed) {
  if (kMlockIsReplaced) GTEST_SKIP() << "sanitizers do not lock memory";
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  std::ofstream(path) << std::string(200'000, 'x');
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  if (const auto locked = file->lock(); locked) {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line) && !line.starts_with("VmLck:")) {
    }
    EXPECT_GE(std::stoul(line.substr(6)), 195u) << line;
  } else {
    EXPECT_EQ(locked.error().code, Code::memory);
    EXPECT_NE(locked.error().message().find("ulimit -l"), std::string::npos) << locked.error().message();
  }
}

constexpr std::size_t kHugePage = 2 << 20;

// Written in whole huge pages, as OutputFile does, and a part of one.
std::filesystem::path write_huge_pages(const test::TemporaryFolder& folder, std::size_t count) {
  const auto path = folder.path() / "large";
  std::ofstream out;
  out.rdbuf()->pubsetbuf(nullptr, 0);
  out.open(path, std::ios::binary);
  const std::vector<char> page(kHugePage, 'x');
  for (std::size_t i = 0; i < count; ++i) out.write(page.data(), static_cast<std::streamsize>(page.size()));
  out.write(page.data(), 5000);
  return path;
}

// The line "VmFlags:" of the mapping in /proc/self/smaps that begins at `at`.
std::string flags_of_mapping(const std::byte* at) {
  char begin[32];
  std::snprintf(begin, sizeof begin, "%lx-", reinterpret_cast<unsigned long>(at));
  std::ifstream in("/proc/self/smaps");
  bool is_it = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(begin)) is_it = true;
    if (is_it && line.starts_with("VmFlags:")) return line + " ";
  }
  return "";
}

// Whether memory that asks for huge pages gets them now.
bool has_huge_pages() {
  constexpr std::size_t kSize = 8 * kHugePage;
  const std::uint64_t before = read_process_memory().huge_page_bytes.value_or(0);
  void* const room = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED || ::madvise(room, kSize, MADV_HUGEPAGE) != 0) return false;
  std::memset(room, 1, kSize);
  const std::uint64_t after = read_process_memory().huge_page_bytes.value_or(0);
  ::munmap(room, kSize);
  return after >= before + 4 * kHugePage;
}

TEST(MappedFile, AsksForHugePages) {
  if (!read_host_facts().huge_pages) GTEST_SKIP() << "a kernel without huge pages";
  const test::TemporaryFolder folder;
  const auto file = MappedFile::open(write_huge_pages(folder, 2));
  ASSERT_TRUE(file);
  EXPECT_NE(flags_of_mapping(file->bytes().data()).find(" hg "), std::string::npos) << flags_of_mapping(file->bytes().data());
}

// Wherever the file is mapped: the copy lies as it does, so that its pages can be moved whole.
TEST(MappedFile, CopiesLieInHugePagesWhereTheSystemHasThem) {
  if (!has_huge_pages()) GTEST_SKIP() << "no huge pages here";
  const test::TemporaryFolder folder;
  auto file = MappedFile::open(write_huge_pages(folder, 8));
  ASSERT_TRUE(file);
  const std::uint64_t before = *read_process_memory().huge_page_bytes;
  ASSERT_TRUE(file->copy_into_memory());
  EXPECT_EQ(file->bytes()[kHugePage], std::byte{'x'});
  EXPECT_EQ(file->bytes().back(), std::byte{'x'});
  EXPECT_GE(*read_process_memory().huge_page_bytes, before + 4 * kHugePage);
}

TEST(MappedFile, ShrinkingAFileOfHugePagesGivesZerosAndIsTold) {
  survive_shrinking_files();
  const test::TemporaryFolder folder;
  const auto path = write_huge_pages(folder, 4);
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->bytes()[3 * kHugePage], std::byte{'x'});
  std::filesystem::resize_file(path, kHugePage + 5000);
  EXPECT_EQ(file->bytes()[kHugePage + 4000], std::byte{'x'});
  EXPECT_EQ(file->bytes()[3 * kHugePage], std::byte{0});
  EXPECT_FALSE(file->check_unchanged());
}

TEST(MappedFile, MovesTakeTheMappingAlong) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  std::ofstream(path) << "abc";
  MappedFile first = *MappedFile::open(path);
  const std::byte* data = first.bytes().data();
  MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes().data(), data);
  second = *MappedFile::open(path);
  EXPECT_EQ(second.bytes().size(), 3u);
}

}  // namespace
}  // namespace assay

// MappedFile: a whole file mapped read-only; owns the mapping, and tells when the file changed under it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"

namespace assay {

class MappedFile {
 public:
  // What tells one state of a file from another.
  struct Identity {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  // of the last change
    bool operator==(const Identity&) const = default;
  };

  // Maps all of a regular file, in pages of 2 MB where the file system keeps it so; what is in memory already stays as it is.
  // Errors: not_found, io (a folder, a permission, the map itself). An empty file maps to no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Whether the path still holds the file that was mapped and every byte of it could be read. Errors: io, when it was
  // replaced, written to, shortened or removed, or when the disk failed under survive_shrinking_files().
  Result<> check_unchanged() const;

  // Replaces the mapping by memory of our own with the same bytes at the same addresses: views stay valid, and the disk is not
  // needed any more. Errors: memory, io (a read failed, the file changed; the mapping stays as it is).
  Result<> copy_into_memory();

  // Keeps every page in memory, so that the system never drops one. Errors: memory (beyond what this process may lock).
  Result<> lock() const;

  // For work that walks the file: asks the system to have bytes [offset, offset + size) in memory soon, where it does not
  // read far ahead of such work by itself.
  void walk_ahead(std::uint64_t offset, std::uint64_t size) const;

  // Puts bytes [offset, offset + size) into the page tables before they are worked on: the processor fetches ahead only
  // where pages are mapped.
  void map_in(std::uint64_t offset, std::uint64_t size) const;

 private:
  MappedFile() = default;
  bool is_resident(std::uint64_t offset) const;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::filesystem::path path_;
  Identity identity_;
  bool is_read_far_ahead_ = false;    // by the system, whatever the device
  std::optional<std::size_t> guard_;  // place among the guarded mappings
};

// From now on a read beyond the end of a mapped file that was shortened gives zeros instead of ending the program with
// SIGBUS; MappedFile::check_unchanged() then tells. For main(), once; other causes of SIGBUS end the program as before.
void survive_shrinking_files();

}  // namespace assay

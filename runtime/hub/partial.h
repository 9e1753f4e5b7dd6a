// PartialFile: a file under way, and the journal beside it that says which of its bytes are there.
//
// The journal is DATA.json, a JSON value a line: first what file this is, then {"written":[begin,end]} after bytes were
// handed to the system and {"synced":[[begin,end],...]} after they had reached the disk. When a process dies, what was
// written counts; when the machine died in between (its boot id has changed), only what was synced does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "runtime/core/bytes.h"
#include "runtime/core/error.h"
#include "runtime/hub/ranges.h"

namespace assay {

inline constexpr const char* kPartialSuffix = ".assay.partial";

// What the bytes belong to. Bytes of another etag or size are never taken over.
struct PartialIdentity {
  std::string etag;
  std::uint64_t size = 0;
  std::string url{};  // for people who look into the journal; without its query
};

class PartialFile {
 public:
  // Opens or makes DATA and DATA.json and takes over what is there of the same identity; the caller holds the file's
  // lock.
  static Result<PartialFile> open(const std::filesystem::path& data, const PartialIdentity& identity);

  PartialFile(PartialFile&&) noexcept;
  PartialFile& operator=(PartialFile&&) noexcept;
  ~PartialFile();

  // Any thread, any place; the bytes count from note() on. Errors: space, io.
  Result<> write(std::uint64_t offset, Bytes bytes);
  void note(Range written);
  RangeSet have() const;
  std::uint64_t prefix() const;

  // As many bytes as there are, for hashing.
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) const;

  // Everything noted so far survives a power cut from here on.
  Result<> sync();
  // Gives the file its name: data on the disk, a word in the journal, then the name. The journal stays until
  // forget_partial(), so that was_committed() can tell the file from another one when nothing else was written about it
  // yet.
  Result<> commit(const std::filesystem::path& target);
  // Forgets all bytes.
  Result<> start_over();

 private:
  struct State;
  explicit PartialFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether `target` is what a PartialFile of DATA was committed to.
bool was_committed(const std::filesystem::path& data, const PartialIdentity& identity,
                   const std::filesystem::path& target);
// Removes the journal of a partial file that has got its name.
void forget_partial(const std::filesystem::path& data);

// What a journal says is there, for those who only look. Nothing when there is no usable journal.
struct PartialFacts {
  std::string etag, url;
  std::uint64_t size = 0, have_bytes = 0;
};
std::optional<PartialFacts> look_at_partial(const std::filesystem::path& data);

}  // namespace assay

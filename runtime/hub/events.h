// What a pull tells while it works: one callback, the same for terminals, logs and programs.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/core/function_ref.h"

namespace assay {

enum class PullStep : std::uint8_t {
  planned,    // the files are known: total bytes, and how many of them are here already
  started,    // a file's transfer begins; `done` bytes of it were here from before
  waiting,    // another process downloads the same file
  progress,   // several times a second for every file under way
  retrying,   // something failed that may work another time; `message` says what and when
  verifying,  // the bytes are here; the hash of the rest is being finished
  done,       // a file is here, complete and checked, under `path`
  failed,     // a file could not be fetched; `message` says why
  note        // something worth knowing
};
std::string_view name_of(PullStep step);

// `file` is the path in the repository, or the file's name; empty: the whole pull. `total` 0: not known.
struct PullEvent {
  PullStep step = PullStep::note;
  std::string_view file{};
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string_view message{};
  std::string_view path{};
  double transfer_s = 0, sync_s = 0;  // of `done`: moving and hashing the bytes; bringing them to the disk
};

// Called by one thread at a time, though not always the same one. The answer says whether to go on.
using PullEvents = FunctionRef<bool(const PullEvent&)>;
inline constexpr auto ignore_pull_events = [](const PullEvent&) { return true; };

}  // namespace assay

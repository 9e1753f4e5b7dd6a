// Hub: what a user asks for becomes a plan of files, and a plan becomes files that are complete, checked and in their
// place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/hub/events.h"
#include "runtime/hub/options.h"
#include "runtime/hub/source.h"

namespace assay {

struct PlannedFile {
  std::string name;                   // path in the repository, or the URL's file name
  std::optional<std::uint64_t> size;  // nothing where a server does not say
  std::string etag;                   // of a repository's file: its SHA-256 or git's SHA-1; of a URL: the server's
  std::string url;
  std::filesystem::path path;    // where it will be, or is
  bool is_here = false;          // complete, from before
  std::uint64_t have_bytes = 0;  // here already, of an earlier try
};

struct PullPlan {
  HubSource source;
  std::string repository, revision, commit;  // empty for a URL
  std::vector<PlannedFile> files;
  std::filesystem::path model;  // what a program opens: a file, or the folder
  bool is_model = false;        // the files are a whole model: it is validated when they are here
  bool is_offline = false;      // made from the cache alone
  std::uint64_t total_bytes = 0, missing_bytes = 0;
  std::uint64_t free_bytes = 0;  // on the disk they go to
};

struct PulledFile {
  std::string name;
  std::filesystem::path path;
  std::uint64_t size = 0, transferred_bytes = 0;
  std::string etag;
  double transfer_s = 0, sync_s = 0;
};

struct PullResult {
  std::filesystem::path model;  // absolute
  std::vector<PulledFile> files;
};

class Hub {
 public:
  explicit Hub(HubOptions options);
  ~Hub();
  Hub(const Hub&) = delete;

  const HubOptions& options() const;

  // Asks the hub (or, offline or without a network, the cache) which files there are and chooses. Fetches nothing but a
  // shard index, which it needs. Errors: denied, not_found, unsupported, network, malformed, usage, interrupted.
  Result<PullPlan> plan(const HubSource& source, const FileChoice& choice = {}, PullEvents events = ignore_pull_events);

  // Fetches what is missing, checks hashes, links, validates a whole model's structure. Errors: space (nothing was
  // fetched, or what was stays for the next time), mismatch, malformed (arrived whole, and is no valid model), network,
  // denied, not_found, interrupted.
  Result<PullResult> pull(const PullPlan& plan, PullEvents events = ignore_pull_events);

  // The plan of a repository's files as the cache has them, without a network. Errors: not_found.
  Result<PullPlan> plan_from_cache(const HubSource& source, const FileChoice& choice = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay

// What tests of the hub start from: a hub stub, an empty cache, options without long waits, and events that are kept.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "runtime/hub/cache_layout.h"
#include "runtime/hub/hub.h"
#include "tests/hub/hub_stub.h"
#include "tests/support/data.h"

namespace assay::test {

inline constexpr const char* kRepository = "org/model";

// A GGUF file of the fixtures, as a large file.
inline StubFile gguf_file(std::string_view name = "models/nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf") {
  return {.content = read_text(fixture(name)), .is_large = true};
}

struct KeptEvent {
  PullStep step;
  std::string file, message, path;
  std::uint64_t done, total;
};

class World {
 public:
  // The folder on a memory disk where there is one: tests write hundreds of megabytes.
  World() {
    options.cache_folder = folder_.path() / "hub";
    options.files_folder = folder_.path() / "files";
    options.retry = {
        .tries = 3, .first_wait = std::chrono::milliseconds(10), .longest_wait = std::chrono::milliseconds(50)};
    options.http = {.connect_timeout = std::chrono::seconds(5),
                    .answer_timeout = std::chrono::seconds(5),
                    .stall_timeout = std::chrono::seconds(5)};
  }

  const std::filesystem::path& folder() const { return folder_.path(); }
  CacheLayout layout() const { return CacheLayout(options.cache_folder); }

  Result<PullPlan> plan(const std::string& source, const FileChoice& choice = {}, const std::string& revision = "") {
    Result<HubSource> parsed = parse_source(source, options.endpoint);
    if (!parsed) return parsed.error();
    if (!revision.empty()) parsed->revision = revision;
    Hub hub(options);
    return hub.plan(*parsed, choice);
  }

  Result<PullResult> pull(const std::string& source, const FileChoice& choice = {}) {
    const Result<HubSource> parsed = parse_source(source, options.endpoint);
    if (!parsed) return parsed.error();
    const auto keep = [this](const PullEvent& event) {
      events.push_back({event.step, std::string(event.file), std::string(event.message), std::string(event.path),
                        event.done, event.total});
      return !stops_at || !stops_at(event);
    };
    Hub hub(options);
    const Result<PullPlan> made = hub.plan(*parsed, choice, keep);
    if (!made) return made.error();
    return hub.pull(*made, keep);
  }

  std::size_t count(PullStep step) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const KeptEvent& event) { return event.step == step; }));
  }
  std::string messages() const {
    std::string text;
    for (const KeptEvent& event : events) text += event.message.empty() ? "" : event.message + "\n";
    return text;
  }

  HubOptions options;
  std::vector<KeptEvent> events;
  std::function<bool(const PullEvent&)> stops_at;

 private:
  TemporaryFolder folder_;
};

// Files below a folder whose name contains `part`.
inline std::vector<std::filesystem::path> files_named(const std::filesystem::path& folder, std::string_view part) {
  std::vector<std::filesystem::path> found;
  if (!std::filesystem::exists(folder)) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().filename().string().find(part) != std::string::npos) found.push_back(entry.path());
  return found;
}

}  // namespace assay::test

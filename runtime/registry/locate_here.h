// Finding a model for small programs: settings from the environment, progress as plain lines.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/registry/fetch_model.h"

namespace assay {

// A pull's events as lines of a log: beginnings and ends of files, retries, and now and then how far it is.
class PullLines {
 public:
  // Nothing when this event needs no line.
  std::optional<std::string> line(const PullEvent& event);

 private:
  using Clock = std::chrono::steady_clock;
  struct File {
    Clock::time_point started{}, told{};
    std::uint64_t first = 0;
  };
  std::map<std::string, File, std::less<>> files_;
};

// locate_model() with the hub's settings and all places as the environment has them. `program`: the path of the running
// program, which tells where bundled models are. `say` prints a line; its answer says whether to go on.
Result<LocatedModel> locate_here(Environment environment, const std::filesystem::path& program,
                                 std::string_view argument, PullPolicy policy,
                                 FunctionRef<bool(const std::string& line)> say);

}  // namespace assay

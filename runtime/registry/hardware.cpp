// Reads memory, free space and devices from the system.
#include "runtime/registry/hardware.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "runtime/core/host.h"
#include "runtime/core/progress.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// Reading ahead, the directory's own blocks and other writers need some.
constexpr std::uint64_t kSpareBytes = 64 << 20;

std::optional<std::uint64_t> free_space(fs::path folder) {
  std::error_code problem;
  folder = fs::absolute(folder, problem);
  while (!folder.empty() && !fs::exists(folder, problem) && folder != folder.parent_path())
    folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, problem);
  return problem ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

// NVIDIA's driver lists its devices with their names; the others have a render node with the driver's name.
std::vector<std::string> find_gpus(const fs::path& root) {
  std::vector<std::string> out;
  std::error_code problem;
  for (fs::directory_iterator at(root / "proc/driver/nvidia/gpus", problem), end; !problem && at != end;
       at.increment(problem)) {
    std::ifstream in(at->path() / "information");
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("Model:"))
        out.push_back(line.substr(std::min(line.size(), line.find_first_not_of(" \t", 6))));
  }
  problem.clear();
  for (fs::directory_iterator at(root / "sys/class/drm", problem), end; !problem && at != end; at.increment(problem)) {
    if (!at->path().filename().string().starts_with("renderD")) continue;
    std::error_code ignored;
    const std::string driver = fs::read_symlink(at->path() / "device" / "driver", ignored).filename().string();
    static const std::set<std::string> kSoftware = {"vgem", "vkms", "nvidia"};  // the last was counted above
    if (!driver.empty() && !kSoftware.contains(driver)) out.push_back(driver);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

HardwareState read_hardware(const fs::path& folder, const fs::path& root) {
  const HostFacts host = read_host_facts(root);
  HardwareState out;
  out.memory_bytes = std::min(host.memory_bytes, host.memory_limit_bytes.value_or(host.memory_bytes));
  out.memory_available_bytes = std::min(host.memory_available_bytes, out.memory_bytes);
  out.disk_free_bytes = free_space(folder);
  out.gpus = find_gpus(root);
  return out;
}

HardwareVerdict check_hardware(const HardwareNeeds& needs, const HardwareState& state) {
  HardwareVerdict out;
  const auto refuses = [&](Code code, std::string text) {
    if (out.refusals.empty()) out.code = code;
    out.refusals.push_back(std::move(text));
  };
  if (needs.disk_bytes > 0 && state.disk_free_bytes && needs.disk_bytes + kSpareBytes > *state.disk_free_bytes)
    refuses(Code::space, fmt::format("needs {} of disk space, and {} are free", format_bytes(needs.disk_bytes),
                                     format_bytes(*state.disk_free_bytes)));
  if (state.memory_bytes > 0 && needs.memory_bytes > state.memory_bytes)
    refuses(Code::memory, fmt::format("needs about {} of memory, and this machine has {}",
                                      format_bytes(needs.memory_bytes), format_bytes(state.memory_bytes)));
  else if (state.memory_bytes > 0 && needs.memory_bytes > state.memory_available_bytes)
    out.warnings.push_back(fmt::format("needs about {} of memory, and {} of {} are free now",
                                       format_bytes(needs.memory_bytes), format_bytes(state.memory_available_bytes),
                                       format_bytes(state.memory_bytes)));
  if (needs.gpu == GpuNeed::required && state.gpus.empty())
    refuses(Code::unsupported, "needs a GPU, and none was found");
  if (needs.gpu == GpuNeed::recommended && state.gpus.empty())
    out.warnings.push_back("is meant for a GPU, and none was found: it will be slow");
  return out;
}

Result<> refuse(const HardwareVerdict& verdict, std::string_view model) {
  if (verdict.refusals.empty()) return success();
  const char* advice =
      verdict.code == Code::space ? "free some space, or name another folder" : "--force tries all the same";
  return Error{verdict.code, std::string(model), fmt::format("{}; {}", fmt::join(verdict.refusals, "; "), advice)};
}

}  // namespace assay

// Folders of /sys/fs/cgroup behind MemoryGroup.
#include "bench/harness/memory_group.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace assay {

namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The path after "KEY" on its line of /proc/self/cgroup: "0::" (version 2) or ":memory:" (version 1).
std::string group_of(const std::string& text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return "";
  const std::size_t first = at + key.size();
  return text.substr(first, text.find('\n', first) - first);
}

std::uint64_t count_of(const std::string& text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + key.size(), nullptr, 10);
}

}  // namespace

bool MemoryGroup::try_parent(const fs::path& parent, const char* limit_file, std::uint64_t limit_bytes) {
  std::error_code problem;
  const fs::path folder = parent / ("assay-" + std::to_string(::getpid()));
  if (!fs::exists(parent, problem) || !fs::create_directory(folder, problem) || problem) return false;
  folder_ = folder;
  std::ofstream limit(folder / limit_file);
  limit << limit_bytes << std::flush;
  if (limit && fs::exists(folder / "cgroup.procs", problem)) {
    std::ofstream(folder / "memory.swap.max") << 0 << std::flush;  // version 2: no escape into swap
    process_file_ = (folder / "cgroup.procs").string();
    return true;
  }
  fs::remove(folder, problem);
  folder_.clear();
  return false;
}

bool MemoryGroup::create(std::uint64_t limit_bytes) {
  const std::string groups = read_all(root_ / "proc/self/cgroup");
  const auto below = [&](const char* mount, std::string_view key) {
    fs::path out = root_ / "sys/fs/cgroup" / mount;
    const std::string group = group_of(groups, key);
    if (group.size() > 1) out /= group.substr(1);
    return out;
  };
  return try_parent(below("", "0::"), "memory.max", limit_bytes) || try_parent(below("memory", ":memory:"), "memory.limit_in_bytes", limit_bytes);
}

bool MemoryGroup::ended_a_process() const {
  if (folder_.empty()) return false;
  return count_of(read_all(folder_ / "memory.events"), "oom_kill ") > 0 || count_of(read_all(folder_ / "memory.oom_control"), "oom_kill ") > 0;
}

MemoryGroup::~MemoryGroup() {
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

}  // namespace assay

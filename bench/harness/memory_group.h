// MemoryGroup: a control group with a memory limit for one child, where the system lets us make one (versions 1 and 2).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace assay {

class MemoryGroup {
 public:
  explicit MemoryGroup(std::filesystem::path root = "/") : root_(std::move(root)) {}
  ~MemoryGroup();  // removes the group; its processes are gone by then
  MemoryGroup(const MemoryGroup&) = delete;

  // False where control groups are not to be had: no controller, no permission.
  bool create(std::uint64_t limit_bytes);
  const std::string& process_file() const { return process_file_; }  // a process that writes "0" here joins
  // Whether the limit ended a process of the group.
  bool ended_a_process() const;

 private:
  bool try_parent(const std::filesystem::path& parent, const char* limit_file, std::uint64_t limit_bytes);

  std::filesystem::path root_, folder_;
  std::string process_file_;
};

}  // namespace assay

// BuildInfo: which source and which compiler made this program; the commit is asked of git at every build.
#pragma once

#include <string>
#include <string_view>

namespace assay {

struct BuildInfo {
  std::string_view version;       // "0.1.0"
  std::string_view commit;        // 12 hex digits, "unknown" where the source is no git checkout
  bool is_dirty = false;          // tracked files differed from the commit
  std::string_view compiler{};    // "GNU 12.2.0"
  std::string_view build_type{};  // "Release"
  bool has_vulkan = false;        // built with a Vulkan backend
};

const BuildInfo& build_info();

// "0.1.0 (commit 0123456789ab, modified)"
std::string describe_version(const BuildInfo& info);

}  // namespace assay

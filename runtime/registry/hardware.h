// What a model needs of a machine, what the machine has, and whether that will do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/registry/catalogue.h"

namespace assay {

// 0: nothing is known to be needed.
struct HardwareNeeds {
  std::uint64_t disk_bytes = 0;    // still to be written
  std::uint64_t memory_bytes = 0;  // to run
  GpuNeed gpu = GpuNeed::none;
};

struct HardwareState {
  std::uint64_t memory_bytes = 0;                // of the machine or of the control group, whichever is less
  std::uint64_t memory_available_bytes = 0;      // now
  std::optional<std::uint64_t> disk_free_bytes;  // where it would be written; nothing when the system does not say
  std::vector<std::string> gpus;                 // "NVIDIA H100", or the driver's name; without software devices

  static constexpr void fields(auto visit) {
    using H = HardwareState;
    constexpr Better none = Better::none;
    visit("memory_bytes", "B", none, &H::memory_bytes);
    visit("memory_available_bytes", "B", none, &H::memory_available_bytes);
    visit("disk_free_bytes", "B", none, &H::disk_free_bytes);
    visit("gpus", "", none, &H::gpus);
  }
};
// `folder` may not exist yet: its nearest parent counts. Reads /proc and /sys below `root`.
HardwareState read_hardware(const std::filesystem::path& folder, const std::filesystem::path& root = "/");

// Each a sentence with numbers. Refusals stop unless the user forces it.
struct HardwareVerdict {
  std::vector<std::string> refusals, warnings;

  static constexpr void fields(auto visit) {
    visit("refusals", "", Better::none, &HardwareVerdict::refusals);
    visit("warnings", "", Better::none, &HardwareVerdict::warnings);
  }
  bool is_fine() const { return refusals.empty() && warnings.empty(); }
  Code code = Code::memory;  // of the first refusal
};
HardwareVerdict check_hardware(const HardwareNeeds& needs, const HardwareState& state);

// The refusals as one error that says what to do. Errors: space, memory, unsupported (GPU).
Result<> refuse(const HardwareVerdict& verdict, std::string_view model);

}  // namespace assay

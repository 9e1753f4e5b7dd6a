// Whether there is memory for a model, asked before it is loaded: its plan against what the machine and the control group have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runtime/core/error.h"
#include "runtime/model/memory_plan.h"

namespace assay {

// In bytes; 0: not known, which refuses nothing.
struct MemorySupply {
  std::uint64_t total = 0;      // of the machine, or the control group's limit when that is less
  std::uint64_t available = 0;  // now
};
// Reads /proc and /sys below `root`.
MemorySupply read_memory_supply(const std::filesystem::path& root = "/");

// How the weights come to be in memory.
enum class WeightsAre : std::uint8_t {
  mapped,  // pages of the file: the system may drop and read them again
  kept     // copied or locked
};

// What the user should know when it is tight, empty when it is not. Errors: memory, with the plan: all of it is more than there is,
// or what cannot be dropped is more than is available.
Result<std::string> check_memory(const MemoryPlan& plan, WeightsAre weights, const MemorySupply& supply);

}  // namespace assay

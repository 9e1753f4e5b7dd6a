// What a device tells of one pass: counts, bytes and times.
#pragma once

#include <cstdint>
#include <string>

namespace assay {

// One of a device's kernels in the pass that ran last.
struct KernelTime {
  std::string kernel;  // "matvec.q4_k"
  std::uint32_t dispatches = 0;
  double ms = 0;
};
// What a device did for the pass that ran last.
struct DevicePass {
  std::uint32_t dispatches = 0, barriers = 0;
  bool is_replay = false;                           // an earlier recording, run again
  std::uint64_t weight_bytes = 0, other_bytes = 0;  // that its kernels read and write, whichever cache serves them
  double record_ms = 0;                             // on the processor, before the device got the work
};

}  // namespace assay

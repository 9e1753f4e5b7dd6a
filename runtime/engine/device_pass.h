// What a device tells of one pass: counts, bytes and times.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/core/describe.h"

namespace assay {

// All dispatches of one kernel.
struct KernelTime {
  std::string kernel;  // "matvec.q4_k"
  std::uint32_t dispatches = 0;
  double ms = 0;

  static constexpr void fields(auto visit) {
    using K = KernelTime;
    visit("kernel", "", Better::none, &K::kernel);
    visit("dispatches", "", Better::none, &K::dispatches);
    visit("ms", "ms", Better::none, &K::ms);
  }
};

struct DevicePass {
  std::uint32_t dispatches = 0, barriers = 0;
  bool is_replay = false;                           // an earlier recording, run again
  std::uint64_t weight_bytes = 0, other_bytes = 0;  // that its kernels read and write, whichever cache serves them
  double host_ms = 0;                               // on the processor until the device had the work, without the verbs of forward()
  std::vector<KernelTime> kernels;                  // longest first; empty unless measured

  static constexpr void fields(auto visit) {
    using D = DevicePass;
    constexpr Better none = Better::none;
    visit("dispatches", "", none, &D::dispatches);
    visit("barriers", "", none, &D::barriers);
    visit("is_replay", "", none, &D::is_replay);
    visit("weight_bytes", "B", none, &D::weight_bytes);
    visit("other_bytes", "B", none, &D::other_bytes);
    visit("host_ms", "ms", none, &D::host_ms);
    visit("kernels", "", none, &D::kernels);
  }
};

}  // namespace assay

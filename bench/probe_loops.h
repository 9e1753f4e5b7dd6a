// ProbeLoops: the inner loops of the probes, one table per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/cpu.h"

namespace assay {

// Loops over memory. `bytes` is a multiple of kProbeStep, addresses are 64-byte aligned.
inline constexpr std::size_t kProbeStep = 512;
struct MemoryLoops {
  std::string_view isa;
  IsaSet needs;
  std::uint64_t (*read)(const std::byte* from, std::size_t bytes);  // the sum of all 64-bit words, so that no load is idle
  void (*write)(std::byte* to, std::size_t bytes, std::uint64_t word);
  void (*copy)(std::byte* to, const std::byte* from, std::size_t bytes);
};

// One peak loop: `rounds` rounds of `macs_per_round` independent multiply-adds.
struct PeakLoop {
  std::string_view isa;
  IsaSet needs;
  std::uint64_t macs_per_round;
  void (*run)(std::size_t rounds);
};

namespace baseline {
extern const MemoryLoops kMemoryLoops;
extern const PeakLoop kInt8Dot, kF32Fma;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const MemoryLoops kMemoryLoops;
extern const PeakLoop kInt8Dot, kInt8DotVnni, kF32Fma;
}  // namespace avx2
namespace avx512 {
extern const MemoryLoops kMemoryLoops;
extern const PeakLoop kInt8Dot, kInt8DotVnni, kBf16Dot, kF32Fma;
}  // namespace avx512
#endif

}  // namespace assay

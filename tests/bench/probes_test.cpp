// Probes: that they measure something, read what is there, and leave nothing in memory.
#include "bench/probes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "bench/probe_loops.h"
#include "runtime/core/aligned.h"
#include "runtime/core/host.h"

namespace assay {
namespace {

constexpr ProbeOptions kShort{.threads = 1, .seconds = 0.02, .buffer_bytes = 16u << 20};

std::vector<const MemoryLoops*> runnable_loops() {
  std::vector<const MemoryLoops*> out = {&baseline::kMemoryLoops};
#if defined(__x86_64__)
  for (const MemoryLoops* loops : {&avx2::kMemoryLoops, &avx512::kMemoryLoops})
    if ((loops->needs & ~detect_isa()) == 0) out.push_back(loops);
#endif
  return out;
}

TEST(Probes, LoopsTouchEveryByte) {
  for (const MemoryLoops* loops : runnable_loops()) {
    AlignedBuffer<std::byte> from(4 * kProbeStep), to(4 * kProbeStep);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < from.size() / 8; ++i) {
      const std::uint64_t word = i * 0x9e3779b97f4a7c15u;
      std::memcpy(from.data() + 8 * i, &word, 8);
      sum += word;
    }
    EXPECT_EQ(loops->read(from.data(), from.size()), sum) << loops->isa;
    loops->copy(to.data(), from.data(), from.size());
    EXPECT_EQ(std::memcmp(to.data(), from.data(), from.size()), 0) << loops->isa;
    loops->write(to.data(), to.size(), 3);
    EXPECT_EQ(loops->read(to.data(), to.size()), 3 * to.size() / 8) << loops->isa;
  }
}

// Wide of any real machine on both sides: a memory of 0.1 GB/s or 10 TB/s a thread, a core of 0.1 G or 100 T multiply-adds.
TEST(Probes, RatesAreOfThisWorld) {
  for (const MemoryProbe probe : kMemoryProbes) {
    const Rate rate = measure_bandwidth(probe, kShort);
    EXPECT_GE(rate.passes, 3u);
    EXPECT_GT(rate.median, 1e8) << name_of(probe);
    EXPECT_LT(rate.best, 1e13) << name_of(probe);
    EXPECT_LE(rate.median, rate.best);
  }
  for (const PeakProbe probe : kPeakProbes) {
    const auto rate = measure_peak(probe, kShort);
    ASSERT_EQ(rate.has_value(), !peak_isa(probe).empty());
    if (!rate) continue;
    EXPECT_GT(rate->best, 1e8) << name_of(probe);
    EXPECT_LT(rate->best, 1e14) << name_of(probe);
  }
}

TEST(Probes, EveryInstructionSetHereHasItsPeak) {
  const IsaSet isa = detect_isa();
  EXPECT_EQ(peak_isa(PeakProbe::int8_dot, 0), "baseline");
  EXPECT_EQ(peak_isa(PeakProbe::bf16_dot, 0), "");
  EXPECT_FALSE(measure_peak(PeakProbe::bf16_dot, kShort, 0));
  for (const IsaSet bits : {IsaSet{0}, IsaSet{kIsaAvx2}, IsaSet{kIsaAvx2 | kIsaAvxVnni}, IsaSet{kIsaAvx2 | kIsaAvx512}, isa}) {
    if ((bits & ~isa) != 0) continue;
    EXPECT_GT(measure_peak(PeakProbe::int8_dot, kShort, bits)->best, 1e8) << describe_isa(bits);
    EXPECT_GT(measure_peak(PeakProbe::f32_fma, kShort, bits)->best, 1e8) << describe_isa(bits);
  }
}

TEST(Probes, BufferFitsIntoTheMemoryThereIs) {
  EXPECT_GE(probe_buffer_bytes(), 16u << 20);
  EXPECT_LE(probe_buffer_bytes(), std::max<std::uint64_t>(16u << 20, read_host_facts().memory_bytes / 8));
}

TEST(Probes, MemoryIsGivenBack) {
  const std::uint64_t before = read_process_memory().resident_bytes;
  (void)measure_bandwidth(MemoryProbe::read, {.threads = 2, .seconds = 0.01, .buffer_bytes = 128u << 20});
  EXPECT_LT(read_process_memory().resident_bytes, before + (32u << 20));
}

}  // namespace
}  // namespace assay

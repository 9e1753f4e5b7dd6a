// Probes: the machine's own limits, measured: memory bandwidth and multiply-add peaks, one thread and all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/cpu.h"
#include "runtime/core/describe.h"

namespace assay {

enum class MemoryProbe : std::uint8_t {
  read,   // plain sequential loads, every byte once, no software prefetch
  write,  // sequential stores past the caches
  copy    // plain loads, stores past the caches; read and written bytes both count
};
enum class PeakProbe : std::uint8_t {
  int8_dot,  // u8 x s8 into s32, by vpdpbusd or vpmaddubsw + vpmaddwd + vpaddd
  bf16_dot,  // bf16 x bf16 into f32, by vdpbf16ps; only where the CPU has it
  f32_fma
};
inline constexpr std::array kMemoryProbes = {MemoryProbe::read, MemoryProbe::write, MemoryProbe::copy};
inline constexpr std::array kPeakProbes = {PeakProbe::int8_dot, PeakProbe::bf16_dot, PeakProbe::f32_fma};
std::string_view name_of(MemoryProbe probe);
std::string_view name_of(PeakProbe probe);

struct ProbeOptions {
  int threads = 1;
  double seconds = 0.25;           // how long to go on measuring; at least three passes
  std::uint64_t buffer_bytes = 0;  // of all threads together; 0: probe_buffer_bytes()
};

// Eight times the last-level cache, 256 MiB to 1 GiB, but at most an eighth of the memory available.
std::uint64_t probe_buffer_bytes();

// A rate in units a second: `best`, the second best of the passes, is the machine's limit; `median` is what it gave while it was
// measured.
struct Rate {
  double best = 0;
  double median = 0;
  std::uint32_t passes = 0;
};

// In bytes a second. The memory it takes is given back before it returns.
Rate measure_bandwidth(MemoryProbe probe, const ProbeOptions& options);

// In multiply-adds a second with the widest instructions of `isa`. Nothing where there is no such instruction.
std::optional<Rate> measure_peak(PeakProbe probe, const ProbeOptions& options, IsaSet isa = detect_isa());
// The instruction set that measure_peak uses: "avx512_vnni", "avx2", ...
std::string_view peak_isa(PeakProbe probe, IsaSet isa = detect_isa());

// All of it: GB/s = 1e9 bytes a second, GMAC/s = 1e9 multiply-adds a second. `_1`: one thread, `_all`: `threads`.
struct MachineLimits {
  int threads = 1;
  std::optional<double> read_1_gbps, read_all_gbps;
  std::optional<double> write_1_gbps, write_all_gbps;
  std::optional<double> copy_1_gbps, copy_all_gbps;
  std::optional<double> int8_dot_1_gmacs, int8_dot_all_gmacs;
  std::optional<double> bf16_dot_1_gmacs, bf16_dot_all_gmacs;
  std::optional<double> f32_fma_1_gmacs, f32_fma_all_gmacs;
  std::string int8_dot_isa, bf16_dot_isa, f32_fma_isa;

  static constexpr void fields(auto visit) {
    using L = MachineLimits;
    constexpr Better up = Better::higher;
    visit("threads", "", Better::none, &L::threads);
    visit("read_1_gbps", "GB/s", up, &L::read_1_gbps);
    visit("read_all_gbps", "GB/s", up, &L::read_all_gbps);
    visit("write_1_gbps", "GB/s", up, &L::write_1_gbps);
    visit("write_all_gbps", "GB/s", up, &L::write_all_gbps);
    visit("copy_1_gbps", "GB/s", up, &L::copy_1_gbps);
    visit("copy_all_gbps", "GB/s", up, &L::copy_all_gbps);
    visit("int8_dot_1_gmacs", "GMAC/s", up, &L::int8_dot_1_gmacs);
    visit("int8_dot_all_gmacs", "GMAC/s", up, &L::int8_dot_all_gmacs);
    visit("bf16_dot_1_gmacs", "GMAC/s", up, &L::bf16_dot_1_gmacs);
    visit("bf16_dot_all_gmacs", "GMAC/s", up, &L::bf16_dot_all_gmacs);
    visit("f32_fma_1_gmacs", "GMAC/s", up, &L::f32_fma_1_gmacs);
    visit("f32_fma_all_gmacs", "GMAC/s", up, &L::f32_fma_all_gmacs);
    visit("int8_dot_isa", "", Better::none, &L::int8_dot_isa);
    visit("bf16_dot_isa", "", Better::none, &L::bf16_dot_isa);
    visit("f32_fma_isa", "", Better::none, &L::f32_fma_isa);
  }
};
// Takes about 12 times `seconds`.
MachineLimits measure_limits(int threads, double seconds = 0.15);

ASSAY_JSON_ELSEWHERE(MachineLimits)

}  // namespace assay

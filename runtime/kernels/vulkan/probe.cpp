// Probes: a recording run a few times, the best pass counts.
#include "runtime/kernels/vulkan/probe.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

namespace assay::vulkan {

namespace {

constexpr std::uint32_t kThreads = 64;  // of a workgroup
constexpr double kPassSeconds = 0.02;   // the amount of work is raised until a pass takes so long
constexpr int kPasses = 4;

double seconds_since(std::chrono::steady_clock::time_point start) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }

template <class Push>
Result<double> best_seconds(Device& device, ProgramId program, const Push& push, std::uint32_t groups, int passes) {
  Recording recording(device);
  ASSAY_TRY_VOID(device.build_programs());
  ASSAY_TRY_VOID(recording.begin());
  const Touch touch{0, true};
  recording.dispatch(program, std::as_bytes(std::span(&push, 1)), {groups, 1, 1}, {&touch, 1});
  ASSAY_TRY_VOID(recording.end());
  double best = 1e30;
  for (int pass = 0; pass < passes; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    ASSAY_TRY_VOID(device.run(recording));
    if (pass > 0 || passes == 1) best = std::min(best, seconds_since(start));
  }
  return best;
}

// Threads enough for any device; a software one has few cores.
std::uint32_t groups_for(const DeviceFacts& facts) { return facts.kind == DeviceKind::cpu ? 64u : 4096u; }

Result<double> peak(Device& device, Memory& memory, std::string_view shader, double ops_a_round) {
  const std::uint32_t groups = groups_for(device.facts());
  ASSAY_TRY(const Buffer out, memory.allocate(std::uint64_t{groups} * kThreads * 4, Where::device));
  const ProgramId program = device.program(shader, {});
  for (std::uint32_t rounds = 64;; rounds *= 4) {
    const struct {
      std::uint64_t to;
      std::uint32_t rounds, unused;
    } push{out.address, rounds, 0};
    ASSAY_TRY(const double once, best_seconds(device, program, push, groups, 2));
    if (once < kPassSeconds && rounds < (1u << 20)) continue;
    ASSAY_TRY(const double best, best_seconds(device, program, push, groups, kPasses));
    return ops_a_round * rounds * groups * kThreads / std::min(once, best);
  }
}

}  // namespace

Result<double> measure_read(Device& device) {
  Memory memory(device);
  const bool is_software = device.facts().kind == DeviceKind::cpu;
  const std::uint64_t bytes = std::min<std::uint64_t>(is_software ? 256u << 20 : 1u << 30, device.facts().memory_bytes / 4);
  ASSAY_TRY(const Buffer from, memory.allocate(bytes, Where::device));
  ASSAY_TRY_VOID(memory.clear(from));
  const std::uint32_t groups = groups_for(device.facts());
  ASSAY_TRY(const Buffer to, memory.allocate(std::uint64_t{groups} * kThreads * 4, Where::device));
  const struct {
    std::uint64_t from, to;
    std::uint32_t vectors, threads;
  } push{from.address, to.address, static_cast<std::uint32_t>(bytes / 16), groups * kThreads};
  ASSAY_TRY(const double best, best_seconds(device, device.program("probe_read", {}), push, groups, kPasses));
  return static_cast<double>(bytes) / best;
}

Result<DevicePeaks> measure_peaks(Device& device) {
  DevicePeaks peaks;
  ASSAY_TRY(peaks.read_bytes, measure_read(device));
  Memory memory(device);
  // 4 values an operation, 32 operations a round; a multiply-add is two, a packed dot product seven and its sum one.
  ASSAY_TRY(peaks.float_ops, peak(device, memory, "probe_float", 32 * 4 * 2));
  if (device.facts().has_half) {
    ASSAY_TRY(peaks.half_ops, peak(device, memory, "probe_half", 32 * 4 * 2));
  }
  if (device.facts().has_integer_dot) {
    ASSAY_TRY(peaks.integer_ops, peak(device, memory, "probe_dot", 32 * 4 * 8));
  }
  const std::vector<std::byte> data(64u << 20, std::byte{1});
  ASSAY_TRY(const Buffer to, memory.allocate(data.size(), Where::device));
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    ASSAY_TRY_VOID(memory.upload(data, to));
    peaks.upload_bytes = std::max(peaks.upload_bytes, static_cast<double>(data.size()) / seconds_since(start));
  }
  return peaks;
}

}  // namespace assay::vulkan

// The measuring around the probe loops: buffers, threads, passes.
#include "bench/probes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "bench/probe_loops.h"
#include "bench/statistics.h"
#include "bench/timing.h"
#include "runtime/core/function_ref.h"
#include "runtime/core/host.h"
#include "runtime/core/parallel.h"

namespace assay {

namespace {

// Best first; the first row whose needs the machine meets is taken.
#if defined(__x86_64__)
constexpr const MemoryLoops* kMemoryTables[] = {&avx512::kMemoryLoops, &avx2::kMemoryLoops, &baseline::kMemoryLoops};
constexpr const PeakLoop* kInt8Table[] = {&avx512::kInt8DotVnni, &avx2::kInt8DotVnni, &avx512::kInt8Dot, &avx2::kInt8Dot,
                                          &baseline::kInt8Dot};
constexpr const PeakLoop* kBf16Table[] = {&avx512::kBf16Dot};
constexpr const PeakLoop* kF32Table[] = {&avx512::kF32Fma, &avx2::kF32Fma, &baseline::kF32Fma};
#else
constexpr const MemoryLoops* kMemoryTables[] = {&baseline::kMemoryLoops};
constexpr const PeakLoop* kInt8Table[] = {&baseline::kInt8Dot};
constexpr std::span<const PeakLoop* const> kBf16Table;
constexpr const PeakLoop* kF32Table[] = {&baseline::kF32Fma};
#endif

template <class Row>
const Row* choose(std::span<const Row* const> table, IsaSet isa) {
  for (const Row* row : table)
    if ((row->needs & isa) == row->needs) return row;
  return nullptr;
}

const PeakLoop* choose_peak(PeakProbe probe, IsaSet isa) {
  switch (probe) {
    case PeakProbe::int8_dot: return choose<PeakLoop>(kInt8Table, isa);
    case PeakProbe::bf16_dot: return choose<PeakLoop>(kBf16Table, isa);
    case PeakProbe::f32_fma: return choose<PeakLoop>(kF32Table, isa);
  }
  return nullptr;
}

// Pages of its own that go back to the system at once, so that a probe leaves nothing in the process's memory.
class Pages {
 public:
  explicit Pages(std::size_t size) : size_(size) {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(at);
    (void)::madvise(at, size, MADV_HUGEPAGE);  // best effort: it saves the time of touching them
  }
  ~Pages() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_;
};

constexpr std::size_t kPage = 4096;

// What thread i writes. Not zeros: some machines store and fetch those at twice the speed of anything else.
std::uint64_t pattern(std::size_t i) { return 0x9e3779b97f4a7c15 * (i + 1); }

// Repeats `pass`, which does `work` units, for the time given; the first pass is not counted.
Rate measure(double work, double seconds, FunctionRef<void()> pass) {
  pass();
  std::vector<double> rates;
  const Stopwatch total;
  while (rates.size() < 3 || total.seconds() < seconds) {
    const Stopwatch watch;
    pass();
    rates.push_back(work / watch.seconds());
  }
  // The second best: a clock that jumps, as those of virtual machines do, can make one pass faster than the machine is.
  std::nth_element(rates.begin(), rates.begin() + 1, rates.end(), std::greater<>());
  return {.best = rates[1],
          .median = median(rates),
          .passes = static_cast<std::uint32_t>(rates.size())};
}

}  // namespace

std::string_view name_of(MemoryProbe probe) {
  constexpr std::string_view kNames[] = {"read", "write", "copy"};
  return kNames[static_cast<std::size_t>(probe)];
}

std::string_view name_of(PeakProbe probe) {
  constexpr std::string_view kNames[] = {"int8_dot", "bf16_dot", "f32_fma"};
  return kNames[static_cast<std::size_t>(probe)];
}

std::uint64_t probe_buffer_bytes() {
  constexpr std::uint64_t kMebi = 1 << 20;
  const HostFacts host = read_host_facts();
  const std::uint64_t wanted = std::clamp<std::uint64_t>(8 * host.last_cache_bytes(), 256 * kMebi, 1024 * kMebi);
  std::uint64_t available = host.memory_available_bytes;
  if (host.memory_limit_bytes) available = std::min(available, *host.memory_limit_bytes);
  return std::max(16 * kMebi, std::min(wanted, available / 8));
}

Rate measure_bandwidth(MemoryProbe probe, const ProbeOptions& options) {
  const MemoryLoops& loops = *choose<MemoryLoops>(kMemoryTables, detect_isa());
  Threads threads(std::max(1, options.threads));
  const std::size_t parts = static_cast<std::size_t>(threads.count());
  const std::size_t wanted = options.buffer_bytes > 0 ? options.buffer_bytes : probe_buffer_bytes();
  // A copy halves the buffer: the first half of a part goes into its second half.
  const std::size_t step = 2 * kProbeStep;
  const std::size_t part = std::max(step, wanted / parts / step * step);
  const Pages pages(parts * part);
  if (pages.data() == nullptr) return {};

  std::byte* const data = pages.data();
  threads.for_chunks(parts, [&](std::size_t i) { loops.write(data + i * part, part, pattern(i)); });  // touched by who reads it
  // Equal pages may share memory, and are then read from a cache: a number of its own in each.
  for (std::size_t at = 0; at < parts * part; at += kPage) std::memcpy(data + at, &at, sizeof at);
  std::vector<std::uint64_t> sums(parts * 8);
  return measure(static_cast<double>(parts * part), options.seconds, [&] {
    threads.for_chunks(parts, [&](std::size_t i) {
      std::byte* const at = data + i * part;
      switch (probe) {
        case MemoryProbe::read: sums[8 * i] = loops.read(at, part); break;
        case MemoryProbe::write: loops.write(at, part, pattern(i)); break;
        case MemoryProbe::copy: loops.copy(at + part / 2, at, part / 2); break;
      }
    });
  });
}

std::string_view peak_isa(PeakProbe probe, IsaSet isa) {
  const PeakLoop* loop = choose_peak(probe, isa);
  return loop ? loop->isa : "";
}

std::optional<Rate> measure_peak(PeakProbe probe, const ProbeOptions& options, IsaSet isa) {
  const PeakLoop* loop = choose_peak(probe, isa);
  if (loop == nullptr) return std::nullopt;
  Threads threads(std::max(1, options.threads));
  const std::size_t parts = static_cast<std::size_t>(threads.count());
  // Passes of some 10 ms: long against the wake-up of a worker, short enough for several.
  std::size_t rounds = 1 << 14;
  for (double elapsed = 0; elapsed < 0.01 && rounds < (std::size_t{1} << 34); rounds *= 2) {
    const Stopwatch watch;
    loop->run(rounds);
    elapsed = watch.seconds();
  }
  const double work = static_cast<double>(loop->macs_per_round) * static_cast<double>(rounds) * static_cast<double>(parts);
  return measure(work, options.seconds, [&] { threads.for_chunks(parts, [&](std::size_t) { loop->run(rounds); }); });
}

MachineLimits measure_limits(int threads, double seconds) {
  MachineLimits out;
  out.threads = std::max(1, threads);
  const auto bandwidth = [&](MemoryProbe probe, int count) -> std::optional<double> {
    const Rate rate = measure_bandwidth(probe, {.threads = count, .seconds = seconds});
    if (rate.passes == 0) return std::nullopt;
    return rate.best / 1e9;
  };
  const auto peak = [&](PeakProbe probe, int count) -> std::optional<double> {
    const auto rate = measure_peak(probe, {.threads = count, .seconds = seconds});
    if (!rate) return std::nullopt;
    return rate->best / 1e9;
  };
  out.read_1_gbps = bandwidth(MemoryProbe::read, 1);
  out.read_all_gbps = bandwidth(MemoryProbe::read, out.threads);
  out.write_1_gbps = bandwidth(MemoryProbe::write, 1);
  out.write_all_gbps = bandwidth(MemoryProbe::write, out.threads);
  out.copy_1_gbps = bandwidth(MemoryProbe::copy, 1);
  out.copy_all_gbps = bandwidth(MemoryProbe::copy, out.threads);
  out.int8_dot_1_gmacs = peak(PeakProbe::int8_dot, 1);
  out.int8_dot_all_gmacs = peak(PeakProbe::int8_dot, out.threads);
  out.bf16_dot_1_gmacs = peak(PeakProbe::bf16_dot, 1);
  out.bf16_dot_all_gmacs = peak(PeakProbe::bf16_dot, out.threads);
  out.f32_fma_1_gmacs = peak(PeakProbe::f32_fma, 1);
  out.f32_fma_all_gmacs = peak(PeakProbe::f32_fma, out.threads);
  out.int8_dot_isa = peak_isa(PeakProbe::int8_dot);
  out.bf16_dot_isa = peak_isa(PeakProbe::bf16_dot);
  out.f32_fma_isa = peak_isa(PeakProbe::f32_fma);
  return out;
}

ASSAY_JSON_HERE(MachineLimits)

}  // namespace assay

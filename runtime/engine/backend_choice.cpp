// The rules of `auto`.
#include "runtime/engine/backend_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "runtime/core/parallel.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

// Of a device's memory, what a model may take: drivers, displays and other programs need some.
constexpr double kUsableShare = 0.9;
// A pass that crosses to the device and back costs about this much each token, in seconds.
constexpr double kCrossing = 200e-6;

}  // namespace

std::uint64_t usable_bytes(const vulkan::DeviceFacts& facts) {
  const std::uint64_t all = facts.budget_bytes != 0 ? std::min(facts.budget_bytes, facts.memory_bytes) : facts.memory_bytes;
  return static_cast<std::uint64_t>(static_cast<double>(all) * kUsableShare);
}

std::optional<BackendName> backend_from_name(std::string_view name) {
  if (name == "cpu") return BackendKind::cpu;
  if (name == "reference") return BackendKind::reference;
  if (name == "auto") return BackendKind::automatic;
  if (name == "vulkan") return BackendKind::vulkan;
  if (!name.starts_with("vulkan:")) return std::nullopt;
  std::uint32_t device = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 7, end, device);
  if (error != std::errc() || stop != end) return std::nullopt;
  return BackendName(BackendKind::vulkan, device);
}

std::string_view name_of(BackendKind kind) {
  constexpr std::string_view kNames[] = {"cpu", "reference", "vulkan", "auto"};
  return kNames[static_cast<std::size_t>(kind)];
}
std::string name_of(BackendName name) {
  return name.device == 0 ? std::string(name_of(name.kind)) : fmt::format("{}:{}", name_of(name.kind), name.device);
}

std::string kernel_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') return std::string(cache) + "/assay";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return std::string(home) + "/.cache/assay";
  return {};
}

bool is_of_device(const Error& error) { return error.subject == "Vulkan"; }

std::optional<std::uint32_t> best_device(std::span<const vulkan::DeviceFacts> devices) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < devices.size(); ++i) {
    if (!devices[i].is_real() || !devices[i].lacks.empty()) continue;
    const bool is_better = !best || (devices[i].kind == vulkan::DeviceKind::discrete && devices[*best].kind != vulkan::DeviceKind::discrete) ||
                           (devices[i].kind == devices[*best].kind && usable_bytes(devices[i]) > usable_bytes(devices[*best]));
    if (is_better) best = i;
  }
  return best;
}

std::uint32_t layers_that_fit(const OffloadQuestion& q, std::uint64_t bytes) {
  const std::uint64_t layer_weights = (q.plan.weights_bytes - std::min(q.plan.weights_bytes, q.embedding_bytes + q.output_bytes)) / std::max(1u, q.layers);
  const std::uint64_t layer = layer_weights + q.plan.kv_bytes / std::max(1u, q.layers);
  if (q.plan.total_bytes() <= bytes) return q.layers;
  const std::uint64_t fixed = q.plan.activation_bytes + q.output_bytes;
  if (fixed >= bytes || layer == 0) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>((bytes - fixed) / layer, q.layers - 1));
}

BackendDecision decide_backend(const OffloadQuestion& q, std::span<const vulkan::DeviceFacts> devices) {
  const auto best = best_device(devices);
  if (!best) {
    const bool has_software = std::any_of(devices.begin(), devices.end(), [](const vulkan::DeviceFacts& facts) { return facts.kind == vulkan::DeviceKind::cpu; });
    return {BackendKind::cpu, 0, has_software ? "the CPU: the only Vulkan device is software, which is slower" : "the CPU: there is no GPU that Vulkan kernels can use"};
  }
  const vulkan::DeviceFacts& facts = devices[*best];
  const std::uint64_t bytes = usable_bytes(facts);
  const std::uint32_t layers = layers_that_fit(q, bytes);
  const std::string memory = fmt::format("{} of its {} are usable, the plan is {}", format_bytes(bytes), format_bytes(facts.memory_bytes), format_bytes(q.plan.total_bytes()));
  if (layers == q.layers) return {BackendName(BackendKind::vulkan, *best), layers, fmt::format("{} with all {} layers: {}", facts.name, layers, memory)};
  if (layers == 0) return {BackendKind::cpu, 0, fmt::format("the CPU: no layer fits {}: {}", facts.name, memory)};
  if (q.device_read <= 0 || q.cpu_read <= 0) return {BackendKind::cpu, 0, fmt::format("the CPU: {} would take {} of {} layers, and whether that is faster was not measured", facts.name, layers, q.layers)};
  const double all = static_cast<double>(q.plan.bytes_per_token), share = static_cast<double>(layers) / q.layers;
  const double cpu_ms = all / q.cpu_read * 1e3, split_ms = (all * share / q.device_read + all * (1 - share) / q.cpu_read + kCrossing) * 1e3;
  if (split_ms >= cpu_ms)
    return {BackendKind::cpu, 0, fmt::format("the CPU: {} of {} layers on {} are predicted to take {:.1f} ms a token, the CPU alone {:.1f} ms", layers, q.layers, facts.name, split_ms, cpu_ms)};
  return {BackendName(BackendKind::vulkan, *best), layers, fmt::format("{} with {} of {} layers: {}; {:.1f} ms a token predicted, {:.1f} ms on the CPU alone", facts.name, layers, q.layers, memory, split_ms, cpu_ms)};
}

double measure_cpu_read(int threads) {
  constexpr std::size_t kBytes = 128u << 20, kChunks = 64, kWords = kBytes / sizeof(std::uint64_t) / kChunks;
  const std::vector<std::uint64_t> data(kWords * kChunks, 1);
  std::vector<std::uint64_t> sums(kChunks);
  Threads pool(threads);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    pool.for_chunks(kChunks, [&](std::size_t chunk) {
      std::uint64_t sum = 0;
      for (std::size_t i = chunk * kWords; i < (chunk + 1) * kWords; ++i) sum += data[i];
      sums[chunk] += sum;
    });
    best = std::max(best, static_cast<double>(kBytes) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return sums[0] == 0 ? 0 : best;  // the sum is used, so that the loop is not dropped
}

}  // namespace assay

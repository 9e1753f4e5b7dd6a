// Which backend computes: names on the command line, and what `auto` makes of the devices there are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/kernels/vulkan/vulkan.h"
#include "runtime/model/memory_plan.h"

namespace assay {

enum class BackendKind : std::uint8_t {
  cpu,        // SIMD kernels on the stored weights, 8-bit activations where the weights are quantised
  reference,  // plain float32 on dequantised weights; slow, the truth to compare with
  vulkan,     // a device's compute shaders on the stored weights
  automatic   // a GPU where that pays, else the CPU
};

// A backend, and which device of several. A kind alone is the first device.
struct BackendName {
  BackendKind kind = BackendKind::cpu;
  std::uint32_t device = 0;

  constexpr BackendName() = default;
  constexpr BackendName(BackendKind its_kind, std::uint32_t its_device = 0) : kind(its_kind), device(its_device) {}
  friend constexpr bool operator==(const BackendName&, const BackendName&) = default;
  friend constexpr bool operator==(const BackendName& name, BackendKind its_kind) { return name.kind == its_kind; }  // whichever device
};

// "cpu", "reference", "vulkan", "vulkan:1", "auto".
inline constexpr std::string_view kKnownBackends = "cpu, reference, vulkan, vulkan:N, auto";
std::optional<BackendName> backend_from_name(std::string_view name);
std::string_view name_of(BackendKind kind);
std::string name_of(BackendName name);

// Where compiled kernels of devices are kept: the user's cache, as XDG_CACHE_HOME and HOME say. Empty: nowhere.
std::string kernel_cache_folder();

// Whether a device is what failed, not the model: it is not there, was lost or has no memory.
bool is_of_device(const Error& error);

// What decides: sizes of the model, and how fast each side reads, in bytes a second (0: not measured).
struct OffloadQuestion {
  std::uint32_t layers = 0;
  MemoryPlan plan{};
  std::uint64_t embedding_bytes = 0, output_bytes = 0;  // of the weights
  double device_read = 0, cpu_read = 0;
};
struct BackendDecision {
  BackendName backend;
  std::uint32_t gpu_layers = 0;
  std::string why;  // one sentence
};
// The real GPU with the most memory takes all layers when its memory holds the plan; else as many as fit, when a token is predicted to take
// less time than on the CPU alone (both read their share once); else the CPU.
BackendDecision decide_backend(const OffloadQuestion& question, std::span<const vulkan::DeviceFacts> devices);
// The device that decide_backend() would use, if any.
std::optional<std::uint32_t> best_device(std::span<const vulkan::DeviceFacts> devices);
// Of a device's memory, what a model may take.
std::uint64_t usable_bytes(const vulkan::DeviceFacts& facts);
// Layers whose weights and share of the cache fit, with activations and the output; `layers` when all do.
std::uint32_t layers_that_fit(const OffloadQuestion& question, std::uint64_t bytes);

// Bytes a second that `threads` threads read from memory, in a few tens of milliseconds.
double measure_cpu_read(int threads);

}  // namespace assay

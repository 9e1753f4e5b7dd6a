// Where a split model crosses from the CPU to the device.
#include "runtime/engine/split_backend.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay {

Result<std::unique_ptr<SplitBackend>> SplitBackend::open(const Model& model, std::uint32_t gpu_layers, const CpuBackend::Options& cpu, VulkanBackend::Options device, ProgressFn progress) {
  std::unique_ptr<SplitBackend> split(new SplitBackend(model));
  const std::uint32_t layers = model.config.layers;
  split->first_ = layers - std::min(gpu_layers, layers);
  device.first_layer = split->first_;
  ASSAY_TRY(split->device_, VulkanBackend::open(model, device, progress));
  split->computes_on_ = split->device_->device().name;
  if (split->first_ > 0) {
    split->cpu_ = std::make_unique<CpuBackend>(model, cpu);
    split->computes_on_ = fmt::format("{} of {} layers on {}, {}", gpu_layers, layers, split->computes_on_, cpu.kernels->name);
  }
  return split;
}

Result<> SplitBackend::compute(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses) {
  if (cpu_ == nullptr) {
    forward(model_, *device_, tokens, segments, wanted);
  } else {
    forward_until(model_, *cpu_, tokens, segments, first_);
    device_->begin(segments);
    ASSAY_TRY_VOID(device_->take_residual(cpu_->rows(Slot::residual)));
    forward_from(model_, *device_, first_, wanted);
  }
  if (chooses) device_->choose();
  return device_->finish();
}

}  // namespace assay

// A model on a device, or its first layers on the CPU and the others on the device: two calls of forward.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/engine/cpu_backend.h"
#include "runtime/engine/vulkan_backend.h"

namespace assay {

class SplitBackend {
 public:
  // `gpu_layers` of the model's layers, the last ones, and the output run on the device; all of them: the embedding, too.
  static Result<std::unique_ptr<SplitBackend>> open(const Model& model, std::uint32_t gpu_layers, const CpuBackend::Options& cpu, VulkanBackend::Options device, ProgressFn progress);

  // Where it `chooses`, the device takes the most likely token of each row of logits, and sends those instead: chosen().
  Result<> compute(std::span<const std::int32_t> tokens, std::span<const Segment> segments, LogitsWanted wanted, bool chooses);
  std::span<const float> rows(Slot slot) const { return device_->rows(slot); }
  std::span<const std::int32_t> chosen() const { return device_->chosen(); }
  VulkanBackend& device() { return *device_; }
  // "llvmpipe (LLVM 15.0.6, 256 bits)", or "4 of 6 layers on ..., avx2"
  const std::string& computes_on() const { return computes_on_; }

 private:
  explicit SplitBackend(const Model& model) : model_(model) {}
  const Model& model_;
  std::uint32_t first_ = 0;  // layer on the device
  std::unique_ptr<CpuBackend> cpu_;
  std::unique_ptr<VulkanBackend> device_;
  std::string computes_on_;
};

}  // namespace assay

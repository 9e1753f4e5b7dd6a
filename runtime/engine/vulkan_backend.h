// The Vulkan backend: verbs are written on a tape, the tape becomes a command recording, and a decode step's recording is run again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/core/progress.h"
#include "runtime/engine/device_pass.h"
#include "runtime/engine/rope.h"
#include "runtime/engine/verb_tape.h"
#include "runtime/kernels/vulkan/ops.h"
#include "runtime/quant/kv_type.h"

namespace assay {

class VulkanBackend : public VerbTape {
 public:
  struct Options {
    std::uint32_t device = 0;
    std::uint32_t first_layer = 0;  // the layers before are another backend's
    std::uint32_t context = 0;      // positions of a sequence
    std::uint32_t batch = 1;        // the most tokens of a pass
    std::uint32_t sequences = 1;
    KvType kv = KvType::f16;
    std::optional<vulkan::Multiply> multiply{};  // of more inputs than mat-vecs take; none: what suits the device
    std::uint32_t splits = 0;                    // parts of the cache in attention; 0: what suits the device
    bool measures_times = false;                 // a timestamp after every dispatch
    vulkan::DeviceOptions driver{};
    std::string cache_folder{};                  // where compiled pipelines are kept; empty: nowhere
  };
  // Uploads every weight of its layers (`progress` is told, and may stop it) and compiles the kernels of a decode step. `model` must
  // outlive it. Errors: unsupported, memory, io, interrupted.
  static Result<std::unique_ptr<VulkanBackend>> open(const Model& model, const Options& options, ProgressFn progress);
  ~VulkanBackend();
  VulkanBackend(const VulkanBackend&) = delete;
  VulkanBackend& operator=(const VulkanBackend&) = delete;

  // Rows of the residual stream that another backend computed: [tokens][embedding]. After begin(), instead of embed().
  Result<> take_residual(std::span<const float> rows);
  // Runs what the tape says. Errors: io (device lost), memory.
  Result<> finish();
  // After finish(): the logits, [rows][vocabulary]; where choose() was called the chosen token of each row instead.
  std::span<const float> rows(Slot slot) const;
  std::span<const std::int32_t> chosen() const;

  // Facts of the pass that ran last.
  DevicePass last_pass();
  // A timestamp after every dispatch from now on.
  void measure_kernels();
  const vulkan::DeviceFacts& device() const { return device_.facts(); }
  std::uint64_t device_bytes() const;
  std::uint64_t used_bytes() const { return memory_.used_bytes(); }  // of these, what is used; without logits
  std::vector<std::string> validation_messages() const { return device_.validation_messages(); }

 private:
  // One dispatch of a pass.
  struct Planned {
    vulkan::Call call;
    std::vector<vulkan::Touch> touches;
    std::string_view op;
    std::optional<FormatId> format{};  // of the weights
  };
  // A recorded pass, and what it is the recording of.
  struct Program {
    std::vector<Step> steps;
    std::vector<std::uint32_t> tokens;  // of each segment
    std::vector<Planned> plan;
    vulkan::Recording recording;
    DevicePass facts;
    std::uint32_t logit_rows = 0, chosen_rows = 0;
    std::uint64_t used = 0;
  };
  struct SlotMemory {
    vulkan::Buffer buffer;
    std::uint32_t cols = 0;
  };

  VulkanBackend(const Model& model, const Options& options, vulkan::Device device);
  Result<> allocate_fixed();
  Result<> load_and_compile(ProgressFn progress);
  Result<> save_pipelines() const;

  // Lowering: vulkan_lower.cpp.
  Result<std::vector<Planned>> lower();
  Result<> lower_step(const Step& step, std::vector<Planned>& plan);
  Result<> lower_product(const Step& step, std::vector<Planned>& plan);
  Result<> lower_attention(const Step& step, std::vector<Planned>& plan);
  Result<> lower_elements(const Step& step, std::vector<Planned>& plan);
  Result<> lower_norm(const Step& step, std::vector<Planned>& plan);
  Result<> lower_experts(const Step& step, std::vector<Planned>& plan);
  Result<> lower_expert_gates(std::uint32_t layer, const vulkan::Rows& gate, std::vector<Planned>& plan);
  Result<std::size_t> lower_gated(std::span<const Step> next, std::vector<Planned>& plan);
  Result<> lower_heads(const Step& step, std::vector<Planned>& plan);
  Result<vulkan::Rows> rows_for(Slot slot, std::uint32_t cols);
  Result<vulkan::Rows> make_rows(SlotMemory& memory, std::uint32_t rows, std::uint32_t cols);
  vulkan::Rows rows_at(Slot slot) const;
  vulkan::Multiply way_to_multiply(FormatId format) const;
  std::uint32_t attention_splits() const;
  std::uint32_t resource_of(Slot slot) const;

  // What lies in device memory: vulkan_weights.cpp.
  std::uint64_t weight_bytes_of(const Step& step) const;
  Result<> load_weights_of(const Step& step);
  Result<const vulkan::DeviceWeight*> weight_of(const TensorView& tensor);
  Result<const vulkan::DeviceTable*> experts_of(std::uint32_t layer, const TensorView* ExpertWeights::*which, const TensorView* ExpertWeights::*bias);
  Result<const vulkan::DeviceTable*> gates_of(std::uint32_t layer);
  Result<const vulkan::DeviceTable*> pair_of(const TensorView& gate, const TensorView& up);
  Result<const vulkan::DeviceTable*> heads_of(const TensorView& tensor);
  Result<std::uint64_t> vector_of(const TensorView* tensor);
  Result<vulkan::Ops::Cache> cache_of(std::uint32_t layer);

  void write_pass();
  Result<Program*> program_for_pass();
  Result<> read_logits(const Program& program);
  Result<std::vector<KernelTime>> kernel_times();

  const Model& model_;
  Options options_;
  vulkan::Device device_;
  vulkan::Memory memory_;
  std::unique_ptr<vulkan::Memory> logit_memory_;  // grows with the rows asked for
  std::uint32_t logit_capacity_ = 0;
  vulkan::Buffer logits_, logits_host_;
  std::optional<vulkan::Ops> ops_;
  RopeTable rope_, local_rope_;
  std::array<SlotMemory, static_cast<std::size_t>(Slot::kCount)> slots_{};
  std::array<SlotMemory, static_cast<std::size_t>(Slot::kCount)> kept_{};  // what keep_last left of a slot
  std::array<bool, static_cast<std::size_t>(Slot::kCount)> is_kept_{};     // while lowering: the slot's rows are there
  std::uint32_t rows_now_ = 0;  // while lowering: tokens, or what keep_last left
  std::optional<std::pair<vulkan::Ops::Rope, std::uint64_t>> key_rope_;  // while lowering: of keys that are not stored yet, and its angles
  struct PassLayout {
    vulkan::Buffer buffer;
    std::uint64_t tokens = 0, kept = 0, pieces = 0, angles = 0, local_angles = 0;  // offsets
  } pass_;
  vulkan::Buffer levels_, level_facts_, parts_, choices_, chosen_;
  SlotMemory expert_gate_, expert_up_;  // of every choice of every token
  std::unordered_map<const TensorView*, vulkan::DeviceWeight> weights_;
  std::unordered_map<const TensorView*, vulkan::DeviceTable> tables_;  // by the first expert's matrix, or the tensor of all heads
  std::unordered_map<const TensorView*, std::uint64_t> vectors_;
  std::vector<vulkan::Ops::Cache> caches_;  // by layer, from first_layer on
  std::vector<Program> programs_;
  std::uint64_t runs_ = 0;
  std::vector<float> logits_read_;
  std::uint32_t logit_rows_ = 0, chosen_rows_ = 0;
  DevicePass facts_;
  std::size_t last_program_ = 0;
};

static_assert(Backend<VulkanBackend>);

}  // namespace assay

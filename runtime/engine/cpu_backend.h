// The CPU backend: SIMD kernels on the weights as stored, rows spread over threads in a fixed grid.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/parallel.h"
#include "runtime/engine/cpu_products.h"
#include "runtime/engine/forward.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/rope.h"
#include "runtime/engine/route.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

class CpuBackend {
 public:
  static constexpr std::uint32_t kAbilities = kAllAbilities;
  struct Options {
    const Kernels* kernels = nullptr;
    int threads = 0;
    std::uint32_t context = 0;    // positions of a sequence
    std::uint32_t batch = 1;      // the most tokens of a pass
    std::uint32_t sequences = 1;
    KvType kv = KvType::f16;
  };
  CpuBackend(const Model& model, const Options& options);

  void begin(std::span<const Segment> segments);
  void embed(const TensorView& weight, std::span<const std::int32_t> tokens);
  void norm(Slot to, Slot from, const TensorView& weight);
  void layer_norm(Slot to, Slot from, const TensorView& weight, const TensorView* bias);
  void project(Slot from, std::initializer_list<Product> products);
  void project_add(Slot from, const TensorView& weight);
  void project_heads(Slot from, Slot to, const TensorView& weight);
  void head_norm(Slot slot, const TensorView& weight);
  void rope(Slot slot);
  void local_rope(Slot slot);
  void store_kv(std::uint32_t layer);
  void attend(std::uint32_t layer);
  void gate_up();
  void activate();
  void experts(std::uint32_t layer);
  void add(Slot slot, float factor);
  void scale(Slot slot, float factor);
  void soft_cap(Slot slot, float cap);
  void add_positions(const TensorView& weight);
  void keep_last(std::initializer_list<Slot> slots);

  std::span<const float> rows(Slot slot) const;
  int threads() const { return threads_.count(); }
  const Kernels& kernels() const { return kernels_; }

 private:
  // Some query rows of one segment for one call of the attention kernel.
  struct Piece {
    const Segment* segment;
    std::uint32_t first_token;  // of the segment, within the pass
    std::uint32_t first_row;    // within the segment: token * query heads of a key-value head
    std::uint32_t rows;
  };
  using GateKernel = void (*)(float* gate, const float* up, std::size_t count);
  // The angles of this pass as Kernels::rotate takes them: [token][pair], or [token][2 * pair] where neighbours are pairs.
  struct Angles {
    std::vector<float> cosines, sines;
  };

  float* slot(Slot which) { return slots_[static_cast<std::size_t>(which)].data(); }
  std::uint32_t width(Slot which) const { return widths_[static_cast<std::size_t>(which)]; }
  float* grow(Slot which, std::uint64_t columns);  // room for this pass's tokens
  const float* floats_of(const TensorView& vector);
  void fill_angles(const RopeTable& table, Angles& angles);
  void rotate(Slot slot, const Angles& angles);
  void add_bias(float* rows, std::uint32_t columns, const TensorView& bias);
  GateKernel gate_kernel() const;
  void add_expert_jobs(std::uint32_t layer, const TensorView* ExpertWeights::*which, float* out, bool is_one);
  void add_expert_bias(std::uint32_t layer, const TensorView* ExpertWeights::*which, float* rows);
  const std::vector<TensorView>& heads_of(const TensorView& weight);

  const Model& model_;
  const Kernels& kernels_;
  Threads threads_;
  CpuProducts products_;
  RopeTable rope_, local_rope_;
  KvCache cache_;
  std::uint32_t tokens_ = 0;
  std::vector<Segment> segments_;
  std::array<AlignedBuffer<float>, static_cast<std::size_t>(Slot::kCount)> slots_;
  std::array<std::uint32_t, static_cast<std::size_t>(Slot::kCount)> widths_{};  // of what was written last
  Angles angles_, local_angles_;
  std::unordered_map<const TensorView*, std::vector<float>> vectors_;  // norms and biases as floats
  std::vector<ProductJob> jobs_;
  std::vector<Piece> pieces_;
  Routing routing_;
  AlignedBuffer<float> expert_in_, expert_gate_, expert_up_, expert_out_;  // one row for each choice of a token
  std::unordered_map<const TensorView*, std::vector<TensorView>> head_matrices_;
};

static_assert(Backend<CpuBackend>);

}  // namespace assay

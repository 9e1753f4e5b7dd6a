// The CPU backend: SIMD kernels on the weights as stored, rows spread over threads in a fixed grid.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/parallel.h"
#include "runtime/engine/forward.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/rope.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

class CpuBackend {
 public:
  struct Options {
    const Kernels* kernels = nullptr;
    int threads = 0;
    std::uint32_t context = 0;    // positions of a sequence
    std::uint32_t sequences = 1;
    KvType kv = KvType::f16;
  };
  CpuBackend(const Model& model, const Options& options);

  void begin(std::span<const Segment> segments);
  void embed(const TensorView& weight, std::span<const std::int32_t> tokens);
  void norm(Slot to, Slot from, const TensorView& weight);
  void project(Slot from, std::initializer_list<Product> products);
  void project_add(Slot from, const TensorView& weight);
  void head_norm(Slot slot, const TensorView& weight);
  void rope(Slot slot);
  void store_kv(std::uint32_t layer);
  void attend(std::uint32_t layer);
  void gate_up();
  void keep_last();

  std::span<const float> rows(Slot slot) const;
  int threads() const { return threads_.count(); }
  const Kernels& kernels() const { return kernels_; }

 private:
  // Some query rows of one segment for one call of the attention kernel.
  struct Piece {
    const Segment* segment;
    std::uint32_t first_token;  // of the segment, within the pass
    std::uint32_t first_row;    // within the segment: token * query heads of a key-value head
  };
  // One product spread over row chunks of a region.
  struct Work {
    WeightRows weights;
    const TensorView* tensor;
    const FormatKernels* kernel;
    Outputs out;
    std::uint32_t chunk_rows;
    std::size_t first_chunk;
  };

  float* slot(Slot which) { return slots_[static_cast<std::size_t>(which)].data(); }
  float* grow(Slot which);  // room for this pass's tokens
  std::uint32_t width(Slot which) const;
  void multiply(Slot from, std::span<const Product> products, bool add);
  void multiply_few(const std::vector<Work>& works, std::size_t chunks, std::uint32_t cols, const float* from);
  void multiply_many(const std::vector<Work>& works, std::size_t chunks, std::uint32_t cols, const float* from);
  void multiply_rows(const Work& work, std::uint32_t begin, std::uint32_t end, std::uint32_t cols, const float* from);
  void multiply_dequantised(const Work& work, std::uint32_t begin, std::uint32_t end, const float* from);
  void quantize(const float* from, std::uint32_t cols);
  PackedInputs pack(Packing packing, const float* from, std::uint32_t cols);
  Inputs inputs(const float* from, std::uint32_t cols, std::uint32_t first, std::uint32_t count) const;
  const float* norm_weight(const TensorView& weight);

  const Model& model_;
  const Kernels& kernels_;
  Threads threads_;
  RopeTable rope_;
  KvCache cache_;
  std::uint32_t tokens_ = 0;
  std::vector<Segment> segments_;
  std::array<AlignedBuffer<float>, static_cast<std::size_t>(Slot::kCount)> slots_;
  std::vector<float> cosines_, sines_;                  // [token][pair]
  std::vector<std::pair<const TensorView*, std::vector<float>>> norms_;  // norm weights as floats
  AlignedBuffer<std::int8_t> levels_;                   // inputs of a projection, see Inputs
  AlignedBuffer<float> scales_, sums_;
  std::array<AlignedBuffer<std::byte>, static_cast<std::size_t>(Packing::kCount)> packed_;    // by Packing
  std::vector<AlignedBuffer<float>> scratch_;           // by worker
  std::vector<Work> works_;
  std::vector<Piece> pieces_;
};

static_assert(Backend<CpuBackend>);

}  // namespace assay

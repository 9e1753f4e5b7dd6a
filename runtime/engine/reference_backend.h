// The plain truth: float32 throughout, one block of dequantised rows at a time, Eigen for the products. Slow on purpose.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "runtime/engine/forward.h"
#include "runtime/engine/rope.h"

namespace assay {

class ReferenceBackend {
 public:
  ReferenceBackend(const Model& model, std::uint32_t context, std::uint32_t sequences);

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

 private:
  struct Place {
    std::uint32_t sequence, position;
  };
  std::vector<float>& slot(Slot which) { return slots_[static_cast<std::size_t>(which)]; }
  std::size_t width(Slot which) const;
  void multiply(const TensorView& weight, const std::vector<float>& from, std::vector<float>& to, bool add);
  float* cache(std::vector<float>& store, std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head);
  void attend_head(std::uint32_t layer, std::uint32_t token, std::uint32_t head);

  const Model& model_;
  RopeTable rope_;
  std::uint32_t context_;
  std::uint32_t tokens_ = 0;
  std::vector<Place> places_;  // of each token
  std::vector<Segment> segments_;
  std::array<std::vector<float>, static_cast<std::size_t>(Slot::kCount)> slots_;
  std::vector<float> keys_, values_;  // [sequence][layer][position][kv_head][head_dim]
};

static_assert(Backend<ReferenceBackend>);

}  // namespace assay

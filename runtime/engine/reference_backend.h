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
  static constexpr std::uint32_t kAbilities = kAllAbilities;
  ReferenceBackend(const Model& model, std::uint32_t context, std::uint32_t sequences);

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

 private:
  struct Place {
    std::uint32_t sequence, position;
  };
  std::vector<float>& slot(Slot which) { return slots_[static_cast<std::size_t>(which)]; }
  std::size_t width(Slot which) { return slot(which).size() / tokens_; }
  std::uint32_t heads_of(Slot which) const { return which == Slot::key ? model_.config.kv_heads : model_.config.heads; }
  void rotate(Slot slot, const RopeTable& table);
  std::vector<float> expert_output(const ExpertWeights& expert, const float* input) const;
  float* cached_key(std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head);
  float* cached_value(std::uint32_t layer, std::uint32_t sequence, std::uint32_t position, std::uint32_t kv_head);
  void attend_head(std::uint32_t layer, std::uint32_t token, std::uint32_t head);

  const Model& model_;
  RopeTable rope_, local_rope_;
  std::uint32_t context_;
  std::uint32_t tokens_ = 0;
  std::vector<Place> places_;  // of each token
  std::vector<Segment> segments_;
  std::array<std::vector<float>, static_cast<std::size_t>(Slot::kCount)> slots_;
  std::vector<float> keys_, values_;  // [sequence][layer][position][kv_head][head_dim or value_dim]
};

static_assert(Backend<ReferenceBackend>);

}  // namespace assay

// VerbTape: a backend that only writes down what it is asked for; what a recording backend is made of, and a test double.
#pragma once

#include <span>
#include <vector>

#include "runtime/engine/forward.h"

namespace assay {

enum class Verb : std::uint8_t {
  embed, norm, layer_norm, project, project_add, head_norm, rope, local_rope, store_kv, attend, gate_up, activate, add, scale, soft_cap, add_positions, keep_last, experts,
  project_heads, choose
};

// One verb and what it was given. Products of one projection follow each other; all but the first are `joined`.
struct Step {
  Verb verb = Verb::embed;
  Slot to = Slot::residual, from = Slot::residual;
  const TensorView* weight = nullptr;
  const TensorView* bias = nullptr;
  std::uint32_t layer = 0;
  float factor = 0;
  bool joined = false;

  friend bool operator==(const Step&, const Step&) = default;
};

class VerbTape {
 public:
  static constexpr std::uint32_t kAbilities = kAllAbilities;

  void begin(std::span<const Segment> segments) {
    segments_.assign(segments.begin(), segments.end());
    steps_.clear();
  }
  void embed(const TensorView& weight, std::span<const std::int32_t> tokens) {
    ids_.assign(tokens.begin(), tokens.end());
    steps_.push_back({.verb = Verb::embed, .weight = &weight});
  }
  void norm(Slot to, Slot from, const TensorView& weight) { steps_.push_back({.verb = Verb::norm, .to = to, .from = from, .weight = &weight}); }
  void layer_norm(Slot to, Slot from, const TensorView& weight, const TensorView* bias) {
    steps_.push_back({.verb = Verb::layer_norm, .to = to, .from = from, .weight = &weight, .bias = bias});
  }
  void project(Slot from, std::initializer_list<Product> products) {
    bool joined = false;
    for (const Product& product : products) {
      steps_.push_back({.verb = Verb::project, .to = product.to, .from = from, .weight = product.weight, .bias = product.bias, .joined = joined});
      joined = true;
    }
  }
  void project_add(Slot from, const TensorView& weight) { steps_.push_back({.verb = Verb::project_add, .from = from, .weight = &weight}); }
  void head_norm(Slot slot, const TensorView& weight) { steps_.push_back({.verb = Verb::head_norm, .to = slot, .from = slot, .weight = &weight}); }
  void rope(Slot slot) { steps_.push_back({.verb = Verb::rope, .to = slot}); }
  void local_rope(Slot slot) { steps_.push_back({.verb = Verb::local_rope, .to = slot}); }
  void store_kv(std::uint32_t layer) { steps_.push_back({.verb = Verb::store_kv, .layer = layer}); }
  void attend(std::uint32_t layer) { steps_.push_back({.verb = Verb::attend, .layer = layer}); }
  void gate_up() { steps_.push_back({.verb = Verb::gate_up}); }
  void activate() { steps_.push_back({.verb = Verb::activate}); }
  void add(Slot slot, float factor) { steps_.push_back({.verb = Verb::add, .from = slot, .factor = factor}); }
  void scale(Slot slot, float factor) { steps_.push_back({.verb = Verb::scale, .to = slot, .factor = factor}); }
  void soft_cap(Slot slot, float cap) { steps_.push_back({.verb = Verb::soft_cap, .to = slot, .factor = cap}); }
  void add_positions(const TensorView& weight) { steps_.push_back({.verb = Verb::add_positions, .weight = &weight}); }
  void keep_last(std::initializer_list<Slot> slots) {
    for (const Slot slot : slots) steps_.push_back({.verb = Verb::keep_last, .from = slot});
  }
  void experts(std::uint32_t layer) { steps_.push_back({.verb = Verb::experts, .layer = layer}); }
  void project_heads(Slot from, Slot to, const TensorView& weight) { steps_.push_back({.verb = Verb::project_heads, .to = to, .from = from, .weight = &weight}); }

  // Not a verb of the decoder: after the logits, the most likely token of each row.
  void choose() { steps_.push_back({.verb = Verb::choose}); }

  std::span<const Step> steps() const { return steps_; }
  std::span<const Segment> segments() const { return segments_; }
  std::span<const std::int32_t> ids() const { return ids_; }
  std::uint32_t tokens_of_pass() const {
    std::uint32_t tokens = 0;
    for (const Segment& segment : segments_) tokens += segment.tokens;
    return tokens;
  }

 private:
  std::vector<Step> steps_;
  std::vector<Segment> segments_;
  std::vector<std::int32_t> ids_;
};

static_assert(Backend<VerbTape>);

}  // namespace assay

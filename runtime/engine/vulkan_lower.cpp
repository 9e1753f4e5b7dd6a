// From verbs to dispatches: which kernel on which addresses, and what each reads and writes.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/assert.h"
#include "runtime/engine/vulkan_backend.h"

namespace assay {

using vulkan::Call;
using vulkan::Ops;
using vulkan::Rows;
using vulkan::Touch;

namespace {

// What barriers are about, beside the slots.
constexpr std::uint32_t kKept = static_cast<std::uint32_t>(Slot::kCount);  // of every slot
constexpr std::uint32_t kLevels = 2 * kKept, kParts = kLevels + 1, kChoices = kLevels + 2, kExpertGate = kLevels + 3, kExpertUp = kLevels + 4, kChosen = kLevels + 5,
                        kCaches = kLevels + 6;

// Decode with a long cache keeps few workgroups busy: its positions are shared out until there are about so many.
constexpr std::uint32_t kEnoughWorkgroups = 256, kMostSplits = 16;

vulkan::Element gated(Activation activation) {
  using vulkan::Element;
  return activation == Activation::silu ? Element::silu_gate : activation == Activation::gelu ? Element::gelu_gate : Element::clamped_silu_gate;
}

}  // namespace

std::uint32_t VulkanBackend::resource_of(Slot slot) const {
  const auto number = static_cast<std::uint32_t>(slot);
  return is_kept_[number] ? kKept + number : number;
}

Rows VulkanBackend::rows_at(Slot slot) const {
  if (slot == Slot::logits) return {logits_.address, vulkan::stride_of(model_.config.vocabulary), model_.config.vocabulary};
  const auto number = static_cast<std::size_t>(slot);
  const SlotMemory& memory = is_kept_[number] ? kept_[number] : slots_[number];
  ASSAY_CHECK(memory.buffer.bytes > 0);
  return {memory.buffer.address, vulkan::stride_of(memory.cols), memory.cols};
}

// A slot is made when something first writes it, for a whole batch; layers may write it in different widths.
Result<Rows> VulkanBackend::rows_for(Slot slot, std::uint32_t cols) {
  if (slot == Slot::logits) {
    ASSAY_CHECK(cols == model_.config.vocabulary);
    if (rows_now_ > logit_capacity_) {
      programs_.clear();  // their addresses are the old ones
      logit_capacity_ = rows_now_;
      const std::uint64_t bytes = std::uint64_t{logit_capacity_} * vulkan::stride_of(cols) * sizeof(float);
      logits_ = logits_host_ = {};
      logit_memory_ = std::make_unique<vulkan::Memory>(device_);
      ASSAY_TRY(logits_, logit_memory_->allocate(bytes, vulkan::Where::device));
      ASSAY_TRY(logits_host_, logit_memory_->allocate(bytes, vulkan::Where::host));
    }
    return rows_at(slot);
  }
  is_kept_[static_cast<std::size_t>(slot)] = false;  // written anew
  return make_rows(slots_[static_cast<std::size_t>(slot)], options_.batch, cols);
}

// Behind the last row lies room for kernels that read whole units of columns.
Result<Rows> VulkanBackend::make_rows(SlotMemory& memory, std::uint32_t rows, std::uint32_t cols) {
  const std::uint64_t bytes = std::uint64_t{rows} * vulkan::stride_of(cols) * sizeof(float) + 64;
  if (memory.buffer.bytes < bytes) {
    programs_.clear();
    ASSAY_TRY(memory.buffer, memory_.allocate(bytes, vulkan::Where::device));
    ASSAY_TRY_VOID(memory_.clear(memory.buffer));
  }
  memory.cols = cols;
  return Rows{memory.buffer.address, vulkan::stride_of(cols), cols};
}

vulkan::Multiply VulkanBackend::way_to_multiply(FormatId format) const {
  using vulkan::Multiply;
  const vulkan::DeviceFacts& facts = device_.facts();
  const Multiply best = facts.has_cooperative_matrix ? Multiply::matrices : facts.is_integer_dot_fast ? Multiply::levels : facts.has_half && facts.is_real() ? Multiply::halves : Multiply::floats;
  const Multiply wanted = options_.multiply.value_or(best);
  if (ops_->can_multiply(wanted, format)) return wanted;
  return facts.has_half && facts.is_real() ? Multiply::halves : Multiply::floats;
}

std::uint32_t VulkanBackend::attention_splits() const {
  if (options_.splits != 0) return rows_now_ <= Ops::kMostColumns ? options_.splits : 1;
  if (device_.facts().kind == vulkan::DeviceKind::cpu || rows_now_ > Ops::kMostColumns) return 1;
  return std::clamp(kEnoughWorkgroups / (model_.config.kv_heads * rows_now_), 1u, kMostSplits);
}

Result<> VulkanBackend::lower_product(const Step& step, std::vector<Planned>& plan) {
  ASSAY_TRY(const vulkan::DeviceWeight* const weight, weight_of(*step.weight));
  ASSAY_TRY(const std::uint64_t bias, vector_of(step.bias));
  const bool adds = step.verb == Verb::project_add;
  const Slot slot = adds ? Slot::residual : step.to;
  const Rows from = rows_at(step.from);
  ASSAY_CHECK(weight->cols == from.cols);
  if (!adds) ASSAY_TRY_VOID(rows_for(slot, weight->rows));
  const Rows to = rows_at(slot);
  ASSAY_CHECK(to.cols == weight->rows);
  const Touch reads{resource_of(step.from)}, writes{resource_of(slot), true};
  if (rows_now_ <= Ops::kMostColumns) {
    plan.push_back({ops_->matvec(*weight, from, rows_now_, to, adds, bias), {reads, writes}, "matvec", weight->format});
    return success();
  }
  const vulkan::Multiply way = way_to_multiply(weight->format);
  Rows input = from;
  if (way == vulkan::Multiply::levels) {
    const std::uint64_t needed = std::uint64_t{options_.batch} * from.stride;
    if (levels_.bytes < needed) {
      programs_.clear();
      ASSAY_TRY(levels_, memory_.allocate(needed, vulkan::Where::device));
      ASSAY_TRY(level_facts_, memory_.allocate(needed / 2, vulkan::Where::device));
    }
    // Products of one input find it quantised already.
    const bool is_there = step.joined && !plan.empty() && plan.back().op == "matmul_int";
    if (!is_there) plan.push_back({ops_->quantize(from, rows_now_, levels_.address, level_facts_.address), {reads, {kLevels, true}}, "quantize"});
    input.address = levels_.address;
    plan.push_back({ops_->matmul(way, *weight, input, level_facts_.address, rows_now_, to, adds, bias), {{kLevels}, writes}, "matmul_int", weight->format});
    return success();
  }
  plan.push_back({ops_->matmul(way, *weight, input, 0, rows_now_, to, adds, bias), {reads, writes}, vulkan::name_of(way), weight->format});
  return success();
}

Result<> VulkanBackend::lower_norm(const Step& step, std::vector<Planned>& plan) {
  ASSAY_TRY(const std::uint64_t weight, vector_of(step.weight));
  ASSAY_TRY(const std::uint64_t bias, vector_of(step.bias));
  const Rows from = rows_at(step.from);
  Ops::Norm norm{step.verb == Verb::layer_norm, weight, bias, 1, 0, from.cols, model_.config.norm_epsilon};
  if (step.verb == Verb::head_norm) {
    norm.heads = step.to == Slot::query ? model_.config.heads : model_.config.kv_heads;
    norm.head_stride = from.cols / norm.heads;
    norm.cols = static_cast<std::uint32_t>(step.weight->cols());
  }
  const Touch reads{resource_of(step.from)};
  if (step.to != step.from) ASSAY_TRY_VOID(rows_for(step.to, from.cols));
  plan.push_back({ops_->norm(norm, from, rows_at(step.to), rows_now_), {reads, {resource_of(step.to), true}}, "norm"});
  return success();
}

Result<> VulkanBackend::lower_attention(const Step& step, std::vector<Planned>& plan) {
  const Config& config = model_.config;
  ASSAY_TRY(const Ops::Cache cache, cache_of(step.layer));
  const std::uint64_t tokens = pass_.buffer.address + pass_.tokens;
  if (step.verb == Verb::store_kv) {
    for (const bool is_value : {false, true}) {
      if (is_value && config.is_latent()) break;  // values are parts of the keys
      const Slot slot = is_value ? Slot::value : Slot::key;
      const Ops::Rope* const rope = key_rope_ && !is_value ? &key_rope_->first : nullptr;
      plan.push_back({ops_->store_kv(cache, is_value, rows_at(slot), is_value ? config.value_dim : config.head_dim, tokens, rows_now_, rope, rope ? key_rope_->second : 0), {{resource_of(slot)}, {kCaches + 2 * step.layer + is_value, true}}, "store_kv"});
    }
    key_rope_.reset();
    return success();
  }
  const std::uint32_t group = config.heads / config.kv_heads;
  std::uint32_t pieces = 0;
  for (const Segment& segment : segments()) pieces += (segment.tokens * group + Ops::kAttentionRows - 1) / Ops::kAttentionRows;
  ASSAY_TRY(const std::uint64_t sinks, vector_of(config.arch->has_sinks ? model_.layers[step.layer].sinks : nullptr));
  const Ops::Attention attention{config.heads, config.head_dim, config.value_dim, config.is_latent() ? config.head_dim : config.value_dim, config.layer_slides(step.layer) ? config.window : 0, config.attention_scale, config.attention_soft_cap,
                                 sinks, pass_.buffer.address + pass_.pieces, pieces, attention_splits()};
  ASSAY_TRY(const Rows to, rows_for(Slot::attended, config.heads * config.value_dim));
  if (attention.splits > 1) {
    const std::uint64_t needed = std::uint64_t{Ops::kMostColumns} * config.heads * attention.splits * (config.value_dim + 2) * sizeof(float);
    if (parts_.bytes < needed) {
      programs_.clear();
      ASSAY_TRY(parts_, memory_.allocate(needed, vulkan::Where::device));
    }
  }
  const std::uint32_t out = attention.splits > 1 ? kParts : resource_of(Slot::attended);
  plan.push_back({ops_->attend(attention, cache, rows_at(Slot::query), to, parts_.address),
                  {{resource_of(Slot::query)}, {kCaches + 2 * step.layer}, {kCaches + 2 * step.layer + 1}, {out, true}}, "attend"});
  if (attention.splits > 1)
    plan.push_back({ops_->attend_join(attention, parts_.address, to, rows_now_), {{kParts}, {resource_of(Slot::attended), true}}, "attend_join"});
  return success();
}

Result<> VulkanBackend::lower_elements(const Step& step, std::vector<Planned>& plan) {
  using vulkan::Element;
  const auto push = [&](Element kind, Slot to, std::optional<Slot> from) {
    std::vector<Touch> touches{{resource_of(to), true}};
    if (from) touches.push_back({resource_of(*from)});
    plan.push_back({ops_->elements(kind, rows_at(to), from ? rows_at(*from) : Rows{}, step.factor, rows_now_), std::move(touches), "elements"});
  };
  const Activation activation = model_.config.arch->activation;
  switch (step.verb) {
    case Verb::gate_up: push(gated(activation), Slot::gate, Slot::up); break;
    case Verb::activate:
      ASSAY_CHECK(activation != Activation::clamped_silu);
      push(activation == Activation::silu ? Element::silu : Element::gelu, Slot::gate, std::nullopt);
      break;
    case Verb::add: push(Element::add, Slot::residual, step.from); break;
    case Verb::scale: push(Element::scale, step.to, std::nullopt); break;
    case Verb::soft_cap: push(Element::soft_cap, step.to, std::nullopt); break;
    default: break;
  }
  return success();
}

// Every token's chosen experts one by one: gates and ups of all choices side by side, then downs, weighted and added up in one kernel.
Result<> VulkanBackend::lower_experts(const Step& step, std::vector<Planned>& plan) {
  const Config& config = model_.config;
  const ExpertConfig& experts = config.experts;
  const std::uint32_t used = experts.used;
  ASSAY_TRY(const vulkan::DeviceTable* const downs, experts_of(step.layer, &ExpertWeights::down, &ExpertWeights::down_bias));
  ASSAY_TRY(const Rows gate, make_rows(expert_gate_, options_.batch * used, experts.feed_forward));
  if (choices_.bytes == 0) {
    ASSAY_TRY(choices_, memory_.allocate(std::uint64_t{options_.batch} * used * Ops::kChoiceBytes, vulkan::Where::device));
  }
  const bool is_sigmoid = experts.gating == Gating::sigmoid, chooses_first = config.arch->chooses_before_softmax && !is_sigmoid, has_groups = experts.used_groups < experts.groups;
  ASSAY_TRY(const std::uint64_t correction, vector_of(model_.layers[step.layer].router_correction));
  const Ops::Route route{.experts = experts.count,
                         .used = used,
                         .gating = is_sigmoid ? Ops::Gating::sigmoid : chooses_first ? Ops::Gating::softmax_of_chosen : Ops::Gating::softmax,
                         .divides = chooses_first || experts.renormalises,
                         .scale = experts.scale,
                         .correction = correction,
                         .groups = has_groups ? experts.groups : 1,
                         .used_groups = experts.used_groups,
                         .counts_best_two = experts.group_score == GroupScore::best_two};
  plan.push_back({ops_->route(route, rows_at(Slot::router), choices_.address, rows_now_), {{resource_of(Slot::router)}, {kChoices, true}}, "route"});

  ASSAY_TRY_VOID(lower_expert_gates(step.layer, gate, plan));
  const Ops::Parts parts{.parts = used, .choices = choices_.address, .from_part = gate.stride};
  const Rows gates{gate.address, used * gate.stride, gate.cols};
  plan.push_back({ops_->matvec_join(*downs, parts, gates, rows_now_, rows_at(Slot::residual)), {{kExpertGate}, {kChoices}, {resource_of(Slot::residual), true}}, "matvec", downs->shape.format});
  return success();
}

// Gate and up of every choice, and the activation: in one kernel where they are alike.
Result<> VulkanBackend::lower_expert_gates(std::uint32_t layer, const Rows& gate, std::vector<Planned>& plan) {
  const std::uint32_t used = model_.config.experts.used;
  const vulkan::Element activation = gated(model_.config.arch->activation);
  const auto of_token = [&](const Rows& rows) { return Rows{rows.address, used * rows.stride, rows.cols}; };
  const Ops::Parts parts{.parts = used, .choices = choices_.address, .to_part = gate.stride};
  const Rows input = rows_at(Slot::normed);
  const Touch normed{resource_of(Slot::normed)}, choices{kChoices};
  ASSAY_TRY(const vulkan::DeviceTable* const pairs, gates_of(layer));
  if (pairs != nullptr) {
    plan.push_back({ops_->matvec_gated(*pairs, parts, input, rows_now_, of_token(gate), activation), {normed, choices, {kExpertGate, true}}, "matvec", pairs->shape.format});
    return success();
  }
  ASSAY_TRY(const vulkan::DeviceTable* const gates, experts_of(layer, &ExpertWeights::gate, &ExpertWeights::gate_bias));
  ASSAY_TRY(const vulkan::DeviceTable* const ups, experts_of(layer, &ExpertWeights::up, &ExpertWeights::up_bias));
  ASSAY_TRY(const Rows up, make_rows(expert_up_, options_.batch * used, gate.cols));
  plan.push_back({ops_->matvec_parts(*gates, parts, input, rows_now_, of_token(gate)), {normed, choices, {kExpertGate, true}}, "matvec", gates->shape.format});
  plan.push_back({ops_->matvec_parts(*ups, parts, input, rows_now_, of_token(up)), {normed, choices, {kExpertUp, true}}, "matvec", ups->shape.format});
  const Rows all_gates{gate.address, used * gate.stride, used * gate.stride}, all_ups{up.address, used * up.stride, used * up.stride};
  plan.push_back({ops_->elements(activation, all_gates, all_ups, 0, rows_now_), {{kExpertUp}, {kExpertGate, true}}, "elements"});
  return success();
}

// One token's gate, up and activation in one kernel, where the next three steps are those. Returns how many steps that were.
Result<std::size_t> VulkanBackend::lower_gated(std::span<const Step> next, std::vector<Planned>& plan) {
  if (rows_now_ != 1 || next.size() < 3) return std::size_t{0};
  const Step &gate = next[0], &up = next[1];
  const bool is_pattern = gate.verb == Verb::project && gate.to == Slot::gate && up.verb == Verb::project && up.to == Slot::up && up.joined && next[2].verb == Verb::gate_up;
  if (!is_pattern || gate.bias != nullptr || up.bias != nullptr || !vulkan::are_alike(*gate.weight, *up.weight)) return std::size_t{0};
  ASSAY_TRY(const vulkan::DeviceTable* const pair, pair_of(*gate.weight, *up.weight));
  const Rows from = rows_at(gate.from);
  ASSAY_CHECK(pair->shape.cols == from.cols);
  ASSAY_TRY(const Rows to, rows_for(Slot::gate, pair->shape.rows));
  plan.push_back({ops_->matvec_gated(*pair, {.parts = 1}, from, 1, to, gated(model_.config.arch->activation)), {{resource_of(gate.from)}, {resource_of(Slot::gate), true}}, "matvec", pair->shape.format});
  return std::size_t{3};
}

Result<> VulkanBackend::lower_heads(const Step& step, std::vector<Planned>& plan) {
  ASSAY_TRY(const vulkan::DeviceTable* const matrices, heads_of(*step.weight));
  const Rows from = rows_at(step.from);
  const std::uint32_t heads = matrices->count, from_dim = from.cols / heads, rest = from_dim - matrices->shape.cols, to_dim = matrices->shape.rows + rest;
  if (from_dim % 4 != 0) return Error{Code::unsupported, step.weight->name, fmt::format("takes {} values of each head, and Vulkan kernels read them by fours; use --backend cpu", from_dim)};
  ASSAY_TRY(const Rows to, rows_for(step.to, heads * to_dim));
  const Ops::Parts parts{.parts = heads, .from_part = from_dim, .to_part = to_dim, .rest = rest};
  plan.push_back({ops_->matvec_parts(*matrices, parts, from, rows_now_, to), {{resource_of(step.from)}, {resource_of(step.to), true}}, "matvec", matrices->shape.format});
  return success();
}

Result<> VulkanBackend::lower_step(const Step& step, std::vector<Planned>& plan) {
  const Config& config = model_.config;
  const std::uint64_t pass = pass_.buffer.address;
  switch (step.verb) {
    case Verb::embed:
    case Verb::add_positions: {
      ASSAY_TRY(const vulkan::DeviceWeight* const weight, weight_of(*step.weight));
      ASSAY_TRY(const Rows to, rows_for(Slot::residual, weight->cols));
      const bool adds = step.verb == Verb::add_positions;
      const std::uint64_t ids = pass + pass_.tokens + (adds ? offsetof(vulkan::TokenFacts, position) : 0);
      plan.push_back({ops_->gather(*weight, ids, sizeof(vulkan::TokenFacts) / 4, rows_now_, to, adds), {{resource_of(Slot::residual), true}}, "gather"});
      return success();
    }
    case Verb::rope:
    case Verb::local_rope: {
      const std::uint32_t heads = step.to == Slot::query ? config.heads : config.kv_heads;
      const Ops::Rope rope{heads, rows_at(step.to).cols / heads, config.rope.offset, config.rope.dims / 2, config.rope.adjacent_pairs};
      const std::uint64_t angles = pass + (step.verb == Verb::rope ? pass_.angles : pass_.local_angles);
      if (step.to == Slot::key) {  // on their way to the cache
        key_rope_ = {rope, angles};
        return success();
      }
      plan.push_back({ops_->rope(rope, rows_at(step.to), angles, rows_now_), {{resource_of(step.to), true}}, "rope"});
      return success();
    }
    case Verb::keep_last: {
      const auto left = static_cast<std::uint32_t>(segments().size());
      const auto number = static_cast<std::size_t>(step.from);
      if (tokens_of_pass() == left) return success();
      const Rows from = rows_at(step.from);
      const Touch reads{resource_of(step.from)};
      ASSAY_TRY(const Rows to, make_rows(kept_[number], options_.sequences, from.cols));
      is_kept_[number] = true;
      rows_now_ = left;
      plan.push_back({ops_->keep_rows(from, to, pass + pass_.kept, left), {reads, {resource_of(step.from), true}}, "keep_rows"});
      return success();
    }
    case Verb::project:
    case Verb::project_add: return lower_product(step, plan);
    case Verb::norm:
    case Verb::layer_norm:
    case Verb::head_norm: return lower_norm(step, plan);
    case Verb::store_kv:
    case Verb::attend: return lower_attention(step, plan);
    case Verb::experts: return lower_experts(step, plan);
    case Verb::project_heads: return lower_heads(step, plan);
    case Verb::choose: {
      if (chosen_.bytes < rows_now_ * sizeof(std::int32_t)) {
        programs_.clear();
        ASSAY_TRY(chosen_, memory_.allocate(rows_now_ * sizeof(std::int32_t), vulkan::Where::host));
      }
      plan.push_back({ops_->argmax(rows_at(Slot::logits), chosen_.address, rows_now_), {{resource_of(Slot::logits)}, {kChosen, true}}, "argmax"});
      return success();
    }
    default: return lower_elements(step, plan);
  }
}

Result<std::vector<VulkanBackend::Planned>> VulkanBackend::lower() {
  std::vector<Planned> plan;
  is_kept_ = {};
  key_rope_.reset();
  rows_now_ = tokens_of_pass();
  for (std::span<const Step> next = steps(); !next.empty();) {
    ASSAY_TRY(const std::size_t fused, lower_gated(next, plan));
    if (fused == 0) ASSAY_TRY_VOID(lower_step(next.front(), plan));
    next = next.subspan(std::max<std::size_t>(fused, 1));
  }
  ASSAY_CHECK(!key_rope_);
  return plan;
}

}  // namespace assay

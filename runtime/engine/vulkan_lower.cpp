// From verbs to dispatches: which kernel on which addresses, and what each reads and writes.
#include <algorithm>

#include "runtime/core/assert.h"
#include "runtime/engine/vulkan_backend.h"
#include "runtime/quant/dequantize.h"

namespace assay {

using vulkan::Call;
using vulkan::Ops;
using vulkan::Rows;
using vulkan::Touch;

namespace {

// What barriers are about, beside the slots.
constexpr std::uint32_t kKeptResidual = static_cast<std::uint32_t>(Slot::kCount);
constexpr std::uint32_t kLevels = kKeptResidual + 1, kParts = kKeptResidual + 2, kCaches = kKeptResidual + 3;

// Decode with a long cache keeps few workgroups busy: its positions are shared out until there are about so many.
constexpr std::uint32_t kEnoughWorkgroups = 256, kMostSplits = 16;

}  // namespace

std::uint32_t VulkanBackend::resource_of(Slot slot) const {
  return slot == Slot::residual && is_kept_ ? kKeptResidual : static_cast<std::uint32_t>(slot);
}

Rows VulkanBackend::rows_at(Slot slot) const {
  if (slot == Slot::logits) return {logits_.address, vulkan::stride_of(model_.config.vocabulary), model_.config.vocabulary};
  const SlotMemory& memory = slot == Slot::residual && is_kept_ ? kept_ : slots_[static_cast<std::size_t>(slot)];
  ASSAY_CHECK(memory.buffer.bytes > 0);
  return {memory.buffer.address, vulkan::stride_of(memory.cols), memory.cols};
}

// A slot is made when something first writes it, for a whole batch; between its columns and its stride it stays zero.
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
  SlotMemory& memory = slots_[static_cast<std::size_t>(slot)];
  if (memory.cols != cols) {
    const std::uint64_t bytes = std::uint64_t{options_.batch} * vulkan::stride_of(cols) * sizeof(float);
    if (memory.buffer.bytes < bytes) {
      programs_.clear();
      ASSAY_TRY(memory.buffer, memory_.allocate(bytes, vulkan::Where::device));
    }
    ASSAY_TRY_VOID(memory_.clear(memory.buffer));
    memory.cols = cols;
  }
  return rows_at(slot);
}

Result<const vulkan::DeviceWeight*> VulkanBackend::weight_of(const TensorView& tensor) {
  const auto found = weights_.find(&tensor);
  if (found != weights_.end()) return &found->second;
  ASSAY_TRY(const vulkan::DeviceWeight weight, vulkan::load_weight(memory_, device_, tensor));
  return &weights_.emplace(&tensor, weight).first->second;
}

// Norms, biases and sinks: floats.
Result<std::uint64_t> VulkanBackend::vector_of(const TensorView* tensor) {
  if (tensor == nullptr) return std::uint64_t{0};
  const auto found = vectors_.find(tensor);
  if (found != vectors_.end()) return found->second;
  std::vector<float> values(tensor->cols());
  dequantize_row(*tensor, 0, values);
  ASSAY_TRY(const vulkan::Buffer buffer, memory_.allocate(values.size() * sizeof(float), vulkan::Where::device));
  ASSAY_TRY_VOID(memory_.upload(std::as_bytes(std::span(values)), buffer));
  return vectors_.emplace(tensor, buffer.address).first->second;
}

Result<Ops::Cache> VulkanBackend::cache_of(std::uint32_t layer) {
  const std::size_t at = layer - options_.first_layer;
  if (caches_.size() <= at) caches_.resize(at + 1);
  Ops::Cache& cache = caches_[at];
  if (cache.positions != 0) return cache;
  const Config& config = model_.config;
  const std::uint64_t places = std::uint64_t{options_.sequences} * config.kv_heads * options_.context;
  Ops::Cache made{0, 0, 0, 0, config.kv_heads, options_.context, options_.kv};
  for (std::uint64_t* address : {&made.keys, &made.values}) {
    ASSAY_TRY(const vulkan::Buffer buffer, memory_.allocate(places * config.head_dim * kv_value_bytes(options_.kv), vulkan::Where::device));
    *address = buffer.address;
  }
  for (std::uint64_t* address : {&made.key_scales, &made.value_scales}) {
    ASSAY_TRY(const vulkan::Buffer buffer, memory_.allocate(places * kv_groups(options_.kv, config.head_dim) * sizeof(std::uint16_t), vulkan::Where::device));
    *address = buffer.address;
  }
  return cache = made;
}

vulkan::Multiply VulkanBackend::way_to_multiply(FormatId format) const {
  using vulkan::Multiply;
  const vulkan::DeviceFacts& facts = device_.facts();
  const Multiply best = facts.is_integer_dot_fast ? Multiply::levels : facts.has_half && facts.is_real() ? Multiply::halves : Multiply::floats;
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
    plan.push_back({ops_->matvec(*weight, from, rows_now_, to, adds, bias), {reads, writes}, "matvec", step.weight});
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
    if (!is_there) plan.push_back({ops_->quantize(from, rows_now_, levels_.address, level_facts_.address), {reads, {kLevels, true}}, "quantize", nullptr});
    input.address = levels_.address;
    plan.push_back({ops_->matmul(way, *weight, input, level_facts_.address, rows_now_, to, adds, bias), {{kLevels}, writes}, "matmul_int", step.weight});
    return success();
  }
  plan.push_back({ops_->matmul(way, *weight, input, 0, rows_now_, to, adds, bias), {reads, writes}, way == vulkan::Multiply::halves ? "matmul_half" : "matmul", step.weight});
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
  plan.push_back({ops_->norm(norm, from, rows_at(step.to), rows_now_), {reads, {resource_of(step.to), true}}, "norm", nullptr});
  return success();
}

Result<> VulkanBackend::lower_attention(const Step& step, std::vector<Planned>& plan) {
  const Config& config = model_.config;
  ASSAY_TRY(const Ops::Cache cache, cache_of(step.layer));
  const std::uint64_t tokens = pass_.buffer.address + pass_.tokens;
  if (step.verb == Verb::store_kv) {
    for (const bool is_value : {false, true}) {
      const Slot slot = is_value ? Slot::value : Slot::key;
      plan.push_back({ops_->store_kv(cache, is_value, rows_at(slot), config.head_dim, tokens, rows_now_), {{resource_of(slot)}, {kCaches + 2 * step.layer + is_value, true}}, "store_kv", nullptr});
    }
    return success();
  }
  const std::uint32_t group = config.heads / config.kv_heads;
  std::uint32_t pieces = 0;
  for (const Segment& segment : segments()) pieces += (segment.tokens * group + Ops::kAttentionRows - 1) / Ops::kAttentionRows;
  ASSAY_TRY(const std::uint64_t sinks, vector_of(config.arch->has_sinks ? model_.layers[step.layer].sinks : nullptr));
  const Ops::Attention attention{config.heads, config.head_dim, config.layer_slides(step.layer) ? config.window : 0, config.attention_scale, config.attention_soft_cap,
                                 sinks, pass_.buffer.address + pass_.pieces, pieces, attention_splits()};
  ASSAY_TRY(const Rows to, rows_for(Slot::attended, config.heads * config.head_dim));
  if (attention.splits > 1) {
    const std::uint64_t needed = std::uint64_t{Ops::kMostColumns} * config.heads * attention.splits * (config.head_dim + 2) * sizeof(float);
    if (parts_.bytes < needed) {
      programs_.clear();
      ASSAY_TRY(parts_, memory_.allocate(needed, vulkan::Where::device));
    }
  }
  const std::uint32_t out = attention.splits > 1 ? kParts : resource_of(Slot::attended);
  plan.push_back({ops_->attend(attention, cache, rows_at(Slot::query), to, parts_.address),
                  {{resource_of(Slot::query)}, {kCaches + 2 * step.layer}, {kCaches + 2 * step.layer + 1}, {out, true}}, "attend", nullptr});
  if (attention.splits > 1)
    plan.push_back({ops_->attend_join(attention, parts_.address, to, rows_now_), {{kParts}, {resource_of(Slot::attended), true}}, "attend_join", nullptr});
  return success();
}

Result<> VulkanBackend::lower_elements(const Step& step, std::vector<Planned>& plan) {
  using vulkan::Element;
  const auto push = [&](Element kind, Slot to, std::optional<Slot> from) {
    std::vector<Touch> touches{{resource_of(to), true}};
    if (from) touches.push_back({resource_of(*from)});
    plan.push_back({ops_->elements(kind, rows_at(to), from ? rows_at(*from) : Rows{}, step.factor, rows_now_), std::move(touches), "elements", nullptr});
  };
  const Activation activation = model_.config.arch->activation;
  switch (step.verb) {
    case Verb::gate_up:
      push(activation == Activation::silu ? Element::silu_gate : activation == Activation::gelu ? Element::gelu_gate : Element::clamped_silu_gate, Slot::gate, Slot::up);
      break;
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
      plan.push_back({ops_->gather(*weight, ids, sizeof(vulkan::TokenFacts) / 4, rows_now_, to, adds), {{resource_of(Slot::residual), true}}, "gather", nullptr});
      return success();
    }
    case Verb::rope:
    case Verb::local_rope: {
      const std::uint32_t heads = step.to == Slot::query ? config.heads : config.kv_heads;
      const Ops::Rope rope{heads, rows_at(step.to).cols / heads, config.rope.offset, config.rope.dims / 2, config.rope.adjacent_pairs};
      const std::uint64_t angles = pass + (step.verb == Verb::rope ? pass_.angles : pass_.local_angles);
      plan.push_back({ops_->rope(rope, rows_at(step.to), angles, rows_now_), {{resource_of(step.to), true}}, "rope", nullptr});
      return success();
    }
    case Verb::keep_last: {
      const Rows from = rows_at(Slot::residual);
      const Touch reads{resource_of(Slot::residual)};
      if (kept_.cols != from.cols) {
        ASSAY_TRY(kept_.buffer, memory_.allocate(std::uint64_t{options_.sequences} * from.stride * sizeof(float), vulkan::Where::device));
        ASSAY_TRY_VOID(memory_.clear(kept_.buffer));
        kept_.cols = from.cols;
      }
      is_kept_ = true;
      rows_now_ = static_cast<std::uint32_t>(segments().size());
      plan.push_back({ops_->keep_rows(from, rows_at(Slot::residual), pass + pass_.kept, rows_now_), {reads, {kKeptResidual, true}}, "keep_rows", nullptr});
      return success();
    }
    case Verb::project:
    case Verb::project_add: return lower_product(step, plan);
    case Verb::norm:
    case Verb::layer_norm:
    case Verb::head_norm: return lower_norm(step, plan);
    case Verb::store_kv:
    case Verb::attend: return lower_attention(step, plan);
    default: return lower_elements(step, plan);
  }
}

Result<std::vector<VulkanBackend::Planned>> VulkanBackend::lower() {
  std::vector<Planned> plan;
  is_kept_ = false;
  rows_now_ = 0;
  for (const Segment& segment : segments()) rows_now_ += segment.tokens;
  for (const Step& step : steps()) ASSAY_TRY_VOID(lower_step(step, plan));
  return plan;
}

}  // namespace assay

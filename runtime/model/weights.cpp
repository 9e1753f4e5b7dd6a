// list_weights(): the weight table applied to one model: which tensors, what names, what shapes.
#include "runtime/model/weights.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay {

std::uint64_t width_of(Width width, const Config& config) {
  const LatentConfig& latent = config.latent;
  switch (width) {
    case Width::none: return 1;
    case Width::embedding: return config.embedding;
    case Width::query: return std::uint64_t{config.heads} * config.head_dim;
    case Width::key_value: return std::uint64_t{config.kv_heads} * config.head_dim;
    case Width::attended: return std::uint64_t{config.heads} * config.attended_dim();
    case Width::feed_forward: return config.feed_forward;
    case Width::head: return config.head_dim;
    case Width::heads: return config.heads;
    case Width::vocabulary: return config.vocabulary;
    case Width::half_rope: return config.rope.dims / 2;
    case Width::positions: return config.context;
    case Width::experts: return config.experts.count;
    case Width::expert_feed_forward: return config.experts.feed_forward;
    case Width::shared_feed_forward: return std::uint64_t{config.experts.shared} * config.experts.feed_forward;
    case Width::query_rank: return latent.query_rank;
    case Width::kv_rank: return latent.kv_rank;
    case Width::latent_key: return config.head_dim;
    case Width::latent_query: return std::uint64_t{config.heads} * latent.key_dim;
    case Width::latent_key_rest: return latent.key_dim - config.rope.dims;
    case Width::latent_value: return latent.value_dim;
  }
  return 0;
}

namespace {

Presence yes_if(bool condition) { return condition ? Presence::yes : Presence::no; }

}  // namespace

Presence presence_of(Need need, const Config& config, std::uint32_t layer) {
  const ArchTraits& arch = *config.arch;
  const bool has_layer_norm = arch.norm == NormKind::layer, has_experts = config.has_experts(layer);
  switch (need) {
    case Need::required: return Presence::yes;
    case Need::tied: return Presence::maybe;
    case Need::positions: return yes_if(arch.has_learned_positions);
    case Need::norm_bias: return yes_if(has_layer_norm);
    case Need::head_bias: return arch.head_bias;
    case Need::rope_factors: return Presence::maybe;
    case Need::long_rope: return yes_if(config.rope.scaling == RopeScaling::longrope);
    case Need::pre_norm: return yes_if(arch.has_pre_norms);
    case Need::pre_norm_bias: return yes_if(arch.has_pre_norms && has_layer_norm);
    case Need::ffn_norm: return yes_if(arch.has_pre_norms && !arch.is_parallel);
    case Need::ffn_norm_bias: return yes_if(arch.has_pre_norms && !arch.is_parallel && has_layer_norm);
    case Need::post_norm: return yes_if(arch.has_post_norms);
    case Need::attention: return yes_if(!config.is_latent());
    case Need::qkv_bias: return arch.qkv_bias;
    case Need::head_norm: return yes_if(arch.qk_norm == QkNorm::head);
    case Need::row_norm: return yes_if(arch.qk_norm == QkNorm::row);
    case Need::sinks: return yes_if(arch.has_sinks);
    case Need::out_bias: return arch.out_bias;
    case Need::gate: return yes_if(arch.is_gated && !has_experts);
    case Need::ffn: return yes_if(!has_experts);
    case Need::ffn_bias: return has_experts ? Presence::no : arch.ffn_bias;
    case Need::router: return yes_if(has_experts);
    case Need::router_correction: return yes_if(has_experts && config.experts.has_correction);
    case Need::expert: return yes_if(has_experts);
    case Need::router_bias:
    case Need::expert_bias: return yes_if(has_experts && arch.has_expert_bias);
    case Need::shared: return yes_if(has_experts && config.experts.shared > 0);
    case Need::latent: return yes_if(config.is_latent());
    case Need::latent_query: return yes_if(config.is_latent() && config.latent.query_rank > 0);
    case Need::plain_latent_query: return yes_if(config.is_latent() && config.latent.query_rank == 0);
  }
  return Presence::no;
}

std::string weight_name(std::string_view pattern, std::uint32_t layer) {
  const std::size_t place = pattern.find("{}");
  if (place == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, place), layer, pattern.substr(place + 2));
}

std::uint64_t parameters_of(const TensorView& tensor, const ModelFile& file) {
  const std::string_view name = tensor.name;
  const auto beside = [&](std::string_view end, std::string_view other) {
    if (!name.ends_with(end)) return FormatId::F32;
    const TensorView* found = file.find(std::string(name.substr(0, name.size() - end.size())) + std::string(other));
    return found == nullptr ? FormatId::F32 : found->format;
  };
  if (tensor.format == FormatId::U8 && (beside("_scales", "_blocks") == FormatId::U8 || beside(".scales", ".weight") == FormatId::U32)) return 0;
  if (tensor.format == FormatId::U8 && beside("_blocks", "_scales") == FormatId::U8) return 2 * tensor.count();
  if (tensor.format == FormatId::U32 && beside(".weight", ".scales") == FormatId::U8) return 8 * tensor.count();
  return tensor.count();
}

namespace {

class Lister {
 public:
  Lister(const Config& config, Layout layout, const ModelFile* file) : config_(config), layout_(layout), file_(file) {
    const Layout names = layout == Layout::gguf ? Layout::gguf : Layout::hf;
    const auto* const found = std::find_if(kDialects.begin(), kDialects.end(), [&](const Dialect& d) { return d.family == config.arch->name && d.layout == names; });
    if (found != kDialects.end()) dialect_ = *found;
    const std::string embedding = name_of(pattern_of(kWeights[0].gguf, kWeights[0].hf), 0);
    if (layout != Layout::gguf && config.wrapper != nullptr) prefix_ = config.wrapper->prefix;
    if (layout == Layout::mlx && config.arch->hf_transposes) prefix_ = kMlxBase;  // a reader of MLX's turns matrices that lack it
    // Some folders were saved from inside the class that has the head.
    const auto holds = [&](std::string_view prefix) { return file->find(std::string(prefix) + embedding) != nullptr; };
    for (const std::string_view other : {std::string_view(), std::string_view("transformer."), kMlxBase})
      if (file != nullptr && !holds(prefix_) && holds(other)) prefix_ = other;
  }

  std::vector<ExpectedTensor> list() {
    for (const WeightRow& row : kWeights)
      if (row.in_model != nullptr) add(row, 0);
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      const std::array fused = {is_fused(kFused[0], layer), is_fused(kFused[1], layer), is_fused(kFused[2], layer)};
      for (const WeightRow& row : kWeights) {
        if (row.in_model != nullptr || presence_of(row.need, config_, layer) == Presence::no) continue;
        const std::size_t group = row.in_layer == nullptr ? kFused.size() : group_of(row.in_layer);
        if (row.in_expert != nullptr && alternates_experts(layer)) {
          add_alternating(row, layer);
        } else if ((row.in_layer == &L::k_b || row.in_layer == &L::v_b) && splits_heads(row, layer)) {
          if (row.in_layer == &L::k_b) add_heads(row, layer);
        } else if (group == kFused.size() || !fused[group]) {
          add(row, layer);
        } else if (row.in_layer == kFused[group].parts[0]) {
          add_fused(kFused[group], layer);
        }
      }
    }
    return std::move(list_);
  }

 private:
  static std::size_t group_of(const TensorView* LayerWeights::*member) {
    std::size_t group = 0;
    while (group < kFused.size() && std::find(kFused[group].parts.begin(), kFused[group].parts.end(), member) == kFused[group].parts.end()) ++group;
    return group;
  }

  std::string_view pattern_of(std::string_view gguf, std::string_view hf) const { return layout_ == Layout::gguf ? gguf : hf; }
  const TensorView* held(const std::string& name) const { return file_ == nullptr ? nullptr : file_->find(name); }

  // The file's name for a pattern of the table.
  std::string name_of(std::string_view pattern, std::uint32_t layer) const {
    std::string name = weight_name(pattern, layer);
    for (const Rename& rename : dialect_.renames) {
      if (rename.ours.empty()) break;
      const std::size_t at = name.find(rename.ours), end = at + rename.ours.size();
      if (at != std::string::npos && end < name.size() && name[end] == '.') name.replace(at, rename.ours.size(), rename.theirs);
    }
    return prefix_.empty() ? name : std::string(prefix_) + name;
  }

  // The rows of the table that a fused tensor is made of; empty when the model lacks one of them.
  std::vector<const WeightRow*> rows_of(const FusedRow& fused, std::uint32_t layer) const {
    std::vector<const WeightRow*> rows;
    for (const auto member : fused.parts) {
      if (member == nullptr) continue;
      const auto* const row = std::find_if(kWeights.begin(), kWeights.end(), [&](const WeightRow& r) {
        return r.in_layer == member && presence_of(r.need, config_, layer) != Presence::no;
      });
      if (row == kWeights.end()) return {};
      rows.push_back(row);
    }
    return rows;
  }
  std::uint64_t fused_rows(const std::vector<const WeightRow*>& rows) const {
    std::uint64_t sum = 0;
    for (const WeightRow* row : rows) sum += width_of(row->rows == Width::none ? row->cols : row->rows, config_);
    return sum;
  }

  bool is_fused(const FusedRow& fused, std::uint32_t layer) const {
    const std::vector<const WeightRow*> rows = rows_of(fused, layer);
    if (rows.empty()) return false;
    const bool usual = &fused == &kFused[2] ? dialect_.fuses_gate_up : dialect_.fuses_qkv;
    if (file_ == nullptr) return usual;
    if (file_->find(name_of(pattern_of(rows[0]->gguf, rows[0]->hf), layer)) != nullptr) return false;
    const TensorView* tensor = file_->find(name_of(pattern_of(fused.gguf, fused.hf), layer));
    if (usual || tensor == nullptr) return usual;
    // GGUF's fused gate and up bear the name of up alone.
    return !tensor->shape.empty() && tensor->shape[0] == fused_rows(rows);
  }

  void add_fused(const FusedRow& fused, std::uint32_t layer) {
    const std::vector<const WeightRow*> rows = rows_of(fused, layer);
    ExpectedTensor tensor;
    tensor.name = name_of(pattern_of(fused.gguf, fused.hf), layer);
    tensor.shape = {fused_rows(rows)};
    if (rows[0]->rows != Width::none) tensor.shape.push_back(width_of(rows[0]->cols, config_));
    tensor.is_needed = presence_of(rows[0]->need, config_, layer) == Presence::yes;
    std::copy(rows.begin(), rows.end(), tensor.parts.begin());
    tensor.layer = layer;
    transpose(tensor);
    push(std::move(tensor));
  }

  ExpectedTensor one(const WeightRow& row, std::uint32_t layer) const {
    ExpectedTensor tensor;
    if (row.stack != Width::none) tensor.shape.push_back(width_of(row.stack, config_));
    if (row.rows != Width::none) tensor.shape.push_back(width_of(row.rows, config_));
    tensor.shape.push_back(width_of(row.cols, config_));
    tensor.is_needed = presence_of(row.need, config_, layer) == Presence::yes;
    tensor.parts = {&row};
    tensor.layer = layer;
    return tensor;
  }

  void add(const WeightRow& row, std::uint32_t layer) {
    const std::string_view pattern = pattern_of(row.gguf, row.hf);
    if (pattern.empty() || presence_of(row.need, config_, layer) == Presence::no) return;
    ExpectedTensor tensor = one(row, layer);
    tensor.name = name_of(pattern, layer);
    if (row.in_layer != nullptr) transpose(tensor);
    if (row.in_expert != nullptr) return add_experts(std::move(tensor));
    push(std::move(tensor));
  }

  void transpose(ExpectedTensor& tensor) const {
    tensor.is_transposed = layout_ == Layout::hf && config_.arch->hf_transposes && tensor.shape.size() == 2;
    if (tensor.is_transposed) std::swap(tensor.shape[0], tensor.shape[1]);
  }

  // MLX holds MXFP4 as words of eight codes beside a tensor of exponents.
  void push(ExpectedTensor tensor) {
    const TensorView* words = layout_ == Layout::mlx && tensor.shape.back() % kMxBlock == 0 ? held(tensor.name) : nullptr;
    const std::string scales = tensor.name.ends_with(".weight") ? tensor.name.substr(0, tensor.name.size() - 6) + "scales" : "";
    if (words != nullptr && words->format == FormatId::U32 && held(scales) != nullptr) {
      tensor.exponents = scales;
      tensor.exponents_shape = tensor.shape;
      tensor.exponents_shape.back() /= kMxBlock;
      tensor.shape.back() /= 8;
    }
    list_.push_back(std::move(tensor));
  }

  // One tensor of all experts in GGUF and MLX, one of each elsewhere.
  void add_experts(ExpectedTensor tensor) {
    constexpr std::string_view kEach = "experts.#";
    const std::size_t place = tensor.name.find(kEach);
    std::string stacked = tensor.name;
    if (place != std::string::npos) {  // MLX gives all families the same names here
      const std::string_view hf = tensor.parts[0]->hf;
      stacked = tensor.name.substr(0, place) + std::string(dialect_.stacked_experts) + std::string(hf.substr(hf.find(kEach) + kEach.size()));
    }
    const bool is_usual = place == std::string::npos || (layout_ == Layout::mlx && file_ == nullptr);
    if (is_usual || held(stacked) != nullptr) {
      tensor.name = stacked;
      tensor.shape.insert(tensor.shape.begin(), config_.experts.count);
      push(std::move(tensor));
      return;
    }
    const std::string pattern = tensor.name;
    for (std::uint32_t expert = 0; expert < config_.experts.count; ++expert) {
      tensor.name = std::string(pattern).replace(place + kEach.size() - 1, 1, std::to_string(expert));
      tensor.expert = static_cast<std::int32_t>(expert);
      push(tensor);
    }
  }

  // "model.layers.0.mlp.experts." + `leaf`
  std::string expert_name(std::string_view leaf, std::uint32_t layer) const { return name_of("model.layers.{}.mlp.experts.", layer) + std::string(leaf); }

  bool alternates_experts(std::uint32_t layer) const {
    if (layout_ == Layout::gguf || !dialect_.alternates_experts) return false;
    return file_ == nullptr ? layout_ == Layout::hf : held(expert_name("gate_proj.weight", layer)) == nullptr;
  }

  // Gate and up, and their biases, are one tensor each; so is down.
  void add_alternating(const WeightRow& row, std::uint32_t layer) {
    const auto other = [&](const TensorView* ExpertWeights::*member) { return std::find_if(kWeights.begin(), kWeights.end(), [&](const WeightRow& r) { return r.in_expert == member; }); };
    if (row.in_expert == &X::up || row.in_expert == &X::up_bias) return;  // with gate
    const bool is_pair = row.in_expert == &X::gate || row.in_expert == &X::gate_bias, is_bias = row.rows == Width::none;
    ExpectedTensor tensor = one(row, layer);
    if (is_pair) {
      tensor.parts[1] = &*other(is_bias ? &X::up_bias : &X::up);
      tensor.alternates = true;
      tensor.shape[0] *= 2;
    }
    tensor.shape.insert(tensor.shape.begin(), config_.experts.count);
    tensor.name = expert_name(is_pair ? "gate_up_proj" : "down_proj", layer) + (is_bias ? "_bias" : "");
    if (!is_bias && tensor.shape.back() % kMxBlock == 0 && held(tensor.name + "_blocks") != nullptr) {
      tensor.shape.back() /= kMxBlock;
      tensor.exponents = tensor.name + "_scales";
      tensor.exponents_shape = tensor.shape;
      tensor.name += "_blocks";
      tensor.shape.push_back(kMxBlock / 2);
    } else if (!is_bias) {
      tensor.is_transposed = true;
      std::swap(tensor.shape[1], tensor.shape[2]);
    }
    list_.push_back(std::move(tensor));
  }

  // Whether both matrices of latent attention are in one, as they were before absorption.
  bool splits_heads(const WeightRow& row, std::uint32_t layer) const {
    if (layout_ == Layout::gguf) return false;
    return file_ == nullptr ? layout_ == Layout::hf : held(name_of(row.hf, layer)) == nullptr;
  }

  void add_heads(const WeightRow& k_b, std::uint32_t layer) {
    ExpectedTensor tensor = one(k_b, layer);
    tensor.parts[1] = &*std::find_if(kWeights.begin(), kWeights.end(), [](const WeightRow& r) { return r.in_layer == &L::v_b; });
    tensor.name = name_of("model.layers.{}.self_attn.kv_b_proj.weight", layer);
    tensor.shape = {width_of(Width::heads, config_) * (width_of(Width::latent_key_rest, config_) + width_of(Width::latent_value, config_)), width_of(Width::kv_rank, config_)};
    tensor.splits_heads = true;
    push(std::move(tensor));
  }

  static constexpr std::uint64_t kMxBlock = 32;
  static constexpr std::string_view kMlxBase = "model.";

  const Config& config_;
  Layout layout_;
  const ModelFile* file_;
  Dialect dialect_{};
  std::string_view prefix_;
  std::vector<ExpectedTensor> list_;
};

}  // namespace

std::vector<ExpectedTensor> list_weights(const Config& config, Layout layout, const ModelFile* file) { return Lister(config, layout, file).list(); }

}  // namespace assay

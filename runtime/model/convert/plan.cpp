// Plans: names by the weight table, formats by the mix, row orders by the dialect.
#include "runtime/model/convert/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "runtime/core/half.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"
#include "runtime/model/weights.h"

namespace assay::convert {
namespace {

// Whether `name` is `pattern` with every '*' standing for any text.
bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t from = star; from <= name.size(); ++from)
    if (matches(rest, name.substr(from))) return true;
  return false;
}

class OverrideList {
 public:
  explicit OverrideList(const std::vector<FormatOverride>& list) : list_(list), used_(list.size()) {}

  std::optional<FormatId> find(std::string_view name) {
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (!matches(list_[i].pattern, name)) continue;
      used_[i] = true;
      return list_[i].format;
    }
    return std::nullopt;
  }
  // A pattern that matches nothing is a mistake worth stopping for.
  Result<> check_all_used() const {
    for (std::size_t i = 0; i < list_.size(); ++i)
      if (!used_[i]) return Error{Code::usage, "--tensor-type " + list_[i].pattern, "matches no matrix of this model; `assay info --tensors` lists the names"};
    return success();
  }

 private:
  const std::vector<FormatOverride>& list_;
  std::vector<bool> used_;
};

// The format for a tensor of the result by its GGUF name.
Result<FormatId> gguf_format(const ConvertOptions& options, const MixModel& model, OverrideList& overrides, const MixTensor& tensor) {
  if (!is_quantizable(tensor.name, tensor.shape)) return tensor.kept;
  const auto override = overrides.find(tensor.name);
  if (!override) return mix_format(options.mix, model, tensor);
  if (dtype_of(*override).ggml_id == kNoGgmlId || !has_encoder(*override))
    return Error{Code::usage, std::string(tensor.name), fmt::format("{} cannot be written into a GGUF file", name_of(*override))};
  const FormatId fitting = format_for_cols(*override, tensor.shape.back());
  if (fitting != *override)
    return Error{Code::usage, std::string(tensor.name), fmt::format("rows of {} values do not hold whole blocks of {}", tensor.shape.back(), name_of(*override))};
  return fitting;
}

Step step_from(const TensorView& tensor) {
  Step step;
  step.source = &tensor;
  step.name = tensor.name;
  step.format = tensor.format;
  step.shape = tensor.shape;
  return step;
}

bool moves_rows(const WeightRow& row) { return row.in_layer == &LayerWeights::q || row.in_layer == &LayerWeights::k; }

// The first layer's number: some files give one per layer.
std::uint32_t first_count(const Metadata& metadata, const std::string& key) {
  if (const auto value = metadata.unsigned_integer(key)) return static_cast<std::uint32_t>(std::min<std::uint64_t>(*value, UINT32_MAX));
  const auto values = metadata.integers(key);
  return values && !values->empty() ? static_cast<std::uint32_t>(std::clamp<std::int64_t>(values->front(), 0, UINT32_MAX)) : 0;
}

Result<Plan> plan_gguf_from_gguf(const ModelFile& in, const ConvertOptions& options) {
  Plan plan;
  OverrideList overrides(options.overrides);
  const MixModel model = mix_model_of(in);
  std::set<std::string_view> quantised;
  for (const TensorView& tensor : in.tensors) {
    Step step = step_from(tensor);
    if (dtype_of(tensor.format).is_weight) {
      ASSAY_TRY(step.format, gguf_format(options, model, overrides, {.name = tensor.name, .shape = tensor.shape, .kept = tensor.format}));
    }
    if (step.format != tensor.format) {
      ASSAY_TRY_VOID(check_dequantizable(tensor));
      if (dtype_of(tensor.format).block_values > 1) quantised.insert(name_of(tensor.format));
    }
    plan.steps.push_back(std::move(step));
  }
  if (!quantised.empty())
    plan.notes.push_back(fmt::format("the input is already quantised ({}); its losses stay in the result", fmt::join(quantised, ", ")));
  ASSAY_TRY_VOID(overrides.check_all_used());
  return plan;
}

// GGUF's names for what a folder holds. Fused tensors stay fused where both have them so; experts are stacked.
class FolderToGguf {
 public:
  FolderToGguf(const ModelFile& in, const ConvertOptions& options, const Model& bound) : in_(in), options_(options), bound_(bound), model_(mix_model_of(in)), overrides_(options.overrides) {}

  Result<Plan> plan() {
    Config config = bound_.config;
    config.arch = arch_from_gguf(config.arch->gguf_name);
    config.wrapper = nullptr;
    const std::vector<ExpectedTensor> ours = list_weights(bound_.config, Layout::hf, &in_);
    for (const ExpectedTensor& wanted : list_weights(config, Layout::gguf, nullptr)) {
      ASSAY_TRY_VOID(add(wanted, ours));
      if (wanted.parts[0]->in_model == &Model::output_norm) add_rope_factors();
    }
    for (const TensorView* tensor : bound_.unused) plan_.notes.push_back(fmt::format("tensor {} has no place in a {} file and was left out", tensor->name, config.arch->name));
    ASSAY_TRY_VOID(overrides_.check_all_used());
    return std::move(plan_);
  }

 private:
  Result<> add(const ExpectedTensor& wanted, const std::vector<ExpectedTensor>& ours) {
    if (wanted.parts[0]->in_expert != nullptr) return add_experts(wanted);
    if (wanted.parts[1] == nullptr) return add_step(wanted.name, bound_weight(*wanted.parts[0], wanted.layer), wanted.parts[0]);
    const auto same = std::ranges::find_if(ours, [&](const ExpectedTensor& each) { return each.parts == wanted.parts && each.layer == wanted.layer; });
    if (same != ours.end() && !same->is_transposed) return add_step(wanted.name, in_.find(same->name), nullptr);
    for (const WeightRow* row : wanted.parts)
      if (row != nullptr) ASSAY_TRY_VOID(add_step(weight_name(row->gguf, wanted.layer), bound_weight(*row, wanted.layer), row));
    return success();
  }

  const TensorView* bound_weight(const WeightRow& row, std::uint32_t layer) const {
    return row.in_model != nullptr ? bound_.*row.in_model : bound_.layers[layer].*row.in_layer;
  }

  Result<> add_step(std::string name, const TensorView* tensor, const WeightRow* row) {
    const bool is_tied_head = row != nullptr && row->in_model == &Model::output && bound_.is_tied();
    if (tensor == nullptr || is_tied_head) return success();
    Step step = step_from(*tensor);
    step.name = std::move(name);
    if (row != nullptr && bound_.config.arch->gguf_adjacent_pairs && !bound_.config.rope.adjacent_pairs && moves_rows(*row)) {
      step.order = RowOrder::to_adjacent;
      step.head_dim = bound_.config.head_dim;
    }
    return finish(std::move(step));
  }

  Result<> add_experts(const ExpectedTensor& wanted) {
    Step step;
    step.name = wanted.name;
    step.shape = wanted.shape;
    for (const ExpertWeights& expert : bound_.layers[wanted.layer].experts) step.stacked.push_back(expert.*wanted.parts[0]->in_expert);
    return finish(std::move(step));
  }

  Result<> finish(Step step) {
    ASSAY_TRY(step.format, gguf_format(options_, model_, overrides_, {.name = step.name, .shape = step.shape, .kept = FormatId::F32}));
    plan_.steps.push_back(std::move(step));
    return success();
  }

  void add_rope_factors() {
    const RopeConfig& rope = bound_.config.rope;
    const auto make = [&](std::string_view name, std::vector<float> values) {
      Step step;
      step.name = name;
      step.shape = {values.size()};
      step.made = std::move(values);
      plan_.steps.push_back(std::move(step));
    };
    if (rope.scaling == RopeScaling::llama3) make("rope_freqs.weight", llama3_factors(rope));
    if (rope.scaling != RopeScaling::longrope) return;
    make("rope_factors_long.weight", rope.long_factors);
    make("rope_factors_short.weight", rope.short_factors);
  }

  const ModelFile& in_;
  const ConvertOptions& options_;
  const Model& bound_;
  MixModel model_;
  OverrideList overrides_;
  Plan plan_;
};

Result<Plan> plan_gguf_from_folder(const ModelFile& in, const ConvertOptions& options) {
  ASSAY_TRY(Model bound, bind_model(in));
  ASSAY_TRY(Plan plan, FolderToGguf(in, options, bound).plan());
  plan.bound.emplace(std::move(bound));
  return plan;
}

// Whether every value of a vector survives in `format`; then it takes the matrices' element type, else stays F32.
bool is_exact_in(const TensorView& tensor, FormatId format) {
  std::vector<float> values(tensor.cols());
  std::vector<std::byte> bytes(values.size() * dtype_of(format).block_bytes);
  for (std::uint64_t row = 0; row < tensor.rows(); ++row) {
    dequantize_row(tensor, row, values);
    if (!encode_row(format, values, bytes)) return false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float back = format == FormatId::F16 ? to_float(load<Half>(bytes.data() + 2 * i)) : to_float(load<BFloat16>(bytes.data() + 2 * i));
      if (back != values[i]) return false;
    }
  }
  return true;
}

Result<FormatId> folder_format(const ConvertOptions& options, OverrideList& overrides, const TensorView& tensor, std::string_view gguf_name) {
  if (tensor.shape.size() < 2) {
    const FormatId element = options.format == FormatId::F32 || options.format == FormatId::F16 ? options.format : FormatId::BF16;
    return element == FormatId::F32 || !is_exact_in(tensor, element) ? FormatId::F32 : element;
  }
  const FormatId format = overrides.find(gguf_name).value_or(options.format);
  const bool is_element = format == FormatId::F32 || format == FormatId::F16 || format == FormatId::BF16;
  if (options.kind == ConvertKind::safetensors) {
    if (is_element) return format;
    const bool is_f8 = format == FormatId::F8_E4M3 || format == FormatId::F8_E5M2;
    const bool is_four_bit = format == FormatId::NF4 || format == FormatId::FP4;
    if (!is_f8 && !is_four_bit) return Error{Code::usage, std::string(name_of(format)), "a safetensors folder takes F32, F16, BF16, F8_E4M3, F8_E5M2, NF4 or FP4"};
    // Embedding and head stay BF16, as published models of these formats have it.
    if (gguf_name == "token_embd.weight" || gguf_name == "output.weight") return FormatId::BF16;
    return is_four_bit && tensor.cols() % 2 != 0 ? FormatId::BF16 : format;
  }
  if (is_element) return format;
  if (name_of(format).starts_with("MLX_")) {
    if (tensor.cols() % options.group == 0) return format;
    return FormatId::BF16;
  }
  return Error{Code::usage, std::string(name_of(format)), "an MLX folder takes MLX_Q2, Q3, Q4, Q5, Q6, Q8, or F32, F16, BF16"};
}

}  // namespace

std::uint64_t source_row(const Step& step, std::uint64_t row) {
  if (step.order == RowOrder::as_is) return row;
  const std::uint64_t half = step.head_dim / 2;
  const std::uint64_t head = row / step.head_dim, in_head = row % step.head_dim;
  const std::uint64_t from = step.order == RowOrder::to_adjacent ? in_head % 2 * half + in_head / 2 : in_head % half * 2 + in_head / half;
  return head * step.head_dim + from;
}

// Wavelengths up to the original context divided by `high` stay, those beyond it divided by `low` stretch by `factor`, and
// between the two the frequency is mixed (the Llama 3.1 model card's rope scaling).
std::vector<float> llama3_factors(const RopeConfig& rope) {
  std::vector<float> factors(rope.dims / 2);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(static_cast<double>(rope.base), 2.0 * static_cast<double>(i) / rope.dims);
    const double turns = rope.original_context / wavelength;
    const double low = rope.low_frequency_factor, high = rope.high_frequency_factor, factor = rope.factor;
    const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    factors[i] = static_cast<float>(1.0 / ((1 - smooth) / factor + smooth));
  }
  return factors;
}

Result<Plan> plan_gguf(const ModelFile& in, const ConvertOptions& options) {
  return in.kind == FileKind::gguf ? plan_gguf_from_gguf(in, options) : plan_gguf_from_folder(in, options);
}

Result<Plan> plan_folder(const ModelFile& in, const Config& config, const ConvertOptions& options) {
  const bool from_gguf = in.kind == FileKind::gguf;
  if (from_gguf && (config.arch->name != "llama" || config.experts.count > 0) && config.arch->name != "qwen3")
    return Error{Code::unsupported, std::string(config.arch->name), "a folder can be made of llama and qwen3 GGUF files without experts; convert to GGUF, or start from the folder it was published as", in.path.string()};
  if (config.arch->hf_transposes)
    return Error{Code::unsupported, std::string(config.arch->name), "its folders hold transposed matrices, which are not written; convert to GGUF", in.path.string()};
  ASSAY_TRY(const Model bound, bind_model(in));
  Plan plan;
  OverrideList overrides(options.overrides);
  const auto add = [&](const TensorView& tensor, std::string name, const WeightRow& row, std::uint32_t layer) -> Result<> {
    Step step = step_from(tensor);
    step.name = std::move(name);
    if (from_gguf && config.rope.adjacent_pairs && moves_rows(row)) {
      step.order = RowOrder::to_halves;
      step.head_dim = config.head_dim;
    }
    ASSAY_TRY(step.format, folder_format(options, overrides, tensor, weight_name(row.gguf, layer)));
    plan.steps.push_back(std::move(step));
    return success();
  };
  for (const ExpectedTensor& expected : list_weights(config, layout_of(in), &in)) {
    const WeightRow& row = *expected.parts[0];
    const TensorView* tensor = in.find(expected.name);
    if (tensor == nullptr || row.hf.empty()) continue;
    ASSAY_TRY_VOID(add(*tensor, from_gguf ? weight_name(row.hf, expected.layer) : expected.name, row, expected.layer));
  }
  ASSAY_TRY_VOID(overrides.check_all_used());
  for (const Step& step : plan.steps)
    if (name_of(options.format).starts_with("MLX_") && step.shape.back() % options.group != 0 && step.shape.size() > 1)
      plan.notes.push_back(fmt::format("{} stays BF16: rows of {} values do not hold whole groups of {}", step.name, step.shape.back(), options.group));
  return plan;
}

}  // namespace assay::convert

namespace assay {

MixModel mix_model_of(const ModelFile& file) {
  MixModel model;
  if (file.kind != FileKind::gguf) {
    const auto config = read_config(file);
    if (!config) return model;
    model = {.architecture = config->arch->gguf_name, .layers = config->layers, .heads = config->heads, .kv_heads = config->kv_heads, .experts = config->experts.count};
    model.is_tied = file.find("lm_head.weight") == nullptr;
    return model;
  }
  if (const auto architecture = file.metadata.string("general.architecture")) model.architecture = *architecture;
  const std::string prefix = std::string(model.architecture) + ".";
  model.layers = convert::first_count(file.metadata, prefix + "block_count");
  model.heads = convert::first_count(file.metadata, prefix + "attention.head_count");
  model.kv_heads = file.metadata.has(prefix + "attention.head_count_kv") ? convert::first_count(file.metadata, prefix + "attention.head_count_kv") : model.heads;
  model.experts = convert::first_count(file.metadata, prefix + "expert_count");
  model.is_tied = file.find("output.weight") == nullptr;
  return model;
}

}  // namespace assay

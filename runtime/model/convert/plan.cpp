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

Result<Plan> plan_gguf_from_folder(const ModelFile& in, const ConvertOptions& options) {
  ASSAY_TRY(const Model bound, bind_model(in));
  Plan plan;
  OverrideList overrides(options.overrides);
  const MixModel model = mix_model_of(in);
  std::set<const TensorView*> used;
  const auto add = [&](const WeightRow& row, const TensorView* tensor, std::uint32_t layer) -> Result<> {
    if (tensor == nullptr || !used.insert(tensor).second) return success();  // absent, or the tied head
    Step step = step_from(*tensor);
    step.name = weight_name(row.gguf, layer);
    if (bound.config.arch->gguf_adjacent_pairs && moves_rows(row)) {
      step.order = RowOrder::to_adjacent;
      step.head_dim = bound.config.head_dim;
    }
    ASSAY_TRY(step.format, gguf_format(options, model, overrides, {.name = step.name, .shape = step.shape, .kept = FormatId::F32}));
    plan.steps.push_back(std::move(step));
    return success();
  };
  for (const WeightRow& row : kWeights)
    if (row.in_model != nullptr) {
      ASSAY_TRY_VOID(add(row, bound.*row.in_model, 0));
    }
  if (bound.config.rope.scaling == RopeScaling::llama3) {
    Step step;
    step.name = "rope_freqs.weight";
    step.made = llama3_factors(bound.config.rope);
    step.shape = {step.made.size()};
    plan.steps.push_back(std::move(step));
  }
  for (std::uint32_t layer = 0; layer < bound.config.layers; ++layer)
    for (const WeightRow& row : kWeights)
      if (row.in_layer != nullptr) {
        ASSAY_TRY_VOID(add(row, bound.layers[layer].*row.in_layer, layer));
      }
  for (const TensorView& tensor : in.tensors)
    if (!used.contains(&tensor)) plan.notes.push_back(fmt::format("tensor {} has no place in a {} file and was left out", tensor.name, bound.config.arch->name));
  ASSAY_TRY_VOID(overrides.check_all_used());
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
  ASSAY_TRY(const Model bound, bind_model(in));
  const bool from_gguf = in.kind == FileKind::gguf;
  Plan plan;
  OverrideList overrides(options.overrides);
  std::set<const TensorView*> used;
  const auto add = [&](const WeightRow& row, const TensorView* tensor, std::uint32_t layer) -> Result<> {
    if (tensor == nullptr || row.hf.empty() || !used.insert(tensor).second) return success();
    Step step = step_from(*tensor);
    step.name = weight_name(row.hf, layer);
    if (from_gguf && config.rope.adjacent_pairs && moves_rows(row)) {
      step.order = RowOrder::to_halves;
      step.head_dim = config.head_dim;
    }
    ASSAY_TRY(step.format, folder_format(options, overrides, *tensor, weight_name(row.gguf, layer)));
    plan.steps.push_back(std::move(step));
    return success();
  };
  for (const WeightRow& row : kWeights) {
    if (row.in_model != nullptr) {
      ASSAY_TRY_VOID(add(row, bound.*row.in_model, 0));
    }
    for (std::uint32_t layer = 0; row.in_layer != nullptr && layer < config.layers; ++layer) {
      ASSAY_TRY_VOID(add(row, bound.layers[layer].*row.in_layer, layer));
    }
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
    model = {.architecture = config->arch->gguf_name, .layers = config->layers, .heads = config->heads, .kv_heads = config->kv_heads};
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

// Plans of GGUF files: names by the weight table, formats by the mix.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/model/convert/plan.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"

namespace assay::convert {
namespace {

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

// GGUF's names for what a folder holds; experts are stacked.
class FolderToGguf {
 public:
  FolderToGguf(const ModelFile& in, const ConvertOptions& options, const Model& bound) : options_(options), bound_(bound), model_(mix_model_of(in)), overrides_(options.overrides) { model_.is_tied = bound.is_tied(); }

  Result<Plan> plan() {
    Config config = bound_.config;
    config.arch = arch_from_gguf(config.arch->gguf_name);
    config.wrapper = nullptr;
    for (const ExpectedTensor& wanted : list_weights(config, Layout::gguf, nullptr)) {
      ASSAY_TRY_VOID(add(wanted));
      if (wanted.parts[0]->in_model == &Model::output_norm) add_rope_factors();
    }
    for (const TensorView* tensor : bound_.unused) plan_.notes.push_back(fmt::format("tensor {} has no place in a {} file and was left out", tensor->name, config.arch->name));
    note_what_gguf_cannot_say(config);
    ASSAY_TRY_VOID(overrides_.check_all_used());
    return std::move(plan_);
  }

 private:
  Result<> add(const ExpectedTensor& wanted) {
    if (wanted.parts[0]->in_model == &Model::output && bound_.is_tied()) return success();
    Step step;
    step.name = wanted.name;
    step.shape = wanted.shape;
    for (const WeightRow* row : wanted.parts)
      if (row != nullptr) add_pieces(wanted, *row, step.pieces);
    if (step.pieces.empty()) return success();
    ASSAY_TRY(step.format, gguf_format(options_, model_, overrides_, {.name = step.name, .shape = step.shape, .kept = FormatId::F32}));
    plan_.steps.push_back(std::move(step));
    return success();
  }

  void add_pieces(const ExpectedTensor& wanted, const WeightRow& row, std::vector<Piece>& pieces) const {
    if (row.in_expert != nullptr) {
      for (const ExpertWeights& expert : bound_.layers[wanted.layer].experts) pieces.push_back({.source = expert.*row.in_expert});
      return;
    }
    const TensorView* tensor = row.in_model != nullptr ? bound_.*row.in_model : bound_.layers[wanted.layer].*row.in_layer;
    if (tensor == nullptr) return;
    Piece piece{.source = tensor};
    if (bound_.config.arch->gguf_adjacent_pairs && !bound_.config.rope.adjacent_pairs && moves_rows(row)) piece.order = RowOrder::to_adjacent, piece.head_dim = bound_.config.head_dim;
    add_piece(pieces, piece, wanted.shape.size() == 1);
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

  // What the folder's answers depend on and no reader of the file will know.
  void note_what_gguf_cannot_say(const Config& written) {
    const Config& config = bound_.config;
    if (config.window > 0 && written.arch->full_layer_period == 0)
      plan_.notes.push_back(fmt::format("the sliding window of {} positions is lost: {} files have none, and beyond it answers differ from the folder's", config.window, written.arch->gguf_name));
    if (config.rope.scaling == RopeScaling::yarn && !config.rope.rounds_ramp)
      plan_.notes.push_back(fmt::format("rope_scaling.truncate false is lost: readers of {} files round YaRN's ramp to whole pairs", written.arch->gguf_name));
  }

  const ConvertOptions& options_;
  const Model& bound_;
  MixModel model_;
  OverrideList overrides_;
  Plan plan_;
};

}  // namespace

Result<Plan> plan_gguf(const ModelFile& in, const ConvertOptions& options) {
  if (in.kind == FileKind::gguf) return plan_gguf_from_gguf(in, options);
  ASSAY_TRY(Model bound, bind_model(in));
  ASSAY_TRY(Plan plan, FolderToGguf(in, options, bound).plan());
  plan.bound.emplace(std::move(bound));
  return plan;
}

}  // namespace assay::convert

// Plans of folders: Hugging Face's and MLX's tensors made of what any file of the family binds to.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/half.h"
#include "runtime/model/convert/plan.h"
#include "runtime/model/slice.h"
#include "runtime/quant/encode.h"

namespace assay::convert {
namespace {

bool is_element(FormatId format) { return format == FormatId::F32 || format == FormatId::F16 || format == FormatId::BF16; }

// Whether every value survives in `format`.
bool is_exact_in(FormatId format, std::span<const float> values) {
  std::vector<std::byte> bytes(values.size() * dtype_of(format).block_bytes);
  if (!encode_row(format, values, bytes)) return false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float back = format == FormatId::F16 ? to_float(load<Half>(bytes.data() + 2 * i)) : to_float(load<BFloat16>(bytes.data() + 2 * i));
    if (back != values[i]) return false;
  }
  return true;
}

// A vector takes the matrices' element type where that loses nothing, else stays F32.
FormatId vector_format(const ConvertOptions& options, const Step& step) {
  const FormatId element = options.format == FormatId::F32 || options.format == FormatId::F16 ? options.format : FormatId::BF16;
  const auto fits = [&](const Piece& piece) { return is_exact_in(element, values_of(piece)); };
  return element != FormatId::F32 && std::all_of(step.pieces.begin(), step.pieces.end(), fits) ? element : FormatId::F32;
}

Result<FormatId> matrix_format(const ConvertOptions& options, OverrideList& overrides, const Step& step, std::string_view gguf_name) {
  const FormatId format = overrides.find(gguf_name).value_or(options.format);
  if (is_element(format)) return format;
  const std::uint64_t cols = step.shape.back();
  if (options.kind == ConvertKind::safetensors) {
    const bool is_f8 = format == FormatId::F8_E4M3 || format == FormatId::F8_E5M2;
    const bool is_four_bit = format == FormatId::NF4 || format == FormatId::FP4;
    if (!is_f8 && !is_four_bit) return Error{Code::usage, std::string(name_of(format)), "a safetensors folder takes F32, F16, BF16, F8_E4M3, F8_E5M2, NF4 or FP4"};
    // Embedding and head stay BF16, as published models of these formats have it.
    if (gguf_name == "token_embd.weight" || gguf_name == "output.weight") return FormatId::BF16;
    return is_four_bit && cols % 2 != 0 ? FormatId::BF16 : format;
  }
  if (!name_of(format).starts_with("MLX_")) return Error{Code::usage, std::string(name_of(format)), "an MLX folder takes MLX_Q2, Q3, Q4, Q5, Q6, Q8, or F32, F16, BF16"};
  return cols % options.group == 0 ? format : FormatId::BF16;
}

class ToFolder {
 public:
  ToFolder(const ConvertOptions& options, const Config& target, Model bound) : options_(options), target_(target), overrides_(options.overrides) { plan_.bound.emplace(std::move(bound)); }

  Result<Plan> plan() {
    const Layout layout = options_.kind == ConvertKind::mlx ? Layout::mlx : Layout::hf;
    for (const ExpectedTensor& wanted : list_weights(target_, layout, nullptr)) ASSAY_TRY_VOID(add(wanted));
    ASSAY_TRY_VOID(overrides_.check_all_used());
    return std::move(plan_);
  }

 private:
  const Model& bound() const { return *plan_.bound; }

  Result<> add(const ExpectedTensor& wanted) {
    if (wanted.parts[0]->in_model == &Model::output && bound().is_tied()) return success();
    Step step;
    step.name = wanted.name;
    step.shape = wanted.shape;
    ASSAY_TRY(step.pieces, pieces_of(wanted));
    if (step.pieces.empty()) return success();
    if (wanted.parts[0]->rows == Width::none) {  // of experts several in one tensor
      step.format = vector_format(options_, step);
    } else {
      ASSAY_TRY(step.format, matrix_format(options_, overrides_, step, weight_name(wanted.parts[0]->gguf, wanted.layer)));
      if (name_of(options_.format).starts_with("MLX_") && step.shape.back() % options_.group != 0)
        plan_.notes.push_back(fmt::format("{} stays BF16: rows of {} values do not hold whole groups of {}", step.name, step.shape.back(), options_.group));
    }
    plan_.steps.push_back(std::move(step));
    return success();
  }

  Result<std::vector<Piece>> pieces_of(const ExpectedTensor& wanted) {
    if (wanted.splits_heads) return head_pieces(wanted.layer);
    std::vector<Piece> pieces;
    const std::uint32_t experts = wanted.parts[0]->in_expert != nullptr && wanted.expert < 0 ? target_.experts.count : 1;
    for (std::uint32_t index = 0; index < experts; ++index) {
      const std::uint32_t expert = wanted.expert < 0 ? index : static_cast<std::uint32_t>(wanted.expert);
      for (const WeightRow* row : wanted.parts) {
        if (row == nullptr) break;
        const TensorView* tensor = weight(*row, wanted.layer, expert);
        if (tensor == nullptr) continue;
        add_piece(pieces, piece_of(wanted, *row, *tensor), row != wanted.parts[0] && (wanted.alternates || wanted.is_transposed || wanted.shape.size() == 1));
      }
    }
    return pieces;
  }

  Piece piece_of(const ExpectedTensor& wanted, const WeightRow& row, const TensorView& tensor) const {
    Piece piece{.source = &tensor, .alternates = wanted.alternates, .transposes = wanted.is_transposed};
    if (bound().config.rope.adjacent_pairs && !target_.rope.adjacent_pairs && moves_rows(row)) piece.order = RowOrder::to_halves, piece.head_dim = target_.head_dim;
    if (target_.arch->hf_norms_less_one && wanted.shape.size() == 1 && row.gguf.ends_with("norm.weight")) piece.added = -1;
    return piece;
  }

  const TensorView* weight(const WeightRow& row, std::uint32_t layer, std::uint32_t expert) const {
    if (row.in_model != nullptr) return bound().*row.in_model;
    if (row.in_expert != nullptr) return bound().layers[layer].experts[expert].*row.in_expert;
    return bound().layers[layer].*row.in_layer;
  }

  // Latent attention before absorption: each head's keys, transposed back, then its values.
  Result<std::vector<Piece>> head_pieces(std::uint32_t layer) {
    std::vector<Piece> pieces;
    const LayerWeights& weights = bound().layers[layer];
    for (std::uint64_t head = 0; head < target_.heads; ++head)
      for (const TensorView* tensor : {weights.k_b, weights.v_b}) {
        ASSAY_TRY(TensorView slice, slice_rows(*tensor, head * tensor->shape[1], tensor->shape[1]));
        plan_.slices.push_back(std::make_unique<TensorView>(std::move(slice)));
        pieces.push_back({.source = plan_.slices.back().get(), .transposes = tensor == weights.k_b});
      }
    return pieces;
  }

  const ConvertOptions& options_;
  const Config& target_;
  OverrideList overrides_;
  Plan plan_;
};

}  // namespace

Result<Config> folder_config(const ModelFile& in, const Config& source) {
  Config config = source;
  if (in.kind != FileKind::gguf) return config;
  // Several families of folders are one in GGUF.
  std::string_view name = config.arch->name;
  if (name == "llama" && config.experts.count > 0) name = "mixtral";
  if (name == "chatglm") name = "glm";
  if (name == "deepseek2" && config.experts.gating == Gating::sigmoid) name = "deepseek3";
  config.arch = std::ranges::find(kArchitectures, name, &ArchTraits::name);
  config.rope.adjacent_pairs = config.arch->hf_adjacent_pairs;
  return config;
}

Result<Plan> plan_folder(const ModelFile& in, const Config& target, const ConvertOptions& options) {
  ASSAY_TRY(Model bound, bind_model(in));
  return ToFolder(options, target, std::move(bound)).plan();
}

}  // namespace assay::convert

// What plans of both kinds of file share: pieces of tensors, formats asked for by name, facts for the mix.
#include "runtime/model/convert/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/quant/dequantize.h"

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

std::vector<float> values_of(const TensorView& tensor) {
  std::vector<float> values(tensor.count());
  for (std::uint64_t row = 0; row < tensor.rows(); ++row) dequantize_row(tensor, row, std::span(values).subspan(row * tensor.cols(), tensor.cols()));
  return values;
}

// The first layer's number: some files give one per layer.
std::uint32_t first_count(const Metadata& metadata, const std::string& key) {
  if (const auto value = metadata.unsigned_integer(key)) return static_cast<std::uint32_t>(std::min<std::uint64_t>(*value, UINT32_MAX));
  const auto values = metadata.integers(key);
  return values && !values->empty() ? static_cast<std::uint32_t>(std::clamp<std::int64_t>(values->front(), 0, UINT32_MAX)) : 0;
}

}  // namespace

std::optional<FormatId> OverrideList::find(std::string_view name) {
  for (std::size_t i = 0; i < list_.size(); ++i) {
    if (!matches(list_[i].pattern, name)) continue;
    used_[i] = true;
    return list_[i].format;
  }
  return std::nullopt;
}

Result<> OverrideList::check_all_used() const {
  for (std::size_t i = 0; i < list_.size(); ++i)
    if (!used_[i]) return Error{Code::usage, "--tensor-type " + list_[i].pattern, "matches no matrix of this model; `assay info --tensors` lists the names"};
  return success();
}

std::uint64_t Piece::rows() const {
  if (transposes) return source->cols();
  if (source->shape.size() < 2) return 1;
  std::uint64_t sum = source->rows();
  for (const TensorView* other : others) sum += other == nullptr ? 0 : other->rows();
  return sum;
}

void add_piece(std::vector<Piece>& pieces, const Piece& piece, bool joins) {
  if (!joins || pieces.empty()) return pieces.push_back(piece);
  auto& others = pieces.back().others;
  *std::ranges::find(others, nullptr) = piece.source;
}

std::uint64_t source_row(const Piece& piece, std::uint64_t row) {
  if (piece.order == RowOrder::as_is) return row;
  const std::uint64_t half = piece.head_dim / 2;
  const std::uint64_t head = row / piece.head_dim, in_head = row % piece.head_dim;
  const std::uint64_t from = piece.order == RowOrder::to_adjacent ? in_head % 2 * half + in_head / 2 : in_head % half * 2 + in_head / half;
  return head * piece.head_dim + from;
}

std::vector<float> values_of(const Piece& piece) {
  const std::array sources = {piece.source, piece.others[0], piece.others[1]};
  const auto rows_of = [](const TensorView* tensor) { return tensor == nullptr ? 0 : tensor->shape.size() < 2 ? tensor->cols() : tensor->rows(); };
  std::uint64_t all_rows = 0, before = 0;
  for (const TensorView* source : sources) all_rows += rows_of(source);
  const bool is_vector = piece.source->shape.size() < 2;
  const std::uint64_t cols = is_vector ? 1 : piece.source->cols(), parts = piece.others[0] == nullptr ? 1 : 2;
  std::vector<float> out(all_rows * cols);
  for (std::uint64_t part = 0; part < sources.size() && sources[part] != nullptr; ++part) {
    const std::vector<float> values = values_of(*sources[part]);
    const std::uint64_t rows = rows_of(sources[part]);
    for (std::uint64_t row = 0; row < rows; ++row) {
      const std::uint64_t from = is_vector ? row : source_row(piece, row), place = piece.alternates ? row * parts + part : before + row;
      for (std::uint64_t col = 0; col < cols; ++col) out[piece.transposes ? col * all_rows + place : place * cols + col] = values[from * cols + col] + piece.added;
    }
    before += rows;
  }
  return out;
}

Step step_from(const TensorView& tensor) {
  Step step;
  step.pieces = {{.source = &tensor}};
  step.name = tensor.name;
  step.format = tensor.format;
  step.shape = tensor.shape;
  return step;
}

bool moves_rows(const WeightRow& row) { return row.in_layer == &LayerWeights::q || row.in_layer == &LayerWeights::k; }

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

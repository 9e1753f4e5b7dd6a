// bind_model(): every expected weight found in the file, with its shape, or one error that lists all that is wrong.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <unordered_set>

#include "runtime/model/slice.h"
#include "runtime/model/weights.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

constexpr std::size_t kMismatchesTold = 5;

std::string shape_text(const std::vector<std::uint64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, " x ")); }

// The layer in "blk.3.attn_q.weight", "model.layers.3..." or "h.3...".
std::optional<std::uint64_t> layer_of(std::string_view name) {
  for (const std::string_view mark : {"blk.", "layers.", "h."}) {
    const std::size_t at = name.find(mark);
    if (at == std::string_view::npos || (at > 0 && name[at - 1] != '.')) continue;
    std::uint64_t layer = 0;
    std::size_t digit = at + mark.size();
    if (digit == name.size() || name[digit] < '0' || name[digit] > '9') continue;
    for (; digit < name.size() && name[digit] >= '0' && name[digit] <= '9' && layer < (1u << 20); ++digit) layer = 10 * layer + static_cast<std::uint64_t>(name[digit] - '0');
    return layer;
  }
  return std::nullopt;
}

// What converters leave behind and every reader ignores: tables of angles, causal masks.
bool is_leftover(std::string_view name) {
  return std::any_of(kLeftovers.begin(), kLeftovers.end(), [&](std::string_view end) { return name.ends_with(end); });
}

class Binder {
 public:
  explicit Binder(const ModelFile& file) : file_(file) {}

  Result<Model> bind(Config config) {
    model_.file = &file_;
    model_.config = std::move(config);
    model_.layers.resize(model_.config.layers);
    for (std::uint32_t layer = 0; layer < model_.config.layers; ++layer)
      if (model_.config.has_experts(layer)) model_.layers[layer].experts.resize(model_.config.experts.count);
    for (const ExpectedTensor& expected : list_weights(model_.config, layout_of(file_), &file_)) bind_one(expected);
    if (model_.output == nullptr) model_.output = model_.embedding;
    look_at_others();
    if (!problems_.empty()) return Error{code_, first_subject_, text(), file_.path.string()};
    read_long_factors();
    return std::move(model_);
  }

 private:
  void bind_one(const ExpectedTensor& expected) {
    const TensorView* tensor = file_.find(expected.name);
    if (tensor == nullptr) {
      if (expected.is_needed) note(Code::missing, expected.name, fmt::format("missing ({} has it{})", model_.config.arch->name, expected.in_layer() ? " in every layer" : ""));
      return;
    }
    used_.insert(tensor);
    if (tensor->shape != expected.shape) return note(Code::shape, tensor->name, fmt::format("file {}, config {}", shape_text(tensor->shape), shape_text(expected.shape)));
    if (expected.is_mxfp4()) return bind_mxfp4(expected, *tensor);
    if (auto computable = check_dequantizable(*tensor); !computable) return note(computable.error().code, expected.name, computable.error().detail);
    if (expected.splits_heads) return bind_heads(expected, *tensor);
    if (expected.is_transposed || expected.alternates) return bind_reordered(expected, *tensor);
    if (expected.parts[1] != nullptr) return bind_fused(expected, *tensor);
    bind_part(expected, *expected.parts[0], *tensor);
  }

  void bind_part(const ExpectedTensor& expected, const WeightRow& row, const TensorView& tensor) {
    if (row.in_expert != nullptr) return bind_experts(expected, row, tensor);
    const TensorView* bound = is_norm(expected) ? plus_one(tensor) : &tensor;
    if (row.in_model != nullptr)
      model_.*row.in_model = bound;
    else
      model_.layers[expected.layer].*row.in_layer = bound;
  }

  static std::size_t parts_of(const ExpectedTensor& expected) { return expected.alternates ? 2 : 1; }

  // [rows][cols] from [cols][rows], and each of two parts from rows in turns; of stacked experts, too.
  void bind_reordered(const ExpectedTensor& expected, const TensorView& tensor) {
    const std::uint64_t parts = parts_of(expected);
    std::vector<std::uint64_t> shape = tensor.shape;
    const bool is_stacked = expected.parts[0]->in_expert != nullptr;
    if (expected.is_transposed) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    const std::size_t row_axis = is_stacked ? 1 : 0;
    shape[row_axis] /= parts;
    const std::uint64_t rows = shape[row_axis], cols = shape.size() > row_axis + 1 ? shape.back() : 1;
    Copy copy{.stack = is_stacked ? shape[0] : 1, .rows = rows, .cols = cols, .stack_step = parts * rows * cols};
    copy.row_step = parts * (expected.is_transposed ? 1 : cols);
    copy.col_step = expected.is_transposed ? parts * rows : 1;
    for (std::size_t part = 0; part < parts; ++part) {
      copy.first = part * (expected.is_transposed ? 1 : cols);
      const TensorView* made = plan_copy(tensor, shape, copy);
      if (made == nullptr) return;
      if (expected.parts[1] != nullptr && !expected.alternates)
        bind_fused(expected, *made);
      else
        bind_part(expected, *expected.parts[part], *made);
    }
  }

  // Codes and exponents as the blocks that kernels read.
  void bind_mxfp4(const ExpectedTensor& expected, const TensorView& codes) {
    const TensorView* exponents = file_.find(expected.exponents);
    if (exponents == nullptr) return note(Code::missing, expected.exponents, fmt::format("missing: the exponents of {}", expected.name));
    used_.insert(exponents);
    if (exponents->shape != expected.exponents_shape) return note(Code::shape, exponents->name, fmt::format("file {}, config {}", shape_text(exponents->shape), shape_text(expected.exponents_shape)));
    if ((codes.format != FormatId::U8 && codes.format != FormatId::U32) || exponents->format != FormatId::U8)
      return note(Code::type, codes.name, fmt::format("is {} with exponents of {}; MXFP4 is bytes or words of codes and bytes of exponents", name_of(codes.format), name_of(exponents->format)));
    const std::uint64_t parts = parts_of(expected);
    std::vector<std::uint64_t> shape = exponents->shape;
    shape.back() *= dtype_of(FormatId::MXFP4).block_values;
    shape[shape.size() - 2] /= parts;
    const bool is_stacked = shape.size() == 3;
    Copy copy{.exponents = exponents, .stack = is_stacked ? shape[0] : 1, .rows = shape[shape.size() - 2], .cols = shape.back(), .row_step = parts};
    copy.stack_step = parts * copy.rows;
    for (copy.first = 0; copy.first < parts; ++copy.first) {
      const TensorView* made = plan_copy(codes, shape, copy);
      if (made == nullptr) return;
      bind_part(expected, *expected.parts[copy.first], *made);
    }
  }

  // Keys and values of a head lie one above the other; the decoder wants the keys' matrices transposed.
  void bind_heads(const ExpectedTensor& expected, const TensorView& tensor) {
    const Config& config = model_.config;
    const std::uint64_t heads = config.heads, rank = config.latent.kv_rank, values = config.latent.value_dim, keys = width_of(Width::latent_key_rest, config);
    const Copy key{.stack = heads, .rows = rank, .cols = keys, .stack_step = (keys + values) * rank, .row_step = 1, .col_step = rank};
    const Copy value{.stack = heads, .rows = values, .cols = rank, .first = keys * rank, .stack_step = (keys + values) * rank, .row_step = rank};
    LayerWeights& layer = model_.layers[expected.layer];
    layer.k_b = plan_copy(tensor, {heads, rank, keys}, key);
    layer.v_b = plan_copy(tensor, {heads, values, rank}, value);
  }

  // A tensor of `shape` whose memory is there and whose values `copy` will bring. nullptr: there is no memory (noted).
  const TensorView* plan_copy(const TensorView& from, std::vector<std::uint64_t> shape, Copy copy) {
    TensorView made;
    made.name = from.name;
    made.shape = std::move(shape);
    made.file = from.file;
    made.offset = from.offset;
    const bool is_element = dtype_of(from.format).block_values == 1 && from.side.scales.empty() && dtype_of(from.format).is_weight;
    made.format = copy.exponents != nullptr ? FormatId::MXFP4 : is_element ? from.format : FormatId::F32;
    try {
      const AlignedBuffer<std::byte>& bytes = model_.made_bytes.emplace_back(made.rows() * made.row_bytes());
      made.data = {bytes.data(), bytes.size()};
      copy.to = model_.made_bytes.back().data();
    } catch (const std::bad_alloc&) {
      note(Code::memory, from.name, fmt::format("no memory for a copy in the order that is computed with ({} bytes)", made.rows() * made.row_bytes()));
      return nullptr;
    }
    copy.from = &from;
    copy.format = made.format;
    model_.copies.push_back(copy);
    return model_.made.emplace_back(std::make_unique<TensorView>(std::move(made))).get();
  }

  void bind_fused(const ExpectedTensor& expected, const TensorView& tensor) {
    std::uint64_t first = 0;
    for (const WeightRow* row : expected.parts) {
      if (row == nullptr) break;
      const std::uint64_t count = width_of(row->rows == Width::none ? row->cols : row->rows, model_.config);
      model_.layers[expected.layer].*row->in_layer = slice(tensor, first, count, false);
      first += count;
    }
  }

  void bind_experts(const ExpectedTensor& expected, const WeightRow& row, const TensorView& tensor) {
    const auto member = row.in_expert;
    std::vector<ExpertWeights>& experts = model_.layers[expected.layer].experts;
    if (expected.expert >= 0) {
      experts[static_cast<std::size_t>(expected.expert)].*member = &tensor;
      return;
    }
    const bool is_vector = tensor.shape.size() == 2;  // a bias of each
    const std::uint64_t rows = is_vector ? 1 : tensor.shape[1];
    for (std::size_t expert = 0; expert < experts.size(); ++expert) experts[expert].*member = slice(tensor, expert * rows, rows, is_vector);
  }

  const TensorView* slice(const TensorView& tensor, std::uint64_t first, std::uint64_t count, bool as_vector) {
    auto part = tensor.shape.size() == 1 ? slice_values(tensor, first, count) : slice_rows(tensor, first, count);
    if (!part) {
      note(part.error().code, tensor.name, part.error().detail);
      return nullptr;
    }
    if (as_vector) part->shape = {tensor.cols()};
    return model_.made.emplace_back(std::make_unique<TensorView>(std::move(*part))).get();
  }

  bool is_norm(const ExpectedTensor& expected) const {
    return file_.kind != FileKind::gguf && model_.config.arch->hf_norms_less_one && expected.shape.size() == 1 && expected.parts[0]->gguf.ends_with("norm.weight");
  }

  // The norm with 1 added, as float32.
  const TensorView* plus_one(const TensorView& norm) {
    AlignedBuffer<std::byte>& bytes = model_.made_bytes.emplace_back(norm.cols() * sizeof(float));
    std::vector<float> values(norm.cols());
    dequantize_row(norm, 0, values);
    for (float& value : values) value += 1.0f;
    std::memcpy(bytes.data(), values.data(), bytes.size());
    auto made = std::make_unique<TensorView>();
    made->name = norm.name;
    made->shape = norm.shape;
    made->data = {bytes.data(), bytes.size()};
    made->file = norm.file;
    made->offset = norm.offset;
    return model_.made.emplace_back(std::move(made)).get();
  }

  // A tensor in a layer that the family does not have would silently be left out of every answer. An image encoder's, and those of
  // layers behind the last one, are known to be left out.
  void look_at_others() {
    for (const TensorView& tensor : file_.tensors) {
      if (used_.contains(&tensor) || is_leftover(tensor.name)) continue;
      const auto layer = layer_of(tensor.name);
      const bool is_bias = tensor.name.ends_with(".bias");
      if (is_of_image_part(tensor.name, model_.config) || !(layer ? *layer < model_.config.layers : is_bias)) {
        model_.unused.push_back(&tensor);
        continue;
      }
      note(Code::unsupported, tensor.name, fmt::format("{} not part of {} as Assay runs it", is_bias ? "biases are" : "is", model_.config.arch->name));
    }
  }

  void read_long_factors() {
    RopeConfig& rope = model_.config.rope;
    if (model_.long_rope_factors == nullptr || model_.short_rope_factors == nullptr) return;
    for (const auto& [tensor, factors] : {std::pair{model_.long_rope_factors, &rope.long_factors}, std::pair{model_.short_rope_factors, &rope.short_factors}}) {
      factors->resize(tensor->cols());
      dequantize_row(*tensor, 0, *factors);
    }
  }

  void note(Code code, const std::string& subject, std::string problem) {
    if (problems_.empty()) code_ = code, first_subject_ = subject;
    problems_.push_back(problems_.empty() ? std::move(problem) : fmt::format("{}: {}", subject, problem));
  }

  std::string text() const {
    std::string all;
    for (std::size_t i = 0; i < std::min(problems_.size(), kMismatchesTold); ++i) all += (i ? "; " : "") + problems_[i];
    if (problems_.size() > kMismatchesTold) all += fmt::format("; and {} more", problems_.size() - kMismatchesTold);
    return all;
  }

  const ModelFile& file_;
  Model model_;
  std::unordered_set<const TensorView*> used_;
  Code code_ = Code::missing;
  std::string first_subject_;
  std::vector<std::string> problems_;
};

}  // namespace

bool is_of_image_part(std::string_view name, const Config& config) {
  if (config.wrapper == nullptr) return false;
  const auto& parts = config.wrapper->other_parts;
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return !part.empty() && name.starts_with(part); });
}

std::string ForeignQuantization::message() const {
  return "the weights are quantised by " + method + ", whose packed integers Assay does not compute";
}

std::optional<ForeignQuantization> foreign_quantization(const ModelFile& file) {
  if (file.kind == FileKind::gguf) return std::nullopt;
  std::string_view suffix;
  const auto is_packed = [&](const TensorView& tensor) {
    for (const std::string_view each : {".qweight", ".weight_packed"})
      if (std::string_view(tensor.name).ends_with(each)) return suffix = each, true;
    return false;
  };
  const auto packed = std::find_if(file.tensors.begin(), file.tensors.end(), is_packed);
  if (packed == file.tensors.end()) return std::nullopt;
  const std::string module = packed->name.substr(0, packed->name.size() - suffix.size());
  const Json* config = file.config.find("quantization_config");
  const Json* method = config != nullptr ? config->find("quant_method") : nullptr;
  std::string name = method != nullptr && method->string() != nullptr ? *method->string() : "";
  if (name == "gptq" || name == "awq") std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  // Without a config: GPTQ packs along the inputs and keeps the order of groups, AWQ packs along the outputs.
  if (name.empty()) name = suffix == ".weight_packed" ? "compressed-tensors" : file.find(module + ".g_idx") != nullptr ? "GPTQ" : "GPTQ or AWQ";
  return ForeignQuantization{std::move(name), packed->name};
}

Result<Model> bind_model(const ModelFile& file, Copies copies) {
  if (const auto foreign = foreign_quantization(file))
    return Error{Code::unsupported, foreign->tensor, foreign->message() + "; " + std::string(foreign->kAdvice), file.path.string()};
  ASSAY_TRY(Config config, read_config(file));
  ASSAY_TRY(Model model, Binder(file).bind(std::move(config)));
  if (copies == Copies::made) make_copies(model);
  return model;
}

Error image_refusal(const Model& model) {
  const std::string family(model.config.wrapper != nullptr ? model.config.wrapper->hf_model_type : model.config.arch->name);
  const auto count = std::count_if(model.unused.begin(), model.unused.end(), [&](const TensorView* tensor) { return is_of_image_part(tensor->name, model.config); });
  if (count == 0) return Error{Code::unsupported, "image", fmt::format("{} reads text only: the file has no image encoder", family), model.file->path.string()};
  return Error{Code::unsupported, "image", fmt::format("the image encoder of {} ({} tensors) is not run; give text only", family, count), model.file->path.string()};
}

}  // namespace assay

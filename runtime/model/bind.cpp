// bind_model(): every expected weight found in the file, with its shape, or one error that lists all that is wrong.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
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
    if (auto computable = check_dequantizable(*tensor); !computable) return note(computable.error().code, expected.name, computable.error().detail);
    if (expected.is_transposed) {
      tensor = transposed(*tensor);
      if (tensor == nullptr) return note(Code::unsupported, expected.name, "is held as [inputs][outputs] and quantised, which is not read");
    }
    const WeightRow& row = *expected.parts[0];
    if (row.in_expert != nullptr) return bind_experts(expected, *tensor);
    if (expected.parts[1] != nullptr) return bind_fused(expected, *tensor);
    if (is_norm(expected)) tensor = plus_one(*tensor);
    if (row.in_model != nullptr)
      model_.*row.in_model = tensor;
    else
      model_.layers[expected.layer].*row.in_layer = tensor;
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

  void bind_experts(const ExpectedTensor& expected, const TensorView& tensor) {
    const auto member = expected.parts[0]->in_expert;
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

  // [rows][cols] of a tensor of plain elements that holds [cols][rows]. The whole matrix is copied.
  const TensorView* transposed(const TensorView& tensor) {
    const std::uint64_t element = dtype_of(tensor.format).block_bytes, rows = tensor.shape[1], cols = tensor.shape[0];
    if (dtype_of(tensor.format).block_values != 1 || !tensor.side.scales.empty() || tensor.data.size() != rows * cols * element) return nullptr;
    AlignedBuffer<std::byte>& bytes = model_.made_bytes.emplace_back(tensor.data.size());
    for (std::uint64_t row = 0; row < rows; ++row)
      for (std::uint64_t col = 0; col < cols; ++col) std::memcpy(bytes.data() + (row * cols + col) * element, tensor.data.data() + (col * rows + row) * element, element);
    TensorView& made = *model_.made.emplace_back(std::make_unique<TensorView>(tensor));
    made.shape = {rows, cols};
    made.data = {bytes.data(), bytes.size()};
    return &made;
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

Result<Model> bind_model(const ModelFile& file) {
  if (const auto foreign = foreign_quantization(file))
    return Error{Code::unsupported, foreign->tensor, foreign->message() + "; " + std::string(foreign->kAdvice), file.path.string()};
  ASSAY_TRY(Config config, read_config(file));
  return Binder(file).bind(std::move(config));
}

Error image_refusal(const Model& model) {
  const std::string family(model.config.wrapper != nullptr ? model.config.wrapper->hf_model_type : model.config.arch->name);
  const auto count = std::count_if(model.unused.begin(), model.unused.end(), [&](const TensorView* tensor) { return is_of_image_part(tensor->name, model.config); });
  if (count == 0) return Error{Code::unsupported, "image", fmt::format("{} reads text only: the file has no image encoder", family), model.file->path.string()};
  return Error{Code::unsupported, "image", fmt::format("the image encoder of {} ({} tensors) is not run; give text only", family, count), model.file->path.string()};
}

}  // namespace assay

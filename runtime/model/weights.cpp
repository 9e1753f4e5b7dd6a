// bind_model(): every weight of the table found in the file, with its shape, or one error that lists all that is wrong.
#include "runtime/model/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/quant/dequantize.h"

namespace assay {

std::uint64_t width_of(Width width, const Config& config) {
  switch (width) {
    case Width::none: return 1;
    case Width::embedding: return config.embedding;
    case Width::query: return std::uint64_t{config.heads} * config.head_dim;
    case Width::key_value: return std::uint64_t{config.kv_heads} * config.head_dim;
    case Width::feed_forward: return config.feed_forward;
    case Width::head: return config.head_dim;
    case Width::vocabulary: return config.vocabulary;
    case Width::half_rope: return config.rope.dims / 2;
  }
  return 0;
}

std::string weight_name(std::string_view pattern, std::uint32_t layer) {
  const std::size_t place = pattern.find("{}");
  if (place == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, place), layer, pattern.substr(place + 2));
}

namespace {

constexpr std::size_t kMismatchesTold = 5;

std::string shape_text(const std::vector<std::uint64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, " x ")); }

class Binder {
 public:
  explicit Binder(const ModelFile& file) : file_(file) {}

  Result<Model> bind(Config config) {
    model_.file = &file_;
    model_.config = config;
    model_.layers.resize(config.layers);
    for (const WeightRow& row : kWeights) bind_row(row);
    if (model_.output == nullptr) model_.output = model_.embedding;
    refuse_unknown_biases();
    if (problems_.empty()) return std::move(model_);
    return Error{code_, first_subject_, text(), file_.path.string()};
  }

 private:
  void bind_row(const WeightRow& row) {
    const std::string_view pattern = file_.kind == FileKind::gguf ? row.gguf : row.hf;
    if (pattern.empty()) return;
    if (row.in_model != nullptr) {
      model_.*row.in_model = find(row, std::string(pattern));
      return;
    }
    for (std::uint32_t layer = 0; layer < model_.config.layers; ++layer)
      model_.layers[layer].*row.in_layer = find(row, weight_name(pattern, layer));
  }

  const TensorView* find(const WeightRow& row, const std::string& name) {
    const bool wanted = row.need == Need::required || (row.need == Need::when_qk_norm && model_.config.arch->has_qk_norm);
    const TensorView* tensor = file_.find(name);
    if (tensor == nullptr) {
      if (wanted) note(Code::missing, name, fmt::format("missing ({} has it in every layer)", model_.config.arch->name));
      return nullptr;
    }
    if (row.need == Need::when_qk_norm && !wanted) {
      note(Code::unsupported, name, fmt::format("is not part of {}", model_.config.arch->name));
      return nullptr;
    }
    check_shape(row, *tensor);
    if (auto computable = check_dequantizable(*tensor); !computable) note(computable.error().code, name, computable.error().detail);
    return tensor;
  }

  void check_shape(const WeightRow& row, const TensorView& tensor) {
    std::vector<std::uint64_t> expected;
    if (row.rows != Width::none) expected.push_back(width_of(row.rows, model_.config));
    expected.push_back(width_of(row.cols, model_.config));
    if (tensor.shape != expected) note(Code::shape, tensor.name, fmt::format("file {}, config {}", shape_text(tensor.shape), shape_text(expected)));
  }

  // A bias that the family does not have would silently change every answer.
  void refuse_unknown_biases() {
    for (const TensorView& tensor : file_.tensors) {
      const std::string_view name = tensor.name;
      if (name.ends_with(".bias") && (name.starts_with("blk.") || name.starts_with("model.layers.")))
        note(Code::unsupported, tensor.name, fmt::format("biases are not part of {} as Assay runs it", model_.config.arch->name));
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
  Code code_ = Code::missing;
  std::string first_subject_;
  std::vector<std::string> problems_;
};

}  // namespace

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
  ASSAY_TRY(const Config config, read_config(file));
  return Binder(file).bind(config);
}

}  // namespace assay

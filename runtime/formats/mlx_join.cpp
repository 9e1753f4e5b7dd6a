// MLX affine quantisation: X.weight (U32 words), X.scales and X.biases become one TensorView; config.json says group
// and bits.
#include <algorithm>
#include <array>

#include "runtime/formats/side_scales.h"

namespace assay::opening {

namespace {

constexpr std::string_view kMxfp4 = "mxfp4";

constexpr std::string_view kConvertAgain =
    "weights and config.json do not belong together: download both again, or convert the model again";

struct Settings {
  std::uint64_t group = 64;  // MLX's own defaults
  std::uint64_t bits = 4;
  std::string mode = "affine";
};

std::optional<FormatId> format_of_bits(std::uint64_t bits) {
  switch (bits) {
    case 2:
      return FormatId::MLX_Q2;
    case 3:
      return FormatId::MLX_Q3;
    case 4:
      return FormatId::MLX_Q4;
    case 5:
      return FormatId::MLX_Q5;
    case 6:
      return FormatId::MLX_Q6;
    case 8:
      return FormatId::MLX_Q8;
    default:
      return std::nullopt;
  }
}

Finding config_finding(std::string_view rule, const std::string& subject, std::string message, std::string_view advice,
                       const ModelFile& model) {
  return {.rule = std::string(rule),
          .code = Code::unsupported,
          .file = (model.folder / "config.json").string(),
          .subject = subject,
          .message = std::move(message),
          .advice = std::string(advice)};
}

// `quantization` itself, or the override of one module. Nothing when it is wrong (reported).
std::optional<Settings> read_settings(const Json& json, const std::string& subject, const ModelFile& model,
                                      Reporter& report) {
  Settings settings;
  if (const Json* mode = json.find("mode"); mode != nullptr && mode->string() != nullptr)
    settings.mode = *mode->string();
  if (settings.mode != "affine" && settings.mode != kMxfp4) {
    report.error(
        config_finding("mlx.mode", subject,
                       "the quantisation mode is \"" + printable(settings.mode) + "\"; Assay reads MLX's affine and mxfp4 modes",
                       "download the model with affine quantisation (4bit, 8bit), or as GGUF", model));
    return std::nullopt;
  }
  const auto read = [&](std::string_view key, std::uint64_t& out) {
    const Json* value = json.find(key);
    if (value != nullptr) out = value->unsigned_integer().value_or(0);
  };
  read("group_size", settings.group);
  read("bits", settings.bits);
  const bool is_mxfp4 = settings.mode == kMxfp4 && settings.group == 32 && settings.bits == 4;
  const bool good_group = settings.group == 32 || settings.group == 64 || settings.group == 128;
  if (is_mxfp4 || (settings.mode != kMxfp4 && good_group && format_of_bits(settings.bits))) return settings;
  report.error(config_finding("mlx.config", subject,
                              "group_size " + std::to_string(settings.group) + " with " +
                                  std::to_string(settings.bits) +
                                  " bits: groups are 32, 64 or 128, bits 2, 3, 4, 5, 6 or 8 (mxfp4: 32 and 4)",
                              "download config.json again, or convert the model again", model));
  return std::nullopt;
}

const Json* quantization_of(const Json& config) {
  const Json* quantization = config.find("quantization");
  return quantization != nullptr && quantization->object() != nullptr ? quantization : nullptr;
}

class MlxJoin {
 public:
  MlxJoin(TensorPool& pool, const Json& quantization, Settings global, Reporter& report)
      : pool_(pool), quantization_(quantization), global_(std::move(global)), report_(report) {}

  // Joins the triple of the module that `scales` belong to.
  bool join(const TensorView& scales, std::string_view module) {
    TensorView* weight = pool_.find(std::string(module) + ".weight");
    if (weight == nullptr)
      return pool_.error(report_, "mlx.weight-missing", scales,
                         "there is no " + printable(module) + ".weight for these scales", kConvertAgain);
    if (weight->format != FormatId::U32)
      return pool_.error(
          report_, "mlx.weight-type", *weight,
          "the weight has scales, so it should be packed as U32, but it is " + std::string(name_of(weight->format)),
          kConvertAgain);
    const auto settings = settings_of(module, scales);
    if (!settings) return !report_.stopped();
    if (settings->mode == kMxfp4) return true;  // codes and exponents stay two tensors: see weights.h
    const TensorView* biases = pool_.find(std::string(module) + ".biases");
    if (biases == nullptr)
      return pool_.error(report_, "mlx.biases-missing", scales,
                         "there is no " + printable(module) + ".biases for these scales", kConvertAgain);
    if (!is_float(scales.format) || biases->format != scales.format || biases->shape != scales.shape)
      return pool_.error(report_, "mlx.biases-shape", *biases,
                         "biases are " + std::string(name_of(biases->format)) + " " + shape_text(biases->shape) +
                             ", scales are " + std::string(name_of(scales.format)) + " " + shape_text(scales.shape) +
                             "; both should be the same kind of floats",
                         kConvertAgain);
    return fuse(*weight, scales, *biases, *settings);
  }

 private:
  std::optional<Settings> settings_of(std::string_view module, const TensorView& scales) {
    const Json* own = quantization_.find(module);
    if (own == nullptr || own->boolean().value_or(false)) return global_;
    if (own->object() != nullptr)
      return read_settings(*own, "quantization." + printable(module), pool_.model(), report_);
    pool_.error(report_, "mlx.override", scales, "config.json says this module is not quantised, but it has scales",
                kConvertAgain);
    return std::nullopt;
  }

  bool fuse(TensorView& weight, const TensorView& scales, const TensorView& biases, const Settings& settings) {
    const std::uint64_t words = weight.shape.empty() ? 0 : weight.shape.back();
    const auto word_bits = checked_multiply(words, 32);
    std::vector<std::uint64_t> shape = weight.shape;
    std::vector<std::uint64_t> groups = shape;
    const bool whole = word_bits && *word_bits > 0 && *word_bits % settings.bits == 0 &&
                       *word_bits / settings.bits % settings.group == 0;
    if (whole) {
      shape.back() = *word_bits / settings.bits;
      groups.back() = shape.back() / settings.group;
    }
    if (!whole || groups != scales.shape)
      return pool_.error(report_, "mlx.shape", weight,
                         "weight " + shape_text(weight.shape) + " and scales " + shape_text(scales.shape) +
                             " do not fit group_size " + std::to_string(settings.group) + " and " +
                             std::to_string(settings.bits) + " bits",
                         kConvertAgain);
    weight.format = *format_of_bits(settings.bits);
    weight.shape = std::move(shape);
    weight.side = {scales.format, scales.data, biases.data, static_cast<std::uint32_t>(settings.group), 1};
    pool_.take(scales);
    pool_.take(biases);
    return true;
  }

  TensorPool& pool_;
  const Json& quantization_;
  Settings global_;
  Reporter& report_;
};

// "X" of "X.scales", nothing for other names.
std::optional<std::string> module_of(const TensorView& tensor, std::string_view suffix) {
  if (!tensor.name.ends_with(suffix) || tensor.name.size() == suffix.size()) return std::nullopt;
  return tensor.name.substr(0, tensor.name.size() - suffix.size());
}

// Packed words that nothing explains.
bool check_leftovers(TensorPool& pool, Reporter& report) {
  for (const TensorView& tensor : pool.tensors()) {
    const auto module = tensor.format == FormatId::U32 ? module_of(tensor, ".weight") : std::nullopt;
    if (!module || pool.find(*module + ".scales") != nullptr) continue;
    if (!pool.error(report, "mlx.scales-missing", tensor,
                    "the weight is packed as U32, but there is no " + printable(*module) + ".scales", kConvertAgain))
      return false;
  }
  return true;
}

// Packed weights without `quantization` in config.json stay as they are.
bool warn_unexplained(TensorPool& pool, Reporter& report) {
  for (const TensorView& tensor : pool.tensors()) {
    const auto module = module_of(tensor, ".scales");
    const TensorView* weight = module ? pool.find(*module + ".weight") : nullptr;
    if (weight == nullptr || weight->format != FormatId::U32) continue;
    return pool.warning(report, "mlx.config-missing", *weight,
                        "the weight looks quantised by MLX, but no config.json beside it has `quantization`",
                        "put the model's config.json into the same folder");
  }
  return true;
}

}  // namespace

bool join_mlx(TensorPool& pool, Reporter& report) {
  const Json* quantization = quantization_of(pool.model().config);
  if (quantization == nullptr) return warn_unexplained(pool, report);
  pool.model().is_mlx = true;
  auto global = read_settings(*quantization, "quantization", pool.model(), report);
  if (!global) return false;
  MlxJoin join(pool, *quantization, *global, report);
  for (const TensorView& tensor : pool.tensors())
    if (const auto module = module_of(tensor, ".scales"); module && !join.join(tensor, *module)) return false;
  return check_leftovers(pool, report);
}

}  // namespace assay::opening

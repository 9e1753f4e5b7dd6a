// plan_synth(): the weight table walked in file order, each weight given its format and fill.
#include "runtime/engine/synth_plan.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <numbers>
#include <optional>
#include <utility>

#include "runtime/model/weights.h"

namespace assay {
namespace {

constexpr double kNormDeviation = 0.05;  // norms lie around 1, as trained ones do

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}
std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// Divisors of the rotation frequencies as llama3 scaling has them: 1 for short waves, `factor` for waves longer than
// the original context, a smooth passage between (Llama 3.1's published formula).
std::vector<float> rope_factors(const RopeConfig& rope) {
  std::vector<float> out;
  const double longest = rope.original_context / static_cast<double>(rope.low_frequency_factor);
  const double shortest = rope.original_context / static_cast<double>(rope.high_frequency_factor);
  for (std::uint32_t i = 0; i < rope.dims; i += 2) {
    const double frequency = std::pow(static_cast<double>(rope.base), -static_cast<double>(i) / rope.dims);
    const double wave = 2 * std::numbers::pi / frequency;
    double divisor = rope.factor;
    if (wave < shortest) {
      divisor = 1;
    } else if (wave <= longest) {
      const double smooth = (rope.original_context / wave - rope.low_frequency_factor) /
                            (rope.high_frequency_factor - rope.low_frequency_factor);
      divisor = 1 / ((1 - smooth) / rope.factor + smooth);
    }
    out.push_back(static_cast<float>(divisor));
  }
  return out;
}

class Planner {
 public:
  Planner(const ModelShape& shape, SynthLayout layout) : config_(config_of(shape)), shape_(shape), layout_(layout) {
    if (layout != SynthLayout::gguf) config_.arch = arch_from_hf(shape.hf_model_type);
  }

  Result<SynthPlan> plan(std::string_view quant) {
    ASSAY_TRY_VOID(choose(quant));
    // File order: the embedding, the layers one after another, then what stands behind them.
    weights_ = list_weights(config_, layout_ == SynthLayout::gguf ? Layout::gguf : Layout::hf, nullptr);
    ASSAY_TRY_VOID(add_model_row(&Model::embedding));
    ASSAY_TRY_VOID(add_model_row(&Model::positions));
    for (const ExpectedTensor& tensor : weights_)
      if (tensor.in_layer() && tensor.is_needed) ASSAY_TRY_VOID(add_expected(tensor));
    ASSAY_TRY_VOID(add_model_row(&Model::output_norm));
    ASSAY_TRY_VOID(add_model_row(&Model::output_norm_bias));
    if (!shape_.is_tied) ASSAY_TRY_VOID(add_model_row(&Model::output));
    ASSAY_TRY_VOID(add_model_row(&Model::output_bias));
    if (shape_.scaling == RopeScaling::llama3) ASSAY_TRY_VOID(add_model_row(&Model::rope_factors));
    return std::move(plan_);
  }

 private:
  Result<> choose(std::string_view quant) {
    if (layout_ == SynthLayout::gguf) {
      const auto mix = mix_from_name(quant);
      if (!mix)
        return Error{Code::usage, std::string(quant),
                     fmt::format("not a quantisation for GGUF; known: {}", fmt::join(mix_names(), ", "))};
      plan_.mix = *mix;
      mix_model_ = {.architecture = shape_.architecture,
                    .layers = shape_.layers,
                    .heads = shape_.heads,
                    .kv_heads = shape_.kv_heads,
                    .experts = shape_.experts.count,
                    .is_tied = shape_.is_tied};
      return success();
    }
    if (layout_ == SynthLayout::mlx) {
      plan_.mlx_bits = mlx_bits_of(quant);
      if (plan_.mlx_bits == 0)
        return Error{Code::usage, std::string(quant),
                     "not an MLX quantisation; known: mlx-2bit, mlx-3bit, mlx-4bit, mlx-5bit, mlx-6bit, mlx-8bit"};
      return success();
    }
    const auto format = format_from_name(upper(quant));
    for (FormatId known : {FormatId::F32, FormatId::F16, FormatId::BF16, FormatId::F8_E4M3, FormatId::F8_E5M2})
      if (format == known) {
        plan_.element = known;
        return success();
      }
    return Error{
        Code::usage, std::string(quant),
        "not a format for safetensors; known: F32, F16, BF16, F8_E4M3, F8_E5M2 (or --format mlx with mlx-4bit)"};
  }

  Result<> add_model_row(const TensorView* Model::*member) {
    for (const ExpectedTensor& tensor : weights_)
      if (tensor.parts[0]->in_model == member) return add_expected(tensor);
    return success();
  }

  Result<> add_expected(const ExpectedTensor& tensor) {
    const std::string& name = tensor.name;
    const std::vector<std::uint64_t>& shape = tensor.shape;
    plan_.modules.push_back({.first = plan_.tensors.size()});
    if (tensor.parts[0]->in_model == &Model::rope_factors) {
      add_rope_factors(name);
    } else if (shape.size() == 1) {
      ASSAY_TRY_VOID(add_vector(name, shape));
    } else if (layout_ == SynthLayout::mlx) {
      ASSAY_TRY_VOID(add_mlx(name, shape));
    } else {
      ASSAY_TRY_VOID(add_matrix(name, shape));
    }
    SynthModule& module = plan_.modules.back();
    module.count = plan_.tensors.size() - module.first;
    for (std::size_t i = 0; i < module.count; ++i) module.bytes += plan_.tensors[module.first + i].bytes;
    return success();
  }

  Result<> add_vector(const std::string& name, const std::vector<std::uint64_t>& shape) {
    const bool is_bias = name.ends_with(".bias");
    const bool is_plain = plan_.element == FormatId::F32 || plan_.element == FormatId::F16;
    const FormatId format = layout_ == SynthLayout::gguf ? FormatId::F32 : is_plain ? plan_.element : FormatId::BF16;
    ASSAY_TRY(const std::size_t fill,
              fill_for(format, is_bias ? kBiasFill : kNormFill,
                       [&] { return make_element_fill(format, is_bias ? 0 : 1, kNormDeviation); }));
    add({.name = name, .format = format, .shape = shape, .fill = fill}, next_stream_++);
    return success();
  }

  Result<> add_matrix(const std::string& name, const std::vector<std::uint64_t>& shape) {
    const FormatId format = layout_ == SynthLayout::gguf
                                ? mix_format(plan_.mix, mix_model_, {.name = name, .shape = shape})
                                : plan_.element;
    const std::uint64_t cols = shape.back();
    ASSAY_TRY(const std::size_t fill,
              fill_for(format, cols, [&] { return make_weight_fill(format, deviation(cols)); }));
    add({.name = name, .format = format, .shape = shape, .fill = fill}, next_stream_++);
    return success();
  }

  Result<> add_mlx(const std::string& name, const std::vector<std::uint64_t>& shape) {
    const std::uint64_t rows = shape[0], cols = shape[1];
    if (cols % kMlxGroup != 0)
      return Error{Code::usage, name, fmt::format("rows of {} values do not hold whole groups of {}", cols, kMlxGroup)};
    const FormatId format = *format_from_name(fmt::format("MLX_Q{}", plan_.mlx_bits));
    if (!mlx_fills_.contains(cols)) {
      ASSAY_TRY(MlxFills made, make_mlx_fills(format, FormatId::BF16, deviation(cols)));
      mlx_fills_[cols] = plan_.fills.size();
      for (Fill* fill : {&made.levels, &made.scales, &made.biases}) plan_.fills.push_back(std::move(*fill));
    }
    const std::size_t fill = mlx_fills_[cols];
    const std::string stem = name.substr(0, name.rfind('.'));
    const std::uint64_t scale_stream = next_stream_ + 1;
    add({.name = name, .format = FormatId::U32, .shape = {rows, cols * plan_.mlx_bits / 32}, .fill = fill},
        next_stream_);
    add({.name = stem + ".scales", .format = FormatId::BF16, .shape = {rows, cols / kMlxGroup}, .fill = fill + 1},
        scale_stream);
    add({.name = stem + ".biases", .format = FormatId::BF16, .shape = {rows, cols / kMlxGroup}, .fill = fill + 2},
        scale_stream);
    next_stream_ += 2;
    return success();
  }

  void add_rope_factors(const std::string& name) {
    std::vector<float> factors = rope_factors(config_.rope);
    const std::uint64_t count = factors.size();
    plan_.fills.push_back([factors = std::move(factors)](std::span<std::byte> out, RandomBits&) {
      std::memcpy(out.data(), factors.data(), out.size());
    });
    add({.name = name, .format = FormatId::F32, .shape = {count}, .fill = plan_.fills.size() - 1}, next_stream_++);
  }

  void add(SynthTensor tensor, std::uint64_t stream) {
    const DtypeRow& dtype = dtype_of(tensor.format);
    tensor.bytes = dtype.block_bytes;
    for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i) tensor.bytes *= tensor.shape[i];
    tensor.bytes *= tensor.shape.back() / dtype.block_values;
    tensor.fill_block = dtype.block_bytes;
    tensor.stream = stream;
    plan_.tensors.push_back(std::move(tensor));
  }

  // Random weights whose products keep the size of what they multiply.
  static constexpr std::uint64_t kNormFill = 0, kBiasFill = UINT64_MAX;  // beside numbers of columns
  static double deviation(std::uint64_t cols) { return 1 / std::sqrt(static_cast<double>(cols)); }

  template <class Make>
  Result<std::size_t> fill_for(FormatId format, std::uint64_t cols, Make make) {
    const auto key = std::pair(format, cols);
    if (const auto found = made_.find(key); found != made_.end()) return found->second;
    ASSAY_TRY(Fill fill, make());
    plan_.fills.push_back(std::move(fill));
    made_[key] = plan_.fills.size() - 1;
    return plan_.fills.size() - 1;
  }

  Config config_;
  const ModelShape& shape_;
  SynthLayout layout_;
  MixModel mix_model_;
  SynthPlan plan_;
  std::vector<ExpectedTensor> weights_;
  std::map<std::pair<FormatId, std::uint64_t>, std::size_t> made_;
  std::map<std::uint64_t, std::size_t> mlx_fills_;
  std::uint64_t next_stream_ = 0;
};

}  // namespace

std::uint64_t SynthPlan::bytes() const {
  std::uint64_t sum = 0;
  for (const SynthTensor& tensor : tensors) sum += tensor.bytes;
  return sum;
}

std::uint32_t mlx_bits_of(std::string_view quant) {
  const std::string name = lower(quant);
  for (std::uint32_t bits : {2u, 3u, 4u, 5u, 6u, 8u})
    for (const std::string& known :
         {fmt::format("mlx-{}bit", bits), fmt::format("mlx_q{}", bits), fmt::format("{}bit", bits)})
      if (name == known) return bits;
  return 0;
}

Result<SynthPlan> plan_synth(const ModelShape& shape, std::string_view quant, SynthLayout layout) {
  return Planner(shape, layout).plan(quant);
}

}  // namespace assay

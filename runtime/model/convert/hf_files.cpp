// config.json and plain file work of a folder result.
#include "runtime/model/convert/hf_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include "runtime/core/mapped_file.h"
#include "runtime/quant/dequantize.h"

namespace assay::convert {
namespace {

std::uint64_t bits_of(FormatId format) { return dtype_of(format).block_bytes / 4; }

std::string_view torch_name(FormatId format) {
  if (format == FormatId::F32) return "float32";
  return format == FormatId::F16 ? "float16" : "bfloat16";
}

// Numbers print as the shortest text that reads back as the same float.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

// rope_freqs.weight says what llama3 scaling did, not its parameters: they are looked for among the published ones.
Result<Json> llama3_scaling(const Config& config, const TensorView& factors) {
  std::vector<float> values(factors.count());
  ASSAY_TRY_VOID(check_dequantizable(factors));
  dequantize_row(factors, 0, values);
  RopeConfig rope = config.rope;
  rope.dims = static_cast<std::uint32_t>(2 * values.size());
  rope.factor = values.empty() ? 1.0f : *std::ranges::max_element(values);
  rope.low_frequency_factor = 1;
  rope.high_frequency_factor = 4;
  for (std::uint32_t context = 64; context <= 1u << 20; context *= 2) {
    rope.original_context = context;
    const std::vector<float> made = llama3_factors(rope);
    const bool fits = std::ranges::equal(made, values, [](float a, float b) { return std::fabs(a - b) <= 1e-4f * std::fabs(b); });
    if (!fits) continue;
    Json scaling;
    scaling.set("rope_type", "llama3").set("factor", shortest(rope.factor)).set("low_freq_factor", 1.0).set("high_freq_factor", 4.0);
    scaling.set("original_max_position_embeddings", std::uint64_t{context});
    return scaling;
  }
  return Error{Code::unsupported, factors.name, "its factors are not llama3 scaling as config.json can say it; convert to GGUF instead"};
}

Result<Json> rope_scaling(const ModelFile& in, const Config& config) {
  if (const TensorView* factors = in.find("rope_freqs.weight")) return llama3_scaling(config, *factors);
  const RopeConfig& rope = config.rope;
  Json scaling;
  if (rope.scaling == RopeScaling::linear) scaling.set("rope_type", "linear").set("factor", shortest(rope.factor));
  if (rope.scaling == RopeScaling::yarn) {
    scaling.set("rope_type", "yarn").set("factor", shortest(rope.factor));
    scaling.set("original_max_position_embeddings", std::uint64_t{rope.original_context});
    if (rope.attention_factor != 1.0f)
      scaling.set("attention_factor", shortest(rope.attention_factor * (1.0f + 0.1f * std::log(rope.factor))));
  }
  return scaling;
}

void set_token_id(Json& json, std::string_view name, const Metadata& metadata, std::string_view key) {
  if (const auto id = metadata.unsigned_integer(key)) json.set(name, *id);
}

Result<Json> config_from_gguf(const ModelFile& in, const Config& config) {
  const bool is_qwen3 = config.arch->hf_model_type == "qwen3";
  Json json;
  json.set("architectures", Json(Json::Array{Json(is_qwen3 ? "Qwen3ForCausalLM" : "LlamaForCausalLM")}));
  json.set("model_type", is_qwen3 ? "qwen3" : "llama");
  json.set("attention_bias", false).set("attention_dropout", 0.0);
  set_token_id(json, "bos_token_id", in.metadata, "tokenizer.ggml.bos_token_id");
  set_token_id(json, "eos_token_id", in.metadata, "tokenizer.ggml.eos_token_id");
  json.set("head_dim", std::uint64_t{config.head_dim}).set("hidden_act", "silu");
  json.set("hidden_size", std::uint64_t{config.embedding}).set("intermediate_size", std::uint64_t{config.feed_forward});
  json.set("max_position_embeddings", std::uint64_t{config.context});
  if (!is_qwen3) json.set("mlp_bias", false);
  json.set("num_attention_heads", std::uint64_t{config.heads}).set("num_hidden_layers", std::uint64_t{config.layers});
  json.set("num_key_value_heads", std::uint64_t{config.kv_heads}).set("rms_norm_eps", shortest(config.norm_epsilon));
  ASSAY_TRY(Json scaling, rope_scaling(in, config));
  json.set("rope_scaling", std::move(scaling)).set("rope_theta", shortest(config.rope.base));
  json.set("tie_word_embeddings", in.find("output.weight") == nullptr);
  json.set("use_cache", true).set("vocab_size", std::uint64_t{config.vocabulary});
  return json;
}

// The members of `json` but those that tell the old precision.
Json without_precision(const Json& json) {
  constexpr std::array<std::string_view, 4> kOld = {"quantization", "quantization_config", "torch_dtype", "dtype"};
  Json out(Json::Object{});
  for (const auto& [key, value] : *json.object())
    if (std::ranges::find(kOld, key) == kOld.end()) out.set(key, value);
  return out;
}

Json mlx_quantization(const ConvertOptions& options, const Plan& plan) {
  Json json;
  json.set("group_size", std::uint64_t{options.group}).set("bits", bits_of(options.format));
  for (const Step& step : plan.steps) {
    if (step.shape.size() < 2 || step.format == options.format) continue;
    const std::string module = step.name.substr(0, step.name.size() - std::string_view(".weight").size());
    if (!name_of(step.format).starts_with("MLX_")) {
      json.set(module, false);
      continue;
    }
    Json own;
    own.set("group_size", std::uint64_t{options.group}).set("bits", bits_of(step.format));
    json.set(module, std::move(own));
  }
  return json;
}

}  // namespace

Result<std::optional<Json>> read_json_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::optional<Json>();
  ASSAY_TRY(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  auto json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (json) return std::optional<Json>(std::move(*json));
  Error error = std::move(json).error();
  error.file = path.string();
  return error;
}

Result<> write_text_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path partial = path.string() + ".partial";
  {
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) return Error{Code::io, "", "cannot write the file", partial.string()};
  }
  std::error_code failure;
  std::filesystem::rename(partial, path, failure);
  if (failure) return Error{Code::io, "", "cannot rename: " + failure.message(), partial.string()};
  return success();
}

Result<Json> make_config_json(const ModelFile& in, const Config& config, const ConvertOptions& options, const Plan& plan) {
  Json json;
  if (in.config.is_object()) {
    json = without_precision(in.config);
  } else {
    ASSAY_TRY(json, config_from_gguf(in, config));
  }
  const bool is_element = options.format == FormatId::F32 || options.format == FormatId::F16 || options.format == FormatId::BF16;
  json.set("torch_dtype", torch_name(is_element ? options.format : FormatId::BF16));
  if (options.kind == ConvertKind::mlx && !is_element) {
    json.set("quantization", mlx_quantization(options, plan));
    json.set("quantization_config", mlx_quantization(options, plan));
  }
  if (options.format == FormatId::F8_E4M3 || options.format == FormatId::F8_E5M2) {
    Json own;
    own.set("quant_method", "fp8").set("fmt", options.format == FormatId::F8_E4M3 ? "e4m3" : "e5m2").set("activation_scheme", "dynamic");
    own.set("weight_block_size", Json(Json::Array{Json(128), Json(128)}));
    json.set("quantization_config", std::move(own));
  }
  if (options.format == FormatId::NF4 || options.format == FormatId::FP4) {
    Json own;
    own.set("quant_method", "bitsandbytes").set("load_in_4bit", true).set("load_in_8bit", false);
    own.set("bnb_4bit_quant_type", options.format == FormatId::NF4 ? "nf4" : "fp4").set("bnb_4bit_use_double_quant", false);
    own.set("bnb_4bit_compute_dtype", "bfloat16");
    json.set("quantization_config", std::move(own));
  }
  return json;
}

}  // namespace assay::convert

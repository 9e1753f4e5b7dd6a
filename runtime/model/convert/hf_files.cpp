// config.json and plain file work of a folder result.
#include "runtime/model/convert/hf_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "runtime/core/mapped_file.h"

namespace assay::convert {
namespace {

std::uint64_t bits_of(FormatId format) { return dtype_of(format).block_bytes / 4; }

std::string_view torch_name(FormatId format) {
  if (format == FormatId::F32) return "float32";
  return format == FormatId::F16 ? "float16" : "bfloat16";
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
    ASSAY_TRY(json, config_json(in, config));
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

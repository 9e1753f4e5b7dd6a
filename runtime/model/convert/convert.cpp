// The conversion itself: plan, declare everything to the writer, then stream.
#include "runtime/model/convert.h"

#include <fmt/format.h>

#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/safetensors_writer.h"
#include "runtime/model/convert/gguf_keys.h"
#include "runtime/model/convert/hf_files.h"
#include "runtime/model/convert/plan.h"
#include "runtime/model/convert/stream.h"
#include "runtime/quant/nf4.h"

namespace assay {
namespace {

using namespace convert;

std::uint64_t total_values(const Plan& plan) {
  std::uint64_t total = 0;
  for (const Step& step : plan.steps) {
    std::uint64_t count = 1;
    for (const std::uint64_t extent : step.shape) count *= extent;
    total += count;
  }
  return total;
}

Result<ConvertReport> write_gguf(const ModelFile& in, const std::filesystem::path& out, const ConvertOptions& options, ProgressFn progress) {
  ASSAY_TRY(const Plan plan, plan_gguf(in, options));
  ConvertReport report;
  report.notes = plan.notes;
  GgufWriter writer;
  if (in.kind == FileKind::gguf) {
    copy_gguf_keys(in, options, writer);
  } else {
    ASSAY_TRY(const Config config, read_config(in));
    ASSAY_TRY_VOID(set_model_keys(in, config, options, writer));
    ASSAY_TRY_VOID(set_tokenizer_keys(in, config, writer, report.notes));
  }
  for (const Step& step : plan.steps) ASSAY_TRY_VOID(writer.add_tensor(step.name, step.format, step.shape));
  ASSAY_TRY_VOID(writer.begin(out));
  Streamer streamer(in, options, progress, total_values(plan));
  for (const Step& step : plan.steps) {
    ASSAY_TRY([[maybe_unused]] const SideBytes side, streamer.stream(step, [&](Bytes bytes) { return writer.write(bytes); }, report));
  }
  ASSAY_TRY_VOID(writer.finish());
  return report;
}

std::uint64_t mlx_words(FormatId format, std::uint64_t cols) { return cols / 32 * dtype_of(format).block_bytes / 4; }

bool is_mlx(FormatId format) { return name_of(format).starts_with("MLX_"); }

// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.weight"
std::string module_of(std::string_view weight) { return std::string(weight.substr(0, weight.size() - std::string_view(".weight").size())); }

// The layout of bitsandbytes: packed codes, absmax, the code table, and a JSON text about them.
bool is_four_bit(FormatId format) { return format == FormatId::NF4 || format == FormatId::FP4; }

std::string four_bit_state(const Step& step, const SideChoice& side) {
  Json json;
  json.set("quant_type", step.format == FormatId::NF4 ? "nf4" : "fp4").set("blocksize", std::uint64_t{side.group}).set("dtype", "bfloat16");
  json.set("shape", Json(Json::Array{Json(step.shape.front()), Json(step.shape.back())}));
  return to_text(json);
}

Result<> declare_four_bit(SafetensorsWriter& writer, const Step& step, const SideChoice& side) {
  const std::uint64_t count = step.shape.front() * step.shape.back();
  const std::string type = step.format == FormatId::NF4 ? "nf4" : "fp4";
  ASSAY_TRY_VOID(writer.add_tensor(step.name, FormatId::U8, {count / 2, 1}));
  ASSAY_TRY_VOID(writer.add_tensor(step.name + ".absmax", FormatId::F32, {(count + side.group - 1) / side.group}));
  ASSAY_TRY_VOID(writer.add_tensor(step.name + ".quant_map", FormatId::F32, {NF4::kValues.size()}));
  return writer.add_tensor(step.name + ".quant_state.bitsandbytes__" + type, FormatId::U8, {four_bit_state(step, side).size()});
}

Result<> write_four_bit_facts(SafetensorsWriter& writer, const Step& step, const SideChoice& side) {
  const std::string state = four_bit_state(step, side);
  ASSAY_TRY_VOID(writer.write(std::as_bytes(std::span(step.format == FormatId::NF4 ? NF4::kValues : FP4::kValues))));
  return writer.write(std::as_bytes(std::span(state)));
}

// The tensors one step becomes, in the order they are written.
Result<> declare(SafetensorsWriter& writer, const Step& step, const ConvertOptions& options) {
  if (!has_side_scales(step.format)) return writer.add_tensor(step.name, step.format, step.shape);
  const SideChoice side = side_choice(step.format, options);
  const std::uint64_t rows = step.shape.front(), cols = step.shape.back();
  if (is_mlx(step.format)) {
    std::vector<std::uint64_t> words = step.shape, groups = step.shape;
    words.back() = mlx_words(step.format, cols);
    groups.back() = cols / side.group;
    ASSAY_TRY_VOID(writer.add_tensor(step.name, FormatId::U32, words));
    ASSAY_TRY_VOID(writer.add_tensor(module_of(step.name) + ".scales", side.scale_format, groups));
    return writer.add_tensor(module_of(step.name) + ".biases", side.scale_format, groups);
  }
  if (step.shape.size() != 2) return Error{Code::unsupported, step.name, fmt::format("{} of stacked experts is not written; take an element type, MLX or GGUF", name_of(step.format))};
  if (is_four_bit(step.format)) return declare_four_bit(writer, step, side);
  ASSAY_TRY_VOID(writer.add_tensor(step.name, step.format, step.shape));
  const auto blocks = [](std::uint64_t count, std::uint64_t size) { return (count + size - 1) / size; };
  return writer.add_tensor(step.name + "_scale_inv", side.scale_format, {blocks(rows, side.group_rows), blocks(cols, side.group)});
}

Result<ConvertReport> write_folder(const ModelFile& in, const std::filesystem::path& out, const ConvertOptions& options, ProgressFn progress) {
  ASSAY_TRY(const Config source, read_config(in));
  ASSAY_TRY(const Config config, folder_config(in, source));
  ASSAY_TRY(const Plan plan, plan_folder(in, config, options));
  ASSAY_TRY(const Json document, make_config_json(in, config, options, plan));
  ConvertReport report;
  report.notes = plan.notes;
  std::error_code failure;
  std::filesystem::create_directories(out, failure);
  if (failure) return Error{Code::io, "", "cannot make the folder: " + failure.message(), out.string()};

  SafetensorsWriter writer;
  writer.set_metadata("format", options.kind == ConvertKind::mlx ? "mlx" : "pt");
  for (const Step& step : plan.steps) ASSAY_TRY_VOID(declare(writer, step, options));
  ASSAY_TRY_VOID(writer.begin(out / "model.safetensors"));
  Streamer streamer(in, options, progress, total_values(plan));
  for (const Step& step : plan.steps) {
    ASSAY_TRY(const SideBytes side, streamer.stream(step, [&](Bytes bytes) { return writer.write(bytes); }, report));
    if (!side.scales.empty()) ASSAY_TRY_VOID(writer.write(side.scales));
    if (!side.biases.empty()) ASSAY_TRY_VOID(writer.write(side.biases));
    if (is_four_bit(step.format)) ASSAY_TRY_VOID(write_four_bit_facts(writer, step, side_choice(step.format, options)));
  }
  // The small files go first, so that a folder with weights is whole.
  ASSAY_TRY_VOID(write_text_file(out / "config.json", to_text(document, 2) + "\n"));
  ASSAY_TRY_VOID(write_tokenizer_files(in, out, report.notes));
  ASSAY_TRY_VOID(writer.finish());
  return report;
}

}  // namespace

Result<ConvertReport> convert_model(const ModelFile& in, const std::filesystem::path& out, const ConvertOptions& options, ProgressFn progress) {
  return options.kind == ConvertKind::gguf ? write_gguf(in, out, options, progress) : write_folder(in, out, options, progress);
}

}  // namespace assay

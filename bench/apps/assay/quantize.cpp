// assay quantize: any openable model into another weight format.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/core/json.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/convert.h"
#include "runtime/quant/encode.h"

namespace assay {
namespace {

struct Arguments {
  std::string in, out, type, format;
  std::vector<std::string> overrides;
  std::uint32_t group = 64;
  int threads = 0;
  bool pure = false, force = false, json = false, error = false;
  ProgressChoice progress;
};

constexpr const char* kFooter = R"(Types for GGUF: the mixes and plain formats of llama-quantize (a wrong name lists them). A mix gives sensitive matrices more bits, as
llama-quantize does; --pure gives every matrix the same. Vectors (norms) stay as they are.
Types for --format safetensors: F32 F16 BF16 F8_E4M3 F8_E5M2 NF4 FP4. Types for --format mlx: Q2 Q3 Q4 Q5 Q6 Q8 (or MLX_Q4 ...).

Examples:
  assay quantize model-F16.gguf model-Q4_K_M.gguf --type Q4_K_M
  assay quantize folder/ model-BF16.gguf --type BF16
  assay quantize folder/ mlx-folder/ --format mlx --type Q4 --group 64
  assay quantize model.gguf small.gguf --type Q4_0 --tensor-type 'blk.*.ffn_down.weight=Q6_K' --error)";

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

Error usage(std::string subject, std::string detail) { return {Code::usage, std::move(subject), std::move(detail)}; }

Result<ConvertKind> kind_of(const Arguments& arguments) {
  if (arguments.format == "gguf") return ConvertKind::gguf;
  if (arguments.format == "safetensors") return ConvertKind::safetensors;
  if (arguments.format == "mlx") return ConvertKind::mlx;
  const std::filesystem::path out(arguments.out);
  if (out.extension() == ".gguf") return ConvertKind::gguf;
  return usage("OUT", "the name does not end in .gguf; add --format safetensors or --format mlx for a folder");
}

// The names a kind of file takes, for messages.
std::string type_names(ConvertKind kind) {
  if (kind == ConvertKind::gguf) return fmt::format("{}", fmt::join(mix_names(), ", "));
  return kind == ConvertKind::mlx ? "Q2, Q3, Q4, Q5, Q6, Q8, BF16, F16, F32" : "F32, F16, BF16, F8_E4M3, F8_E5M2, NF4, FP4";
}

Result<> choose_type(const Arguments& arguments, ConvertOptions& options) {
  const std::string name = upper(arguments.type);
  const auto unknown = [&](std::string_view why) { return usage("--type " + arguments.type, fmt::format("{}; known: {}", why, type_names(options.kind))); };
  if (options.kind == ConvertKind::gguf) {
    const auto mix = mix_from_name(name, arguments.pure);
    if (mix) {
      options.mix = *mix;
      return success();
    }
    const bool is_format = format_from_name(name).has_value();
    return unknown(is_format ? "Assay reads this format but does not write it into GGUF" : "no such type");
  }
  const auto mlx = format_from_name("MLX_" + name);
  const auto format = options.kind == ConvertKind::mlx && mlx ? mlx : format_from_name(name);
  if (!format) return unknown("no such type");
  const bool is_mlx = name_of(*format).starts_with("MLX_");
  const bool is_element = *format == FormatId::F32 || *format == FormatId::F16 || *format == FormatId::BF16;
  const bool fits = is_element || (has_side_scales(*format) && is_mlx == (options.kind == ConvertKind::mlx));
  if (!fits) return unknown("not a type for this kind of folder");
  options.format = *format;
  return success();
}

Result<> choose_overrides(const Arguments& arguments, ConvertOptions& options) {
  for (const std::string& text : arguments.overrides) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) return usage("--tensor-type " + text, "expected NAME=TYPE, for example blk.*.attn_v.weight=Q6_K");
    const std::string name = upper(text.substr(equals + 1));
    auto format = format_from_name(name);
    if (options.kind == ConvertKind::mlx && format_from_name("MLX_" + name)) format = format_from_name("MLX_" + name);
    if (!format || !has_encoder(*format)) return usage("--tensor-type " + text, fmt::format("'{}' is no format Assay writes; mixes cannot stand here", name));
    options.overrides.push_back({text.substr(0, equals), *format});
  }
  return success();
}

// Refuses to write over the input, and over anything else without --force.
Result<> check_paths(const Arguments& arguments, const ModelFile& in, ConvertKind kind) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path out(arguments.out);
  for (const MappedFile& file : in.files) {
    const fs::path target = kind == ConvertKind::gguf ? out : out / "model.safetensors";
    const bool same_folder = kind != ConvertKind::gguf && fs::equivalent(out, file.path().parent_path(), ignored);
    if (fs::equivalent(target, file.path(), ignored) || same_folder) return usage("OUT", "is where the input lies; choose another place");
  }
  if (kind == ConvertKind::gguf && fs::is_directory(out, ignored)) return usage("OUT", "is a folder; a GGUF file was expected");
  if (kind != ConvertKind::gguf && fs::exists(out, ignored) && !fs::is_directory(out, ignored)) return usage("OUT", "is a file; a folder was expected");
  const bool is_empty = fs::is_directory(out, ignored) && fs::is_empty(out, ignored);
  if (fs::exists(out, ignored) && !is_empty && !arguments.force) return usage(arguments.out, "exists already; add --force to write over it");
  return success();
}

double rmse(const ConvertedFormat& format) { return format.values == 0 ? 0 : std::sqrt(format.squared_error / static_cast<double>(format.values)); }

void print_json(const Arguments& arguments, const ConvertReport& report) {
  Json formats(Json::Array{}), notes(Json::Array{}), json;
  for (const ConvertedFormat& format : report.formats) {
    Json row;
    row.set("type", name_of(format.format)).set("tensors", format.tensors).set("values", format.values).set("bytes", format.bytes);
    if (arguments.error) row.set("rmse", rmse(format));
    if (arguments.error && format.squared_value > 0) row.set("relative_error", std::sqrt(format.squared_error / format.squared_value));
    formats.push(std::move(row));
  }
  for (const std::string& note : report.notes) notes.push(note);
  json.set("schema", "assay.quantize/1").set("input", arguments.in).set("output", arguments.out).set("type", upper(arguments.type));
  json.set("values", report.values).set("bytes", report.bytes).set("bits_per_weight", report.bits_per_weight());
  json.set("formats", std::move(formats)).set("notes", std::move(notes));
  fmt::print("{}\n", to_text(json, 2));
}

void print_table(const Arguments& arguments, const ConvertReport& report) {
  fmt::print("{}: {}, {:.3f} bits per weight\n", arguments.out, format_bytes(report.bytes), report.bits_per_weight());
  fmt::print("{:<8} {:>8} {:>14} {:>10}{}\n", "type", "tensors", "values", "size", arguments.error ? "        rmse  relative" : "");
  for (const ConvertedFormat& format : report.formats) {
    fmt::print("{:<8} {:>8} {:>14} {:>10}", name_of(format.format), format.tensors, format.values, format_bytes(format.bytes));
    const double relative = format.squared_value > 0 ? std::sqrt(format.squared_error / format.squared_value) : 0;
    if (arguments.error) fmt::print("  {:>10.4g}  {:>7.3f}%", rmse(format), 100 * relative);
    fmt::print("\n");
  }
}

Result<> run(const Arguments& arguments) {
  ConvertOptions options;
  options.group = arguments.group;
  options.threads = arguments.threads;
  options.measure_error = arguments.error;
  ASSAY_TRY(options.kind, kind_of(arguments));
  ASSAY_TRY_VOID(choose_type(arguments, options));
  ASSAY_TRY_VOID(choose_overrides(arguments, options));
  ASSAY_TRY(const std::string path, find_model(arguments.in));
  ASSAY_TRY(const ModelFile in, open_model(path));
  ASSAY_TRY_VOID(check_paths(arguments, in, options.kind));
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto progress = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  const auto report = convert_model(in, arguments.out, options, progress);
  printer.clear();
  if (!report) return report.error();
  if (!arguments.progress.quiet)
    for (const std::string& note : report->notes) fmt::print(stderr, "assay: note: {}\n", terminal_safe(note));
  if (arguments.json) print_json(arguments, *report);
  else print_table(arguments, *report);
  return success();
}

}  // namespace

void add_quantize(Command app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  const Command command = app.add_command("quantize", "Convert a model into another weight format, GGUF, safetensors or MLX");
  command.footer(kFooter);
  command.add_option("IN", arguments->in, "A .gguf file, .safetensors file or index, a model folder, a catalogue id or ORG/REPO[:QUANT]").required();
  command.add_option("OUT", arguments->out, "The .gguf file to write, or a folder with --format safetensors or mlx").required();
  command.add_option("-t,--type", arguments->type, "Weight format or mix, such as Q4_K_M, Q8_0, F16, BF16").required();
  command.add_option("--format", arguments->format, "gguf (default where OUT ends so), safetensors, mlx").one_of({"gguf", "safetensors", "mlx"});
  command.add_flag("--pure", arguments->pure, "Every matrix in the same format, no mix");
  command.add_option("--tensor-type", arguments->overrides, "NAME=TYPE: another format for matrices of that GGUF name; * stands for anything");
  command.add_option("--group", arguments->group, "MLX: values per scale").one_of({32, 64, 128}).shows_default();
  command.add_option("--threads", arguments->threads, "Threads, 0 for all").between(0, 4096).shows_default();
  command.add_flag("--error", arguments->error, "Measure what each format loses: root of the mean squared error");
  command.add_flag("--force", arguments->force, "Write over an existing OUT");
  command.add_flag("--json", arguments->json, "Print the summary as JSON");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] {
    const auto result = run(*arguments);
    exit_code = result ? kExitYes : report_error(result.error());
  });
}

}  // namespace assay

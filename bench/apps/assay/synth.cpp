// assay synth: a model file of a real shape with random weights.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "runtime/core/json.h"
#include "runtime/core/parallel.h"
#include "runtime/engine/synth.h"

namespace assay {
namespace {

struct SynthArguments {
  std::string spec, out, layout = "auto";
  std::uint32_t shards = 1;
  std::uint64_t seed = 1;
  int threads = 0;
  bool force = false, json = false, list = false;
  ProgressChoice progress;
};

constexpr const char* kFooter =
    R"(The weights are random: the model runs at its real speed and memory, and writes nonsense.

Examples:
  assay synth llama-3.2-1b:Q4_K_M llama.gguf
  assay synth qwen3-0.6b:Q8_0 qwen.gguf --shards 3      qwen-00001-of-00003.gguf ...
  assay synth tinyllama-1.1b:mlx-4bit folder/           an MLX folder with config.json and tokenizer.json
  assay synth smollm-135m:BF16 folder/ --format safetensors --shards 2
  assay synth --list                                    all shapes and their parameters

QUANT is F32, F16, BF16, Q4_0 ... Q8_0, Q2_K ... Q6_K, IQ types or a mix such as Q4_K_M; for safetensors F32, F16, BF16,
F8_E4M3, F8_E5M2; for mlx mlx-2bit to mlx-8bit. Without one: Q4_K_M.)";

int list_shapes(bool as_json) {
  Json shapes = Json::Array{};
  for (const ModelShape& shape : model_shapes()) {
    if (!as_json) {
      fmt::print("{:<16} {:>6.2f} B  {:>2} layers, width {:>4}, {}/{} heads of {}, vocabulary {}\n", shape.name,
                 static_cast<double>(parameter_count(shape)) / 1e9, shape.layers, shape.embedding, shape.heads,
                 shape.kv_heads, shape.head_dim, shape.vocabulary);
      continue;
    }
    Json row;
    row.set("name", shape.name).set("architecture", shape.architecture).set("parameters", parameter_count(shape));
    row.set("layers", std::uint64_t{shape.layers})
        .set("embedding", std::uint64_t{shape.embedding})
        .set("feed_forward", std::uint64_t{shape.feed_forward});
    row.set("heads", std::uint64_t{shape.heads})
        .set("kv_heads", std::uint64_t{shape.kv_heads})
        .set("head_dim", std::uint64_t{shape.head_dim});
    shapes.push(row.set("vocabulary", std::uint64_t{shape.vocabulary}).set("context", std::uint64_t{shape.context}));
  }
  Json document;
  document.set("schema", "assay.shapes.v1").set("shapes", std::move(shapes));
  if (as_json) fmt::print("{}\n", to_text(document, 2));
  return kExitYes;
}

void print_summary(const SynthSummary& summary, const SynthSpec& spec, bool as_json) {
  if (!as_json) {
    for (const auto& file : summary.files) fmt::print("{}\n", terminal_safe(file.string()));
    fmt::print("{}: {} parameters in {} tensors, {}, {:.2f} bits per weight\n", spec.shape->name, summary.parameters,
               summary.tensors, format_bytes(summary.weight_bytes), summary.bits_per_weight);
    return;
  }
  Json files = Json::Array{}, out;
  for (const auto& file : summary.files) files.push(file.string());
  out.set("schema", "assay.synth.v1")
      .set("shape", spec.shape->name)
      .set("quant", spec.quant)
      .set("files", std::move(files));
  out.set("parameters", summary.parameters).set("tensors", summary.tensors).set("weight_bytes", summary.weight_bytes);
  fmt::print("{}\n", to_text(out.set("bits_per_weight", summary.bits_per_weight), 2));
}

SynthLayout chosen_layout(const SynthArguments& arguments, const std::string& quant) {
  if (arguments.layout == "gguf") return SynthLayout::gguf;
  if (arguments.layout == "safetensors") return SynthLayout::safetensors;
  if (arguments.layout == "mlx") return SynthLayout::mlx;
  return layout_for(quant);
}

int run_synth(const SynthArguments& arguments) {
  if (arguments.list) return list_shapes(arguments.json);
  if (arguments.spec.empty() || arguments.out.empty())
    return report_error({Code::usage, "synth", "needs SHAPE:QUANT and OUT; assay synth --list shows the shapes"});
  const auto spec = parse_synth_spec(arguments.spec);
  if (!spec) return report_error(spec.error());

  const SynthOptions options{.layout = chosen_layout(arguments, spec->quant),
                             .shards = arguments.shards,
                             .seed = arguments.seed,
                             .replaces_files = arguments.force,
                             .threads = arguments.threads > 0 ? arguments.threads : std::min(available_threads(), 4)};
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  const auto show = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  const auto summary = synthesize(*spec->shape, spec->quant, options, arguments.out, show);
  printer.clear();
  if (!summary) return report_error(summary.error());
  print_summary(*summary, *spec, arguments.json);
  return kExitYes;
}

}  // namespace

void add_synth(Command app, int& exit_code) {
  const Command command =
      app.add_command("synth", "Write a model of a real shape with random weights, to measure speed with");
  const auto arguments = std::make_shared<SynthArguments>();
  command.footer(kFooter);
  command.add_option("spec", arguments->spec, "SHAPE:QUANT, for instance llama-3.2-1b:Q4_K_M");
  command.add_option("out", arguments->out, "The .gguf file, or the folder for safetensors and mlx");
  command.add_option("--format", arguments->layout, "gguf, safetensors or mlx; auto goes by QUANT")
      .one_of({"auto", "gguf", "safetensors", "mlx"})
      .shows_default();
  command.add_option("--shards", arguments->shards, "Split the weights into so many files")
      .between(1, 9999)
      .shows_default();
  command.add_option("--seed", arguments->seed, "Equal seeds give equal files").shows_default();
  command.add_option("-t,--threads", arguments->threads, "Threads that make random blocks; 0 chooses")
      .between(0, 1024)
      .shows_default();
  command.add_flag("-f,--force", arguments->force, "Replace existing files");
  command.add_flag("--list", arguments->list, "Show the known shapes");
  command.add_flag("--json", arguments->json, "Print the summary as JSON");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] { exit_code = run_synth(*arguments); });
}

}  // namespace assay

// assay prepare: an assay.yaml file carried out, from its configuration to a model that answers.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/hub_options.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/pull_display.h"
#include "runtime/core/mapped_file.h"
#include "runtime/registry/prepare.h"

namespace assay {
namespace {

struct PrepareArguments {
  std::string file = "assay.yaml", temp;
  HubArguments hub;
  bool force = false, json = false, example = false;
  ProgressChoice progress;
};

constexpr const char* kExample = R"(# Everything but the model may be left out. Sizes are 4GB, 512MiB or bytes.
model: qwen-3-0.6b            # path, catalogue id, ORG/REPO[:QUANT]; or instead:
# repository: ORG/REPO
# revision: main              # branch, tag or commit
# files: ["*.gguf"]           # globs; default: the files that make the model
hardware:                     # what the machine must have
  memory: 2GB
  free_memory: 1GB
  disk: 1GB
  temp: 100MB
  threads: 2
  gpu: none                   # none, recommended, required
  network: false              # the hub must answer even when all files are here
load:
  context: 4096
  batch: 512
  kv: f16                     # f32, f16, q8_0
  threads: 0                  # 0: the fastest of a few, measured
  backend: cpu
  # quantization: Q8_0        # of the repository's files
fallbacks:                    # in turn, each instead of the settings of load, when there is not enough memory or space
  - {context: 2048}
  - {context: 1024, kv: q8_0}
  - {model: smollm-135m-instruct-mlx}
sampling: {temperature: 0.7, top_k: 40, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.1, repetition_window: 64, seed: 1}
bounds:                       # what the loaded model may use at most
  memory: 3GB
  device_memory: 0
health: {prompt: "Once upon a time", tokens: 16, decode_tps: 1}
)";

constexpr const char* kFooter =
    R"(Steps: config, hardware (memory, disk, threads, GPU, temporary folder, network), pull, verify, load, optimise (the number of threads),
health (a text is generated). Each has a result; the first that fails is the last, unless a fallback may help: then the
steps begin again with it. Every key that is wrong is told, with line and column.

Examples:
  assay prepare --example > assay.yaml
  assay prepare assay.yaml
  assay prepare assay.yaml --json | jq '{ready, path, settings}'

Exit codes: 0 ready, 1 the model is damaged or not well, 2 the file is wrong, 3 could not (network, memory, space), 130 interrupted.)";

void print_step(const StepResult& step) {
  const std::string attempt = step.attempt > 1 ? fmt::format(" (fallback {})", step.attempt - 1) : "";
  fmt::print("{:<8} {}{}  {}  [{:.1f} ms]\n", kStepStatusNames[static_cast<std::size_t>(step.status)],
             kPrepareStepNames[static_cast<std::size_t>(step.step)], attempt, terminal_safe(step.detail), step.ms);
  std::fflush(stdout);
}

bool is_wrong_file(const StepResult& last) {
  return last.step == PrepareStep::config && (last.error->code == Code::usage || last.error->code == Code::malformed);
}

// Each problem of the configuration is a line of its own.
int report_failure(const StepResult& last) {
  if (!is_wrong_file(last)) return report_error(*last.error);
  const std::string text = last.error->message();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    print_error(text.substr(at, end - at));
    at = end + 1;
  }
  return kExitUsage;
}

int exit_code_of(const PrepareReport& report, bool as_json) {
  if (report.is_ready) return kExitYes;
  const StepResult& last = report.steps.back();
  return as_json && is_wrong_file(last) ? kExitUsage : report_failure(last);
}

int run_prepare(const PrepareArguments& arguments) {
  if (arguments.example) return fmt::print("{}", kExample), kExitYes;
  auto library = open_library();
  if (!library) return report_error(library.error());
  auto options = hub_options_of(arguments.hub);
  if (!options) return report_error(options.error());
  Hub hub(*std::move(options));
  ProgressPrinter printer(stderr, progress_options(arguments.progress));
  PullDisplay display(stderr, pull_style(arguments.progress));
  const auto show_hashing = [&](const ProgressEvent& event) {
    printer.show(event);
    return !stop_requested();
  };
  const auto show_pull = [&](const PullEvent& event) {
    display.show(event);
    return !stop_requested();
  };
  std::error_code ignored;
  PrepareContext context{.library = *library,
                         .hub = hub,
                         .temp_folder = arguments.temp.empty() ? std::filesystem::temp_directory_path(ignored)
                                                               : std::filesystem::path(arguments.temp),
                         .forces = arguments.force,
                         .progress = show_hashing,
                         .pull_events = show_pull};
  context.tell = [&](const StepResult& step, bool has_ended) {
    if (!has_ended) return;
    printer.clear();
    display.clear();
    if (!arguments.json && (step.status != StepStatus::failed || step.step != PrepareStep::config)) print_step(step);
  };
  const PrepareReport report = prepare(arguments.file, context);
  if (arguments.json)
    fmt::print("{}\n", to_text(report.json(arguments.file), 2));
  else if (report.is_ready)
    fmt::print("ready: {}\n", terminal_safe(report.path));
  return exit_code_of(report, arguments.json);
}

}  // namespace

void add_prepare(Command app, int& exit_code) {
  const Command command =
      app.add_command("prepare", "Make a model ready as an assay.yaml file says: check, pull, verify, load, try");
  const auto arguments = std::make_shared<PrepareArguments>();
  command.footer(kFooter);
  command.add_option("file", arguments->file, "The file").shows_default();
  command.add_flag("--example", arguments->example, "Print a file with every key");
  command.add_option("--temp-dir", arguments->temp, "The folder for temporary files; default $TMPDIR");
  command.add_flag("--force", arguments->force, "Although the machine does not seem fit");
  add_hub_options(command, arguments->hub);
  command.add_flag("--json", arguments->json, "Print every step's result as one JSON document");
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] {
    survive_shrinking_files();
    exit_code = run_prepare(*arguments);
  });
}

}  // namespace assay

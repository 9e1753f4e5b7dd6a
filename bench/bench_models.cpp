// bench_models: prefill, decode and load of model files, each answer checked before anything is timed.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>

#include "bench/check_process.h"
#include "bench/collect.h"
#include "bench/harness/tasks.h"
#include "bench/model_suite.h"
#include "runtime/core/build_info.h"
#include "runtime/core/command_line.h"
#include "runtime/core/mapped_file.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/registry/locate_here.h"

namespace {

using namespace assay;

constexpr int kExitYes = 0, kExitWrong = 1, kExitUsage = 2, kExitCouldNot = 3;

constexpr const char* kExamples = R"(Examples:
  bench_models model.gguf                                    prefill of 512 tokens, decode of 128, load
  bench_models *.gguf folder/ --records runs.jsonl           several models, full records beside the table
  bench_models model.gguf --threads 1 --benchmark_filter=decode --benchmark_repetitions=5
  bench_models model.gguf --prompt 128 --gen 32 --depth 1024

A MODEL is a .gguf or .safetensors file, a model.safetensors.index.json, a folder with one of these, a catalogue id or ORG/REPO[:QUANT].
Cases are called MODEL/prefill/N, MODEL/decode/N, MODEL/load; N is smaller than asked for where the model's context is.
Before a model is timed its logits are checked in a process of their own; a wrong answer is an error row and never a number.

Columns: tok/s, ms/tok   tokens a second, milliseconds a token, from the median iteration
         B/tok, GB/s     bytes of weights and KV cache read for a token, and a second
         %limit          of the measured read bandwidth (decode) or multiply-add peak (prefill)
         peakRSS         largest resident memory of the process during the case, bytes
         planned         weights and KV cache as computed before loading, bytes

Exit codes: 0 all measured, 1 a wrong answer or no GPU where one was asked for, 2 the command line is wrong, 3 something could not be opened or run.)";

struct Options {
  SuiteOptions suite;
  PullPolicy pull;
  std::string backend = "cpu", kv = "f16", load = "map", isa;
  std::string records;
  int gpu_layers = -1;
  std::string task;    // hidden: this process carries out one task of assay bench
  CheckRequest check;  // hidden: this process only checks one model
};

void print_error(const std::string& message) { std::fprintf(stderr, "bench_models: error: %s\n", message.c_str()); }

void add_options(Command app, Options& options) {
  SuiteOptions& suite = options.suite;
  app.add_option("MODEL", suite.models, "Model files or folders, catalogue ids, ORG/REPO[:QUANT]");
  app.add_option("-m,--model", suite.models, "The same");
  app.add_option("-t,--threads", suite.session.threads, "Threads (0: as many as this process may use)").between(0, 4096).shows_default();
  app.add_option("--backend", options.backend, "cpu, vulkan or vulkan:N (a GPU), auto, or reference (plain float32, slow)").shows_default();
  app.add_option("--gpu-layers,--ngl", options.gpu_layers, "Layers on the device, the others on the CPU (-1: all)").between(-1, 100000).shows_default();
  app.add_option("-p,--prompt", suite.prompt, "Tokens of a prefill, 0 for none").between(0u, 1u << 24).shows_default();
  app.add_option("-n,--gen", suite.generate, "Tokens of a decode, 0 for none").between(0u, 1u << 24).shows_default();
  app.add_option("-d,--depth", suite.depth, "Positions filled before").between(0u, 1u << 24).shows_default();
  app.add_option("-c,--context", suite.session.context, "Positions the KV cache holds (0: what the cases need)").between(0u, 1u << 24).shows_default();
  app.add_option("-b,--batch", suite.session.batch, "Tokens of a prompt computed together").between(1u, 1u << 20).shows_default();
  app.add_option("--load", options.load, "map: use the file where it lies; copy: read it into memory first").one_of({"map", "copy"}).shows_default();
  app.add_flag("--mlock", suite.loading.lock, "Keep the weights in memory");
  app.add_option("--kv-type,--kv", options.kv, "Type of the KV cache: f32, f16, q8_0").one_of({"f32", "f16", "q8_0"}).shows_default();
  std::vector<std::string_view> isas = {""};
  for (const Kernels* kernels : all_kernels()) isas.push_back(kernels->name);
  app.add_option("--isa", options.isa, "Force kernels: " + kernel_names()).one_of(isas).from_environment("ASSAY_ISA");
  app.add_flag("--pull", options.pull.pulls, "Download models that are named by catalogue id or ORG/REPO[:QUANT] and not here");
  app.add_flag("--force", options.pull.forces, "Although the machine does not seem to have the disk space or memory for them");
  app.add_option("--records", options.records, "Append one record a case to this file, as JSON lines").value_name("FILE");
  app.add_option("--check-against", suite.golden,
                 "Golden float32 logits to check with instead of the reference backend; logits.json beside the file lists the prompts")
      .value_name("FILE");
  app.add_option("--check-one", options.check.path).hidden();
  app.add_option("--check-tokens", options.check.tokens).hidden();
  app.add_option("--task", options.task).hidden();
}

void take_names(Options& options) {
  options.suite.session.backend = *backend_from_name(options.backend);
  if (options.gpu_layers >= 0) options.suite.session.gpu_layers = static_cast<std::uint32_t>(options.gpu_layers);
  options.suite.session.kv = *kv_type_from_name(options.kv);
  options.suite.session.isa = options.isa;
  options.suite.session.cache_folder = kernel_cache_folder();
  options.suite.loading.copy = options.load == "copy";
}

int run_check(Options& options) {
  options.check.session = options.suite.session;
  options.check.golden = options.suite.golden;
  const CheckReply reply = check_model(options.check);
  const std::string text = to_text(to_json(reply));
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!reply.error.empty()) return kExitCouldNot;
  return reply.agreement && !reply.agreement->passed ? kExitWrong : kExitYes;
}

int run_task_here(const std::string& task) {
  const std::string reply = run_task_text(task);
  std::fwrite(reply.data(), 1, reply.size(), stdout);
  return kExitYes;
}

void set_counters(benchmark::State& state, const Case& which, const ModelRun& run) {
  const auto set = [&](const char* name, const std::optional<double>& value) {
    if (value) state.counters[name] = *value;
  };
  if (which.kind != CaseKind::load) {
    set("tok/s", run.tokens_per_s);
    set("ms/tok", run.ms_per_token);
    set("B/tok", run.bytes_per_token);
    set("GB/s", run.gbps);
    set("%limit", run.limit_percent);
  }
  set("peakRSS", static_cast<double>(run.memory.peak_bytes));
  set("planned", static_cast<double>(run.planned.weights_bytes + run.planned.kv_bytes));
  state.SetLabel(label_of(run.model));
}

void run_case(benchmark::State& state, ModelSuite& suite, const Case& which) {
  if (const auto ready = suite.begin(which); !ready) return state.SkipWithError(ready.error().message().c_str());
  for (auto _ : state) {
    if (which.kind == CaseKind::load) {
      state.PauseTiming();
      suite.unload();
      state.ResumeTiming();
    }
    if (const auto done = suite.iterate(which); !done) {
      state.SkipWithError(done.error().message().c_str());
      break;
    }
  }
  if (state.error_occurred()) return;
  suite.sample_more(which);
  set_counters(state, which, suite.end(which));
}

std::vector<TableColumn> columns() {
  return {{"tok/s"}, {"ms/tok"}, {"B/tok", ColumnStyle::bytes}, {"GB/s"}, {"%limit"}, {"peakRSS", ColumnStyle::bytes}, {"planned", ColumnStyle::bytes}};
}

// Names of the catalogue, the registry and repositories become paths.
Result<> find_models(Options& options) {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  const auto say = [](const std::string& line) { return std::fprintf(stderr, "bench_models: %s\n", line.c_str()) > 0; };
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  for (std::string& model : options.suite.models) {
    ASSAY_TRY(const LocatedModel found, locate_here(environment, program, model, options.pull, say));
    model = found.path.string();
  }
  return success();
}

int measure(Options& options, const std::vector<std::string>& library_arguments) {
  if (options.suite.models.empty()) {
    print_error("no model; name a model file or folder");
    std::fprintf(stderr, "Try: bench_models --help\n");
    return kExitUsage;
  }
  if (const auto found = find_models(options); !found) {
    print_error(found.error().message());
    return found.error().code == Code::usage ? kExitUsage : kExitCouldNot;
  }
  std::ofstream records;
  if (!options.records.empty()) {
    records.open(options.records, std::ios::app);
    if (!records) return print_error(options.records + ": cannot write; give another --records"), kExitCouldNot;
  }

  ModelSuite suite(options.suite);
  for (const auto& [path, error] : suite.unreadable()) print_error(error.message());
  for (const Case& which : suite.cases())
    benchmark::RegisterBenchmark(which.name.c_str(), [&suite, &which](benchmark::State& state) { run_case(state, suite, which); })
        ->Unit(benchmark::kMillisecond);

  const auto finished = [&](const FinishedBenchmark& done) {
    const ModelRun run = suite.finish(done.name, done.repetitions, done.error);
    if (records.is_open()) records << to_text(to_json(run)) << "\n" << std::flush;
  };
  const HarnessOptions harness{.program = "bench_models", .library_arguments = library_arguments, .columns = columns(), .context = {}};
  const auto matched = run_benchmarks(harness, finished);
  if (!matched) {
    print_error(matched.error().message());
    return matched.error().code == Code::usage ? kExitUsage : kExitCouldNot;
  }
  if (records.is_open() && !records) return print_error(options.records + ": could not be written to the end; is the disk full?"), kExitCouldNot;
  if (suite.has_wrong_answer()) return kExitWrong;
  return suite.has_failure() || !suite.unreadable().empty() ? kExitCouldNot : kExitYes;
}

// Why the GPU that was asked for by name cannot be had.
std::optional<Error> missing_device(BackendName backend) {
  if (!(backend == BackendKind::vulkan)) return std::nullopt;
  const auto devices = vulkan::list_devices();
  if (!devices) return devices.error();
  if (backend.device < devices->size() && (*devices)[backend.device].lacks.empty()) return std::nullopt;
  const auto device = vulkan::Device::open(backend.device);  // says what is wrong
  return device ? std::nullopt : std::optional(device.error());
}

}  // namespace

int main(int argc, char** argv) {
  SplitArguments arguments = split_arguments(argc, argv);
  CommandLine line("bench_models", "Measures prefill, decode and load of model files, after checking their answers.");
  line.set_version([] { return "bench_models " + describe_version(build_info()); }, "Version and commit");
  const Command app = line.root();
  app.footer(std::string(kExamples) + "\n\n" + std::string(library_help()));
  Options options;
  add_options(app, options);
  survive_shrinking_files();
  try {
    for (std::string& word : arguments.own)
      if (word == "-ngl") word = "--ngl";  // as others spell it
    if (const auto end = line.parse(arguments.own)) return *end;
    if (!backend_from_name(options.backend)) {
      print_error(fmt::format("--backend: \"{}\" is unknown; known: {}", options.backend, kKnownBackends));
      return kExitUsage;
    }
    if (const auto missing = missing_device(*backend_from_name(options.backend))) {
      print_error(missing->message());
      return kExitWrong;
    }
    take_names(options);
    if (!options.task.empty()) return run_task_here(options.task);
    if (!options.check.path.empty()) return run_check(options);
    return measure(options, arguments.library);
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
  } catch (const std::exception& error) {
    print_error(error.what());
  }
  return kExitCouldNot;
}

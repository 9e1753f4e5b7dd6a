// bench_kernels: kernels per weight format and instruction set, attention, norms, samplers, tokenizers, and the machine's limits.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>

#include "bench/collect.h"
#include "bench/kernel_suite.h"
#include "runtime/core/build_info.h"
#include "runtime/core/command_line.h"

namespace {

using namespace assay;

constexpr int kExitYes = 0, kExitWrong = 1, kExitUsage = 2, kExitCouldNot = 3;

constexpr const char* kExamples = R"(Examples:
  bench_kernels --benchmark_filter=Q4_K                      all kernels of one format
  bench_kernels --benchmark_filter='dequantize/.*/avx2'      one instruction set
  bench_kernels --benchmark_filter='memory|peak'             the machine's limits alone
  bench_kernels model.gguf --benchmark_filter=tokenizer      how fast this model's tokenizer encodes

Cases: dequantize/FORMAT/ISA  weights to float32 rows, both in the second cache; all kernels are measured with one thread
       stream/FORMAT/ISA      weights, read from memory, to 128 MiB of float32 rows, stored past the caches
       dot/FORMAT/ISA         weights, read from memory, times one vector
       gemm/FORMAT/ISA        weights, read from memory, times 512 vectors
       attention|prompt/ISA   4 heads of 64 values against 4096 F16 positions from memory; 512 tokens of a prompt against each other
       norm|gate|quantize/ISA rows of 4096 (gate: 8192) values
       sampler/greedy|sample  one token of 131072 logits
       tokenizer/MODEL/encode text to ids
       memory/read|write|copy/THREADS, peak/KIND/ISA/THREADS   what the machine can do
ISA "reference" is the plain scalar truth; every other kernel is checked against it before it is timed.

Columns: GB/s   bytes of weights read a second (memory: read, written, or both)
         out    bytes of float32 written a second, GB/s
         G/s    1e9 weights, values or logits a second (gemm, attention, prompt, peak: multiply-adds)
         %read  GB/s in percent of the read bandwidth measured here with one thread
         %write out in percent of the write bandwidth measured here with one thread
         %peak  G/s in percent of the multiply-adds that ISA's instructions reach here with one thread
         MB/s, Mtok/s   text read and tokens made a second

Exit codes: 0 all measured, 1 a wrong answer, 2 the command line is wrong, 3 something could not be opened or run.)";

struct Options {
  KernelSuiteOptions suite;
  std::uint64_t weight_mib = 0;
  std::string text_file;
  std::string records;
};

void print_error(const std::string& message) { std::fprintf(stderr, "bench_kernels: error: %s\n", message.c_str()); }

void run_case(benchmark::State& state, KernelSuite& suite, const KernelCase& which) {
  if (const auto ready = suite.begin(which); !ready) return state.SkipWithError(ready.error().message().c_str());
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) suite.call(which);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const KernelRun run = suite.rates(which, seconds / static_cast<double>(std::max<benchmark::IterationCount>(1, state.iterations())));
  const auto set = [&](const char* name, const std::optional<double>& value, double scale) {
    if (value) state.counters[name] = *value * scale;
  };
  if (which.kind == KernelKind::tokenizer) {
    set("MB/s", run.in_gbps, 1e3);
    set("Mtok/s", run.values_per_s, 1e-6);
    return;
  }
  set("GB/s", run.in_gbps, 1);
  set("out", run.out_gbps, 1);
  set("G/s", run.values_per_s, 1e-9);
  set("%read", run.read_percent, 1);
  set("%write", run.write_percent, 1);
  set("%peak", run.peak_percent, 1);
}

int measure(const Options& options, const std::vector<std::string>& library_arguments) {
  std::ofstream records;
  if (!options.records.empty()) {
    records.open(options.records, std::ios::app);
    if (!records) return print_error(options.records + ": cannot write; give another --records"), kExitCouldNot;
  }
  KernelSuite suite(options.suite);
  for (const auto& [path, error] : suite.unreadable()) print_error(error.message());
  for (const KernelCase& which : suite.cases())
    benchmark::RegisterBenchmark(which.name.c_str(), [&suite, &which](benchmark::State& state) { run_case(state, suite, which); })
        ->Unit(which.kind == KernelKind::dequantize || which.kind == KernelKind::dot || which.kind == KernelKind::row ? benchmark::kMicrosecond : benchmark::kMillisecond);

  HarnessOptions harness{.program = "bench_kernels", .library_arguments = library_arguments, .columns = {{"GB/s"}, {"out"}, {"G/s"}, {"%read"}, {"%write"}, {"%peak"}}, .context = {}};
  if (std::none_of(library_arguments.begin(), library_arguments.end(), [](const std::string& a) { return a.starts_with("--benchmark_list_tests"); })) {
    const MachineLimits& limits = suite.limits();
    char text[160];
    std::snprintf(text, sizeof text, "%.1f GB/s read, %.1f copy (one thread); %.1f read, %.1f copy (%d threads)", limits.read_1_gbps.value_or(0),
                  limits.copy_1_gbps.value_or(0), limits.read_all_gbps.value_or(0), limits.copy_all_gbps.value_or(0), limits.threads);
    harness.context["memory"] = text;
  }
  const auto matched = run_benchmarks(harness, [&](const FinishedBenchmark& done) {
    const KernelRun run = suite.finish(done.name, done.real_ns, done.error);
    if (records.is_open()) records << to_text(to_json(run)) << "\n" << std::flush;
  });
  if (!matched) {
    print_error(matched.error().message());
    return matched.error().code == Code::usage ? kExitUsage : kExitCouldNot;
  }
  if (records.is_open() && !records) return print_error(options.records + ": could not be written to the end; is the disk full?"), kExitCouldNot;
  if (suite.has_wrong_answer()) return kExitWrong;
  return suite.has_failure() || !suite.unreadable().empty() ? kExitCouldNot : kExitYes;
}

int run(int argc, char** argv) {
  const SplitArguments arguments = split_arguments(argc, argv);
  CommandLine line("bench_kernels", "Measures kernels per weight format and instruction set, tokenizers, and the machine's limits.");
  line.set_version([] { return "bench_kernels " + describe_version(build_info()); }, "Version and commit");
  const Command app = line.root();
  app.footer(std::string(kExamples) + "\n\n" + std::string(library_help()));
  Options options;
  app.add_option("MODEL", options.suite.models, "Model files or folders whose tokenizers are measured");
  app.add_option("--weights-mib", options.weight_mib, "Size of the weights a kernel walks over (0: twice the last cache; small: from the cache)")
      .between(std::uint64_t{0}, std::uint64_t{65536})
      .shows_default();
  app.add_option("--text", options.text_file, "Text to encode instead of the built-in one").value_name("FILE");
  app.add_option("--records", options.records, "Append one record a case to this file, as JSON lines").value_name("FILE");
  if (const auto end = line.parse(arguments.own)) return *end;

  options.suite.weight_bytes = options.weight_mib << 20;
  if (!options.text_file.empty()) {
    std::ifstream in(options.text_file, std::ios::binary);
    options.suite.text.assign(std::istreambuf_iterator<char>(in), {});
    if (!in || options.suite.text.empty()) return print_error(options.text_file + ": cannot read, or empty"), kExitCouldNot;
  }
  return measure(options, arguments.library);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
  } catch (const std::exception& error) {
    print_error(error.what());
  }
  return kExitCouldNot;
}

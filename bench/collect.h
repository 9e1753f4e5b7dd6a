// Collecting: Google Benchmark run with reporters of our own, and every finished benchmark handed to the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/table.h"
#include "runtime/core/error.h"

namespace assay {

// The command line in two: Google Benchmark's flags (--benchmark_*, --v=N), and the rest, which is the program's own.
struct SplitArguments {
  std::vector<std::string> library;
  std::vector<std::string> own;  // with the program's name first
};
SplitArguments split_arguments(int argc, const char* const* argv);

// Google Benchmark's flags in a few lines, for --help.
std::string_view library_help();

// All repetitions of one benchmark, as the library reports them.
struct FinishedBenchmark {
  std::string name;
  std::string error;              // why it was skipped; empty when it ran
  std::size_t repetitions = 0;
  std::int64_t iterations = 0;    // of one repetition
  std::vector<double> real_ns;    // mean of an iteration, one a repetition
};

struct HarnessOptions {
  std::string_view program;
  std::vector<std::string> library_arguments;
  std::vector<TableColumn> columns;  // counters that have a column of their own in the table and the CSV form
  // Shown above the table and written into the "context" of the JSON form, beside the facts of host and build.
  std::map<std::string, std::string> context;
};

// Benchmarks are registered by the caller before. Results go to stdout in the form of --benchmark_format and to the file of
// --benchmark_out; `finished` is called after each benchmark. Both state the build type of this program: the library's own
// (Debian's is built without NDEBUG and says so in every run) is not what is measured.
// Returns how many cases --benchmark_filter matched. Errors: usage (none, or a flag that the library does not know), io (the
// output file).
Result<std::size_t> run_benchmarks(const HarnessOptions& options, const std::function<void(const FinishedBenchmark&)>& finished);

}  // namespace assay

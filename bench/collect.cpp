// The reporters: Google Benchmark's rows under a context of our own.
#include "bench/collect.h"

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>

#include "bench/record.h"
#include "runtime/core/host.h"
#include "runtime/core/json.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

using benchmark::BenchmarkReporter;

enum class Form { console, json, csv };

struct LibraryFlags {
  Form format = Form::console;
  Form out_format = Form::json;
  std::string out;
  std::optional<bool> colour;
};

bool is_true(std::string_view text) {
  return !(text == "0" || text == "false" || text == "no" || text == "off" || text == "f" || text == "n");
}

// The flags that choose reporters: the library keeps their values to itself, so they are read here too.
LibraryFlags read_flags(const std::vector<std::string>& arguments) {
  LibraryFlags flags;
  const auto form = [](std::string_view text) { return text == "json" ? Form::json : text == "csv" ? Form::csv : Form::console; };
  const auto apply = [&](std::string_view name, std::string_view value) {
    if (name == "benchmark_format") flags.format = form(value);
    if (name == "benchmark_out_format") flags.out_format = form(value);
    if (name == "benchmark_out") flags.out = value;
    if (name == "benchmark_color" && value != "auto") flags.colour = is_true(value);
  };
  constexpr std::pair<const char*, std::string_view> kVariables[] = {{"BENCHMARK_FORMAT", "benchmark_format"},
                                                                     {"BENCHMARK_OUT_FORMAT", "benchmark_out_format"},
                                                                     {"BENCHMARK_OUT", "benchmark_out"}};
  for (const auto& [variable, name] : kVariables)
    if (const char* value = std::getenv(variable)) apply(name, value);
  for (std::string_view argument : arguments) {
    argument.remove_prefix(std::min(argument.find_first_not_of('-'), argument.size()));
    const std::size_t equals = argument.find('=');
    apply(argument.substr(0, equals), equals == std::string_view::npos ? "true" : argument.substr(equals + 1));
  }
  return flags;
}

bool wants_colour(const LibraryFlags& flags) {
  if (flags.colour) return *flags.colour;
  const char* none = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) != 0 && (none == nullptr || *none == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
}

// What both forms of the context state.
struct Facts {
  std::string program;
  HostFacts host = read_host_facts();
  BuildFacts build = build_facts();
  std::string time = utc_time();
  std::map<std::string, std::string> more;
};

void print_context(std::ostream& out, const Facts& facts) {
  const HostFacts& host = facts.host;
  out << facts.program << " " << facts.build.version << ", commit " << facts.build.commit
      << (facts.build.is_dirty ? " (modified)" : "") << ", " << facts.build.compiler << ", " << facts.build.build_type << "\n";
  out << host.cpu_model << ", " << host.cores << " cores, " << host.allowed_threads << " threads, " << host.isa << "\n";
  out << format_bytes(host.memory_bytes) << " memory, " << format_bytes(host.memory_available_bytes) << " available";
  if (host.last_cache_bytes() > 0) out << ", last cache " << format_bytes(host.last_cache_bytes());
  if (host.governor) out << ", governor " << *host.governor;
  if (host.load_1) out << ", load " << *host.load_1;
  out << "\n" << host.os << ", " << host.kernel;
  if (host.virtual_machine) out << ", in a virtual machine (" << *host.virtual_machine << ")";
  if (host.container) out << ", in a container (" << *host.container << ")";
  out << "\n";
  for (const auto& [key, value] : facts.more) out << key << ": " << value << "\n";
  if (facts.build.build_type != "Release")
    out << "warning: this is a " << facts.build.build_type << " build; measure with the release preset\n";
}

Json json_context(const Facts& facts) {
  Json out{Json::Object{}};
  out.set("date", facts.time);
  out.set("executable", facts.program);
  out.set("num_cpus", facts.host.hardware_threads);
  if (facts.host.clock_mhz) out.set("mhz_per_cpu", *facts.host.clock_mhz);
  if (facts.host.governor) out.set("cpu_scaling_enabled", *facts.host.governor != "performance");
  Json caches{Json::Array{}};
  for (const CacheFacts& cache : facts.host.caches) {
    std::string type = cache.kind;
    if (!type.empty()) type[0] = static_cast<char>(type[0] - 'a' + 'A');
    Json row{Json::Object{}};
    row.set("type", type).set("level", cache.level).set("size", cache.bytes).set("num_sharing", cache.shared_by);
    caches.push(std::move(row));
  }
  out.set("caches", std::move(caches));
  Json load{Json::Array{}};
  for (const auto& value : {facts.host.load_1, facts.host.load_5, facts.host.load_15})
    if (value) load.push(*value);
  out.set("load_avg", std::move(load));
  // The key that dashboards read; it means this program, see collect.h.
  std::string build_type = facts.build.build_type;
  for (char& c : build_type) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  out.set("library_build_type", build_type);
  out.set("host", to_json(facts.host));
  out.set("build", to_json(facts.build));
  for (const auto& [key, value] : facts.more) out.set(key, value);
  return out;
}

TableRow make_row(const BenchmarkReporter::Run& run) {
  TableRow row;
  row.name = run.benchmark_name();
  if (run.error_occurred) row.error = run.error_message.empty() ? "failed" : run.error_message;
  row.iterations = run.iterations;
  row.label = run.report_label;
  for (const auto& [name, counter] : run.counters) row.counters[name] = counter.value;
  if (run.run_type == BenchmarkReporter::Run::RT_Aggregate && run.aggregate_unit == benchmark::kPercentage) {
    row.time_unit = "%";
    row.real_time = run.real_accumulated_time;
    row.cpu_time = run.cpu_accumulated_time;
  } else {
    row.time_unit = benchmark::GetTimeUnitString(run.time_unit);
    row.real_time = run.GetAdjustedRealTime();
    row.cpu_time = run.GetAdjustedCPUTime();
  }
  return row;
}

class Table final : public BenchmarkReporter {
 public:
  Table(std::vector<TableColumn> columns, bool with_colour, const Facts& facts)
      : layout_{.columns = std::move(columns)}, with_colour_(with_colour), facts_(facts) {}
  bool ReportContext(const BenchmarkReporter::Context& library) override {
    layout_.name_width = library.name_field_width;
    print_context(GetErrorStream(), facts_);
    const std::string header = table_header(layout_);
    GetOutputStream() << header << "\n" << std::string(header.size(), '-') << "\n" << std::flush;
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred && &run != &runs.front()) continue;  // every repetition says the same
      const std::string line = table_line(layout_, make_row(run));
      const bool is_red = with_colour_ && run.error_occurred;
      GetOutputStream() << (is_red ? "\x1b[31m" : "") << line << (is_red ? "\x1b[0m" : "") << "\n" << std::flush;
    }
  }

 private:
  TableLayout layout_;
  bool with_colour_;
  const Facts& facts_;
};

class Csv final : public BenchmarkReporter {
 public:
  explicit Csv(std::vector<TableColumn> columns) : layout_{.columns = std::move(columns)} {}
  bool ReportContext(const BenchmarkReporter::Context&) override {
    GetOutputStream() << csv_header(layout_) << "\n";
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) GetOutputStream() << csv_line(layout_, make_row(run)) << "\n" << std::flush;
  }

 private:
  TableLayout layout_;
};

class JsonFile final : public benchmark::JSONReporter {
 public:
  explicit JsonFile(const Facts& facts) : facts_(facts) {}
  bool ReportContext(const BenchmarkReporter::Context&) override {
    GetOutputStream() << "{\n\"context\": " << to_text(json_context(facts_), 2) << ",\n\"benchmarks\": [\n";
    return true;
  }

 private:
  const Facts& facts_;
};

std::unique_ptr<BenchmarkReporter> make_reporter(Form form, bool with_colour, const std::vector<TableColumn>& columns, const Facts& facts) {
  switch (form) {
    case Form::json: return std::make_unique<JsonFile>(facts);
    case Form::csv: return std::make_unique<Csv>(columns);
    case Form::console: break;
  }
  return std::make_unique<Table>(columns, with_colour, facts);
}

// Passes everything on to the reporter that shows it, and tells the caller what finished.
class Collector final : public BenchmarkReporter {
 public:
  Collector(std::unique_ptr<BenchmarkReporter> shown, const std::function<void(const FinishedBenchmark&)>& finished)
      : shown_(std::move(shown)), finished_(finished) {}

  bool ReportContext(const BenchmarkReporter::Context& context) override {
    shown_->SetOutputStream(&GetOutputStream());
    return shown_->ReportContext(context);
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    shown_->ReportRuns(runs);
    FinishedBenchmark out;
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      out.name = run.run_name.str();
      if (run.error_occurred) out.error = run.error_message;
      ++out.repetitions;
      out.iterations = run.iterations;
      if (run.iterations > 0) out.real_ns.push_back(run.real_accumulated_time * 1e9 / static_cast<double>(run.iterations));
    }
    if (!out.name.empty()) finished_(out);
  }
  void Finalize() override { shown_->Finalize(); }

 private:
  std::unique_ptr<BenchmarkReporter> shown_;
  const std::function<void(const FinishedBenchmark&)>& finished_;
};

}  // namespace

SplitArguments split_arguments(int argc, const char* const* argv) {
  SplitArguments out;
  for (int i = 0; i < argc; ++i) {
    const std::string_view text = argv[i];
    const bool is_library = i > 0 && (text.starts_with("--benchmark_") || text.starts_with("--v="));
    (is_library ? out.library : out.own).emplace_back(text);
  }
  return out;
}

std::string_view library_help() {
  return R"(Google Benchmark's flags:
  --benchmark_filter=REGEX            run the cases whose name matches; -REGEX those that do not
  --benchmark_list_tests              print the names and stop
  --benchmark_min_time=SECONDS        measure each case at least that long (0.5)
  --benchmark_repetitions=N           repeat each case; adds mean, median, stddev and cv
  --benchmark_out=FILE                write the results to FILE too, as JSON
  --benchmark_out_format=json|console|csv
  --benchmark_format=console|json|csv what goes to stdout
  --benchmark_report_aggregates_only, --benchmark_display_aggregates_only,
  --benchmark_enable_random_interleaving,
  --benchmark_time_unit=ns|us|ms|s, --benchmark_color=auto|true|false, --benchmark_context=KEY=VALUE, --v=N)";
}

Result<std::size_t> run_benchmarks(const HarnessOptions& options, const std::function<void(const FinishedBenchmark&)>& finished) {
  std::vector<std::string> texts = {std::string(options.program)};
  texts.insert(texts.end(), options.library_arguments.begin(), options.library_arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  int count = static_cast<int>(texts.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1) return Error{Code::usage, pointers[1], "is no flag of Google Benchmark, or has a value it cannot read; see --help"};

  const LibraryFlags flags = read_flags(options.library_arguments);
  if (!flags.out.empty() && !std::ofstream(flags.out, std::ios::app))
    return Error{Code::io, "--benchmark_out", "cannot write; give another file", flags.out};

  Facts facts;
  facts.program = options.program;
  facts.more = options.context;
  if (const auto* given = benchmark::internal::GetGlobalContext()) facts.more.insert(given->begin(), given->end());
  Collector display(make_reporter(flags.format, wants_colour(flags), options.columns, facts), finished);
  std::ostringstream complaints;  // about the filter; the reporters that are shown have streams of their own
  display.SetErrorStream(&complaints);
  std::unique_ptr<BenchmarkReporter> file;
  if (!flags.out.empty()) file = make_reporter(flags.out_format, false, options.columns, facts);
  const std::size_t matched = benchmark::RunSpecifiedBenchmarks(&display, file.get());
  benchmark::Shutdown();
  if (matched > 0) return matched;
  std::string text = complaints.str();
  text.erase(text.find_last_not_of("\n") + 1);
  return Error{Code::usage, "--benchmark_filter", text.empty() ? "no case matches; see --benchmark_list_tests" : text + "; see --benchmark_list_tests"};
}

}  // namespace assay

// assay bench: models in, records out; every case in processes of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "bench/apps/assay/bench_parts.h"
#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "bench/apps/assay/places.h"
#include "bench/harness/plan.h"
#include "bench/harness/runner.h"
#include "bench/harness/store.h"
#include "runtime/engine/memory_check.h"
#include "runtime/formats/model_file.h"

namespace assay {

namespace {

constexpr const char* kFooter =
    R"(Lists run all combinations: -t 1,2 -d 0,4096; ranges are FIRST-LAST, FIRST-LAST+STEP and FIRST-LAST*FACTOR (-p 128-1024*2).
Option names, short forms and -o md|json|jsonl|csv|sql are llama-bench's; give ours more than one process and it gives you more
than a mean: every case runs in a process of its own, rounds of all cases take turns, and they go on until the interval of the
median is narrow. Answers are checked before anything is timed. A case that fails is a row with its reason; the others go on.

Examples:
  assay bench model.gguf                                prompt of 512, generation of 128
  assay bench *.gguf folder/ -p 512 -n 128 -t 1,2 -d 0,4096
  assay bench synth:llama-3.2-1b:Q4_K_M --preset quick  a model of that shape with random weights, made for the occasion
  assay bench model.gguf --tag main --preset ci         at least ten rounds, to compare with later: assay compare main HEAD
  assay bench model.gguf --quality --reference model-f16.gguf
  assay bench model.gguf --peer llama-bench=/path/to/llama-bench
  assay bench model.gguf --peer llama-bench:old=/one --peer llama-bench:fork=/another
  assay bench --plan plan.yaml                          the same options in a file
  assay bench --resume last                             goes on after an interruption
  assay bench model.gguf --aa 20                        how often would an unchanged program raise an alarm here?

Results are kept: assay results, assay report, assay compare.
Exit codes: 0 all measured, 1 a wrong answer or no GPU where one was asked for, 2 usage, 3 something could not be measured, 130 interrupted.)";

// Weights that can never be in memory together are refused; everything else is for the cases to find out.
Result<> check_memory(const std::string& path, const std::string& name, PullPolicy policy) {
  const auto file = open_model(path);
  if (!file) return success();  // a row of the results says why
  auto checked = check_memory({.weights_bytes = file->file_bytes()}, WeightsAre::mapped, read_memory_supply());
  if (!checked && !policy.forces) return Error{Code::memory, name, checked.error().detail + "; --force tries all the same"};
  const std::string& warning = checked ? *checked : checked.error().detail;
  if (!warning.empty()) std::fprintf(stderr, "assay: warning: %s %s\n", terminal_safe(name).c_str(), warning.c_str());
  return success();
}

// Names of the catalogue and of repositories become paths; synthetic models are made later. None at all: the selected one.
Result<> find_planned_models(PlanText& text, const BenchArguments& arguments) {
  if (!text.has("model")) {
    ASSAY_TRY(Library library, open_library());
    ASSAY_TRY(const std::string selected, library.registry().selected());
    if (!selected.empty()) text.options["model"].push_back({selected, "assay use"});
  }
  for (const std::string_view option : {"model", "reference"}) {
    const auto found = text.options.find(option);
    if (found == text.options.end()) continue;
    for (PlanValue& value : found->second) {
      if (value.text.starts_with("synth:")) continue;
      ASSAY_TRY(const std::string path, find_model(value.text, arguments.pull, arguments.progress));
      ASSAY_TRY_VOID(check_memory(path, value.text, arguments.pull));
      value.text = path;
    }
  }
  return success();
}

Result<BenchPlan> plan_from(BenchArguments& arguments) {
  PlanText text = arguments.text;
  if (!arguments.models.empty())
    for (const std::string& model : arguments.models) text.options["model"].push_back({model, "MODEL"});
  if (!arguments.plan_file.empty()) {
    ASSAY_TRY(const PlanText file, read_plan_file(arguments.plan_file));
    add_missing(text, file);
  }
  if (const auto preset = text.options.find("preset"); preset != text.options.end()) {
    if (arguments.preset.empty()) arguments.preset = preset->second.back().text;
    text.options.erase(preset);
  }
  if (!arguments.preset.empty()) {
    ASSAY_TRY(const PlanText preset, preset_text(arguments.preset));
    // A number of rounds given by hand replaces all that the preset says about rounds.
    PlanText fitting = preset;
    if (text.has("rounds")) fitting.options.erase("min-rounds"), fitting.options.erase("max-rounds");
    if (text.has("min-rounds") || text.has("max-rounds")) fitting.options.erase("rounds");
    add_missing(text, fitting);
  }
  const char* isa = std::getenv("ASSAY_ISA");
  if (isa != nullptr && *isa != '\0' && !text.has("isa")) text.options["isa"].push_back({isa, "ASSAY_ISA"});
  ASSAY_TRY_VOID(find_planned_models(text, arguments));
  ASSAY_TRY(BenchPlan plan, make_plan(text));
  plan.preset = arguments.preset;
  plan.run_id = make_run_id();
  return plan;
}

// The journal of the newest run that was not finished, or of the run named.
Result<std::filesystem::path> find_journal(const std::string& name) {
  const std::filesystem::path folder = home_folder() / "running";
  std::filesystem::path newest;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem)) {
    const std::filesystem::path& path = entry->path();
    if (path.extension() != ".journal") continue;
    if (name == "last" ? path > newest : path.stem() == name) newest = path;
  }
  if (newest.empty()) return Error{Code::not_found, "--resume", name == "last" ? "there is no interrupted run" : fmt::format("there is no interrupted run called {}", name)};
  return newest;
}

std::string describe(const RunProgress& progress) {
  std::string out = fmt::format("[{}", format_duration(progress.elapsed_s));
  if (progress.left_s) out += fmt::format(", about {} left", format_duration(*progress.left_s));
  return out + "] " + progress.doing;
}

// One line a step: redrawn in place on a terminal.
class ProgressLine {
 public:
  explicit ProgressLine(const ProgressChoice& choice) : options_(progress_options(choice)) {}
  ~ProgressLine() { clear(); }
  void show(const RunProgress& progress) {
    const std::string text = terminal_safe(describe(progress));
    switch (options_.style) {
      case ProgressStyle::none: return;
      case ProgressStyle::json: {
        Json event{Json::Object{}};
        event.set("event", "progress").set("task", progress.doing).set("done", progress.done).set("total", progress.total).set("elapsed_s", progress.elapsed_s);
        event.set("left_s", progress.left_s ? Json(*progress.left_s) : Json());
        std::fprintf(stderr, "%s\n", to_text(event).c_str());
        return;
      }
      case ProgressStyle::lines: std::fprintf(stderr, "%s\n", text.c_str()); return;
      case ProgressStyle::bar: {
        const std::size_t width = static_cast<std::size_t>(std::max(20, options_.width - 1));
        std::fprintf(stderr, "\r%-*.*s", static_cast<int>(drawn_), static_cast<int>(width), text.c_str());
        std::fflush(stderr);
        drawn_ = std::min(width, text.size());
        return;
      }
    }
  }
  void clear() {
    if (drawn_ > 0) std::fprintf(stderr, "\r%*s\r", static_cast<int>(drawn_), "");
    drawn_ = 0;
  }

 private:
  ProgressPrinter::Options options_;
  std::size_t drawn_ = 0;
};

int exit_code_of(const std::vector<CaseRun>& records) {
  const auto any = [&](auto&& is) { return std::any_of(records.begin(), records.end(), is); };
  // A wrong answer, or no GPU where one was asked for by name.
  const auto lacks_device = [](const CaseRun& r) { return r.settings.backend.starts_with("vulkan") && r.reason.starts_with("Vulkan: "); };
  if (any([&](const CaseRun& r) { return r.status == Status::wrong_answer || lacks_device(r); })) return kExitNo;
  return any([](const CaseRun& r) { return r.status != Status::ok; }) ? kExitCouldNot : kExitYes;
}

// Where records go: the file asked for, or a new one of the store.
Result<std::filesystem::path> keep(const BenchArguments& arguments, const BenchPlan& plan, const std::vector<CaseRun>& records) {
  if (!arguments.records.empty()) {
    ASSAY_TRY_VOID(append_records(arguments.records, records));
    return std::filesystem::path(arguments.records);
  }
  ASSAY_TRY(ResultStore store, open_results());
  const std::filesystem::path file = store.file_for(plan.run_id);
  ASSAY_TRY_VOID(store.add(file, records));
  return file;
}

int finish(const BenchArguments& arguments, const Runner& runner, const Result<>& measured, const std::filesystem::path& journal) {
  const std::vector<CaseRun> records = runner.records();
  const auto kept = keep(arguments, runner.plan(), records);
  if (const auto shown = show_records(arguments, runner.plan(), records); !shown) return report_error(shown.error());
  const auto say = [&](const std::string& text) {
    if (!arguments.progress.quiet) std::fprintf(stderr, "%s\n", terminal_safe(text).c_str());
  };
  if (!measured) {
    if (!journal.empty()) say(fmt::format("assay: what was measured is kept; go on with: assay bench --resume {}", runner.plan().run_id));
    return report_error(measured.error());
  }
  if (!kept) return report_error(kept.error());
  std::error_code ignored;
  if (!journal.empty()) std::filesystem::remove(journal, ignored);
  say(fmt::format("records: {}", kept->string()));
  return exit_code_of(records);
}

int run_bench(BenchArguments& arguments) {
  Result<BenchPlan> plan = Error{};
  RunnerOptions options{.program = program_beside("bench_models"), .cache_folder = cache_folder(), .journal = {}, .resumes = !arguments.resume.empty(), .stop_requested = stop_requested};
  if (options.resumes) {
    if (!arguments.models.empty() || !arguments.text.options.empty() || !arguments.plan_file.empty() || arguments.aa > 0)
      return report_error({Code::usage, "--resume", "takes its models and settings from the interrupted run; leave them out"});
    const auto journal = find_journal(arguments.resume);
    if (!journal) return report_error(journal.error());
    options.journal = *journal;
    plan = Runner::read_plan(*journal);
  } else {
    plan = plan_from(arguments);
  }
  if (!plan) return report_error(plan.error());
  if (arguments.list) return list_cases(*plan);

  ProgressLine line(arguments.progress);
  options.progress = [&](const RunProgress& progress) { line.show(progress); };
  if (const auto made = make_synthetic_models(*plan, arguments.progress); !made) return report_error(made.error());
  if (arguments.aa > 0) return run_false_alarms(*plan, options, arguments, [&] { line.clear(); });
  if (!options.resumes) options.journal = home_folder() / "running" / (plan->run_id + ".journal");

  Runner runner(std::move(*plan), options);
  Result<> done = runner.prepare();
  if (done) done = runner.measure();
  line.clear();
  return finish(arguments, runner, done, options.journal);
}

void add_plan_options(Command command, BenchArguments& arguments) {
  for (const PlanOption& option : kPlanOptions) {
    const std::string name(option.name);
    // Short names of several letters reach here as long ones (expand_short_options); a single letter is known as it is.
    std::string names = "--" + name;
    if (option.short_name.size() == 2 && option.short_name[0] == '-') names = std::string(option.short_name) + "," + names;
    std::string help(option.help);
    if (option.short_name.size() > 2 && option.short_name != "--" + name) help += " [" + std::string(option.short_name) + "]";
    if (option.value.empty()) {
      command.add_flag(names, [&arguments, name] { arguments.text.options[name] = {{"true", "--" + name}}; }, help);
      continue;
    }
    command
        .add_list(names, [&arguments, name](const std::vector<std::string>& values) {
          for (const std::string& value : values) arguments.text.options[name].push_back({value, "--" + name});
        }, help)
        .value_name(std::string(option.value))
        .one_value_each();
  }
}

}  // namespace

std::vector<std::string> expand_short_options(int argc, char** argv) {
  std::vector<std::string> out(argv, argv + argc);
  if (argc < 2 || out[1] != "bench") return out;
  for (std::string& argument : out) {
    const std::size_t equals = argument.find('=');
    const std::string_view name = std::string_view(argument).substr(0, equals);
    for (const PlanOption& option : kPlanOptions)
      if (option.short_name.size() > 2 && option.short_name == name) {
        argument = "--" + std::string(option.name) + (equals == std::string::npos ? "" : argument.substr(equals));
        break;
      }
  }
  return out;
}

void add_bench(Command app, int& exit_code) {
  const Command command = app.add_command("bench", "Measure models: speed, latency, memory, start and quality in one record");
  const auto arguments = std::make_shared<BenchArguments>();
  command.footer(kFooter);
  command.add_option("MODEL", arguments->models, "Model files or folders, catalogue ids, ORG/REPO[:QUANT], or synth:SHAPE:QUANT; none: the selected one");
  command.add_option("-m,--model", arguments->models, "The same").one_value_each();
  add_plan_options(command, *arguments);
  command.add_option("--preset", arguments->preset, "quick (under a minute), ci (>= 10 rounds), llama-bench (its defaults), localscore (its nine tests and score)").value_name("NAME");
  command.add_option("--plan", arguments->plan_file, "Options from a YAML file; those of the command line come first").value_name("FILE");
  command.add_option("--resume", arguments->resume, "Go on with an interrupted run: its id, or last").value_name("RUN");
  command.add_option("--aa", arguments->aa, "Compare the program with itself N times and tell how often that raises an alarm").value_name("N").between(1, 10000);
  command.add_option("-o,--output", arguments->output, "md, json, jsonl, csv, sql as llama-bench prints them; records; gbench (Google Benchmark); facts (what no machine changes); or a file for the records").value_name("FORMAT|FILE");
  command.add_option("--records", arguments->records, "Append the records to this file instead of the store").value_name("FILE");
  command.add_flag("--json", arguments->json, "Print the records as one JSON document");
  command.add_flag("--list", arguments->list, "Print the cases and stop");
  add_pull_options(command, arguments->pull);
  add_progress_options(command, arguments->progress);
  command.when_given([arguments, &exit_code] { exit_code = run_bench(*arguments); });
}

}  // namespace assay

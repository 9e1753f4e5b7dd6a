// Options, presets and plan files behind BenchPlan.
#include "bench/harness/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "bench/harness/sweep.h"
#include "bench/model_suite.h"
#include "runtime/engine/backend_choice.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

// The order is that of --help.
const std::vector<PlanOption> kPlanOptions = {
    {"prompt", "-p", "N,...", "Prompt tokens computed in batches (512); 0: none"},
    {"gen", "-n", "N,...", "Tokens generated one by one (128); 0: none"},
    {"pg", "-pg", "P,N", "A prompt of P tokens and N generated right after it; may be repeated"},
    {"depth", "-d", "N,...", "Positions filled before (0)"},
    {"parallel", "-npl", "N,...", "Sequences decoded together (1)"},
    {"batch", "-b", "N,...", "Prompt tokens handed over at once (2048)"},
    {"ubatch", "-ub", "N,...", "Prompt tokens computed at once (512)"},
    {"threads", "-t", "N,...", "Threads; 0: all the process may use"},
    {"cpu-mask", "-C", "HEX,...", "Processors to run on, as a hexadecimal mask"},
    {"backend", "", "NAME,...", "cpu, reference (plain float32), vulkan or vulkan:N (a GPU), auto"},
    {"isa", "", "NAME,...", "Force kernels: avx512, avx2, scalar, ...; also $ASSAY_ISA"},
    {"gpu-layers", "-ngl", "N,...", "Layers on the graphics card, the others on the CPU"},
    {"cache-type-k", "-ctk", "T,...", "Type of cached keys: f32, f16, q8_0, ..."},
    {"cache-type-v", "-ctv", "T,...", "Type of cached values; follows the keys unless given"},
    {"flash-attn", "-fa", "W,...", "auto, on or off (1 and 0 too): attention in one pass"},
    {"mmap", "-mmp", "0|1,...", "1: map the file, 0: copy it into memory"},
    {"mlock", "", "0|1,...", "1: keep the file in memory"},
    {"rounds", "-r", "N", "Exactly N rounds of every case"},
    {"min-rounds", "", "N", "At least N rounds (5)"},
    {"max-rounds", "", "N", "At most N rounds (30)"},
    {"target", "", "PERCENT", "Stop when half the 95 % interval of the median speed is below this (2)"},
    {"budget", "", "SECONDS", "Stop after that much measuring, but not before --min-rounds (600)"},
    {"samples", "", "N", "Samples of a round; 0: as many as fit into a quarter of a second, at least 3"},
    {"delay", "--delay", "SECONDS", "Pause before every round"},
    {"timeout", "", "SECONDS", "End a process that takes longer (600)"},
    {"memory-limit", "", "SIZE", "Memory a case may take: 2G, 500M"},
    {"peer", "", "NAME=PATH", "Measure another engine's program beside ours: llama-bench=PATH"},
    {"program", "", "NAME=PATH", "Measure that build's bench_models instead of ours, tagged NAME; several take turns: base=PATH --program new=PATH"},
    {"tag", "", "TEXT", "A name to find this run by: main, nightly"},
    {"no-check", "", "", "Do not check the answers first"},
    {"no-cold", "", "", "Do not measure the cold start (it drops the file from the page cache)"},
    {"quality", "", "", "Perplexity of a text beside the speed"},
    {"text", "-f", "FILE", "Text for --quality (a built-in sample)"},
    {"ctx", "", "N", "Window of --quality in tokens (512)"},
    {"chunks", "", "N", "At most N windows of the text; 0: all"},
    {"reference", "", "FILE", "The same model in higher precision: KL divergence and agreement with it"},
};

namespace {

constexpr std::array<std::string_view, 9> kKvTypes = {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"};

Error at(const PlanValue& value, std::string detail) { return Error{Code::usage, value.where, std::move(detail)}; }
Error at(const PlanValue& value, const Error& error) { return at(value, "\"" + error.subject + "\" " + error.detail); }

// Reads options one by one; the first mistake stays.
class Reader {
 public:
  explicit Reader(const PlanText& text) : text_(text) {}

  const std::vector<PlanValue>* values(std::string_view name) const {
    const auto found = text_.options.find(name);
    return found == text_.options.end() ? nullptr : &found->second;
  }
  void fail(Error error) {
    if (!problem_) problem_ = std::move(error);
  }
  const std::optional<Error>& problem() const { return problem_; }

  void numbers(std::string_view name, std::vector<std::uint32_t>& out, std::uint32_t least = 0, std::uint32_t most = 1u << 24) {
    collect(name, out, parse_numbers);
    for (const std::uint32_t value : out)
      if ((value < least || value > most) && values(name)) fail(at(values(name)->front(), fmt::format("{} is outside {} to {}", value, least, most)));
  }
  template <class Allowed>
  void words(std::string_view name, std::vector<std::string>& out, const Allowed& allowed, std::string_view known) {
    collect(name, out, parse_words);
    if (!values(name)) return;
    for (const std::string& word : out)
      if (!allowed(word)) fail(at(values(name)->front(), fmt::format("\"{}\" is unknown; known: {}", word, known)));
  }
  void number(std::string_view name, double& out, double least, double most) {
    const auto* found = values(name);
    if (!found) return;
    char* end = nullptr;
    const std::string& text = found->back().text;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= least && value <= most))
      return fail(at(found->back(), fmt::format("\"{}\" is no number from {} to {}", text, least, most)));
    out = value;
  }
  void whole(std::string_view name, std::uint32_t& out, std::uint32_t least, std::uint32_t most) {
    double value = out;
    number(name, value, least, most);
    if (value != std::floor(value)) return fail(at(values(name)->back(), "must be a whole number"));
    out = static_cast<std::uint32_t>(value);
  }
  void text(std::string_view name, std::string& out) const {
    if (const auto* found = values(name)) out = found->back().text;
  }
  bool flag(std::string_view name) {
    const auto* found = values(name);
    if (!found) return false;
    const std::string& value = found->back().text;
    if (value == "true" || value == "1" || value == "yes") return true;
    if (value == "false" || value == "0" || value == "no") return false;
    fail(at(found->back(), fmt::format("\"{}\" is neither true nor false", value)));
    return false;
  }

 private:
  template <class T, class Parse>
  void collect(std::string_view name, std::vector<T>& out, Parse parse) {
    const auto* found = values(name);
    if (!found) return;
    out.clear();
    for (const PlanValue& value : *found) {
      auto parsed = parse(value.text);
      if (!parsed) return fail(at(value, parsed.error()));
      out.insert(out.end(), parsed->begin(), parsed->end());
    }
  }

  const PlanText& text_;
  std::optional<Error> problem_;
};

template <std::size_t N>
auto one_of(const std::array<std::string_view, N>& names) {
  return [&names](const std::string& word) { return std::find(names.begin(), names.end(), word) != names.end(); };
}

void read_gpu_layers(Reader& reader, Sweep& sweep) {
  std::vector<std::uint32_t> layers;
  reader.numbers("gpu-layers", layers, 0, 100000);
  if (layers.empty()) return;
  sweep.gpu_layers.clear();
  for (const std::uint32_t count : layers) sweep.gpu_layers.push_back(static_cast<int>(count));
}

void read_sweep(Reader& reader, Sweep& sweep) {
  reader.numbers("prompt", sweep.prompt);
  reader.numbers("gen", sweep.generate);
  if (const auto* pairs = reader.values("pg"))
    for (const PlanValue& value : *pairs) {
      const auto pair = parse_pair(value.text);
      if (!pair) return reader.fail(at(value, pair.error()));
      sweep.joined.push_back(*pair);
    }
  reader.numbers("depth", sweep.depth);
  reader.numbers("parallel", sweep.sequences, 1, 1024);
  reader.numbers("batch", sweep.batch, 1);
  reader.numbers("ubatch", sweep.ubatch, 1);
  reader.numbers("threads", sweep.threads, 0, 4096);
  reader.words("cpu-mask", sweep.cpu_mask, [](const std::string& word) {
    const std::size_t prefix = word.starts_with("0x") ? 2 : 0;
    return word.size() > prefix && word.size() <= prefix + 256 && word.find_first_not_of("0123456789abcdefABCDEF", prefix) == std::string::npos &&
           word.find_first_not_of('0', prefix) != std::string::npos;
  }, "hexadecimal numbers above 0");
  reader.words("backend", sweep.backend, [](const std::string& word) { return backend_from_name(word).has_value(); }, std::string(kKnownBackends));
  std::vector<std::string> isas;
  for (const Kernels* kernels : all_kernels()) isas.emplace_back(kernels->name);
  reader.words("isa", sweep.isa, [&](const std::string& word) { return std::find(isas.begin(), isas.end(), word) != isas.end(); }, fmt::format("{}", fmt::join(isas, ", ")));
  read_gpu_layers(reader, sweep);
  reader.words("cache-type-k", sweep.kv_keys, one_of(kKvTypes), fmt::format("{}", fmt::join(kKvTypes, ", ")));
  reader.words("cache-type-v", sweep.kv_values, one_of(kKvTypes), fmt::format("{}", fmt::join(kKvTypes, ", ")));
  constexpr static std::array<std::string_view, 5> kFlash = {"auto", "on", "off", "1", "0"};
  reader.words("flash-attn", sweep.flash_attention, one_of(kFlash), "auto, on, off");
  for (std::string& word : sweep.flash_attention) word = word == "1" ? "on" : word == "0" ? "off" : word;
  constexpr static std::array<std::string_view, 2> kMap = {"0", "1"};
  std::vector<std::string> maps;
  reader.words("mmap", maps, one_of(kMap), "0, 1");
  std::vector<std::string> locks;
  reader.words("mlock", locks, one_of(kMap), "0, 1");
  if (maps.empty()) maps = {"1"};
  if (locks.empty()) locks = {"0"};
  sweep.load.clear();
  for (const std::string& map : maps)
    for (const std::string& lock : locks) sweep.load.push_back(std::string(map == "1" ? "map" : "copy") + (lock == "1" ? " locked" : ""));
}

void read_run_options(Reader& reader, BenchPlan& plan) {
  if (reader.values("rounds")) {
    for (const char* other : {"min-rounds", "max-rounds"})
      if (const auto* given = reader.values(other)) reader.fail(at(given->back(), "contradicts --rounds, which fixes the number; give one of them"));
    reader.whole("rounds", plan.min_rounds, 1, 100000);
    plan.max_rounds = plan.min_rounds;
  }
  reader.whole("min-rounds", plan.min_rounds, 1, 100000);
  if (reader.values("min-rounds") && !reader.values("max-rounds")) plan.max_rounds = std::max(plan.max_rounds, plan.min_rounds);
  reader.whole("max-rounds", plan.max_rounds, 1, 100000);
  if (reader.values("max-rounds") && !reader.values("min-rounds")) plan.min_rounds = std::min(plan.max_rounds, plan.min_rounds);
  if (plan.min_rounds > plan.max_rounds && reader.values("max-rounds")) reader.fail(at(reader.values("max-rounds")->back(), "is below --min-rounds"));
  reader.number("target", plan.target_percent, 0.01, 100);
  reader.number("budget", plan.budget_s, 0, 1e7);
  reader.whole("samples", plan.samples, 0, 10000);
  reader.number("delay", plan.delay_s, 0, 86400);
  reader.number("timeout", plan.timeout_s, 0.1, 1e7);
  if (const auto* limit = reader.values("memory-limit")) {
    const auto bytes = parse_memory(limit->back().text);
    if (bytes) plan.memory_limit_bytes = *bytes;
    else reader.fail(at(limit->back(), bytes.error()));
  }
  reader.text("tag", plan.tag);
  plan.with_check = !reader.flag("no-check");
  plan.with_cold = !reader.flag("no-cold");
  plan.quality.is_wanted = reader.flag("quality");
  for (const char* name : {"text", "ctx", "chunks", "reference"})
    if (const auto* given = reader.values(name); given && !plan.quality.is_wanted) reader.fail(at(given->back(), "says how quality is measured; give --quality too"));
  reader.text("text", plan.quality.text_file);
  reader.text("reference", plan.quality.reference);
  reader.whole("ctx", plan.quality.context, 8, 1u << 20);
  reader.whole("chunks", plan.quality.windows, 0, 1u << 20);
}

void read_named_paths(Reader& reader, std::string_view option, std::vector<PlannedPeer>& out) {
  const auto* given = reader.values(option);
  if (!given) return;
  for (const PlanValue& value : *given) {
    const std::size_t equals = value.text.find('=');
    const std::string name = value.text.substr(0, equals);
    if (equals == std::string::npos || equals == 0 || equals + 1 == value.text.size()) return reader.fail(at(value, "must be NAME=PATH"));
    for (const PlannedPeer& other : out)
      if (other.name == name) return reader.fail(at(value, fmt::format("\"{}\" is given twice", name)));
    // A word behind a colon tells several builds or forks apart.
    if (option == "peer" && name.substr(0, name.find(':')) != "llama-bench")
      return reader.fail(at(value, fmt::format("\"{}\" is unknown; known: llama-bench, llama-bench:WORD", name)));
    out.push_back({name, value.text.substr(equals + 1)});
  }
}

}  // namespace

void add_missing(PlanText& text, const PlanText& more) {
  for (const auto& [name, values] : more.options) text.options.emplace(name, values);
}

Result<PlanText> preset_text(std::string_view name) {
  PlanText out;
  const auto set = [&](const char* option, std::initializer_list<const char*> values) {
    for (const char* value : values) out.options[option].push_back({value, fmt::format("preset {}: --{}", name, option)});
  };
  if (name == "llama-bench") {
    set("prompt", {"512"}), set("gen", {"128"}), set("batch", {"2048"}), set("ubatch", {"512"}), set("rounds", {"5"});
  } else if (name == "localscore") {
    set("prompt", {"0"}), set("gen", {"0"});
    set("pg", {"1024,16", "4096,256", "2048,256", "2048,768", "1024,1024", "1280,3072", "384,1152", "64,1024", "16,1536"});
    set("rounds", {"1"}), set("samples", {"1"});
  } else if (name == "quick") {
    set("prompt", {"128"}), set("gen", {"32"}), set("rounds", {"3"}), set("samples", {"3"}), set("no-cold", {"true"});
  } else if (name == "ci") {
    set("prompt", {"256"}), set("gen", {"64"}), set("min-rounds", {"10"}), set("max-rounds", {"30"});
  } else {
    return Error{Code::usage, "--preset", fmt::format("\"{}\" is unknown; known: localscore, llama-bench, quick, ci", name)};
  }
  return out;
}

Result<BenchPlan> make_plan(const PlanText& text) {
  BenchPlan plan;
  Reader reader(text);
  Sweep sweep;
  read_sweep(reader, sweep);
  read_run_options(reader, plan);
  read_named_paths(reader, "peer", plan.peers);
  read_named_paths(reader, "program", plan.programs);
  if (reader.problem()) return *reader.problem();

  std::vector<std::string> paths;
  if (const auto* models = reader.values("model"))
    for (const PlanValue& value : *models) paths.push_back(value.text);
  if (paths.empty()) return Error{Code::usage, "MODEL", "no model; name a model file or folder, or synth:SHAPE:QUANT"};
  const std::vector<std::string> names = name_models(paths);
  for (std::size_t i = 0; i < paths.size(); ++i) plan.models.push_back({paths[i], names[i]});

  const std::vector<CaseSettings> cases = expand(sweep);
  if (cases.empty()) return Error{Code::usage, "--prompt, --gen", "there is nothing to measure; give a number above 0 to one of them, or --pg"};
  if (cases.size() * paths.size() > 100000) return Error{Code::usage, "sweep", "makes more than 100000 cases; shorten the lists"};
  for (std::uint32_t model = 0; model < paths.size(); ++model)
    for (const CaseSettings& settings : cases) {
      if (plan.programs.empty()) plan.cases.push_back({.model = model, .engine = "assay", .arm = {}, .settings = settings});
      for (const PlannedPeer& program : plan.programs) plan.cases.push_back({.model = model, .engine = "assay", .arm = program.name, .settings = settings});
      for (const PlannedPeer& peer : plan.peers) plan.cases.push_back({.model = model, .engine = peer.name, .arm = {}, .settings = settings});
    }
  return plan;
}

}  // namespace assay

// BenchPlan: everything one run of `assay bench` will do, made from options, a preset and a plan file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/round.h"
#include "runtime/core/error.h"

namespace assay {

struct QualityPlan {
  bool is_wanted = false;
  std::string text_file{};         // empty: the built-in sample
  std::uint32_t context = 512;     // tokens of a window
  std::uint32_t windows = 0;       // at most; 0: all of the text
  std::string reference{};         // file of higher precision; empty: perplexity only

  static constexpr void fields(auto visit) {
    using Q = QualityPlan;
    constexpr Better none = Better::none;
    visit("is_wanted", "", none, &Q::is_wanted);
    visit("text_file", "", none, &Q::text_file);
    visit("context", "tok", none, &Q::context);
    visit("windows", "", none, &Q::windows);
    visit("reference", "", none, &Q::reference);
  }
};

struct PlannedModel {
  std::string path;  // as given: a path, or synth:SHAPE:QUANT until it is made
  std::string name;

  static constexpr void fields(auto visit) {
    visit("path", "", Better::none, &PlannedModel::path);
    visit("name", "", Better::none, &PlannedModel::name);
  }
};

struct PlannedCase {
  std::uint32_t model = 0;       // index into models
  std::string engine = "assay";  // or the peer's name
  std::string arm;               // which of several programs, and the tag of its record; "a" and "b" of an A/A run; else empty
  CaseSettings settings;

  static constexpr void fields(auto visit) {
    using P = PlannedCase;
    visit("model", "", Better::none, &P::model);
    visit("engine", "", Better::none, &P::engine);
    visit("arm", "", Better::none, &P::arm);
    visit("settings", "", Better::none, &P::settings);
  }
};

struct PlannedPeer {
  std::string name, path;  // "llama-bench", its program

  static constexpr void fields(auto visit) {
    visit("name", "", Better::none, &PlannedPeer::name);
    visit("path", "", Better::none, &PlannedPeer::path);
  }
};

struct BenchPlan {
  std::string run_id, tag, preset;
  std::vector<PlannedModel> models;
  std::vector<PlannedCase> cases;
  std::vector<PlannedPeer> peers;
  std::vector<PlannedPeer> programs;  // bench_models of other builds, an arm each; none: the one beside this program
  std::uint32_t min_rounds = 5, max_rounds = 30;
  double target_percent = 2;     // rounds go on until half the 95 % interval of every speed is below
  double budget_s = 600;         // or until so many seconds of measuring are spent
  std::uint32_t samples = 0;     // of a round; 0: as many as fit into a quarter of a second, at least 3
  double delay_s = 0;            // before every round
  double timeout_s = 600;        // of one process
  std::uint64_t memory_limit_bytes = 0;
  bool with_check = true, with_cold = true;
  QualityPlan quality;

  static constexpr void fields(auto visit) {
    using B = BenchPlan;
    constexpr Better none = Better::none;
    visit("run_id", "", none, &B::run_id);
    visit("tag", "", none, &B::tag);
    visit("preset", "", none, &B::preset);
    visit("models", "", none, &B::models);
    visit("cases", "", none, &B::cases);
    visit("peers", "", none, &B::peers);
    visit("programs", "", none, &B::programs);
    visit("min_rounds", "", none, &B::min_rounds);
    visit("max_rounds", "", none, &B::max_rounds);
    visit("target_percent", "%", none, &B::target_percent);
    visit("budget_s", "s", none, &B::budget_s);
    visit("samples", "", none, &B::samples);
    visit("delay_s", "s", none, &B::delay_s);
    visit("timeout_s", "s", none, &B::timeout_s);
    visit("memory_limit_bytes", "B", none, &B::memory_limit_bytes);
    visit("with_check", "", none, &B::with_check);
    visit("with_cold", "", none, &B::with_cold);
    visit("quality", "", none, &B::quality);
  }
};

// One option as the command line and plan files know it.
struct PlanOption {
  std::string_view name;        // "prompt": --prompt, and the key of a plan file
  std::string_view short_name;  // as llama-bench spells it: "-p", "-ngl"; may be empty
  std::string_view value;       // "N,..."; empty for a flag
  std::string_view help;
};
extern const std::vector<PlanOption> kPlanOptions;

// Values as text, each with where it stands, so that every mistake can be told with its place.
struct PlanValue {
  std::string text;
  std::string where;  // "--threads" or "plan.yaml:4:10"
};
struct PlanText {
  std::map<std::string, std::vector<PlanValue>, std::less<>> options;
  bool has(std::string_view name) const { return options.find(name) != options.end(); }
};

// Reads a YAML file of option names and values (scalars or lists). Errors: not_found, malformed and usage with line and column.
Result<PlanText> read_plan_file(const std::filesystem::path& path);

// Values of `more` go where `text` has none.
void add_missing(PlanText& text, const PlanText& more);

// Presets: localscore, llama-bench, quick, ci. Errors: usage for an unknown name.
Result<PlanText> preset_text(std::string_view name);

// Errors: usage.
Result<BenchPlan> make_plan(const PlanText& text);

ASSAY_JSON_ELSEWHERE(BenchPlan)

}  // namespace assay

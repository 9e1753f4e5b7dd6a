// Prepare: an assay.yaml file carried out: configuration, hardware, download, check, load, tuning, health.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/json.h"
#include "runtime/core/progress.h"
#include "runtime/engine/sampler.h"
#include "runtime/registry/fetch_model.h"
#include "runtime/registry/prepare_config.h"

namespace assay {

enum class PrepareStep : std::uint8_t { config, hardware, pull, verify, load, optimise, health };
inline constexpr std::array<std::string_view, 7> kPrepareStepNames = {"config", "hardware", "pull",  "verify",
                                                                      "load",   "optimise", "health"};
constexpr std::span<const std::string_view> enum_names(PrepareStep) {
  return kPrepareStepNames;
}

enum class StepStatus : std::uint8_t {
  ok,
  warned,   // done, with something to know
  retried,  // did not fit; the next fallback is taken
  failed,
  skipped  // nothing to do
};
inline constexpr std::array<std::string_view, 5> kStepStatusNames = {"ok", "warned", "retried", "failed", "skipped"};
constexpr std::span<const std::string_view> enum_names(StepStatus) {
  return kStepStatusNames;
}

// What each step found out; `StepResult::facts` holds the one of its step.
struct ConfigFacts {
  std::string model;
  std::uint32_t fallbacks = 0;
  std::vector<YamlProblem> problems;

  static constexpr void fields(auto visit) {
    using C = ConfigFacts;
    visit("model", "", Better::none, &C::model);
    visit("fallbacks", "", Better::none, &C::fallbacks);
    visit("problems", "", Better::none, &C::problems);
  }
};

struct HardwareFacts {
  HardwareState state;
  std::uint32_t threads = 0;
  std::string temp_folder;
  std::uint64_t temp_free_bytes = 0;
  std::optional<bool> network;       // whether the hub answered; nothing when nobody had to ask
  std::uint64_t download_bytes = 0;  // missing
  HardwareVerdict verdict;

  static constexpr void fields(auto visit) {
    using H = HardwareFacts;
    constexpr Better none = Better::none;
    visit("state", "", none, &H::state);
    visit("threads", "", none, &H::threads);
    visit("temp_folder", "", none, &H::temp_folder);
    visit("temp_free_bytes", "B", none, &H::temp_free_bytes);
    visit("network", "", none, &H::network);
    visit("download_bytes", "B", none, &H::download_bytes);
    visit("verdict", "", none, &H::verdict);
  }
};

struct PullFacts {
  std::string name, repository, commit, path;
  std::uint64_t files = 0, bytes = 0, transferred_bytes = 0;

  static constexpr void fields(auto visit) {
    using P = PullFacts;
    constexpr Better none = Better::none;
    visit("name", "", none, &P::name);
    visit("repository", "", none, &P::repository);
    visit("commit", "", none, &P::commit);
    visit("path", "", none, &P::path);
    visit("files", "", none, &P::files);
    visit("bytes", "B", none, &P::bytes);
    visit("transferred_bytes", "B", none, &P::transferred_bytes);
  }
};

struct VerifyFacts {
  std::uint64_t errors = 0, warnings = 0, hashed_files = 0;
  std::vector<std::string> findings;  // the first ones

  static constexpr void fields(auto visit) {
    using V = VerifyFacts;
    constexpr Better none = Better::none;
    visit("errors", "", none, &V::errors);
    visit("warnings", "", none, &V::warnings);
    visit("hashed_files", "", none, &V::hashed_files);
    visit("findings", "", none, &V::findings);
  }
};

struct LoadFacts {
  std::string architecture, backend, isa, kv;
  std::uint32_t context = 0, batch = 0;
  std::uint64_t planned_bytes = 0, bound_bytes = 0;  // what it needs, and what it may use

  static constexpr void fields(auto visit) {
    using L = LoadFacts;
    constexpr Better none = Better::none;
    visit("architecture", "", none, &L::architecture);
    visit("backend", "", none, &L::backend);
    visit("isa", "", none, &L::isa);
    visit("kv", "", none, &L::kv);
    visit("context", "tok", none, &L::context);
    visit("batch", "tok", none, &L::batch);
    visit("planned_bytes", "B", none, &L::planned_bytes);
    visit("bound_bytes", "B", none, &L::bound_bytes);
  }
};

struct ThreadSpeed {
  std::uint32_t threads = 0;
  double decode_tps = 0;

  static constexpr void fields(auto visit) {
    visit("threads", "", Better::none, &ThreadSpeed::threads);
    visit("decode_tps", "tok/s", Better::higher, &ThreadSpeed::decode_tps);
  }
};

struct OptimiseFacts {
  std::uint32_t threads = 0;  // chosen
  std::vector<ThreadSpeed> tried;

  static constexpr void fields(auto visit) {
    visit("threads", "", Better::none, &OptimiseFacts::threads);
    visit("tried", "", Better::none, &OptimiseFacts::tried);
  }
};

struct HealthFacts {
  std::uint32_t prompt_tokens = 0, tokens = 0;
  std::string text;
  double decode_tps = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t device_bytes = 0;  // this version computes on the processor

  static constexpr void fields(auto visit) {
    using H = HealthFacts;
    constexpr Better none = Better::none;
    visit("prompt_tokens", "tok", none, &H::prompt_tokens);
    visit("tokens", "tok", none, &H::tokens);
    visit("text", "", none, &H::text);
    visit("decode_tps", "tok/s", Better::higher, &H::decode_tps);
    visit("peak_bytes", "B", Better::lower, &H::peak_bytes);
    visit("device_bytes", "B", Better::lower, &H::device_bytes);
  }
};

struct StepResult {
  PrepareStep step = PrepareStep::config;
  std::uint32_t attempt = 1;  // 2: the first fallback
  StepStatus status = StepStatus::ok;
  double ms = 0;
  std::string detail;  // one sentence
  Json facts;          // of the struct above that goes with the step
  std::optional<Error> error{};
};

struct PrepareReport {
  std::vector<StepResult> steps;
  bool is_ready = false;
  std::string path;  // of the model, when it is ready
  LoadSettings settings;

  // {"schema":"assay.prepare/1","ready":...,"steps":[{"step","attempt","status","ms","detail","facts"}],...}
  Json json(const std::filesystem::path& file) const;
};

struct PrepareContext {
  Library& library;
  Hub& hub;
  std::filesystem::path temp_folder;
  bool forces = false;  // past what the hardware check refuses
  // A step begins or ends; for people who watch. Ends have a status.
  std::function<void(const StepResult& step, bool has_ended)> tell = [](const StepResult&, bool) {};
  ProgressFn progress = ignore_progress;  // of hashing
  PullEvents pull_events = ignore_pull_events;
};

// Carries the file out. Whatever happens is in the report: the first failed step is its last.
PrepareReport prepare(const std::filesystem::path& file, PrepareContext& context);

SamplerOptions sampler_options(const SamplingSettings& sampling);

}  // namespace assay

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

  static constexpr auto fields() {
    using C = ConfigFacts;
    return std::tuple(Field{"model", "", Better::none, &C::model}, Field{"fallbacks", "", Better::none, &C::fallbacks},
                      Field{"problems", "", Better::none, &C::problems});
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

  static constexpr auto fields() {
    using H = HardwareFacts;
    constexpr Better none = Better::none;
    return std::tuple(Field{"state", "", none, &H::state}, Field{"threads", "", none, &H::threads},
                      Field{"temp_folder", "", none, &H::temp_folder},
                      Field{"temp_free_bytes", "B", none, &H::temp_free_bytes}, Field{"network", "", none, &H::network},
                      Field{"download_bytes", "B", none, &H::download_bytes}, Field{"verdict", "", none, &H::verdict});
  }
};

struct PullFacts {
  std::string name, repository, commit, path;
  std::uint64_t files = 0, bytes = 0, transferred_bytes = 0;

  static constexpr auto fields() {
    using P = PullFacts;
    constexpr Better none = Better::none;
    return std::tuple(Field{"name", "", none, &P::name}, Field{"repository", "", none, &P::repository},
                      Field{"commit", "", none, &P::commit}, Field{"path", "", none, &P::path},
                      Field{"files", "", none, &P::files}, Field{"bytes", "B", none, &P::bytes},
                      Field{"transferred_bytes", "B", none, &P::transferred_bytes});
  }
};

struct VerifyFacts {
  std::uint64_t errors = 0, warnings = 0, hashed_files = 0;
  std::vector<std::string> findings;  // the first ones

  static constexpr auto fields() {
    using V = VerifyFacts;
    constexpr Better none = Better::none;
    return std::tuple(Field{"errors", "", none, &V::errors}, Field{"warnings", "", none, &V::warnings},
                      Field{"hashed_files", "", none, &V::hashed_files}, Field{"findings", "", none, &V::findings});
  }
};

struct LoadFacts {
  std::string architecture, backend, isa, kv;
  std::uint32_t context = 0, batch = 0;
  std::uint64_t planned_bytes = 0, bound_bytes = 0;  // what it needs, and what it may use

  static constexpr auto fields() {
    using L = LoadFacts;
    constexpr Better none = Better::none;
    return std::tuple(Field{"architecture", "", none, &L::architecture}, Field{"backend", "", none, &L::backend},
                      Field{"isa", "", none, &L::isa}, Field{"kv", "", none, &L::kv},
                      Field{"context", "tok", none, &L::context}, Field{"batch", "tok", none, &L::batch},
                      Field{"planned_bytes", "B", none, &L::planned_bytes},
                      Field{"bound_bytes", "B", none, &L::bound_bytes});
  }
};

struct ThreadSpeed {
  std::uint32_t threads = 0;
  double decode_tps = 0;

  static constexpr auto fields() {
    return std::tuple(Field{"threads", "", Better::none, &ThreadSpeed::threads},
                      Field{"decode_tps", "tok/s", Better::higher, &ThreadSpeed::decode_tps});
  }
};

struct OptimiseFacts {
  std::uint32_t threads = 0;  // chosen
  std::vector<ThreadSpeed> tried;

  static constexpr auto fields() {
    return std::tuple(Field{"threads", "", Better::none, &OptimiseFacts::threads},
                      Field{"tried", "", Better::none, &OptimiseFacts::tried});
  }
};

struct HealthFacts {
  std::uint32_t prompt_tokens = 0, tokens = 0;
  std::string text;
  double decode_tps = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t device_bytes = 0;  // this version computes on the processor

  static constexpr auto fields() {
    using H = HealthFacts;
    constexpr Better none = Better::none;
    return std::tuple(Field{"prompt_tokens", "tok", none, &H::prompt_tokens}, Field{"tokens", "tok", none, &H::tokens},
                      Field{"text", "", none, &H::text}, Field{"decode_tps", "tok/s", Better::higher, &H::decode_tps},
                      Field{"peak_bytes", "B", Better::lower, &H::peak_bytes},
                      Field{"device_bytes", "B", Better::lower, &H::device_bytes});
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

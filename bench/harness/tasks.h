// Tasks: what `assay bench` lets a process of bench_models do, one task a process: JSON in, JSON out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/harness/case_run.h"
#include "bench/harness/plan.h"
#include "runtime/core/error.h"

namespace assay {

enum class TaskKind : std::uint8_t {
  inspect,  // open: facts, hash, cold and warm start
  check,    // the answer against the reference backend; hash of a greedy continuation
  round,    // one round of a case
  quality,  // perplexity and KL divergence
  limits    // what the machine can do
};
inline constexpr std::array<std::string_view, 5> kTaskNames = {"inspect", "check", "round", "quality", "limits"};
constexpr std::span<const std::string_view> enum_names(TaskKind) { return kTaskNames; }

struct TaskRequest {
  TaskKind task = TaskKind::inspect;
  std::string path;
  CaseSettings settings;
  std::uint32_t samples = 0;
  std::uint64_t memory_limit_bytes = 0;
  bool with_cold = false;
  QualityPlan quality;
  std::string cache_folder;  // hashes of files and checks already made; empty: none
  std::string model_sha256;  // check: what its answer is cached by

  static constexpr void fields(auto visit) {
    using T = TaskRequest;
    constexpr Better none = Better::none;
    visit("task", "", none, &T::task);
    visit("path", "", none, &T::path);
    visit("settings", "", none, &T::settings);
    visit("samples", "", none, &T::samples);
    visit("memory_limit_bytes", "B", none, &T::memory_limit_bytes);
    visit("with_cold", "", none, &T::with_cold);
    visit("quality", "", none, &T::quality);
    visit("cache_folder", "", none, &T::cache_folder);
    visit("model_sha256", "", none, &T::model_sha256);
  }
};

// Only what belongs to the task is filled in.
struct TaskReply {
  Status status = Status::ok;
  std::string reason;
  std::optional<ModelFacts> model;
  std::string model_sha256;
  std::optional<StartTimes> start;
  std::optional<Agreement> agreement;
  std::optional<std::string> output_hash;
  std::optional<Round> round;
  EngineFacts engine;        // a peer's
  Resolved resolved;
  PlannedMemory planned;
  CaseFigures figures;
  std::optional<QualityFacts> quality;
  std::optional<MachineLimits> limits;
  BuildFacts build;          // of the program that did it

  static constexpr void fields(auto visit) {
    using T = TaskReply;
    constexpr Better none = Better::none;
    visit("status", "", none, &T::status);
    visit("reason", "", none, &T::reason);
    visit("model", "", none, &T::model);
    visit("model_sha256", "", none, &T::model_sha256);
    visit("start", "", none, &T::start);
    visit("agreement", "", none, &T::agreement);
    visit("output_hash", "", none, &T::output_hash);
    visit("round", "", none, &T::round);
    visit("engine", "", none, &T::engine);
    visit("resolved", "", none, &T::resolved);
    visit("planned", "", none, &T::planned);
    visit("figures", "", none, &T::figures);
    visit("quality", "", none, &T::quality);
    visit("limits", "", none, &T::limits);
    visit("build", "", none, &T::build);
  }
};

// Child: does it here and now. Never fails: a failure is a reply with a status.
TaskReply run_task(const TaskRequest& request);
// The same from and to JSON text, as bench_models does it.
std::string run_task_text(std::string_view request);

ASSAY_JSON_ELSEWHERE(TaskRequest)
ASSAY_JSON_ELSEWHERE(TaskReply)

}  // namespace assay

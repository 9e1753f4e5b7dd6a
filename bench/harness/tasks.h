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

  static constexpr auto fields() {
    using T = TaskRequest;
    constexpr Better none = Better::none;
    return std::tuple(Field{"task", "", none, &T::task}, Field{"path", "", none, &T::path}, Field{"settings", "", none, &T::settings},
                      Field{"samples", "", none, &T::samples}, Field{"memory_limit_bytes", "B", none, &T::memory_limit_bytes},
                      Field{"with_cold", "", none, &T::with_cold}, Field{"quality", "", none, &T::quality},
                      Field{"cache_folder", "", none, &T::cache_folder}, Field{"model_sha256", "", none, &T::model_sha256});
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

  static constexpr auto fields() {
    using T = TaskReply;
    constexpr Better none = Better::none;
    return std::tuple(Field{"status", "", none, &T::status}, Field{"reason", "", none, &T::reason}, Field{"model", "", none, &T::model},
                      Field{"model_sha256", "", none, &T::model_sha256}, Field{"start", "", none, &T::start},
                      Field{"agreement", "", none, &T::agreement}, Field{"output_hash", "", none, &T::output_hash},
                      Field{"round", "", none, &T::round}, Field{"engine", "", none, &T::engine}, Field{"resolved", "", none, &T::resolved},
                      Field{"planned", "", none, &T::planned}, Field{"figures", "", none, &T::figures},
                      Field{"quality", "", none, &T::quality}, Field{"limits", "", none, &T::limits},
                      Field{"build", "", none, &T::build});
  }
};

// Child: does it here and now. Never fails: a failure is a reply with a status.
TaskReply run_task(const TaskRequest& request);
// The same from and to JSON text, as bench_models does it.
std::string run_task_text(std::string_view request);

}  // namespace assay

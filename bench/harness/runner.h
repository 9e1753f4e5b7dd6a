// Runner: carries out a BenchPlan: one process for every case and round, rounds interleaved, until the numbers are firm.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/harness/case_run.h"
#include "bench/harness/lines_file.h"
#include "bench/harness/plan.h"
#include "bench/harness/tasks.h"
#include "bench/timing.h"
#include "runtime/core/error.h"

namespace assay {

// How far a run is.
struct RunProgress {
  std::string doing;             // "checking NAME", "round 3: NAME pp512 tg128"
  std::uint64_t done = 0, total = 0;  // processes; the total grows while rounds are added
  double elapsed_s = 0;
  std::optional<double> left_s;  // to the rounds that are certain
};

struct RunnerOptions {
  std::filesystem::path program;       // bench_models
  std::filesystem::path cache_folder;  // empty: nothing is kept
  std::filesystem::path journal;       // every round as it comes; empty: none
  bool resumes = false;                // the journal is there: go on from it
  std::function<bool()> stop_requested = [] { return false; };
  std::function<void(const RunProgress&)> progress = [](const RunProgress&) {};
};

class Runner {
 public:
  Runner(BenchPlan plan, RunnerOptions options);
  ~Runner();

  // The plan of a journal, for --resume. Errors: not_found, malformed.
  static Result<BenchPlan> read_plan(const std::filesystem::path& journal);

  // Limits, facts, hashes, cold starts and checks, once a model. What fails becomes the status of its cases. Errors: io, and
  // interrupted.
  Result<> prepare();
  // Rounds, then quality. Errors: io (the journal), interrupted; what was measured by then is in records() all the same.
  Result<> measure();
  // Forgets the rounds, so that measure() starts again.
  void restart();

  // A record of every case, finished or not, in the plan's order.
  std::vector<CaseRun> records() const;
  const BenchPlan& plan() const { return plan_; }

 private:
  struct CaseState;
  struct ModelState;

  TaskRequest request_for(const PlannedCase& which, TaskKind task) const;
  Result<TaskReply> ask(const TaskRequest& request, const std::string& arm);
  std::filesystem::path program_of(const std::string& arm) const;
  Result<TaskReply> run_round(const PlannedCase& which);
  Result<> open_journal();
  Result<> take(std::size_t which, TaskReply reply, bool is_new);
  Result<> inspect_models();
  Result<> check_answers();
  Result<> measure_limits();
  Result<> measure_quality();
  Result<> pass(const std::vector<std::size_t>& cases);
  bool wants_more(const CaseState& state) const;
  void show(const std::string& doing, std::uint64_t certain_rounds);
  std::string label(std::size_t which) const;
  Error interrupted() const;

  BenchPlan plan_;
  RunnerOptions options_;
  std::vector<CaseState> cases_;
  std::vector<ModelState> models_;
  std::vector<std::string> variants_;    // by case
  std::map<int, MachineLimits> limits_;  // by threads asked for
  std::optional<LinesFile> journal_;
  HostFacts host_;
  HostState before_, after_;
  std::string time_;
  Stopwatch watch_;
  std::uint64_t steps_ = 0;
  double round_seconds_ = 0;   // of all rounds run by this process
  std::uint64_t round_count_ = 0;
  std::uint64_t passes_ = 0;
};

}  // namespace assay

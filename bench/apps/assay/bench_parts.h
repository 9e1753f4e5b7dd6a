// What the files of `assay bench` share: its arguments, and what it does before and after the runner.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/apps/assay/commands.h"
#include "bench/harness/case_run.h"
#include "bench/harness/plan.h"
#include "bench/harness/runner.h"
#include "runtime/registry/fetch_model.h"

namespace assay {

struct BenchArguments {
  std::vector<std::string> models;
  PlanText text;  // of the command line
  std::string plan_file, preset, resume, output, records;
  int aa = 0;
  bool json = false, list = false;
  PullPolicy pull;
  ProgressChoice progress;
};

// Prints the records in the form asked for.
Result<> show_records(const BenchArguments& arguments, const BenchPlan& plan, const std::vector<CaseRun>& records);
int list_cases(const BenchPlan& plan);

// Models called synth:SHAPE:QUANT are made in the cache, unless they are there, and the plan names their files.
Result<> make_synthetic_models(BenchPlan& plan, const ProgressChoice& progress);

// `assay bench --aa N`; `clear` removes the progress line. Returns the exit code.
int run_false_alarms(const BenchPlan& plan, const RunnerOptions& options, const BenchArguments& arguments, const std::function<void()>& clear);

}  // namespace assay

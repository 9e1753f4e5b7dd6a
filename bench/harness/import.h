// Import: results of any known kind read into records: our own JSON lines, llama-bench's four forms, Google Benchmark's JSON.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/case_run.h"
#include "runtime/core/error.h"

namespace assay {

struct LoadedResults {
  std::string kind;  // "assay", "llama-bench json", "llama-bench jsonl", "llama-bench csv", "llama-bench sql", "google benchmark"
  std::vector<CaseRun> records;
  std::vector<std::string> problems;  // what was left out, and why: "FILE:LINE: ..."
};

// What a file is is decided by its content. Errors: not_found, io, malformed (no result in it), unsupported (records of a newer
// version of assay only).
Result<LoadedResults> load_results(const std::filesystem::path& path);

// Rows of llama-bench's field names as records: a sample becomes a round.
CaseRun record_from_llama_row(const Json& row);
// The entries of Google Benchmark's JSON; repetitions of a name become rounds.
Result<std::vector<CaseRun>> records_from_google_benchmark(const Json& document);
// Records in Google Benchmark's JSON, for dashboards that read it.
Json google_benchmark_json(const std::vector<CaseRun>& records);

}  // namespace assay

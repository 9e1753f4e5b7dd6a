// ResultStore: files of JSON lines, which are the truth, and assay.db, an index over them that can be made anew.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/harness/case_run.h"
#include "runtime/core/error.h"
#include "runtime/registry/database.h"

namespace assay {

// Empty members let everything pass.
struct ResultFilter {
  std::string run_id{}, tag{}, commit{}, since{}, until{};  // the last three by their beginnings: "1a2b", "2026-11", "2026-11-21T05"
  std::string model{}, test{}, engine{};                // parts of the names
  std::string status{};
  std::size_t limit = 0;                          // the newest so many; 0: all

  bool lets_pass(const CaseRun& run) const;
};

class ResultStore {
 public:
  // `home` holds assay.db and results/. A damaged database is moved aside and the index made anew, as it is when it is empty and
  // results are there; a note says so. Errors: io, unsupported.
  static Result<ResultStore> open(const std::filesystem::path& home);
  const std::string& note() const { return note_; }

  // A new file of results/ for a run.
  std::filesystem::path file_for(const std::string& run_id) const { return home_ / "results" / (run_id + ".jsonl"); }
  // Appends the records to a file as lines and indexes them. Whole records only, whatever happens. Errors: io.
  Result<> add(const std::filesystem::path& file, const std::vector<CaseRun>& records);

  // The last decode speed of every model that was measured, by the hash of its files and by its name.
  struct LastSpeed {
    std::string model, model_sha256, time;
    double decode_tps = 0;
  };
  Result<std::vector<LastSpeed>> last_speeds();

  // Oldest first.
  Result<std::vector<CaseRun>> find(const ResultFilter& filter);

  struct Reindexed {
    std::size_t files = 0, records = 0;
    std::vector<std::string> problems;  // lines and files that were left out
  };
  // Forgets the index and reads every file of results/ again.
  Result<Reindexed> reindex();

 private:
  ResultStore(std::filesystem::path home, Database database) : home_(std::move(home)), database_(std::move(database)) {}
  Result<> index(const std::filesystem::path& file, std::uint64_t line, const CaseRun& run, const std::string& text);

  std::filesystem::path home_;
  Database database_;
  std::string note_;
};

// Writes records as lines without an index: `assay bench --records FILE`. Errors: io.
Result<> append_records(const std::filesystem::path& file, const std::vector<CaseRun>& records);

// "20261121T053000Z-1a2b3c": sorts by time, and two runs that begin in the same second differ.
std::string make_run_id();

}  // namespace assay

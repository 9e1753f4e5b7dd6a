// ModelSuite: the cases of bench_models; loads, checks and measures one model at a time and makes its records.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/record.h"
#include "runtime/core/error.h"
#include "runtime/engine/session.h"

namespace assay {

struct SuiteOptions {
  std::vector<std::string> models;  // paths
  SessionOptions session;           // context 0: what the cases need
  Loading loading;
  std::uint32_t prompt = 512;
  std::uint32_t generate = 128;
  std::uint32_t depth = 0;          // positions filled before prefill and decode
  std::string golden;               // file of golden logits; empty: check against the reference backend
};

enum class CaseKind : std::uint8_t { prefill, decode, load };

struct Case {
  std::string name;  // "MODEL/prefill/512"
  CaseKind kind = CaseKind::prefill;
  std::size_t model = 0;     // index into SuiteOptions::models
  std::uint32_t tokens = 0;  // of one iteration; what fits into the model's context
};

// Names by which models can be told apart: the file's stem or the folder's name, with as many parents as that takes.
std::vector<std::string> name_models(const std::vector<std::string>& paths);

// Which multiplications bound the prefill of a model: those of the format most bytes are in.
PeakProbe bounding_peak(const ModelFacts& facts);

class ModelSuite {
 public:
  // Opens every model once to learn its context; one that cannot be opened keeps its cases, which all fail with the reason.
  explicit ModelSuite(SuiteOptions options);
  ~ModelSuite();

  const std::vector<Case>& cases() const { return cases_; }
  const std::vector<std::pair<std::string, Error>>& unreadable() const { return unreadable_; }  // path, why

  // Gets a case ready: checks the model's answer (once), measures the machine's limits (once), loads it, warms it up. The error
  // says why nothing may be timed: mismatch for a wrong answer.
  Result<> begin(const Case& which);
  // One iteration; its time becomes a sample.
  Result<> iterate(const Case& which);
  // Long iterations leave a call with one or two samples: takes up to three, for at most 20 seconds more.
  void sample_more(const Case& which);
  // After a `load` iteration, outside the timing.
  void unload();
  // Closes the samples of this call and fills in everything that follows from them.
  const ModelRun& end(const Case& which);

  // The record of a finished case: the samples of its last `repetitions` calls together. `error`: why it was skipped, if it was.
  ModelRun finish(const std::string& case_name, std::size_t repetitions, const std::string& error);

  bool has_wrong_answer() const { return has_wrong_answer_; }
  bool has_failure() const { return has_failure_; }

 private:
  struct Loaded;
  struct Entry;

  Result<> check(Entry& entry);
  Result<> load(Entry& entry, std::size_t index);
  void measure_limits_for(const Entry& entry);
  SessionOptions session_options(const Entry& entry) const;
  Result<> feed(const Case& which, bool is_warmup);
  ModelRun start_record(const Case& which) const;
  void fill_rates(const Case& which, const Entry& entry, ModelRun& run) const;

  SuiteOptions options_;
  std::vector<Entry> entries_;
  std::vector<Case> cases_;
  std::vector<std::pair<std::string, Error>> unreadable_;
  std::unique_ptr<Loaded> loaded_;
  HostFacts host_;
  MachineLimits limits_;
  std::map<std::string, std::vector<ModelRun>> drafts_;  // of each case, one a call
  std::vector<double> token_ms_;                         // single tokens of the decode calls going on
  bool has_wrong_answer_ = false;
  bool has_failure_ = false;
};

}  // namespace assay

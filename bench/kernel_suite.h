// KernelSuite: the cases of bench_kernels; kernels per format and instruction set, tokenizers, and the machine's limits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/kernel_data.h"
#include "bench/kernel_gemm.h"
#include "bench/kernel_rows.h"
#include "bench/record.h"
#include "runtime/core/error.h"
#include "runtime/kernels/cpu/table.h"

namespace assay {

struct KernelSuiteOptions {
  std::vector<std::string> models;  // whose tokenizers are measured
  std::uint64_t weight_bytes = 0;   // that a kernel walks over and over; 0: twice the last cache, at least 64 MiB
  std::string text;                 // to encode; empty: the sample text, a megabyte of it
};

enum class KernelKind : std::uint8_t {
  dequantize,  // weights to float32 rows; both stay in the second cache. All but the last two: one thread
  stream,      // the same from memory to memory
  dot,         // weights from memory times one vector
  gemm,        // the same times 512 vectors
  row,         // a RowKernel
  tokenizer,   // text to ids
  memory,      // a MemoryProbe
  peak         // a PeakProbe
};

struct KernelCase {
  std::string name;  // "dequantize/Q4_K/avx512"
  KernelKind kind = KernelKind::dequantize;
  FormatId format = FormatId::F32;
  const Kernels* kernels = nullptr;  // nullptr: the scalar truth ("reference")
  RowKernel row = RowKernel::attention;
  std::size_t model = 0;
  MemoryProbe memory = MemoryProbe::read;
  PeakProbe peak = PeakProbe::int8_dot;
  int threads = 1;
};

class KernelSuite {
 public:
  explicit KernelSuite(KernelSuiteOptions options);
  ~KernelSuite();

  const std::vector<KernelCase>& cases() const { return cases_; }
  const std::vector<std::pair<std::string, Error>>& unreadable() const { return unreadable_; }

  // Makes the data and checks the answer against the scalar truth; mismatch: it is wrong and may not be timed.
  Result<> begin(const KernelCase& which);
  // One call: a tile of rows, a whole text, one probe.
  void call(const KernelCase& which);
  // Bytes and values of one call; rates are filled in from `real_ns`, one mean per repetition. Empty `error`: it ran.
  KernelRun finish(const std::string& case_name, const std::vector<double>& real_ns, const std::string& error);
  // Of the call that ended last.
  KernelRun rates(const KernelCase& which, double seconds_per_call);

  const MachineLimits& limits();  // measured when first asked for

  bool has_wrong_answer() const { return has_wrong_answer_; }
  bool has_failure() const { return has_failure_; }

 private:
  struct Work;
  struct Vocabulary;

  void add_weight_cases();
  void add_row_cases();
  void add_tokenizer_cases();
  Result<> prepare_matrix(const KernelCase& which);
  void dequantize(const KernelCase& which);
  WeightRows next_tile();
  void dot(const KernelCase& which);
  double measure_peak_beside(const KernelCase& which) const;
  Result<> check_dequantize(const KernelCase& which);
  Result<> check_dot(const KernelCase& which);
  Result<> prepare_tokenizer(const KernelCase& which);

  KernelSuiteOptions options_;
  std::vector<KernelCase> cases_;
  std::vector<std::pair<std::string, Error>> unreadable_;
  std::vector<Vocabulary> vocabularies_;
  std::unique_ptr<Work> work_;
  HostFacts host_;
  std::optional<MachineLimits> limits_;
  std::map<std::string, Error> failures_;  // by case
  bool has_wrong_answer_ = false;
  bool has_failure_ = false;
};

}  // namespace assay

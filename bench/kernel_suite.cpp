// The list of kernel cases, their checks, and what one call of each does.
#include "bench/kernel_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/check.h"
#include "bench/model_suite.h"
#include "runtime/model/tokenizer.h"
#include "runtime/kernels/cpu/dequantize_rows.h"
#include "runtime/quant/dequantize.h"

namespace assay {

namespace {

constexpr std::uint32_t kRows = KernelMatrix::kRows, kCols = KernelMatrix::kCols;
constexpr std::uint32_t kChunks = chunks_of(kCols);
constexpr std::uint32_t kCachedRows = 16;  // 256 KiB of float32: with their weights, half of a second cache
constexpr std::uint64_t kStreamBytes = std::uint64_t{128} << 20;  // of float32

// One input vector in every form that a kernel may read, and the values it stands for there.
struct Vector {
  std::vector<float> values = normal_values(kCols, 1.0f);
  AlignedBuffer<std::int8_t> levels{kChunks * kChunk};
  AlignedBuffer<float> scales{kChunks * kGroupsPerChunk}, sums{kChunks * kGroupsPerChunk};

  Vector(const Kernels* kernels, bool whole_scales) {
    if (kernels != nullptr) kernels->quantize(values.data(), kCols, whole_scales, levels.data(), scales.data(), sums.data());
  }
  Inputs inputs() const {
    return {.count = 1, .cols = kCols, .values = values.data(), .levels = levels.data(), .scales = scales.data(), .sums = sums.data()};
  }
  double value(std::size_t i, bool from_levels) const {
    return from_levels ? static_cast<double>(levels[i]) * scales[i / 16] : values[i];
  }
};

const FormatKernels* row_of(const KernelCase& which) {
  return which.kernels ? &which.kernels->formats[static_cast<std::size_t>(which.format)] : nullptr;
}

std::uint32_t stream_rows(const KernelMatrix& matrix) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{matrix.tiles} * kRows, kStreamBytes / sizeof(float) / kCols));
}

std::string_view kind_name(KernelKind kind) {
  constexpr std::string_view kNames[] = {"dequantize", "stream", "dot", "gemm", "row", "tokenizer", "memory", "peak"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace

// What one case works on; made by begin(), dropped by the next case that needs something else.
struct KernelSuite::Work {
  FormatId format = FormatId::kCount;
  std::unique_ptr<KernelMatrix> matrix;
  std::optional<WeightRows> rows;
  std::unique_ptr<Vector> vector;
  std::unique_ptr<GemmWork> gemm;
  std::unique_ptr<RowWork> row;
  AlignedBuffer<float> out{std::size_t{kRows} * kCols};
  AlignedBuffer<float> large;  // what streams are written to
  std::uint32_t tile = 0;  // the next one
  double probed = 0;       // sum of the rates of memory and peak probes, and how many
  std::uint32_t probes = 0;
  double peak = 0;         // of the processor, multiply-adds a second of one thread, best of what was measured beside the case
};

struct KernelSuite::Vocabulary {
  std::string name;
  std::optional<Error> error;
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
  std::size_t tokens = 0;  // of the text
  bool is_checked = false;
};

KernelSuite::KernelSuite(KernelSuiteOptions options) : options_(std::move(options)), work_(std::make_unique<Work>()), host_(read_host_facts()) {
  if (options_.weight_bytes == 0) options_.weight_bytes = std::max<std::uint64_t>(64u << 20, 2 * host_.last_cache_bytes());
  while (options_.text.size() < (1u << 20)) options_.text += sample_text();

  const int all = host_.allowed_threads;
  for (const int threads : all > 1 ? std::vector<int>{1, all} : std::vector<int>{1}) {
    for (const MemoryProbe probe : kMemoryProbes)
      cases_.push_back({.name = fmt::format("memory/{}/{}", name_of(probe), threads), .kind = KernelKind::memory, .memory = probe, .threads = threads});
    for (const PeakProbe probe : kPeakProbes)
      if (!peak_isa(probe).empty())
        cases_.push_back({.name = fmt::format("peak/{}/{}/{}", name_of(probe), peak_isa(probe), threads), .kind = KernelKind::peak, .peak = probe, .threads = threads});
  }
  add_weight_cases();
  add_row_cases();
  add_tokenizer_cases();
}

void KernelSuite::add_weight_cases() {
  for (const KernelKind kind : {KernelKind::dequantize, KernelKind::stream, KernelKind::dot, KernelKind::gemm}) {
    for (const FormatId format : weight_formats()) {
      if (kind == KernelKind::dequantize || kind == KernelKind::dot) cases_.push_back({.name = fmt::format("{}/{}/reference", kind_name(kind), name_of(format)), .kind = kind, .format = format});
      const auto tables = all_kernels();
      for (auto kernels = tables.rbegin(); kernels != tables.rend(); ++kernels) {
        const FormatKernels& row = (*kernels)->formats[static_cast<std::size_t>(format)];
        const bool has_kernel = kind == KernelKind::dot ? row.matvec != nullptr : kind == KernelKind::gemm ? row.matmul != nullptr : row.dequantize != nullptr;
        if (!has_kernel || kernels_named((*kernels)->name) == nullptr) continue;
        cases_.push_back({.name = fmt::format("{}/{}/{}", kind_name(kind), name_of(format), (*kernels)->name), .kind = kind, .format = format, .kernels = *kernels});
      }
    }
  }
}

void KernelSuite::add_row_cases() {
  for (const RowKernel row : kRowKernels) {
    const auto tables = all_kernels();
    for (auto kernels = tables.rbegin(); kernels != tables.rend(); ++kernels)
      if (!is_sampler(row) && kernels_named((*kernels)->name) != nullptr)
        cases_.push_back({.name = fmt::format("{}/{}", name_of(row), (*kernels)->name), .kind = KernelKind::row, .kernels = *kernels, .row = row});
    if (is_sampler(row)) cases_.push_back({.name = fmt::format("sampler/{}", name_of(row)), .kind = KernelKind::row, .row = row});
  }
}

void KernelSuite::add_tokenizer_cases() {
  const std::vector<std::string> names = name_models(options_.models);
  for (std::size_t i = 0; i < options_.models.size(); ++i) {
    Vocabulary& vocabulary = vocabularies_.emplace_back();
    vocabulary.name = names[i];
    if (auto file = open_model(std::filesystem::path(options_.models[i]))) {
      vocabulary.file = std::make_unique<ModelFile>(std::move(*file));
    } else {
      vocabulary.error = std::move(file).error();
      unreadable_.emplace_back(options_.models[i], *vocabulary.error);
    }
    cases_.push_back({.name = fmt::format("tokenizer/{}/encode", names[i]), .kind = KernelKind::tokenizer, .model = i});
  }
}

KernelSuite::~KernelSuite() = default;

const MachineLimits& KernelSuite::limits() {
  if (!limits_) limits_ = measure_limits(host_.allowed_threads, 0.1);
  return *limits_;
}

Result<> KernelSuite::prepare_matrix(const KernelCase& which) {
  if (work_->format == which.format && work_->matrix) return success();
  work_->matrix.reset();
  ASSAY_TRY(work_->matrix, make_kernel_matrix(which.format, options_.weight_bytes));
  work_->format = which.format;
  work_->rows = weight_rows(work_->matrix->tensor);
  work_->tile = 0;
  return success();
}

// Every ISA must give the scalar truth's very bits (or a NaN where it has one).
Result<> KernelSuite::check_dequantize(const KernelCase& which) {
  if (which.kernels == nullptr) return success();
  for (std::uint32_t row = 0; row < kRows; ++row) {
    row_of(which)->dequantize(*work_->rows, row, work_->out.data());
    const float* truth = work_->matrix->truth.data() + std::size_t{row} * kCols;
    for (std::uint32_t col = 0; col < kCols; ++col)
      if (work_->out[col] != truth[col] && !(std::isnan(work_->out[col]) && std::isnan(truth[col])))
        return Error{Code::mismatch, which.name, fmt::format("row {}, column {} is {:.9g}, the truth is {:.9g}", row, col, work_->out[col], truth[col])};
  }
  return success();
}

// Products are exact or in float32; only the order of 4096 additions may differ: 1e-4 of the sum of magnitudes is far above
// their rounding (about 4096 / 16 * 6e-8) and far below one lost group of 16 (4e-3).
Result<> KernelSuite::check_dot(const KernelCase& which) {
  work_->vector = std::make_unique<Vector>(which.kernels, which.kernels != nullptr && row_of(which)->takes_whole_scales);
  if (which.kernels == nullptr) return success();
  const bool from_levels = row_of(which)->takes_levels;
  row_of(which)->matvec(*work_->rows, work_->vector->inputs(), 0, kRows, {.data = work_->out.data(), .stride = kRows});
  for (std::uint32_t row = 0; row < kRows; ++row) {
    const float* truth = work_->matrix->truth.data() + std::size_t{row} * kCols;
    double want = 0, magnitude = 0;
    for (std::uint32_t col = 0; col < kCols; ++col) {
      const double product = truth[col] * work_->vector->value(col, from_levels);
      want += product;
      magnitude += std::abs(product);
    }
    if (!(std::abs(work_->out[row] - want) <= 1e-4 * magnitude))
      return Error{Code::mismatch, which.name, fmt::format("row {} gives {:.9g}, the truth is {:.9g}", row, work_->out[row], want)};
  }
  return success();
}

Result<> KernelSuite::prepare_tokenizer(const KernelCase& which) {
  Vocabulary& vocabulary = vocabularies_[which.model];
  if (vocabulary.error) return *vocabulary.error;
  if (vocabulary.is_checked) return success();
  ASSAY_TRY(Tokenizer tokenizer, Tokenizer::open(*vocabulary.file));
  vocabulary.tokenizer = std::make_unique<Tokenizer>(std::move(tokenizer));
  const EncodeOptions plain{.add_special = false, .parse_special = false};
  const auto ids = vocabulary.tokenizer->encode(options_.text, plain);
  const std::string back = vocabulary.tokenizer->decode(ids);
  // A normalising tokenizer may change the text once; it must not change its own output again.
  if (back != options_.text && vocabulary.tokenizer->encode(back, plain) != ids)
    return Error{Code::mismatch, which.name, "the text does not come back from its tokens"};
  vocabulary.tokens = ids.size();
  vocabulary.is_checked = true;
  return success();
}

Result<> KernelSuite::begin(const KernelCase& which) {
  const auto prepare = [&]() -> Result<> {
    switch (which.kind) {
      case KernelKind::dequantize:
      case KernelKind::stream:
        ASSAY_TRY_VOID(prepare_matrix(which));
        if (which.kind == KernelKind::stream && work_->large.size() == 0) work_->large = AlignedBuffer<float>(kStreamBytes / sizeof(float));
        return check_dequantize(which);
      case KernelKind::dot:
        ASSAY_TRY_VOID(prepare_matrix(which));
        return check_dot(which);
      case KernelKind::gemm:
        ASSAY_TRY_VOID(prepare_matrix(which));
        work_->gemm = std::make_unique<GemmWork>(*which.kernels, which.format);
        work_->peak = measure_peak_beside(which);
        return work_->gemm->check(*work_->rows, work_->matrix->truth);
      case KernelKind::row:
        work_->row = std::make_unique<RowWork>(which.row, which.kernels, options_.weight_bytes);
        return work_->row->check();
      case KernelKind::tokenizer: return prepare_tokenizer(which);
      case KernelKind::memory:
      case KernelKind::peak: work_->probed = 0, work_->probes = 0; return success();
    }
    return success();
  };
  const Result<> prepared = prepare();
  if (prepared) return prepared;
  failures_[which.name] = prepared.error();
  (prepared.error().code == Code::mismatch ? has_wrong_answer_ : has_failure_) = true;
  return prepared;
}

void KernelSuite::dequantize(const KernelCase& which) {
  for (std::uint32_t row = 0; row < kCachedRows; ++row) {
    float* out = work_->out.data() + std::size_t{row} * kCols;
    if (which.kernels != nullptr) row_of(which)->dequantize(*work_->rows, row, out);
    else dequantize_row(work_->matrix->tensor, row, {out, kCols});
  }
}

// kRows rows of the weights as a matrix of their own, others each time.
WeightRows KernelSuite::next_tile() {
  const KernelMatrix& matrix = *work_->matrix;
  const std::uint32_t tile = work_->tile;
  work_->tile = (tile + 1) % matrix.tiles;
  WeightRows rows = *work_->rows;
  rows.data += tile * kRows * rows.row_bytes;
  if (rows.scales != nullptr) rows.scales += matrix.scales.size() / matrix.tiles * tile;
  if (rows.biases != nullptr) rows.biases += matrix.biases.size() / matrix.tiles * tile;
  rows.rows = kRows;
  return rows;
}

void KernelSuite::dot(const KernelCase& which) {
  Work& work = *work_;
  const std::uint32_t first = work.tile * kRows;
  const WeightRows rows = next_tile();
  if (which.kernels != nullptr) return row_of(which)->matvec(rows, work.vector->inputs(), 0, kRows, {.data = work.out.data(), .stride = kRows});
  for (std::uint32_t row = 0; row < kRows; ++row) {
    const std::span<float> values = work.out.span().subspan(kCols, kCols);
    dequantize_row(work.matrix->tensor, first + row, values);
    float sum = 0;
    for (std::uint32_t col = 0; col < kCols; ++col) sum += values[col] * work.vector->values[col];
    work.out[row] = sum;
  }
}

// With the instructions of the kernel's table (and bf16 dots where the processor has them). Before and after each case: clocks change,
// and a peak from another minute would make shares of more than the whole.
double KernelSuite::measure_peak_beside(const KernelCase& which) const {
  return measure_peak(work_->gemm->peak(), {.threads = 1, .seconds = 0.02}, which.kernels->needs | (detect_isa() & kIsaAvx512Bf16)).value_or(Rate{}).best;
}

void KernelSuite::call(const KernelCase& which) {
  Work& work = *work_;
  switch (which.kind) {
    case KernelKind::dequantize: return dequantize(which);
    case KernelKind::stream: return dequantize_rows(work.matrix->tensor, 0, stream_rows(*work.matrix), work.large.data(), which.kernels);
    case KernelKind::dot: return dot(which);
    case KernelKind::gemm: return work.gemm->compute(next_tile());
    case KernelKind::row: return work.row->call();
    case KernelKind::tokenizer:
      vocabularies_[which.model].tokens = vocabularies_[which.model].tokenizer->encode(options_.text, {.add_special = false, .parse_special = false}).size();
      return;
    case KernelKind::memory:
      work.probed += measure_bandwidth(which.memory, {.threads = which.threads}).best, ++work.probes;
      return;
    case KernelKind::peak:
      work.probed += measure_peak(which.peak, {.threads = which.threads}).value_or(Rate{}).best, ++work.probes;
      return;
  }
}

KernelRun KernelSuite::rates(const KernelCase& which, double seconds_per_call) {
  KernelRun run;
  run.case_name = which.name;
  run.kind = kind_name(which.kind);
  run.threads = which.threads;
  switch (which.kind) {
    case KernelKind::dequantize:
    case KernelKind::stream:
    case KernelKind::dot: {
      const double rows = which.kind == KernelKind::dot || !work_->matrix ? kRows : which.kind == KernelKind::stream ? stream_rows(*work_->matrix) : kCachedRows;
      run.format = name_of(which.format);
      run.isa = which.kernels ? which.kernels->name : "reference";
      run.bytes_in = work_->matrix ? static_cast<double>(work_->matrix->tile_bytes) * rows / kRows : 0;
      run.values = rows * kCols;
      run.bytes_out = which.kind == KernelKind::dot ? 0 : sizeof(float) * run.values;
      break;
    }
    case KernelKind::gemm:
      run.format = name_of(which.format);
      run.isa = which.kernels->name;
      run.bytes_in = work_->matrix ? static_cast<double>(work_->matrix->tile_bytes) : 0;
      run.values = GemmWork::multiply_adds();
      break;
    case KernelKind::row:
      run.isa = which.kernels ? which.kernels->name : "";
      run.bytes_in = work_->row ? work_->row->bytes_read() : 0;
      run.values = work_->row ? work_->row->values() : 0;
      break;
    case KernelKind::tokenizer:
      run.bytes_in = static_cast<double>(options_.text.size());
      run.values = static_cast<double>(vocabularies_[which.model].tokens);
      break;
    case KernelKind::memory:
    case KernelKind::peak: {
      run.isa = which.kind == KernelKind::peak ? peak_isa(which.peak) : "";
      const double rate = work_->probes > 0 ? work_->probed / work_->probes : 0;
      if (which.kind == KernelKind::memory) run.in_gbps = rate / 1e9;
      else run.values_per_s = rate;
      return run;
    }
  }
  if (!(seconds_per_call > 0)) return run;
  if (run.bytes_in > 0) run.in_gbps = run.bytes_in / seconds_per_call / 1e9;
  if (run.bytes_out > 0) run.out_gbps = run.bytes_out / seconds_per_call / 1e9;
  run.values_per_s = run.values / seconds_per_call;
  const bool is_from_memory = which.kind == KernelKind::dot || which.kind == KernelKind::stream || which.kind == KernelKind::row;
  if (is_from_memory && run.in_gbps && limits_ && limits_->read_1_gbps) run.read_percent = 100 * *run.in_gbps / *limits_->read_1_gbps;
  if (which.kind == KernelKind::gemm && work_->gemm) {
    work_->peak = std::max(work_->peak, measure_peak_beside(which));
    if (work_->peak > 0) run.peak_percent = 100 * *run.values_per_s / work_->peak;
  }
  if (which.kind == KernelKind::stream && limits_ && limits_->write_1_gbps) run.write_percent = 100 * *run.out_gbps / *limits_->write_1_gbps;
  return run;
}

KernelRun KernelSuite::finish(const std::string& case_name, const std::vector<double>& real_ns, const std::string& error) {
  const auto which = std::find_if(cases_.begin(), cases_.end(), [&](const KernelCase& c) { return c.name == case_name; });
  KernelRun run;
  if (which != cases_.end()) run = rates(*which, error.empty() ? median(real_ns) * 1e-9 : 0);
  run.time = utc_time();
  run.time_ns = summarize(error.empty() ? real_ns : std::vector<double>{});
  if (error.empty()) run.samples_ns = real_ns;
  if (!error.empty()) {
    const auto failure = failures_.find(case_name);
    const Code code = failure != failures_.end() ? failure->second.code : Code::io;
    run.status = code == Code::mismatch ? Status::wrong_answer : code == Code::unsupported ? Status::unsupported : Status::failed;
    run.reason = error;
    run.in_gbps = run.values_per_s = std::nullopt;
  }
  if (limits_) run.limits = *limits_;
  run.host = host_;
  run.build = build_facts();
  return run;
}

}  // namespace assay

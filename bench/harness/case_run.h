// CaseRun: everything one benchmark case gave, as one described struct; its JSON line is the truth about it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/quality_facts.h"
#include "bench/harness/round.h"
#include "bench/record.h"

namespace assay {

inline constexpr std::string_view kCaseRunSchema = "assay.case-run/1";

// One number of a case: a value for every round, and what follows from them. Intervals hold with 95 %.
struct Metric {
  std::vector<double> rounds;
  double median = 0, mad = 0, mean = 0, cv = 0, min = 0, max = 0;
  double low = 0, high = 0;  // bootstrap interval of the median
  double drift_percent = 0;  // Theil-Sen slope from the first round to the last, of the median

  static constexpr void fields(auto visit) {
    using M = Metric;
    constexpr Better none = Better::none, down = Better::lower;
    visit("rounds", "", none, &M::rounds);
    visit("median", "", none, &M::median);
    visit("mad", "", down, &M::mad);
    visit("mean", "", none, &M::mean);
    visit("cv", "", down, &M::cv);
    visit("min", "", none, &M::min);
    visit("max", "", none, &M::max);
    visit("low", "", none, &M::low);
    visit("high", "", none, &M::high);
    visit("drift_percent", "%", none, &M::drift_percent);
  }
};
Metric make_metric(std::vector<double> rounds);
// Half the interval's width in percent of the median; infinite below three rounds.
double interval_percent(const Metric& metric);

// Work of a phase (prefill or decode) and how close it comes to what the machine can do.
struct Work {
  double bytes_per_token = 0;  // weights and KV cache read for one token
  double gbps = 0;             // 1e9 bytes of them a second
  double gflops = 0;           // 2e9 weight multiply-adds a second
  std::string limit;           // the field of `limits` that bounds it; `read_gbps` or, say, `int8_dot_gmacs`: a median of the rounds' shares
  std::optional<double> limit_percent;

  static constexpr void fields(auto visit) {
    using W = Work;
    visit("bytes_per_token", "B", Better::lower, &W::bytes_per_token);
    visit("gbps", "GB/s", Better::higher, &W::gbps);
    visit("gflops", "GFLOP/s", Better::higher, &W::gflops);
    visit("limit", "", Better::none, &W::limit);
    visit("limit_percent", "%", Better::higher, &W::limit_percent);
  }
};

// Whether the numbers can be trusted as they are.
struct Noise {
  bool is_noisy = false;
  double interval_percent = 0;       // the widest of the gated speeds
  std::vector<std::string> reasons;  // what was seen: load, other processes, throttling, clock, drift

  static constexpr void fields(auto visit) {
    using N = Noise;
    visit("is_noisy", "", Better::none, &N::is_noisy);
    visit("interval_percent", "%", Better::lower, &N::interval_percent);
    visit("reasons", "", Better::none, &N::reasons);
  }
};

// The machine around the rounds: facts that change while it runs.
struct HostState {
  std::string time;
  std::optional<double> clock_mhz, temperature_c, load_1;
  std::optional<std::string> governor;

  static constexpr void fields(auto visit) {
    using H = HostState;
    visit("time", "", Better::none, &H::time);
    visit("clock_mhz", "MHz", Better::none, &H::clock_mhz);
    visit("temperature_c", "C", Better::none, &H::temperature_c);
    visit("load_1", "", Better::none, &H::load_1);
    visit("governor", "", Better::none, &H::governor);
  }
};
HostState read_host_state(const HostFacts& host);

// The engine that computed: this program, or a peer.
struct EngineFacts {
  std::string name = "assay";
  std::string version, commit;

  static constexpr void fields(auto visit) {
    using E = EngineFacts;
    visit("name", "", Better::none, &E::name);
    visit("version", "", Better::none, &E::version);
    visit("commit", "", Better::none, &E::commit);
  }
};

struct CaseRun {
  std::string schema{kCaseRunSchema};
  std::string time;     // UTC, when the run began
  std::string run_id;   // shared by the cases of one run
  std::string tag;      // given by the user: "main", "nightly"
  std::string case_name;
  std::string test;     // "pp512 tg128 @ d4096"
  Status status = Status::ok;
  std::string reason;
  bool is_interrupted = false;  // stopped before the rounds that were wanted
  EngineFacts engine;
  ModelFacts model;
  std::string model_sha256;
  CaseSettings settings;
  Resolved resolved;
  std::string key;              // of model hash, engine and settings: equal keys measure the same thing
  std::string host_fingerprint; // equal fingerprints: speeds are comparable
  std::optional<Agreement> agreement;
  std::optional<std::string> output_hash;  // of 32 greedy tokens after the sample text
  std::optional<Metric> prefill_tps, decode_tps, end_to_end_tps, ttft_ms, peak_bytes;
  std::optional<Metric> time_ms;  // of one iteration, where that is all an imported result tells
  std::optional<Work> prefill, decode;
  std::optional<double> ms_per_token;
  TokenLatency latency;         // between tokens: medians over the rounds, the largest of all
  std::optional<double> tokenize_ms, sample_ms;
  std::optional<StartTimes> start;
  PlannedMemory planned;
  ProcessMemory memory;         // of the round with the largest peak
  std::optional<double> plan_error_percent;
  Pressure pressure;            // summed over the rounds
  std::optional<std::uint64_t> device_peak_bytes;
  std::optional<double> device_busy_percent;
  Energy energy;
  std::optional<QualityFacts> quality;
  Noise noise;
  std::vector<Round> rounds;
  MachineLimits limits;
  HostFacts host;
  HostState host_before, host_after;
  BuildFacts build;

  static constexpr void fields(auto visit) {
    using R = CaseRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    visit("schema", "", none, &R::schema);
    visit("time", "", none, &R::time);
    visit("run_id", "", none, &R::run_id);
    visit("tag", "", none, &R::tag);
    visit("case", "", none, &R::case_name);
    visit("test", "", none, &R::test);
    visit("status", "", none, &R::status);
    visit("reason", "", none, &R::reason);
    visit("is_interrupted", "", none, &R::is_interrupted);
    visit("engine", "", none, &R::engine);
    visit("model", "", none, &R::model);
    visit("model_sha256", "", none, &R::model_sha256);
    visit("settings", "", none, &R::settings);
    visit("resolved", "", none, &R::resolved);
    visit("key", "", none, &R::key);
    visit("host_fingerprint", "", none, &R::host_fingerprint);
    visit("agreement", "", none, &R::agreement);
    visit("output_hash", "", none, &R::output_hash);
    visit("prefill_tps", "tok/s", up, &R::prefill_tps);
    visit("decode_tps", "tok/s", up, &R::decode_tps);
    visit("end_to_end_tps", "tok/s", up, &R::end_to_end_tps);
    visit("ttft_ms", "ms", down, &R::ttft_ms);
    visit("peak_bytes", "B", down, &R::peak_bytes);
    visit("time_ms", "ms", down, &R::time_ms);
    visit("prefill", "", none, &R::prefill);
    visit("decode", "", none, &R::decode);
    visit("ms_per_token", "ms", down, &R::ms_per_token);
    visit("latency", "", none, &R::latency);
    visit("tokenize_ms", "ms", down, &R::tokenize_ms);
    visit("sample_ms", "ms", down, &R::sample_ms);
    visit("start", "", none, &R::start);
    visit("planned", "", none, &R::planned);
    visit("memory", "", none, &R::memory);
    visit("plan_error_percent", "%", none, &R::plan_error_percent);
    visit("pressure", "", none, &R::pressure);
    visit("device_peak_bytes", "B", down, &R::device_peak_bytes);
    visit("device_busy_percent", "%", none, &R::device_busy_percent);
    visit("energy", "", none, &R::energy);
    visit("quality", "", none, &R::quality);
    visit("noise", "", none, &R::noise);
    visit("rounds", "", none, &R::rounds);
    visit("limits", "", none, &R::limits);
    visit("host", "", none, &R::host);
    visit("host_before", "", none, &R::host_before);
    visit("host_after", "", none, &R::host_after);
    visit("build", "", none, &R::build);
  }
};

// What a case measures, in llama-bench's words: "pp512 tg128 @ d4096", joined "pp512+tg128", "x4" for sequences.
std::string test_name(const CaseSettings& settings);
// 16 hex digits of model hash, engine and settings (as resolved).
std::string make_key(const CaseRun& run);
// 16 hex digits of what makes speeds comparable: processor, instruction sets, caches, threads allowed, memory, hypervisor, governor.
std::string make_fingerprint(const HostFacts& host);

// Fills in everything that follows from the rounds, the settings and the limits.
struct CaseFigures {
  double layer_macs = 0, head_macs = 0, closing_macs = 0;  // weight multiply-adds of one token, as in MacCount
  std::uint64_t bytes_per_token = 0, kv_bytes_per_position = 0;
  std::uint64_t window_kv_bytes_per_position = 0, window = 0;  // of layers that see the last `window` positions only
  std::string prefill_limit;                // field of MachineLimits that bounds prefill

  static constexpr void fields(auto visit) {
    using C = CaseFigures;
    visit("layer_macs", "", Better::none, &C::layer_macs);
    visit("head_macs", "", Better::none, &C::head_macs);
    visit("closing_macs", "", Better::none, &C::closing_macs);
    visit("bytes_per_token", "B", Better::none, &C::bytes_per_token);
    visit("kv_bytes_per_position", "B", Better::none, &C::kv_bytes_per_position);
    visit("window_kv_bytes_per_position", "B", Better::none, &C::window_kv_bytes_per_position);
    visit("window", "", Better::none, &C::window);
    visit("prefill_limit", "", Better::none, &C::prefill_limit);
  }
};
// The record without what belongs to one machine and one moment: what a repository can keep as a baseline.
CaseRun facts_only(const CaseRun& run);

Noise judge_noise(const CaseRun& run, double target_percent);
void finish_case(CaseRun& run, const CaseFigures& figures, double target_percent);

ASSAY_JSON_ELSEWHERE(CaseRun)

}  // namespace assay

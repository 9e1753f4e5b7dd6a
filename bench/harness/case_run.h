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

  static constexpr auto fields() {
    using M = Metric;
    constexpr Better none = Better::none, down = Better::lower;
    return std::tuple(Field{"rounds", "", none, &M::rounds}, Field{"median", "", none, &M::median}, Field{"mad", "", down, &M::mad},
                      Field{"mean", "", none, &M::mean}, Field{"cv", "", down, &M::cv}, Field{"min", "", none, &M::min},
                      Field{"max", "", none, &M::max}, Field{"low", "", none, &M::low}, Field{"high", "", none, &M::high},
                      Field{"drift_percent", "%", none, &M::drift_percent});
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
  std::string limit;           // the field of `limits` that bounds it
  std::optional<double> limit_percent;

  static constexpr auto fields() {
    using W = Work;
    return std::tuple(Field{"bytes_per_token", "B", Better::lower, &W::bytes_per_token}, Field{"gbps", "GB/s", Better::higher, &W::gbps},
                      Field{"gflops", "GFLOP/s", Better::higher, &W::gflops}, Field{"limit", "", Better::none, &W::limit},
                      Field{"limit_percent", "%", Better::higher, &W::limit_percent});
  }
};

// Whether the numbers can be trusted as they are.
struct Noise {
  bool is_noisy = false;
  double interval_percent = 0;       // the widest of the gated speeds
  std::vector<std::string> reasons;  // what was seen: load, other processes, throttling, clock, drift

  static constexpr auto fields() {
    using N = Noise;
    return std::tuple(Field{"is_noisy", "", Better::none, &N::is_noisy}, Field{"interval_percent", "%", Better::lower, &N::interval_percent},
                      Field{"reasons", "", Better::none, &N::reasons});
  }
};

// The machine around the rounds: facts that change while it runs.
struct HostState {
  std::string time;
  std::optional<double> clock_mhz, temperature_c, load_1;
  std::optional<std::string> governor;

  static constexpr auto fields() {
    using H = HostState;
    return std::tuple(Field{"time", "", Better::none, &H::time}, Field{"clock_mhz", "MHz", Better::none, &H::clock_mhz},
                      Field{"temperature_c", "C", Better::none, &H::temperature_c}, Field{"load_1", "", Better::none, &H::load_1},
                      Field{"governor", "", Better::none, &H::governor});
  }
};
HostState read_host_state(const HostFacts& host);

// The engine that computed: this program, or a peer.
struct EngineFacts {
  std::string name = "assay";
  std::string version, commit;

  static constexpr auto fields() {
    using E = EngineFacts;
    return std::tuple(Field{"name", "", Better::none, &E::name}, Field{"version", "", Better::none, &E::version},
                      Field{"commit", "", Better::none, &E::commit});
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

  static constexpr auto fields() {
    using R = CaseRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    return std::tuple(
        Field{"schema", "", none, &R::schema}, Field{"time", "", none, &R::time}, Field{"run_id", "", none, &R::run_id},
        Field{"tag", "", none, &R::tag}, Field{"case", "", none, &R::case_name}, Field{"test", "", none, &R::test},
        Field{"status", "", none, &R::status}, Field{"reason", "", none, &R::reason},
        Field{"is_interrupted", "", none, &R::is_interrupted}, Field{"engine", "", none, &R::engine},
        Field{"model", "", none, &R::model}, Field{"model_sha256", "", none, &R::model_sha256},
        Field{"settings", "", none, &R::settings}, Field{"resolved", "", none, &R::resolved}, Field{"key", "", none, &R::key},
        Field{"host_fingerprint", "", none, &R::host_fingerprint}, Field{"agreement", "", none, &R::agreement},
        Field{"output_hash", "", none, &R::output_hash}, Field{"prefill_tps", "tok/s", up, &R::prefill_tps},
        Field{"decode_tps", "tok/s", up, &R::decode_tps}, Field{"end_to_end_tps", "tok/s", up, &R::end_to_end_tps},
        Field{"ttft_ms", "ms", down, &R::ttft_ms}, Field{"peak_bytes", "B", down, &R::peak_bytes},
        Field{"time_ms", "ms", down, &R::time_ms}, Field{"prefill", "", none, &R::prefill}, Field{"decode", "", none, &R::decode},
        Field{"ms_per_token", "ms", down, &R::ms_per_token}, Field{"latency", "", none, &R::latency},
        Field{"tokenize_ms", "ms", down, &R::tokenize_ms}, Field{"sample_ms", "ms", down, &R::sample_ms},
        Field{"start", "", none, &R::start}, Field{"planned", "", none, &R::planned}, Field{"memory", "", none, &R::memory},
        Field{"plan_error_percent", "%", none, &R::plan_error_percent}, Field{"pressure", "", none, &R::pressure},
        Field{"device_peak_bytes", "B", down, &R::device_peak_bytes},
        Field{"device_busy_percent", "%", none, &R::device_busy_percent}, Field{"energy", "", none, &R::energy},
        Field{"quality", "", none, &R::quality}, Field{"noise", "", none, &R::noise}, Field{"rounds", "", none, &R::rounds},
        Field{"limits", "", none, &R::limits}, Field{"host", "", none, &R::host},
        Field{"host_before", "", none, &R::host_before}, Field{"host_after", "", none, &R::host_after},
        Field{"build", "", none, &R::build});
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
  double layer_macs = 0, head_macs = 0;     // weight multiply-adds of one token, without and of the head
  std::uint64_t bytes_per_token = 0, kv_bytes_per_position = 0;
  std::uint64_t window_kv_bytes_per_position = 0, window = 0;  // of layers that see the last `window` positions only
  std::string prefill_limit;                // field of MachineLimits that bounds prefill

  static constexpr auto fields() {
    using C = CaseFigures;
    return std::tuple(Field{"layer_macs", "", Better::none, &C::layer_macs}, Field{"head_macs", "", Better::none, &C::head_macs},
                      Field{"bytes_per_token", "B", Better::none, &C::bytes_per_token},
                      Field{"kv_bytes_per_position", "B", Better::none, &C::kv_bytes_per_position},
                      Field{"window_kv_bytes_per_position", "B", Better::none, &C::window_kv_bytes_per_position},
                      Field{"window", "", Better::none, &C::window},
                      Field{"prefill_limit", "", Better::none, &C::prefill_limit});
  }
};
// The record without what belongs to one machine and one moment: what a repository can keep as a baseline.
CaseRun facts_only(const CaseRun& run);

Noise judge_noise(const CaseRun& run, double target_percent);
void finish_case(CaseRun& run, const CaseFigures& figures, double target_percent);

}  // namespace assay

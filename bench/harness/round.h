// Round: one process's measurement of one case, and the settings it ran with.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/describe.h"
#include "runtime/core/host.h"
#include "runtime/engine/device_pass.h"

namespace assay {

// What a case asks for.
struct CaseSettings {
  std::string backend = "cpu";
  int threads = 0;                     // 0: as many as the process may use
  std::uint32_t prompt_tokens = 0;     // prefill, 0: none
  std::uint32_t generated_tokens = 0;  // decode, 0: none
  bool is_joined = false;              // decode goes on where the prompt ended, else both start at the depth
  std::uint32_t depth = 0;             // positions filled before
  std::uint32_t sequences = 1;         // decoded together
  std::uint32_t batch = 2048;          // tokens handed over at once
  std::uint32_t ubatch = 512;          // tokens computed at once
  std::string kv_keys = "f16", kv_values = "f16";
  std::optional<int> gpu_layers;
  std::string flash_attention = "auto";  // "on", "off", "auto"
  std::string load = "map";              // "map", "copy", and "map locked", "copy locked"
  std::string isa;                       // forced kernels; empty: the best
  std::string cpu_mask;                  // hexadecimal, empty: any

  static constexpr void fields(auto visit) {
    using S = CaseSettings;
    constexpr Better none = Better::none;
    visit("backend", "", none, &S::backend);
    visit("threads", "", none, &S::threads);
    visit("prompt_tokens", "tok", none, &S::prompt_tokens);
    visit("generated_tokens", "tok", none, &S::generated_tokens);
    visit("is_joined", "", none, &S::is_joined);
    visit("depth", "tok", none, &S::depth);
    visit("sequences", "", none, &S::sequences);
    visit("batch", "tok", none, &S::batch);
    visit("ubatch", "tok", none, &S::ubatch);
    visit("kv_keys", "", none, &S::kv_keys);
    visit("kv_values", "", none, &S::kv_values);
    visit("gpu_layers", "", none, &S::gpu_layers);
    visit("flash_attention", "", none, &S::flash_attention);
    visit("load", "", none, &S::load);
    visit("isa", "", none, &S::isa);
    visit("cpu_mask", "", none, &S::cpu_mask);
  }
};

// What became of settings that leave a choice.
struct Resolved {
  int threads = 0;
  std::string isa;
  std::uint32_t context = 0;
  std::string memory_limit;  // how a limit was enforced: "", "cgroup", "rlimit"

  static constexpr void fields(auto visit) {
    using R = Resolved;
    visit("threads", "", Better::none, &R::threads);
    visit("isa", "", Better::none, &R::isa);
    visit("context", "tok", Better::none, &R::context);
    visit("memory_limit", "", Better::none, &R::memory_limit);
  }
};

// Milliseconds of a start. Warm: the file is in the page cache. Cold: it was dropped from it, which mincore confirmed.
struct StartTimes {
  double open_ms = 0;       // map and parse
  double bind_ms = 0;       // find every weight
  double tokenizer_ms = 0;
  double session_ms = 0;    // backend, KV cache
  double load_ms = 0;       // their sum
  double first_token_ms = 0;  // the first forward pass of one token after that
  std::optional<double> upload_ms, pipeline_ms;  // where the backend has a device
  std::optional<double> cold_load_ms, cold_first_token_ms;
  std::string cold_note;    // why there is no cold figure

  static constexpr void fields(auto visit) {
    using S = StartTimes;
    constexpr Better down = Better::lower;
    visit("open_ms", "ms", down, &S::open_ms);
    visit("bind_ms", "ms", down, &S::bind_ms);
    visit("tokenizer_ms", "ms", down, &S::tokenizer_ms);
    visit("session_ms", "ms", down, &S::session_ms);
    visit("load_ms", "ms", down, &S::load_ms);
    visit("first_token_ms", "ms", down, &S::first_token_ms);
    visit("upload_ms", "ms", down, &S::upload_ms);
    visit("pipeline_ms", "ms", down, &S::pipeline_ms);
    visit("cold_load_ms", "ms", down, &S::cold_load_ms);
    visit("cold_first_token_ms", "ms", down, &S::cold_first_token_ms);
    visit("cold_note", "", Better::none, &S::cold_note);
  }
};

// Milliseconds between tokens.
struct TokenLatency {
  std::uint64_t count = 0;
  std::optional<double> p50_ms, p90_ms, p95_ms, p99_ms, max_ms;

  static constexpr void fields(auto visit) {
    using T = TokenLatency;
    constexpr Better down = Better::lower;
    visit("count", "", Better::none, &T::count);
    visit("p50_ms", "ms", down, &T::p50_ms);
    visit("p90_ms", "ms", down, &T::p90_ms);
    visit("p95_ms", "ms", down, &T::p95_ms);
    visit("p99_ms", "ms", down, &T::p99_ms);
    visit("max_ms", "ms", down, &T::max_ms);
  }
};
TokenLatency summarize_latency(std::span<const double> token_ms);

// Milliseconds in which some task waited for memory, processor or disk (Linux PSI). Nothing where the kernel does not tell.
struct Pressure {
  std::optional<double> memory_ms, cpu_ms, io_ms;

  static constexpr void fields(auto visit) {
    using P = Pressure;
    constexpr Better down = Better::lower;
    visit("memory_ms", "ms", down, &P::memory_ms);
    visit("cpu_ms", "ms", down, &P::cpu_ms);
    visit("io_ms", "ms", down, &P::io_ms);
  }
};

// Of the sensor named; nothing where there is none.
struct Energy {
  std::string sensor;
  std::optional<double> watts;
  std::optional<double> joules_per_prompt_token, joules_per_generated_token;

  static constexpr void fields(auto visit) {
    using E = Energy;
    constexpr Better down = Better::lower;
    visit("sensor", "", Better::none, &E::sensor);
    visit("watts", "W", down, &E::watts);
    visit("joules_per_prompt_token", "J", down, &E::joules_per_prompt_token);
    visit("joules_per_generated_token", "J", down, &E::joules_per_generated_token);
  }
};

// What else went on while the round was measured.
struct Surroundings {
  double seconds = 0;
  std::optional<double> other_cpus;     // processors busy with something else, on average
  std::optional<double> steal_percent;  // taken by the hypervisor
  std::optional<double> clock_before_mhz, clock_after_mhz;
  std::optional<double> temperature_c;
  std::optional<std::uint64_t> throttle_events;
  std::optional<double> load_1;
  double wall_jump_s = 0;               // how far the wall clock moved against the steady one
  Pressure pressure;

  static constexpr void fields(auto visit) {
    using S = Surroundings;
    constexpr Better none = Better::none;
    visit("seconds", "s", none, &S::seconds);
    visit("other_cpus", "", none, &S::other_cpus);
    visit("steal_percent", "%", none, &S::steal_percent);
    visit("clock_before_mhz", "MHz", none, &S::clock_before_mhz);
    visit("clock_after_mhz", "MHz", none, &S::clock_after_mhz);
    visit("temperature_c", "C", none, &S::temperature_c);
    visit("throttle_events", "", none, &S::throttle_events);
    visit("load_1", "", none, &S::load_1);
    visit("wall_jump_s", "s", none, &S::wall_jump_s);
    visit("pressure", "", none, &S::pressure);
  }
};

struct Round {
  std::string time;       // UTC
  double at_s = 0;        // since the run began
  std::uint32_t warmups = 0;
  std::vector<double> prefill_ms;  // of all prompt tokens
  std::vector<double> ttft_ms;     // tokenise, prefill, sample
  std::vector<double> decode_ms;   // of all generated tokens, sampling included
  std::vector<double> joined_ms;   // of both, where a peer tells no more
  std::vector<double> token_ms;    // single tokens, the first 256 at the most
  std::optional<double> tokenize_ms, sample_ms;  // medians
  TokenLatency latency;            // of every token of the round
  std::optional<StartTimes> start; // a peer does not tell
  ProcessMemory memory;
  Surroundings surroundings;
  Energy energy;
  std::optional<double> read_gbps;   // the median of what reading alone reaches right after, with as many threads; of a CPU's decoding
  std::optional<double> peak_gmacs;  // the multiply-adds a second, / 1e9, of the instructions that bound prefill, as soon and with as many threads; of a CPU's prefill
  std::optional<DevicePass> device;  // of one decoded token on a device, with times of its kernels, off the clock

  static constexpr void fields(auto visit) {
    using R = Round;
    constexpr Better none = Better::none;
    visit("time", "", none, &R::time);
    visit("at_s", "s", none, &R::at_s);
    visit("warmups", "", none, &R::warmups);
    visit("prefill_ms", "ms", none, &R::prefill_ms);
    visit("ttft_ms", "ms", none, &R::ttft_ms);
    visit("decode_ms", "ms", none, &R::decode_ms);
    visit("joined_ms", "ms", none, &R::joined_ms);
    visit("token_ms", "ms", none, &R::token_ms);
    visit("tokenize_ms", "ms", none, &R::tokenize_ms);
    visit("sample_ms", "ms", none, &R::sample_ms);
    visit("latency", "", none, &R::latency);
    visit("start", "", none, &R::start);
    visit("memory", "", none, &R::memory);
    visit("surroundings", "", none, &R::surroundings);
    visit("energy", "", none, &R::energy);
    visit("read_gbps", "GB/s", none, &R::read_gbps);
    visit("peak_gmacs", "GMAC/s", none, &R::peak_gmacs);
    visit("device", "", none, &R::device);
  }
};

ASSAY_JSON_ELSEWHERE(CaseSettings)
ASSAY_JSON_ELSEWHERE(Round)

}  // namespace assay

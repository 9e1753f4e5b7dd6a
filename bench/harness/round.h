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

  static constexpr auto fields() {
    using S = CaseSettings;
    constexpr Better none = Better::none;
    return std::tuple(
        Field{"backend", "", none, &S::backend}, Field{"threads", "", none, &S::threads},
        Field{"prompt_tokens", "tok", none, &S::prompt_tokens}, Field{"generated_tokens", "tok", none, &S::generated_tokens},
        Field{"is_joined", "", none, &S::is_joined}, Field{"depth", "tok", none, &S::depth},
        Field{"sequences", "", none, &S::sequences}, Field{"batch", "tok", none, &S::batch},
        Field{"ubatch", "tok", none, &S::ubatch}, Field{"kv_keys", "", none, &S::kv_keys},
        Field{"kv_values", "", none, &S::kv_values}, Field{"gpu_layers", "", none, &S::gpu_layers},
        Field{"flash_attention", "", none, &S::flash_attention}, Field{"load", "", none, &S::load},
        Field{"isa", "", none, &S::isa}, Field{"cpu_mask", "", none, &S::cpu_mask});
  }
};

// What became of settings that leave a choice.
struct Resolved {
  int threads = 0;
  std::string isa;
  std::uint32_t context = 0;
  std::string memory_limit;  // how a limit was enforced: "", "cgroup", "rlimit"

  static constexpr auto fields() {
    using R = Resolved;
    return std::tuple(Field{"threads", "", Better::none, &R::threads}, Field{"isa", "", Better::none, &R::isa},
                      Field{"context", "tok", Better::none, &R::context}, Field{"memory_limit", "", Better::none, &R::memory_limit});
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

  static constexpr auto fields() {
    using S = StartTimes;
    constexpr Better down = Better::lower;
    return std::tuple(
        Field{"open_ms", "ms", down, &S::open_ms}, Field{"bind_ms", "ms", down, &S::bind_ms},
        Field{"tokenizer_ms", "ms", down, &S::tokenizer_ms}, Field{"session_ms", "ms", down, &S::session_ms},
        Field{"load_ms", "ms", down, &S::load_ms}, Field{"first_token_ms", "ms", down, &S::first_token_ms},
        Field{"upload_ms", "ms", down, &S::upload_ms}, Field{"pipeline_ms", "ms", down, &S::pipeline_ms},
        Field{"cold_load_ms", "ms", down, &S::cold_load_ms}, Field{"cold_first_token_ms", "ms", down, &S::cold_first_token_ms},
        Field{"cold_note", "", Better::none, &S::cold_note});
  }
};

// Milliseconds between tokens.
struct TokenLatency {
  std::uint64_t count = 0;
  std::optional<double> p50_ms, p90_ms, p95_ms, p99_ms, max_ms;

  static constexpr auto fields() {
    using T = TokenLatency;
    constexpr Better down = Better::lower;
    return std::tuple(Field{"count", "", Better::none, &T::count}, Field{"p50_ms", "ms", down, &T::p50_ms},
                      Field{"p90_ms", "ms", down, &T::p90_ms}, Field{"p95_ms", "ms", down, &T::p95_ms},
                      Field{"p99_ms", "ms", down, &T::p99_ms}, Field{"max_ms", "ms", down, &T::max_ms});
  }
};
TokenLatency summarize_latency(std::span<const double> token_ms);

// Milliseconds in which some task waited for memory, processor or disk (Linux PSI). Nothing where the kernel does not tell.
struct Pressure {
  std::optional<double> memory_ms, cpu_ms, io_ms;

  static constexpr auto fields() {
    using P = Pressure;
    constexpr Better down = Better::lower;
    return std::tuple(Field{"memory_ms", "ms", down, &P::memory_ms}, Field{"cpu_ms", "ms", down, &P::cpu_ms},
                      Field{"io_ms", "ms", down, &P::io_ms});
  }
};

// Of the sensor named; nothing where there is none.
struct Energy {
  std::string sensor;
  std::optional<double> watts;
  std::optional<double> joules_per_prompt_token, joules_per_generated_token;

  static constexpr auto fields() {
    using E = Energy;
    constexpr Better down = Better::lower;
    return std::tuple(Field{"sensor", "", Better::none, &E::sensor}, Field{"watts", "W", down, &E::watts},
                      Field{"joules_per_prompt_token", "J", down, &E::joules_per_prompt_token},
                      Field{"joules_per_generated_token", "J", down, &E::joules_per_generated_token});
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

  static constexpr auto fields() {
    using S = Surroundings;
    constexpr Better none = Better::none;
    return std::tuple(
        Field{"seconds", "s", none, &S::seconds}, Field{"other_cpus", "", none, &S::other_cpus},
        Field{"steal_percent", "%", none, &S::steal_percent}, Field{"clock_before_mhz", "MHz", none, &S::clock_before_mhz},
        Field{"clock_after_mhz", "MHz", none, &S::clock_after_mhz}, Field{"temperature_c", "C", none, &S::temperature_c},
        Field{"throttle_events", "", none, &S::throttle_events}, Field{"load_1", "", none, &S::load_1},
        Field{"wall_jump_s", "s", none, &S::wall_jump_s}, Field{"pressure", "", none, &S::pressure});
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
  std::optional<DevicePass> device;  // of one decoded token on a device, with times of its kernels, off the clock

  static constexpr auto fields() {
    using R = Round;
    constexpr Better none = Better::none;
    return std::tuple(
        Field{"time", "", none, &R::time}, Field{"at_s", "s", none, &R::at_s}, Field{"warmups", "", none, &R::warmups},
        Field{"prefill_ms", "ms", none, &R::prefill_ms}, Field{"ttft_ms", "ms", none, &R::ttft_ms},
        Field{"decode_ms", "ms", none, &R::decode_ms}, Field{"joined_ms", "ms", none, &R::joined_ms}, Field{"token_ms", "ms", none, &R::token_ms},
        Field{"tokenize_ms", "ms", none, &R::tokenize_ms}, Field{"sample_ms", "ms", none, &R::sample_ms},
        Field{"latency", "", none, &R::latency}, Field{"start", "", none, &R::start}, Field{"memory", "", none, &R::memory},
        Field{"surroundings", "", none, &R::surroundings}, Field{"energy", "", none, &R::energy},
        Field{"device", "", none, &R::device});
  }
};

}  // namespace assay

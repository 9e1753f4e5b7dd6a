// Records: what one measured case was and gave, as described structs; the JSON line of one is the truth about it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/probes.h"
#include "bench/statistics.h"
#include "runtime/core/describe.h"
#include "runtime/core/host.h"
#include "runtime/model/model.h"

namespace assay {

inline constexpr std::string_view kModelRunSchema = "assay.model-run/1";
inline constexpr std::string_view kKernelRunSchema = "assay.kernel-run/1";

// Which program measured.
struct BuildFacts {
  std::string version, commit, compiler, build_type, flags;
  bool is_dirty = false;

  static constexpr auto fields() {
    using B = BuildFacts;
    return std::tuple(Field{"version", "", Better::none, &B::version}, Field{"commit", "", Better::none, &B::commit},
                      Field{"is_dirty", "", Better::none, &B::is_dirty}, Field{"compiler", "", Better::none, &B::compiler},
                      Field{"build_type", "", Better::none, &B::build_type}, Field{"flags", "", Better::none, &B::flags});
  }
};
BuildFacts build_facts();

// How much of a model is in one weight format.
struct FormatShare {
  std::string format;
  std::uint64_t tensors = 0, values = 0, bytes = 0;

  static constexpr auto fields() {
    using F = FormatShare;
    return std::tuple(Field{"format", "", Better::none, &F::format}, Field{"tensors", "", Better::none, &F::tensors},
                      Field{"values", "", Better::none, &F::values}, Field{"bytes", "B", Better::none, &F::bytes});
  }
};

struct ModelFacts {
  std::string name, path, kind;  // kind: "gguf", "safetensors", ...
  std::string architecture;
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  std::uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  std::uint32_t context = 0;
  std::vector<FormatShare> formats;  // most bytes first

  static constexpr auto fields() {
    using M = ModelFacts;
    return std::tuple(Field{"name", "", Better::none, &M::name}, Field{"path", "", Better::none, &M::path},
                      Field{"kind", "", Better::none, &M::kind}, Field{"architecture", "", Better::none, &M::architecture},
                      Field{"parameters", "", Better::none, &M::parameters},
                      Field{"weight_bytes", "B", Better::none, &M::weight_bytes},
                      Field{"file_bytes", "B", Better::none, &M::file_bytes},
                      Field{"bits_per_weight", "bit", Better::none, &M::bits_per_weight},
                      Field{"context", "tok", Better::none, &M::context}, Field{"formats", "", Better::none, &M::formats});
  }
};
ModelFacts describe_model(const Model& model, std::string_view name);
// "llama 1.25 M Q4_K" for people: architecture, parameters, the format most bytes are in.
std::string label_of(const ModelFacts& model);

// What was asked for, as resolved.
struct Settings {
  std::string backend;
  std::string isa;
  int threads = 0;
  std::uint32_t context = 0;
  std::uint32_t batch = 0;
  std::string kv;
  std::uint32_t prompt_tokens = 0;     // computed per iteration in batches
  std::uint32_t generated_tokens = 0;  // computed per iteration one by one
  std::uint32_t depth = 0;             // positions that were filled before

  static constexpr auto fields() {
    using S = Settings;
    return std::tuple(Field{"backend", "", Better::none, &S::backend}, Field{"isa", "", Better::none, &S::isa},
                      Field{"threads", "", Better::none, &S::threads}, Field{"context", "tok", Better::none, &S::context},
                      Field{"batch", "tok", Better::none, &S::batch}, Field{"kv", "", Better::none, &S::kv},
                      Field{"prompt_tokens", "tok", Better::none, &S::prompt_tokens},
                      Field{"generated_tokens", "tok", Better::none, &S::generated_tokens},
                      Field{"depth", "tok", Better::none, &S::depth});
  }
};

enum class Status : std::uint8_t { ok, wrong_answer, invalid_file, unsupported, skipped, failed, oom, crash, timeout };
inline constexpr std::array<std::string_view, 9> kStatusNames = {"ok",      "wrong-answer", "invalid-file", "unsupported", "skipped",
                                                                 "failed",  "oom",          "crash",        "timeout"};
constexpr std::span<const std::string_view> enum_names(Status) { return kStatusNames; }

// How the answer compares with the truth, over all logits of the positions checked.
struct Agreement {
  std::string against;  // "reference" or the golden's file name
  std::uint32_t positions = 0;
  double top1 = 0;          // share of positions whose most likely token is the same, or a tie within the bound
  double rms = 0;           // of the differences of logits
  double max = 0;
  double rms_relative = 0;  // rms over the standard deviation of the true logits
  double bound = 0;         // the largest rms_relative that passes
  bool passed = false;
  std::string reason;       // why not

  static constexpr auto fields() {
    using A = Agreement;
    return std::tuple(Field{"against", "", Better::none, &A::against}, Field{"positions", "", Better::none, &A::positions},
                      Field{"top1", "", Better::higher, &A::top1}, Field{"rms", "", Better::lower, &A::rms},
                      Field{"max", "", Better::lower, &A::max}, Field{"rms_relative", "", Better::lower, &A::rms_relative},
                      Field{"bound", "", Better::none, &A::bound}, Field{"passed", "", Better::none, &A::passed},
                      Field{"reason", "", Better::none, &A::reason});
  }
};

// In bytes, computed before anything is loaded.
struct PlannedMemory {
  std::uint64_t weights_bytes = 0, kv_bytes = 0, activation_bytes = 0;

  static constexpr auto fields() {
    using P = PlannedMemory;
    return std::tuple(Field{"weights_bytes", "B", Better::none, &P::weights_bytes},
                      Field{"kv_bytes", "B", Better::none, &P::kv_bytes},
                      Field{"activation_bytes", "B", Better::none, &P::activation_bytes});
  }
};

// One case of one model: prefill, decode or load.
struct ModelRun {
  std::string schema{kModelRunSchema};
  std::string time;  // UTC, ISO 8601
  std::string case_name;  // "MODEL/decode/128"
  std::string kind;       // "prefill", "decode", "load"
  Status status = Status::ok;
  std::string reason;
  ModelFacts model;
  Settings settings;
  std::optional<Agreement> agreement;
  std::vector<double> samples_ms;  // one an iteration
  std::uint32_t warmups = 0;       // iterations before these, not counted
  Summary time_ms;
  std::optional<double> tokens_per_s, ms_per_token;                               // from the median
  std::optional<double> token_p50_ms, token_p90_ms, token_p99_ms, token_max_ms;   // decode: single tokens
  std::optional<double> bytes_per_token;   // weights and KV read for one token
  std::optional<double> gbps;              // 1e9 bytes of them a second
  std::optional<double> gmacs;             // 1e9 weight multiply-adds a second
  std::optional<std::string> limit;        // the field of `limits` that bounds this case
  std::optional<double> limit_percent;
  MachineLimits limits;                    // what of it was measured
  PlannedMemory planned;
  ProcessMemory memory;                    // at the end of the case; its peak covers the case alone if peak_is_case
  bool peak_is_case = false;
  HostFacts host;
  BuildFacts build;

  static constexpr auto fields() {
    using R = ModelRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    return std::tuple(
        Field{"schema", "", none, &R::schema}, Field{"time", "", none, &R::time}, Field{"case", "", none, &R::case_name},
        Field{"kind", "", none, &R::kind}, Field{"status", "", none, &R::status}, Field{"reason", "", none, &R::reason},
        Field{"model", "", none, &R::model}, Field{"settings", "", none, &R::settings},
        Field{"agreement", "", none, &R::agreement}, Field{"samples_ms", "ms", none, &R::samples_ms},
        Field{"warmups", "", none, &R::warmups}, Field{"time_ms", "ms", down, &R::time_ms},
        Field{"tokens_per_s", "tok/s", up, &R::tokens_per_s}, Field{"ms_per_token", "ms", down, &R::ms_per_token},
        Field{"token_p50_ms", "ms", down, &R::token_p50_ms}, Field{"token_p90_ms", "ms", down, &R::token_p90_ms},
        Field{"token_p99_ms", "ms", down, &R::token_p99_ms}, Field{"token_max_ms", "ms", down, &R::token_max_ms},
        Field{"bytes_per_token", "B", down, &R::bytes_per_token}, Field{"gbps", "GB/s", up, &R::gbps},
        Field{"gmacs", "GMAC/s", up, &R::gmacs}, Field{"limit", "", none, &R::limit},
        Field{"limit_percent", "%", up, &R::limit_percent}, Field{"limits", "", none, &R::limits},
        Field{"planned", "", none, &R::planned}, Field{"memory", "", none, &R::memory},
        Field{"peak_is_case", "", none, &R::peak_is_case}, Field{"host", "", none, &R::host},
        Field{"build", "", none, &R::build});
  }
};

// One kernel, tokenizer or probe measurement.
struct KernelRun {
  std::string schema{kKernelRunSchema};
  std::string time;
  std::string case_name;  // "dequantize/Q4_K/avx512"
  std::string kind, format, isa;
  int threads = 1;
  Status status = Status::ok;
  std::string reason;
  std::vector<double> samples_ns;  // mean of one call, one a repetition
  Summary time_ns;
  double bytes_in = 0, bytes_out = 0, values = 0;  // of one call
  std::optional<double> in_gbps, out_gbps;         // from the median
  std::optional<double> values_per_s;
  std::optional<double> read_percent;              // in_gbps of the machine's measured read bandwidth, one thread
  std::optional<double> write_percent;             // out_gbps of its write bandwidth, one thread
  std::optional<double> peak_percent;              // values_per_s of its multiply-add peak with the instructions of `isa`, one thread
  MachineLimits limits;
  HostFacts host;
  BuildFacts build;

  static constexpr auto fields() {
    using R = KernelRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    return std::tuple(
        Field{"schema", "", none, &R::schema}, Field{"time", "", none, &R::time}, Field{"case", "", none, &R::case_name},
        Field{"kind", "", none, &R::kind}, Field{"format", "", none, &R::format}, Field{"isa", "", none, &R::isa},
        Field{"threads", "", none, &R::threads}, Field{"status", "", none, &R::status}, Field{"reason", "", none, &R::reason},
        Field{"samples_ns", "ns", none, &R::samples_ns}, Field{"time_ns", "ns", down, &R::time_ns},
        Field{"bytes_in", "B", none, &R::bytes_in}, Field{"bytes_out", "B", none, &R::bytes_out},
        Field{"values", "", none, &R::values}, Field{"in_gbps", "GB/s", up, &R::in_gbps},
        Field{"out_gbps", "GB/s", up, &R::out_gbps}, Field{"values_per_s", "1/s", up, &R::values_per_s},
        Field{"read_percent", "%", up, &R::read_percent}, Field{"write_percent", "%", up, &R::write_percent},
        Field{"peak_percent", "%", up, &R::peak_percent},
        Field{"limits", "", none, &R::limits}, Field{"host", "", none, &R::host}, Field{"build", "", none, &R::build});
  }
};

// Now, in UTC: "2026-01-31T23:59:59Z".
std::string utc_time();

}  // namespace assay

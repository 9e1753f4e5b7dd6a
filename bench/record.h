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

  static constexpr void fields(auto visit) {
    using B = BuildFacts;
    visit("version", "", Better::none, &B::version);
    visit("commit", "", Better::none, &B::commit);
    visit("is_dirty", "", Better::none, &B::is_dirty);
    visit("compiler", "", Better::none, &B::compiler);
    visit("build_type", "", Better::none, &B::build_type);
    visit("flags", "", Better::none, &B::flags);
  }
};
BuildFacts build_facts();

// How much of a model is in one weight format.
struct FormatShare {
  std::string format;
  std::uint64_t tensors = 0, values = 0, bytes = 0;

  static constexpr void fields(auto visit) {
    using F = FormatShare;
    visit("format", "", Better::none, &F::format);
    visit("tensors", "", Better::none, &F::tensors);
    visit("values", "", Better::none, &F::values);
    visit("bytes", "B", Better::none, &F::bytes);
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

  static constexpr void fields(auto visit) {
    using M = ModelFacts;
    visit("name", "", Better::none, &M::name);
    visit("path", "", Better::none, &M::path);
    visit("kind", "", Better::none, &M::kind);
    visit("architecture", "", Better::none, &M::architecture);
    visit("parameters", "", Better::none, &M::parameters);
    visit("weight_bytes", "B", Better::none, &M::weight_bytes);
    visit("file_bytes", "B", Better::none, &M::file_bytes);
    visit("bits_per_weight", "bit", Better::none, &M::bits_per_weight);
    visit("context", "tok", Better::none, &M::context);
    visit("formats", "", Better::none, &M::formats);
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

  static constexpr void fields(auto visit) {
    using S = Settings;
    visit("backend", "", Better::none, &S::backend);
    visit("isa", "", Better::none, &S::isa);
    visit("threads", "", Better::none, &S::threads);
    visit("context", "tok", Better::none, &S::context);
    visit("batch", "tok", Better::none, &S::batch);
    visit("kv", "", Better::none, &S::kv);
    visit("prompt_tokens", "tok", Better::none, &S::prompt_tokens);
    visit("generated_tokens", "tok", Better::none, &S::generated_tokens);
    visit("depth", "tok", Better::none, &S::depth);
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

  static constexpr void fields(auto visit) {
    using A = Agreement;
    visit("against", "", Better::none, &A::against);
    visit("positions", "", Better::none, &A::positions);
    visit("top1", "", Better::higher, &A::top1);
    visit("rms", "", Better::lower, &A::rms);
    visit("max", "", Better::lower, &A::max);
    visit("rms_relative", "", Better::lower, &A::rms_relative);
    visit("bound", "", Better::none, &A::bound);
    visit("passed", "", Better::none, &A::passed);
    visit("reason", "", Better::none, &A::reason);
  }
};

// In bytes, computed before anything is loaded.
struct PlannedMemory {
  std::uint64_t weights_bytes = 0, kv_bytes = 0, activation_bytes = 0;

  static constexpr void fields(auto visit) {
    using P = PlannedMemory;
    visit("weights_bytes", "B", Better::none, &P::weights_bytes);
    visit("kv_bytes", "B", Better::none, &P::kv_bytes);
    visit("activation_bytes", "B", Better::none, &P::activation_bytes);
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

  static constexpr void fields(auto visit) {
    using R = ModelRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    visit("schema", "", none, &R::schema);
    visit("time", "", none, &R::time);
    visit("case", "", none, &R::case_name);
    visit("kind", "", none, &R::kind);
    visit("status", "", none, &R::status);
    visit("reason", "", none, &R::reason);
    visit("model", "", none, &R::model);
    visit("settings", "", none, &R::settings);
    visit("agreement", "", none, &R::agreement);
    visit("samples_ms", "ms", none, &R::samples_ms);
    visit("warmups", "", none, &R::warmups);
    visit("time_ms", "ms", down, &R::time_ms);
    visit("tokens_per_s", "tok/s", up, &R::tokens_per_s);
    visit("ms_per_token", "ms", down, &R::ms_per_token);
    visit("token_p50_ms", "ms", down, &R::token_p50_ms);
    visit("token_p90_ms", "ms", down, &R::token_p90_ms);
    visit("token_p99_ms", "ms", down, &R::token_p99_ms);
    visit("token_max_ms", "ms", down, &R::token_max_ms);
    visit("bytes_per_token", "B", down, &R::bytes_per_token);
    visit("gbps", "GB/s", up, &R::gbps);
    visit("gmacs", "GMAC/s", up, &R::gmacs);
    visit("limit", "", none, &R::limit);
    visit("limit_percent", "%", up, &R::limit_percent);
    visit("limits", "", none, &R::limits);
    visit("planned", "", none, &R::planned);
    visit("memory", "", none, &R::memory);
    visit("peak_is_case", "", none, &R::peak_is_case);
    visit("host", "", none, &R::host);
    visit("build", "", none, &R::build);
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

  static constexpr void fields(auto visit) {
    using R = KernelRun;
    constexpr Better none = Better::none, up = Better::higher, down = Better::lower;
    visit("schema", "", none, &R::schema);
    visit("time", "", none, &R::time);
    visit("case", "", none, &R::case_name);
    visit("kind", "", none, &R::kind);
    visit("format", "", none, &R::format);
    visit("isa", "", none, &R::isa);
    visit("threads", "", none, &R::threads);
    visit("status", "", none, &R::status);
    visit("reason", "", none, &R::reason);
    visit("samples_ns", "ns", none, &R::samples_ns);
    visit("time_ns", "ns", down, &R::time_ns);
    visit("bytes_in", "B", none, &R::bytes_in);
    visit("bytes_out", "B", none, &R::bytes_out);
    visit("values", "", none, &R::values);
    visit("in_gbps", "GB/s", up, &R::in_gbps);
    visit("out_gbps", "GB/s", up, &R::out_gbps);
    visit("values_per_s", "1/s", up, &R::values_per_s);
    visit("read_percent", "%", up, &R::read_percent);
    visit("write_percent", "%", up, &R::write_percent);
    visit("peak_percent", "%", up, &R::peak_percent);
    visit("limits", "", none, &R::limits);
    visit("host", "", none, &R::host);
    visit("build", "", none, &R::build);
  }
};

// Now, in UTC: "2026-01-31T23:59:59Z".
std::string utc_time();

ASSAY_JSON_ELSEWHERE(ModelRun)
ASSAY_JSON_ELSEWHERE(KernelRun)

}  // namespace assay

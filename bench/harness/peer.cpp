// llama-bench as a peer: its command line and its JSON.
#include "bench/harness/peer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "bench/harness/process.h"
#include "bench/timing.h"
#include "runtime/core/parallel.h"
#include "runtime/formats/model_file.h"

namespace assay {

namespace {

constexpr std::uint32_t kSamples = 3;  // where the case leaves it open

std::string text_of(const Json& row, std::string_view key) {
  const Json* found = row.find(key);
  const std::string* text = found ? found->string() : nullptr;
  return text ? *text : "";
}

std::uint64_t count_of(const Json& row, std::string_view key) {
  const Json* found = row.find(key);
  return found ? found->unsigned_integer().value_or(0) : 0;
}

TaskReply failed(Status status, std::string reason) {
  TaskReply out;
  out.status = status;
  out.reason = std::move(reason);
  return out;
}

}  // namespace

std::vector<std::string> llama_bench_arguments(const PeerRequest& request) {
  const CaseSettings& s = request.settings;
  const std::uint32_t samples = request.samples > 0 ? request.samples : kSamples;
  const int threads = s.threads > 0 ? s.threads : available_threads();
  std::vector<std::string> out = {"-m", request.model, "-o", "json", "-r", std::to_string(samples), "-t", std::to_string(threads), "-b", std::to_string(s.batch), "-ub", std::to_string(s.ubatch),
                                  "-ctk", s.kv_keys, "-ctv", s.kv_values};
  const auto add = [&](const char* name, std::string value) { out.insert(out.end(), {name, std::move(value)}); };
  if (s.depth > 0) add("-d", std::to_string(s.depth));  // forks of llama.cpp may not know it
  if (s.is_joined) {
    add("-p", "0"), add("-n", "0");
    add("-pg", fmt::format("{},{}", s.prompt_tokens, s.generated_tokens));
  } else {
    add("-p", std::to_string(s.prompt_tokens)), add("-n", std::to_string(s.generated_tokens));
  }
  if (s.gpu_layers) add("-ngl", std::to_string(*s.gpu_layers));
  if (s.flash_attention != "auto") add("-fa", s.flash_attention == "on" ? "1" : "0");
  if (s.load.starts_with("copy")) add("-mmp", "0");
  return out;
}

Result<TaskReply> read_llama_bench(std::string_view text) {
  const auto malformed = [](std::string detail) { return Error{Code::malformed, "llama-bench", std::move(detail)}; };
  ASSAY_TRY(const Json json, parse_json(text));
  const Json::Array* rows = json.array();
  if (rows == nullptr || rows->empty()) return malformed("printed no rows");
  TaskReply reply;
  Round round;
  round.warmups = 1;
  for (const Json& row : *rows) {
    const std::uint64_t prompt = count_of(row, "n_prompt"), generated = count_of(row, "n_gen");
    const Json* samples = row.find("samples_ns");
    if (samples == nullptr || samples->array() == nullptr) return malformed("a row has no samples_ns");
    std::vector<double> ms;
    for (const Json& sample : *samples->array()) ms.push_back(sample.number().value_or(0) / 1e6);
    if (ms.empty() || !(*std::min_element(ms.begin(), ms.end()) > 0)) return malformed("a row has samples without time");
    (prompt > 0 && generated > 0 ? round.joined_ms : prompt > 0 ? round.prefill_ms : round.decode_ms) = std::move(ms);
    reply.engine = {"llama-bench", fmt::format("b{}", count_of(row, "build_number")), text_of(row, "build_commit")};
    reply.resolved = {.threads = static_cast<int>(count_of(row, "n_threads")), .isa = text_of(row, "backends"), .context = 0, .memory_limit = {}};
  }
  reply.round = std::move(round);
  return reply;
}

Result<TaskReply> run_peer_round(const PeerRequest& request) {
  if (request.kind != name_of(FileKind::gguf)) return failed(Status::unsupported, "llama-bench reads GGUF files only");
  if (request.settings.sequences > 1) return failed(Status::unsupported, "llama-bench decodes one sequence at a time");
  if (request.settings.load.ends_with("locked")) return failed(Status::unsupported, "llama-bench cannot lock weights in memory");
  if (request.settings.backend != "cpu" || !request.settings.isa.empty()) return failed(Status::unsupported, "llama-bench chooses its backend and kernels itself");
  const auto outcome = run_process({.program = request.program, .arguments = llama_bench_arguments(request), .cpu_mask = request.settings.cpu_mask, .timeout_s = request.timeout_s,
                                    .memory_limit_bytes = request.memory_limit_bytes, .stop_requested = request.stop_requested});
  if (!outcome) return failed(Status::failed, outcome.error().message());
  switch (outcome->end) {
    case ProcessEnd::stopped: return Error{Code::interrupted, "", "stopped"};
    case ProcessEnd::timed_out: return failed(Status::timeout, fmt::format("took longer than {:g} s and was ended", request.timeout_s));
    case ProcessEnd::out_of_memory: return failed(Status::oom, "was killed (signal 9), as the system does when memory runs out");
    case ProcessEnd::signalled: return failed(Status::crash, fmt::format("ended by signal {} ({})", outcome->signal, strsignal(outcome->signal)));
    case ProcessEnd::exited: break;
  }
  if (outcome->exit_code != 0) return failed(Status::failed, fmt::format("exit code {}: {}", outcome->exit_code, outcome->errors));
  auto reply = read_llama_bench(outcome->output);
  if (!reply) return failed(Status::failed, reply.error().message());
  reply->round->memory.peak_bytes = outcome->peak_bytes;
  reply->round->time = utc_time();
  return reply;
}

}  // namespace assay

// Records made by hand for tests of what is done with records.
#pragma once

#include <string>
#include <vector>

#include "bench/harness/case_run.h"

namespace assay::test {

// A case that went well, with these values of its rounds (tokens a second).
inline CaseRun made_run(std::string model, std::vector<double> prefill, std::vector<double> decode) {
  CaseRun run;
  run.time = "2026-01-02T03:04:05Z";
  run.run_id = "run-1";
  run.engine = {"assay", "0.1.0", "abcdef012345"};
  run.model.name = std::move(model);
  run.model.path = run.model.name + ".gguf";
  run.model.architecture = "llama";
  run.model.kind = "GGUF";
  run.model.parameters = 1'000'000'000;
  run.model.weight_bytes = 600'000'000;
  run.model.bits_per_weight = 4.8;
  run.model.formats = {{.format = "Q4_K", .tensors = 1, .values = 1, .bytes = 1}};
  run.model_sha256 = "sha-of-" + run.model.name;
  run.settings.prompt_tokens = 512;
  run.settings.generated_tokens = 128;
  run.resolved = {.threads = 2, .isa = "avx2", .context = 512, .memory_limit = {}};
  run.host.cpu_model = "Test CPU";
  run.host.memory_bytes = 8'000'000'000;
  run.host_fingerprint = make_fingerprint(run.host);
  run.output_hash = "0123456789abcdef";
  run.planned = {.weights_bytes = 600'000'000, .kv_bytes = 1'000'000, .activation_bytes = 2'000'000};
  run.limits.read_all_gbps = 20;
  run.limits.int8_dot_all_gmacs = 500;
  for (std::size_t i = 0; i < prefill.size(); ++i) {
    Round& round = run.rounds.emplace_back();
    round.prefill_ms = {512e3 / prefill[i]};
    round.ttft_ms = {512e3 / prefill[i] + 1};
    round.decode_ms = {128e3 / decode[i]};
    for (int token = 0; token < 24; ++token) round.token_ms.push_back(1e3 / decode[i] * (1 + 0.01 * token));
    round.latency = summarize_latency(round.token_ms);
    round.memory.peak_bytes = 620'000'000;
  }
  run.test = test_name(run.settings);
  run.case_name = run.model.name + " " + run.test;
  finish_case(run, {.layer_macs = 9e8, .head_macs = 1e8, .bytes_per_token = 600'000'000, .kv_bytes_per_position = 1000, .prefill_limit = "int8_dot"}, 2);
  return run;
}

inline CaseRun failed_run(std::string model, Status status, std::string reason) {
  CaseRun run = made_run(std::move(model), {}, {});
  run.status = status;
  run.reason = std::move(reason);
  return run;
}

}  // namespace assay::test

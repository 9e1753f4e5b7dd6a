// Peers: another engine's benchmark program run as a round of a case, its numbers filed as ours are.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bench/harness/tasks.h"
#include "runtime/core/error.h"

namespace assay {

struct PeerRequest {
  std::string program;  // llama-bench
  std::string model;    // a GGUF file
  std::string kind;     // of the model file
  CaseSettings settings;
  std::uint32_t samples = 0;
  double timeout_s = 600;
  std::uint64_t memory_limit_bytes = 0;
  std::function<bool()> stop_requested;
};

// llama-bench's options for the case; it prints JSON.
std::vector<std::string> llama_bench_arguments(const PeerRequest& request);
// A round from what it printed. Errors: malformed.
Result<TaskReply> read_llama_bench(std::string_view json);
// What the peer cannot do is a reply with a status. Errors: interrupted.
Result<TaskReply> run_peer_round(const PeerRequest& request);

}  // namespace assay

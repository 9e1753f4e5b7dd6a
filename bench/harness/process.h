// One child process under limits: its output read to the end, ended on a timeout or on request, never left behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

struct ProcessRequest {
  std::filesystem::path program;
  std::vector<std::string> arguments;      // without the program's name
  std::string cpu_mask{};                  // hexadecimal, empty: as this process
  double timeout_s = 600;
  std::uint64_t memory_limit_bytes = 0;    // 0: none
  std::function<bool()> stop_requested = [] { return false; };
};

enum class ProcessEnd : std::uint8_t { exited, signalled, out_of_memory, timed_out, stopped };

struct ProcessOutcome {
  ProcessEnd end = ProcessEnd::exited;
  int exit_code = 0;
  int signal = 0;
  std::string output, errors;   // stdout, and the last 4 KiB of stderr
  std::uint64_t peak_bytes = 0; // largest resident set
  std::string memory_limit;     // how the limit was enforced: "", "cgroup", "rlimit"
};

// The child is a process group of its own (Ctrl-C reaches only the caller, who decides), dies with the caller even when that is
// killed, and is the first that the kernel ends when memory runs out. A memory limit is a control group where one can be made,
// else a limit of the memory it can write (RLIMIT_DATA; mapped files are free). Errors: io (cannot start), usage (the mask).
Result<ProcessOutcome> run_process(const ProcessRequest& request);

}  // namespace assay

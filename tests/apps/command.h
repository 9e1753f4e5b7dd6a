// Runs a program of the build as a user would and keeps what it said.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/data.h"

namespace assay::test {

struct Outcome {
  int exit_code = -1;
  std::string out, err;
  long peak_kb = 0;
};

struct Command {
  std::string program;
  std::vector<std::string> arguments;
  std::optional<std::chrono::milliseconds> interrupt_after{};
  std::optional<std::string> input{};  // for its standard input, which is the tests' own otherwise
};

inline Outcome run(const Command& command) {
  const TemporaryFolder folder;
  const std::string out = folder.path() / "out", err = folder.path() / "err", in = folder.path() / "in";
  if (command.input) std::ofstream(in, std::ios::binary) << *command.input;
  const std::string program = (std::filesystem::path(ASSAY_BIN_DIR) / command.program).string();
  std::vector<char*> argv = {const_cast<char*>(command.program.c_str())};
  for (const std::string& argument : command.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const pid_t child = fork();
  if (child == 0) {
    if (command.input && !freopen(in.c_str(), "r", stdin)) _exit(126);
    if (!freopen(out.c_str(), "w", stdout) || !freopen(err.c_str(), "w", stderr)) _exit(126);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  if (command.interrupt_after) {
    std::this_thread::sleep_for(*command.interrupt_after);
    kill(child, SIGINT);
  }
  int status = 0;
  rusage usage = {};
  wait4(child, &status, 0, &usage);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(out), read_text(err),
          usage.ru_maxrss};
}

inline Outcome assay(std::vector<std::string> arguments) {
  return run({"assay", std::move(arguments)});
}

// One sentence on stderr, nothing on stdout.
inline void expect_error(const Outcome& outcome, int exit_code, std::string_view part) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("assay: error: ")) << outcome.err;
  EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

}  // namespace assay::test

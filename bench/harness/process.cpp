// fork, exec, poll and wait behind run_process().
#include "bench/harness/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "bench/harness/memory_group.h"
#include "bench/timing.h"

namespace assay {

namespace {

constexpr int kPollMs = 50;
constexpr std::size_t kKeptErrors = 4096;
constexpr std::size_t kMostOutput = 256u << 20;  // a reply is some megabytes at the most

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }
  bool open() { return ::pipe2(ends, O_CLOEXEC) == 0; }
  void close(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
};

Result<std::optional<cpu_set_t>> parse_mask(const std::string& text) {
  if (text.empty()) return std::optional<cpu_set_t>();
  cpu_set_t set;
  CPU_ZERO(&set);
  const std::string digits = text.starts_with("0x") ? text.substr(2) : text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const char c = digits[digits.size() - 1 - i];
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (value < 0) return Error{Code::usage, "cpu mask", "\"" + text + "\" is no hexadecimal number"};
    for (int bit = 0; bit < 4; ++bit)
      if ((value >> bit & 1) != 0 && 4 * i + bit < CPU_SETSIZE) CPU_SET(4 * i + bit, &set);
  }
  return std::optional(set);
}

// Everything the child needs after fork, made before it: between fork and exec only system calls are safe.
// What a program needs before it has done anything, and what RLIMIT_DATA counts though it may never be touched: writable data of its
// libraries, heaps, and the stack of a thread for each processor.
std::uint64_t own_data() {
  constexpr std::uint64_t kProgram = 64u << 20, kStack = 8u << 20;
  return kProgram + kStack * static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

struct ChildSetup {
  std::vector<char*> arguments;
  const char* program = nullptr;
  const char* group_file = nullptr;  // the control group's list of processes
  std::uint64_t data_limit = 0;
  const cpu_set_t* mask = nullptr;
  pid_t parent = 0;
  int out = -1, err = -1;
};

void write_file(const char* path, const char* text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(file, text, std::strlen(text));
  ::close(file);
}

[[noreturn]] void become_child(const ChildSetup& setup) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != setup.parent) ::_exit(127);  // the caller died before the line above
  write_file("/proc/self/oom_score_adj", "1000");
  if (setup.group_file != nullptr) write_file(setup.group_file, "0");
  if (setup.data_limit > 0) {
    const rlimit limit{setup.data_limit, setup.data_limit};
    ::setrlimit(RLIMIT_DATA, &limit);
  }
  if (setup.mask != nullptr && ::sched_setaffinity(0, sizeof *setup.mask, setup.mask) != 0) {
    constexpr std::string_view kText = "cannot run on the processors of the mask\n";
    [[maybe_unused]] const ssize_t written = ::write(setup.err, kText.data(), kText.size());
    ::_exit(126);
  }
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(setup.out, STDOUT_FILENO);
  ::dup2(setup.err, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execv(setup.program, setup.arguments.data());
  ::_exit(127);
}

// Collects both outputs, keeps an eye on the clock and the caller. Says why it ended the child, if it did.
std::optional<ProcessEnd> converse(const ProcessRequest& request, pid_t child, Pipe& out, Pipe& err, ProcessOutcome& outcome) {
  const Stopwatch watch;
  std::optional<ProcessEnd> ended;
  const auto end_child = [&](ProcessEnd why) {
    if (ended) return;
    ended = why;
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);
  };
  bool is_gone = false;
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    pollfd fds[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};  // a negative one is ignored
    if (::poll(fds, 2, kPollMs) < 0 && errno != EINTR) break;
    if (request.stop_requested()) end_child(ProcessEnd::stopped);
    if (watch.seconds() > request.timeout_s) end_child(ProcessEnd::timed_out);
    char piece[65536];
    const auto drain = [&](Pipe& pipe, const pollfd& fd, std::string& text) {
      if (fd.revents == 0) return;
      const ssize_t count = ::read(pipe.ends[0], piece, sizeof piece);
      if (count < 0 && errno == EINTR) return;
      if (count <= 0) return pipe.close(0);
      if (text.size() < kMostOutput) text.append(piece, static_cast<std::size_t>(count));
    };
    drain(out, fds[0], outcome.output);
    drain(err, fds[1], outcome.errors);
    if (outcome.errors.size() > 2 * kKeptErrors) outcome.errors.erase(0, outcome.errors.size() - kKeptErrors);
    // A grandchild may hold the pipes open after the child is gone; what the child wrote was there before it went.
    if (is_gone && (fds[0].revents | fds[1].revents) == 0) break;
    siginfo_t gone{};
    is_gone = ::waitid(P_PID, static_cast<id_t>(child), &gone, WEXITED | WNOHANG | WNOWAIT) == 0 && gone.si_pid == child;
  }
  return ended;
}

}  // namespace

Result<ProcessOutcome> run_process(const ProcessRequest& request) {
  const auto failed = [&](std::string what, int number) { return Error{Code::io, "child process", what + ": " + std::strerror(number), request.program.string()}; };
  ASSAY_TRY(const std::optional<cpu_set_t> mask, parse_mask(request.cpu_mask));
  if (::access(request.program.c_str(), X_OK) != 0) return failed("cannot run", errno);
  Pipe out, err;
  if (!out.open() || !err.open()) return failed("cannot make a pipe", errno);

  ProcessOutcome outcome;
  MemoryGroup group;
  ChildSetup setup{.arguments = {}, .program = request.program.c_str(), .parent = ::getpid(), .out = out.ends[1], .err = err.ends[1]};
  if (request.memory_limit_bytes > 0) {
    if (group.create(request.memory_limit_bytes)) {
      setup.group_file = group.process_file().c_str();
      outcome.memory_limit = "cgroup";
    } else {
      setup.data_limit = request.memory_limit_bytes + own_data();
      outcome.memory_limit = "rlimit";
    }
  }
  if (mask) setup.mask = &*mask;
  std::vector<std::string> texts = {request.program.filename().string()};
  texts.insert(texts.end(), request.arguments.begin(), request.arguments.end());
  for (std::string& text : texts) setup.arguments.push_back(text.data());
  setup.arguments.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) return failed("cannot start", errno);
  if (child == 0) become_child(setup);
  ::setpgid(child, child);
  out.close(1);
  err.close(1);
  const auto ended = converse(request, child, out, err, outcome);

  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0)
    if (errno != EINTR) return failed("cannot wait", errno);
  outcome.peak_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  ::kill(-child, SIGKILL);  // what it may have started
  if (outcome.errors.size() > kKeptErrors) outcome.errors.erase(0, outcome.errors.size() - kKeptErrors);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    outcome.signal = WTERMSIG(status);
    // Nobody here killed it: the kernel did, for memory.
    outcome.end = outcome.signal == SIGKILL && !ended ? ProcessEnd::out_of_memory : ProcessEnd::signalled;
  }
  if (group.ended_a_process()) outcome.end = ProcessEnd::out_of_memory;
  if (ended && WIFSIGNALED(status)) outcome.end = *ended;
  return outcome;
}

}  // namespace assay

// posix_spawn, a pipe and waitpid behind run_self().
#include "bench/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace assay {

namespace {

struct Descriptor {
  int number = -1;
  Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  void close() {
    if (number >= 0) ::close(number);
    number = -1;
  }
};

Error failed(std::string what, int number) { return Error{Code::io, "child process", what + ": " + std::strerror(number)}; }

struct SpawnActions {
  posix_spawn_file_actions_t actions;
  SpawnActions() { ::posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions); }
};

}  // namespace

Result<ChildOutcome> run_self(const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failed("cannot make a pipe", errno);
  Descriptor reading, writing;
  reading.number = ends[0];
  writing.number = ends[1];

  std::vector<std::string> texts = {"child"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);

  SpawnActions spawn;
  ::posix_spawn_file_actions_adddup2(&spawn.actions, writing.number, STDOUT_FILENO);
  pid_t process = 0;
  if (const int problem = ::posix_spawn(&process, "/proc/self/exe", &spawn.actions, nullptr, pointers.data(), environ))
    return failed("cannot start", problem);
  writing.close();

  ChildOutcome outcome;
  for (char piece[4096];;) {
    const ssize_t count = ::read(reading.number, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    outcome.output.append(piece, static_cast<std::size_t>(count));
  }
  int status = 0;
  while (::waitpid(process, &status, 0) < 0)
    if (errno != EINTR) return failed("cannot wait", errno);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  else outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

}  // namespace assay

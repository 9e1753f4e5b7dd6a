// kill_loop: kills assay pull with SIGKILL at random moments, over and over, and looks at what it left.
//
// After every kill: a file under its final name has exactly its bytes; every byte that the journal claims is right; and
// what was written without being claimed is a few megabytes at most. Then the pull is started again, until it ends by
// itself.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/hub/digest.h"
#include "runtime/hub/partial.h"
#include "tests/hub/hub_stub.h"

namespace {

namespace fs = std::filesystem;
using namespace assay;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kRepository = "org/model";
constexpr const char* kFile = "weights.bin";
constexpr std::size_t kSize = 24 << 20;
constexpr std::uint64_t kRate = 60 << 20;  // of each connection
// Four connections, each with a megabyte between two notes and a buffer of half a megabyte.
constexpr std::uint64_t kMostLost = 4 * ((1 << 20) + (512 << 10));

enum class Mode { cache, folder, url, two };
constexpr const char* kModeNames[] = {"cache", "local folder", "URL", "two at a time"};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Loop {
  std::string program;
  fs::path folder, home;
  test::HubStub& stub;
  std::string content;
  std::mt19937_64 random;
  int rounds = 0, kills = 0, finished = 0, waited = 0;
  std::uint64_t most_lost = 0, lost = 0;

  [[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "kill_loop: round %d: %s\n", rounds, what.c_str());
    std::_Exit(1);
  }

  pid_t start(Mode mode) {
    std::vector<std::string> arguments = {program, "pull", "--quiet", "--connections", "4", "--retry-delay", "0.05"};
    if (mode == Mode::url)
      arguments.push_back(stub.files().url("/" + etag()));
    else
      arguments.push_back(std::string(kRepository) + "/" + kFile);
    if (mode == Mode::folder || mode == Mode::url)
      arguments.insert(arguments.end(), {"--local-dir", (folder / "local").string()});
    const pid_t child = fork();
    if (child != 0) return child;
    const int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    const int log = open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN"}) unsetenv(name);
    setenv("HF_ENDPOINT", stub.endpoint().c_str(), 1);
    setenv("HF_HUB_CACHE", (folder / "hub").c_str(), 1);
    setenv("ASSAY_HOME", home.c_str(), 1);
    setenv("XDG_CACHE_HOME", home.c_str(), 1);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(127);
  }

  std::string etag() const {
    Hasher hasher(DigestKind::sha256, content.size());
    hasher.update(std::as_bytes(std::span(content)));
    return hasher.finish();
  }

  // True when the child ended by itself, and well.
  bool end(pid_t child, bool is_killed) {
    if (is_killed) kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      if (WTERMSIG(status) != SIGKILL) fail("the program died of signal " + std::to_string(WTERMSIG(status)));
      return false;
    }
    if (WEXITSTATUS(status) != 0)
      fail("the program ended with " + std::to_string(WEXITSTATUS(status)) + ": " + read_file(folder / "log"));
    return true;
  }

  bool round(Mode mode) {
    ++rounds;
    const pid_t first = start(mode);
    const pid_t second = mode == Mode::two ? start(mode) : 0;
    std::this_thread::sleep_for(milliseconds(random() % 220));
    const bool is_first_killed = random() % 2 == 0 || second == 0;
    const bool is_done = end(is_first_killed ? first : second, true);
    kills += is_done ? 0 : 1;
    if (second == 0) return is_done;
    // The other one must get to the end, whoever held the lock.
    if (!end(is_first_killed ? second : first, false)) fail("the one that was not killed did not end well");
    ++waited;
    return true;
  }

  void look(bool is_done) {
    int whole = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (entry.path() == folder / "log" || name.ends_with(".lock") || name.ends_with(".metadata") ||
          name.ends_with(".json") || name == "main" || name == "CACHEDIR.TAG")
        continue;
      if (name.ends_with(kPartialSuffix)) {
        look_at_partial_file(entry.path());
        continue;
      }
      if (name.find(".assay.tmp") != std::string::npos || entry.is_directory()) continue;
      if (entry.is_symlink() && !fs::exists(entry.path())) fail("a name without a file: " + entry.path().string());
      if (read_file(entry.path()) != content) fail("wrong bytes under the name " + entry.path().string());
      ++whole;
    }
    if (is_done && whole == 0) fail("it ended well and there is no file");
  }

  void look_at_partial_file(const fs::path& path) {
    std::string data = read_file(path);
    if (data.size() > content.size()) fail("the partial file is longer than the file");
    data.resize(content.size());
    std::uint64_t written = 0;
    constexpr std::size_t kBlock = 4096;
    for (std::size_t at = 0; at < content.size(); at += kBlock)
      if (data.compare(at, kBlock, content, at, kBlock) == 0) written += std::min(kBlock, content.size() - at);
    const auto facts = look_at_partial(path);
    const std::uint64_t claimed = facts ? facts->have_bytes : 0;
    if (claimed > written)
      fail("the journal claims " + std::to_string(claimed) + " bytes, and " + std::to_string(written) + " are right");
    const std::uint64_t now_lost = written - claimed;
    most_lost = std::max(most_lost, now_lost);
    lost += now_lost;
    if (now_lost > kMostLost) fail("lost " + std::to_string(now_lost) + " bytes");
  }

  void start_over() {
    ++finished;
    for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  }
};

}  // namespace

int main(int argc, char** argv) {
  int kills = 200, seconds = 170;
  std::uint64_t seed = 1;
  std::string program;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--kills") kills = std::atoi(argv[i + 1]);
    if (option == "--seconds") seconds = std::atoi(argv[i + 1]);
    if (option == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--assay") program = argv[i + 1];
  }
  if (program.empty()) {
    std::fprintf(stderr, "Usage: kill_loop --assay PROGRAM [--kills 200] [--seconds 170] [--seed 1]\n");
    return 2;
  }
  std::string pattern = (fs::temp_directory_path() / "assay-kill-XXXXXX").string();
  const fs::path folder = mkdtemp(pattern.data());
  const std::string content = test::random_text(kSize, seed);
  test::HubStub stub({{kRepository, {.files = {{kFile, {.content = content, .is_large = true}}}}}});
  stub.spoil_files([](const test::ServerRequest&, test::ServerReply& reply) { reply.bytes_per_second = kRate; });
  fs::create_directories(folder / "pulled");
  Loop loop{.program = program,
            .folder = folder / "pulled",
            .home = folder / "home",
            .stub = stub,
            .content = content,
            .random = std::mt19937_64(seed)};
  const auto start = steady_clock::now();
  std::map<int, int> by_mode;
  Mode mode = Mode::cache;
  while (loop.kills < kills && steady_clock::now() - start < std::chrono::seconds(seconds)) {
    ++by_mode[static_cast<int>(mode)];
    const bool is_done = loop.round(mode);
    loop.look(is_done);
    if (!is_done) continue;
    loop.start_over();
    mode = static_cast<Mode>((static_cast<int>(mode) + 1) % 4);
  }
  fs::remove_all(folder);
  std::printf(
      "kill_loop: %d rounds, %d kills, %d downloads ended well (%d beside a killed one), in %.0f s; seed %llu\n",
      loop.rounds, loop.kills, loop.finished, loop.waited,
      std::chrono::duration<double>(steady_clock::now() - start).count(), static_cast<unsigned long long>(seed));
  for (const auto& [which, count] : by_mode) std::printf("  %-14s %d rounds\n", kModeNames[which], count);
  std::printf(
      "  wrong bytes under a name: 0; claimed bytes that were not there: 0; written and not claimed: %.2f MB at most, "
      "%.2f MB on average\n",
      static_cast<double>(loop.most_lost) / 1e6,
      loop.kills > 0 ? static_cast<double>(loop.lost) / 1e6 / loop.kills : 0.0);
  if (loop.kills < kills) {
    std::fprintf(stderr, "kill_loop: only %d of %d kills in %d s\n", loop.kills, kills, seconds);
    return 1;
  }
  return 0;
}

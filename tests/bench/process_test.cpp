// Child processes under limits, the lines file, the page cache and the surroundings.
#include "bench/harness/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "bench/harness/lines_file.h"
#include "bench/harness/page_cache.h"
#include "bench/harness/surroundings.h"
#include "tests/support/data.h"

namespace assay {
namespace {

ProcessRequest shell(std::string script) { return {.program = "/bin/sh", .arguments = {"-c", std::move(script)}}; }

TEST(Process, OutputErrorsAndExitCodeComeBack) {
  const auto outcome = run_process(shell("echo out; echo err >&2; exit 7"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->end, ProcessEnd::exited);
  EXPECT_EQ(outcome->exit_code, 7);
  EXPECT_EQ(outcome->output, "out\n");
  EXPECT_EQ(outcome->errors, "err\n");
  EXPECT_GT(outcome->peak_bytes, 100'000u);
}

// The child writes and ends after a look at the pipes has found nothing and before the look at whether it is still there.
TEST(Process, WhatAChildWritesLastIsNotLost) {
  const test::TemporaryFolder folder;
  const std::string sign = (folder.path() / "go").string();
  ProcessRequest request = shell("while [ ! -e " + sign + " ]; do sleep 0.01; done; echo last");
  request.stop_requested = [&, looks = 0]() mutable {
    if (++looks != 2) return false;
    std::ofstream(sign).close();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return false;
  };
  const auto outcome = run_process(request);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output, "last\n");
}

TEST(Process, LargeOutputIsReadToTheEnd) {
  const auto outcome = run_process(shell("head -c 3000000 /dev/zero | tr '\\0' x"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output.size(), 3'000'000u);
}

TEST(Process, SignalIsACrashAndAKillFromOutsideIsOutOfMemory) {
  const auto crash = run_process(shell("kill -SEGV $$"));
  ASSERT_TRUE(crash);
  EXPECT_EQ(crash->end, ProcessEnd::signalled);
  EXPECT_EQ(crash->signal, SIGSEGV);
  EXPECT_EQ(run_process(shell("kill -KILL $$"))->end, ProcessEnd::out_of_memory);
}

TEST(Process, TimeoutEndsTheChildAndWhatItStarted) {
  const test::TemporaryFolder folder;
  ProcessRequest request = shell("sleep 60 & echo $! > " + (folder.path() / "pid").string() + "; wait");
  request.timeout_s = 0.3;
  const auto outcome = run_process(request);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->end, ProcessEnd::timed_out);
  const pid_t grandchild = std::stoi(test::read_text(folder.path() / "pid"));
  for (int i = 0; i < 200 && ::kill(grandchild, 0) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::ifstream state("/proc/" + std::to_string(grandchild) + "/stat");  // gone, or a zombie that nobody reaps in a container
  std::string line;
  std::getline(state, line);
  EXPECT_TRUE(line.empty() || line.find(") Z ") != std::string::npos) << line;
}

TEST(Process, StopIsHeardWhileTheChildRuns) {
  ProcessRequest request = shell("sleep 60");
  int asked = 0;
  request.stop_requested = [&] { return ++asked > 3; };
  EXPECT_EQ(run_process(request)->end, ProcessEnd::stopped);
}

TEST(Process, ChildIsFirstInLineWhenMemoryRunsOut) {
  const auto outcome = run_process(shell("cat /proc/self/oom_score_adj"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output, "1000\n");
}

TEST(Process, MaskChoosesProcessors) {
  ProcessRequest request = shell("nproc");
  request.cpu_mask = "1";
  EXPECT_EQ(run_process(request)->output, "1\n");
  request.cpu_mask = "0x8000000000000000000000000000000000000000000000000000";
  const auto outcome = run_process(request);
  ASSERT_TRUE(outcome);
  EXPECT_NE(outcome->exit_code, 0);
  EXPECT_NE(outcome->errors.find("mask"), std::string::npos);
}

TEST(Process, ProgramThatIsNotThereIsAnError) {
  EXPECT_FALSE(run_process({.program = "/no/such/program", .arguments = {}}));
}

TEST(Process, MemoryLimitEndsOrRefuses) {
  // Takes 600 MB in one string.
  ProcessRequest request{.program = "/usr/bin/python3", .arguments = {"-c", "x = bytearray(600_000_000); print(len(x))"}};
  ASSERT_EQ(run_process(request)->output, "600000000\n");
  request.memory_limit_bytes = 100u << 20;
  const auto outcome = run_process(request);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->output, "");
  if (outcome->memory_limit == "cgroup") EXPECT_EQ(outcome->end, ProcessEnd::out_of_memory);
  else EXPECT_NE(outcome->exit_code, 0) << outcome->memory_limit;
}

TEST(Process, ChildDiesWithItsParent) {
  const test::TemporaryFolder folder;
  const std::string pid_file = (folder.path() / "pid").string();
  const pid_t parent = ::fork();
  if (parent == 0) {
    (void)run_process({.program = "/bin/sh", .arguments = {"-c", "echo $$ > " + pid_file + "; exec sleep 60"}});
    ::_exit(0);
  }
  std::string text;
  for (int i = 0; i < 300 && text.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::ifstream in(pid_file);
    std::getline(in, text);
  }
  ASSERT_FALSE(text.empty());
  const pid_t child = std::stoi(text);
  ASSERT_EQ(::kill(child, 0), 0);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  std::string state = "alive";
  for (int i = 0; i < 300 && !state.empty() && state.find(") Z ") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::ifstream in("/proc/" + std::to_string(child) + "/stat");
    state.clear();
    std::getline(in, state);
  }
  EXPECT_TRUE(state.empty() || state.find(") Z ") != std::string::npos) << state;
}

// ---- lines

TEST(LinesFile, OnlyWholeLinesAreKept) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "deep" / "lines.jsonl";
  {
    auto file = LinesFile::open(path);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append(R"({"a":1})"));
    ASSERT_TRUE(file->append(R"({"a":2})"));
  }
  std::ofstream(path, std::ios::app) << R"({"a":)";  // a process that was killed while writing
  auto read = read_json_lines(path);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->lines.size(), 2u);
  ASSERT_EQ(read->problems.size(), 1u);
  EXPECT_NE(read->problems[0].find("lines.jsonl:3: the line is cut short"), std::string::npos) << read->problems[0];
  ASSERT_TRUE(LinesFile::open(path)->append(R"({"a":3})"));
  EXPECT_EQ(test::read_text(path), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
  EXPECT_FALSE(LinesFile::open(folder.path()));
}

TEST(LinesFile, WriteThatFailsLeavesTheFileAsItWas) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "lines.jsonl";
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = LinesFile::open(path);
    if (!file || !file->append(std::string(60, 'x'))) ::_exit(1);
    ::_exit(file->append(std::string(60, 'y')) ? 2 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(test::read_text(path), std::string(60, 'x') + "\n");
}

TEST(PageCache, DroppedFileIsReportedColdOrWhyNot) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  std::ofstream(path, std::ios::binary) << std::string(1 << 20, 'x');
  const std::string note = drop_from_page_cache({path});
  // Memory-backed file systems keep everything; there the answer says so.
  if (!note.empty()) {
    EXPECT_NE(note.find("stayed in the page cache"), std::string::npos) << note;
  }
  EXPECT_FALSE(drop_from_page_cache({folder.path() / "none"}).empty());
}

// ---- surroundings, from a folder of our own

class Surrounded : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_.path() / path).parent_path());
    std::ofstream(folder_.path() / path) << text;
  }
  test::TemporaryFolder folder_;
};

TEST_F(Surrounded, CountersBecomeDifferences) {
  write("proc/stat", "cpu  1000 0 100 5000 10 0 0 20 0 0\n");
  write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=5000\nfull avg10=0.00 total=1\n");
  write("proc/cpuinfo", "cpu MHz\t\t: 2000.0\ncpu MHz\t\t: 3000.0\n");
  write("proc/loadavg", "1.50 1.0 0.9 1/100 5\n");
  write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
  write("sys/class/hwmon/hwmon0/name", "coretemp\n");
  write("sys/class/hwmon/hwmon0/temp1_input", "61500\n");
  MachineMoment before = read_moment(folder_.path());
  write("proc/stat", "cpu  1100 0 150 5000 10 0 0 30 0 0\n");
  write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=25000\n");
  write("proc/cpuinfo", "cpu MHz\t\t: 1000.0\n");
  write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "5\n");
  MachineMoment after = read_moment(folder_.path());
  after.steady_s = before.steady_s + 1;
  after.wall_s = before.wall_s + 3601;  // somebody set the clock
  after.own_cpu_s = before.own_cpu_s + 0.5;
  const Surroundings s = between(before, after);
  EXPECT_NEAR(s.other_cpus.value(), 1.0, 1e-9);  // 1.5 s busy, half a second of it ours
  EXPECT_NEAR(s.steal_percent.value(), 10, 1e-9);
  EXPECT_NEAR(s.pressure.memory_ms.value(), 20, 1e-9);
  EXPECT_NEAR(s.clock_before_mhz.value(), 2500, 1e-9);
  EXPECT_NEAR(s.clock_after_mhz.value(), 1000, 1e-9);
  EXPECT_EQ(s.throttle_events, 2u);
  EXPECT_NEAR(s.temperature_c.value(), 61.5, 1e-9);
  EXPECT_NEAR(s.wall_jump_s, 3600, 1e-6);
  EXPECT_FALSE(s.pressure.io_ms);
}

TEST_F(Surrounded, EnergyIsSummedOverPackagesAndSurvivesTheCountersWrap) {
  EXPECT_FALSE(EnergyMeter(folder_.path()).joules());
  for (const char* zone : {"0", "1"}) {
    const std::string base = std::string("sys/class/powercap/intel-rapl:") + zone + "/";
    write(base + "name", std::string("package-") + zone + "\n");
    write(base + "energy_uj", "900000\n");
    write(base + "max_energy_range_uj", "1000000\n");
  }
  write("sys/class/powercap/intel-rapl:0:0/name", "core\n");
  write("sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n");
  EnergyMeter meter(folder_.path());
  EXPECT_EQ(meter.sensor(), "rapl package-0, rapl package-1");
  write("sys/class/powercap/intel-rapl:0/energy_uj", "950000\n");
  write("sys/class/powercap/intel-rapl:1/energy_uj", "50000\n");  // wrapped: 150000 in all
  EXPECT_NEAR(meter.joules().value(), 0.2, 1e-9);
  EXPECT_NEAR(meter.joules().value(), 0, 1e-9);
}

}  // namespace
}  // namespace assay

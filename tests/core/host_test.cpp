// Host facts: of this machine (sane), and of made-up /proc and /sys trees (exact).
#include "runtime/core/host.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>

#include "runtime/core/cpu.h"
#include "tests/support/data.h"

namespace assay {
namespace {

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(Host, ThisMachineIsDescribed) {
  const HostFacts facts = read_host_facts();
  EXPECT_GE(facts.hardware_threads, 1);
  EXPECT_GE(facts.cores, 1);
  EXPECT_LE(facts.cores, facts.hardware_threads);
  EXPECT_LE(facts.allowed_threads, facts.hardware_threads);
  EXPECT_GT(facts.memory_bytes, 64u << 20);
  EXPECT_LE(facts.memory_available_bytes, facts.memory_bytes);
  EXPECT_FALSE(facts.kernel.empty());
  EXPECT_FALSE(facts.machine.empty());
  EXPECT_EQ(facts.isa, describe_isa(detect_isa()));
}

TEST(Host, FactsComeBackFromJson) {
  const HostFacts facts = read_host_facts();
  const auto back = from_json<HostFacts>(to_json(facts));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(to_text(to_json(*back)), to_text(to_json(facts)));
}

TEST(Host, ReadsAMachineWithEverything) {
  const test::TemporaryFolder folder;
  const auto& root = folder.path();
  write(root / "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Test CPU 9000\ncpu MHz\t\t: 2000.5\nphysical id\t: 0\ncore id\t\t: 0\n\n"
        "processor\t: 1\nmodel name\t: Test CPU 9000\ncpu MHz\t\t: 3000.5\nphysical id\t: 0\ncore id\t\t: 0\n\n"
        "processor\t: 2\nmodel name\t: Test CPU 9000\ncpu MHz\t\t: 2500.0\nphysical id\t: 1\ncore id\t\t: 0\n");
  write(root / "proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    9000000 kB\nSwapTotal:       100 kB\n");
  write(root / "proc/loadavg", "0.25 1.50 2.75 3/456 789\n");
  write(root / "proc/self/cgroup", "0::/user/job\n");
  write(root / "sys/fs/cgroup/user/job/memory.max", "1073741824\n");
  write(root / "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  write(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
  write(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "4500000\n");
  write(root / "sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
  const auto cache = root / "sys/devices/system/cpu/cpu0/cache";
  write(cache / "index0/level", "1\n"), write(cache / "index0/type", "Data\n"), write(cache / "index0/size", "48K\n");
  write(cache / "index0/shared_cpu_list", "0-1\n");
  write(cache / "index3/level", "3\n"), write(cache / "index3/type", "Unified\n"), write(cache / "index3/size", "32M\n");
  write(cache / "index3/shared_cpu_list", "0-1,4,6-7\n");
  std::filesystem::create_directories(root / "sys/devices/system/node/node0");
  std::filesystem::create_directories(root / "sys/devices/system/node/node1");
  write(root / "etc/os-release", "NAME=Test\nPRETTY_NAME=\"Test Linux 1\"\n");
  write(root / "run/systemd/container", "lxc\n");

  const HostFacts facts = read_host_facts(root);
  EXPECT_EQ(facts.cpu_model, "Test CPU 9000");
  EXPECT_EQ(facts.hardware_threads, 3);
  EXPECT_EQ(facts.cores, 2);
  EXPECT_DOUBLE_EQ(facts.clock_mhz.value_or(0), 7501.0 / 3);
  EXPECT_EQ(facts.clock_max_mhz, 4500);
  EXPECT_EQ(facts.governor, "performance");
  EXPECT_EQ(facts.boost, false);
  EXPECT_EQ(facts.numa_nodes, 2);
  ASSERT_EQ(facts.caches.size(), 2u);
  EXPECT_EQ(facts.caches[0].kind, "data");
  EXPECT_EQ(facts.caches[0].bytes, 48u << 10);
  EXPECT_EQ(facts.caches[0].shared_by, 2);
  EXPECT_EQ(facts.caches[1].shared_by, 5);
  EXPECT_EQ(facts.last_cache_bytes(), 32u << 20);
  EXPECT_EQ(facts.memory_bytes, 16000000ull * 1024);
  EXPECT_EQ(facts.memory_available_bytes, 9000000ull * 1024);
  EXPECT_EQ(facts.memory_limit_bytes, 1u << 30);
  EXPECT_EQ(facts.swap_bytes, 102400u);
  EXPECT_EQ(facts.huge_pages, "madvise");
  EXPECT_EQ(facts.os, "Test Linux 1");
  EXPECT_EQ(facts.container, "lxc");
  EXPECT_EQ(facts.load_1, 0.25);
  EXPECT_EQ(facts.load_5, 1.5);
  EXPECT_EQ(facts.load_15, 2.75);
}

// What a control group uses counts, except for file pages that it would give up; both versions of control groups.
TEST(Host, AvailableMemoryEndsAtTheControlGroupsLimit) {
  const test::TemporaryFolder folder;
  const auto& root = folder.path();
  write(root / "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
  write(root / "sys/fs/cgroup/memory.max", "1000000\n");
  EXPECT_EQ(read_host_facts(root).memory_available_bytes, 9000000ull * 1024) << "nothing says what is used";
  write(root / "sys/fs/cgroup/memory.current", "700000\n");
  EXPECT_EQ(read_host_facts(root).memory_available_bytes, 300000u);
  write(root / "sys/fs/cgroup/memory.stat", "anon 500000\ninactive_file 150000\nactive_file 50000\n");
  EXPECT_EQ(read_host_facts(root).memory_available_bytes, 450000u);
  write(root / "sys/fs/cgroup/memory.current", "7000000\n");
  EXPECT_EQ(read_host_facts(root).memory_available_bytes, 0u) << "more than the limit";

  const test::TemporaryFolder old;
  write(old.path() / "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n");
  write(old.path() / "sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
  write(old.path() / "sys/fs/cgroup/memory/memory.usage_in_bytes", "700000\n");
  write(old.path() / "sys/fs/cgroup/memory/memory.stat", "total_inactive_file 100000\n");
  EXPECT_EQ(read_host_facts(old.path()).memory_available_bytes, 400000u);
}

TEST(Host, AbsentAndBrokenFilesLeaveFactsUnknown) {
  const test::TemporaryFolder folder;
  const auto& root = folder.path();
  const HostFacts empty = read_host_facts(root);
  EXPECT_TRUE(empty.cpu_model.empty());
  EXPECT_EQ(empty.memory_bytes, 0u);
  EXPECT_FALSE(empty.load_1);
  EXPECT_FALSE(empty.governor);
  EXPECT_EQ(empty.last_cache_bytes(), 0u);

  write(root / "proc/loadavg", "x");
  write(root / "proc/meminfo", "MemTotal: many kB\n:\n\nMemAvailable");
  write(root / "sys/fs/cgroup/memory.max", "max\n");
  write(root / "sys/kernel/mm/transparent_hugepage/enabled", "]always[");
  const HostFacts broken = read_host_facts(root);
  EXPECT_FALSE(broken.load_1);
  EXPECT_EQ(broken.memory_bytes, 0u);
  EXPECT_FALSE(broken.memory_limit_bytes);
  EXPECT_FALSE(broken.huge_pages);
}

TEST(Host, SizesAreReadWithTheirSuffix) {
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("32768K"), 32768u << 10);
  EXPECT_EQ(parse_size("3M"), 3u << 20);
  EXPECT_EQ(parse_size("1G"), 1u << 30);
  EXPECT_FALSE(parse_size(""));
  EXPECT_FALSE(parse_size("K"));
}

TEST(Host, PeakMemoryStartsAgainAfterAReset) {
  constexpr std::size_t kSize = 64u << 20;
  // Pages of its own: an allocator may keep what is freed.
  void* pages = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  std::memset(pages, 1, kSize);
  EXPECT_GE(read_process_memory().peak_bytes, kSize);
  EXPECT_GE(read_process_memory().anonymous_bytes, kSize);
  ::munmap(pages, kSize);
  const ProcessMemory before = read_process_memory();
  EXPECT_GE(before.peak_bytes, before.resident_bytes);
  if (!reset_peak_memory()) GTEST_SKIP() << "the kernel does not allow resetting the peak";
  EXPECT_LT(read_process_memory().peak_bytes, before.peak_bytes - kSize / 2);
}

TEST(Host, MappedFilesCountAsFileMemory) {
  const ProcessMemory memory = read_process_memory();
  EXPECT_GT(memory.resident_bytes, 0u);
  EXPECT_GT(memory.file_bytes, 0u) << "the program's own text at least";
  EXPECT_LE(memory.anonymous_bytes + memory.file_bytes + memory.shared_bytes, memory.resident_bytes + (1u << 20));
  EXPECT_GT(memory.minor_faults, 0u);
}

TEST(Cpu, SetsAreDescribedInBitOrder) {
  EXPECT_EQ(describe_isa(0), "baseline");
  EXPECT_EQ(describe_isa(kIsaAvx512 | kIsaAvx2), "avx2 avx512");
  EXPECT_EQ(describe_isa(kIsaAvx512Bf16 | kIsaAvx2 | kIsaAvx512 | kIsaAvx512Vnni), "avx2 avx512 avx512_vnni avx512_bf16");
}

TEST(Cpu, WiderSetsImplyTheirBase) {
  const IsaSet isa = detect_isa();
  EXPECT_EQ(isa, detect_isa());
  const bool has_avx512_extra = (isa & (kIsaAvx512Vnni | kIsaAvx512Bf16 | kIsaAvx512Vbmi)) != 0;
  EXPECT_TRUE(!has_avx512_extra || (isa & kIsaAvx512));
  EXPECT_TRUE(!(isa & (kIsaAvx512 | kIsaAvxVnni)) || (isa & kIsaAvx2));
}

}  // namespace
}  // namespace assay

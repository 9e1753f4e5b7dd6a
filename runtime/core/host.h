// Host facts: what machine this is and what state it is in, and how much memory this process uses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/describe.h"

namespace assay {

struct CacheFacts {
  int level = 0;
  std::string kind;         // "data", "instruction", "unified"
  std::uint64_t bytes = 0;  // of one such cache
  int shared_by = 1;        // hardware threads that share one

  static constexpr void fields(auto visit) {
    visit("level", "", Better::none, &CacheFacts::level);
    visit("kind", "", Better::none, &CacheFacts::kind);
    visit("bytes", "B", Better::none, &CacheFacts::bytes);
    visit("shared_by", "", Better::none, &CacheFacts::shared_by);
  }
};

// What does not change while a machine runs (memory limits and governors apart), and what does: load, clock, free memory.
// Nothing where the system does not say.
struct HostFacts {
  std::string cpu_model;
  std::string machine;  // "x86_64"
  std::string isa;      // describe_isa(detect_isa())
  std::vector<CacheFacts> caches;
  int cores = 0;            // physical
  int hardware_threads = 0;
  int allowed_threads = 0;  // this process's affinity mask
  int numa_nodes = 1;
  std::optional<std::string> governor;
  std::optional<bool> boost;
  std::optional<double> clock_mhz;      // mean over the threads, now
  std::optional<double> clock_max_mhz;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_available_bytes = 0;         // now, of the machine or to the control group's limit
  std::optional<std::uint64_t> memory_limit_bytes;  // of the control group
  std::uint64_t swap_bytes = 0;
  std::optional<std::string> huge_pages;            // transparent huge pages: "always", "madvise", "never"
  std::string os;
  std::string kernel;
  std::optional<std::string> virtual_machine;  // the hypervisor's name, "kvm"
  std::optional<std::string> container;        // "docker", "podman", "lxc", ...
  std::optional<double> load_1, load_5, load_15;

  static constexpr void fields(auto visit) {
    using H = HostFacts;
    visit("cpu_model", "", Better::none, &H::cpu_model);
    visit("machine", "", Better::none, &H::machine);
    visit("isa", "", Better::none, &H::isa);
    visit("caches", "", Better::none, &H::caches);
    visit("cores", "", Better::none, &H::cores);
    visit("hardware_threads", "", Better::none, &H::hardware_threads);
    visit("allowed_threads", "", Better::none, &H::allowed_threads);
    visit("numa_nodes", "", Better::none, &H::numa_nodes);
    visit("governor", "", Better::none, &H::governor);
    visit("boost", "", Better::none, &H::boost);
    visit("clock_mhz", "MHz", Better::none, &H::clock_mhz);
    visit("clock_max_mhz", "MHz", Better::none, &H::clock_max_mhz);
    visit("memory_bytes", "B", Better::none, &H::memory_bytes);
    visit("memory_available_bytes", "B", Better::none, &H::memory_available_bytes);
    visit("memory_limit_bytes", "B", Better::none, &H::memory_limit_bytes);
    visit("swap_bytes", "B", Better::none, &H::swap_bytes);
    visit("huge_pages", "", Better::none, &H::huge_pages);
    visit("os", "", Better::none, &H::os);
    visit("kernel", "", Better::none, &H::kernel);
    visit("virtual_machine", "", Better::none, &H::virtual_machine);
    visit("container", "", Better::none, &H::container);
    visit("load_1", "", Better::none, &H::load_1);
    visit("load_5", "", Better::none, &H::load_5);
    visit("load_15", "", Better::none, &H::load_15);
  }

  // Of the last-level cache; 0 when not known.
  std::uint64_t last_cache_bytes() const;
};

// Reads /proc, /sys and /etc below `root` (tests give a folder of their own), cpuid and the affinity mask.
HostFacts read_host_facts(const std::filesystem::path& root = "/");

// This process's memory, in bytes.
struct ProcessMemory {
  std::uint64_t peak_bytes = 0;      // VmHWM: largest resident set since the start or the last reset
  std::uint64_t resident_bytes = 0;  // VmRSS
  std::uint64_t anonymous_bytes = 0;
  std::uint64_t file_bytes = 0;      // mapped files that are in memory now: model weights among them
  std::uint64_t shared_bytes = 0;    // RssShmem
  std::optional<std::uint64_t> proportional_bytes;  // PSS: pages shared with other processes count by their share
  std::optional<std::uint64_t> huge_page_bytes;     // of mapped files and of memory of its own, what is mapped in huge pages
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;    // pages that had to come from the disk

  static constexpr void fields(auto visit) {
    using P = ProcessMemory;
    visit("peak_bytes", "B", Better::lower, &P::peak_bytes);
    visit("resident_bytes", "B", Better::lower, &P::resident_bytes);
    visit("anonymous_bytes", "B", Better::lower, &P::anonymous_bytes);
    visit("file_bytes", "B", Better::none, &P::file_bytes);
    visit("shared_bytes", "B", Better::none, &P::shared_bytes);
    visit("proportional_bytes", "B", Better::lower, &P::proportional_bytes);
    visit("huge_page_bytes", "B", Better::none, &P::huge_page_bytes);
    visit("minor_faults", "", Better::none, &P::minor_faults);
    visit("major_faults", "", Better::none, &P::major_faults);
  }
};
ProcessMemory read_process_memory();

// Makes peak_bytes start again from the present resident set. False where the kernel does not allow it: peaks then cover the
// whole life of the process.
bool reset_peak_memory();

// "KEY: 123 kB" in the text of /proc/PID/status, /proc/meminfo or smaps_rollup, as bytes.
std::optional<std::uint64_t> kilobytes_of(std::string_view text, std::string_view key);

// Sizes as /sys writes them ("32768K", "1M", "512") in bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

ASSAY_JSON_ELSEWHERE(HostFacts)

}  // namespace assay

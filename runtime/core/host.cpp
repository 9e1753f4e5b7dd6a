// /proc, /sys, cpuid and getrusage behind the host facts.
#include "runtime/core/host.h"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "runtime/core/cpu.h"
#include "runtime/core/parallel.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

// A whole small file, nothing when it cannot be read. Trailing white space goes.
std::optional<std::string> read_line_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::nullopt;
  text.erase(text.find_last_not_of(" \t\r\n\0") + 1);
  return text;
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\"");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n\"") - first + 1);
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  text = trim(text);
  T value{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc{} || end.ptr == text.data()) return std::nullopt;
  return value;
}

template <class T>
std::optional<T> read_number(const fs::path& path) {
  const auto text = read_line_file(path);
  return text ? parse_number<T>(*text) : std::nullopt;
}

// Calls visit(key, value) for every "key<separator>value" line.
template <class Visit>
void for_each_line(std::string_view text, char separator, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (const std::size_t at = line.find(separator); at != std::string_view::npos)
      visit(trim(line.substr(0, at)), trim(line.substr(at + 1)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::vector<fs::path> numbered_folders(const fs::path& parent, std::string_view prefix) {
  std::vector<fs::path> out;
  std::error_code problem;
  for (fs::directory_iterator entry(parent, problem), end; !problem && entry != end; entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    if (name.find_first_not_of("0123456789", prefix.size()) == std::string::npos) out.push_back(entry->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// CPUs in a list such as "0-3,8,10-11".
int count_list(std::string_view text) {
  int count = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, end);
    const std::size_t dash = part.find('-');
    const auto first = parse_number<int>(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number<int>(part.substr(dash + 1));
    if (first && last && *last >= *first) count += *last - *first + 1;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return count;
}

void read_cpu(const fs::path& root, HostFacts& facts) {
  std::set<std::pair<std::string, std::string>> cores;
  std::string package = "0";
  double clock_sum = 0;
  int clocks = 0;
  const std::string text = read_line_file(root / "proc/cpuinfo").value_or("");
  for_each_line(text, ':', [&](std::string_view key, std::string_view value) {
    if (key == "processor") ++facts.hardware_threads;
    if (key == "model name" && facts.cpu_model.empty()) facts.cpu_model = value;
    if (key == "physical id") package = value;
    if (key == "core id") cores.emplace(package, std::string(value));
    if (key == "cpu MHz")
      if (const auto mhz = parse_number<double>(value)) clock_sum += *mhz, ++clocks;
  });
  facts.cores = cores.empty() ? facts.hardware_threads : static_cast<int>(cores.size());
  if (clocks > 0) facts.clock_mhz = clock_sum / clocks;

  const fs::path cpus = root / "sys/devices/system/cpu";
  facts.governor = read_line_file(cpus / "cpu0/cpufreq/scaling_governor");
  if (const auto khz = read_number<double>(cpus / "cpu0/cpufreq/cpuinfo_max_freq")) facts.clock_max_mhz = *khz / 1000;
  if (const auto on = read_number<int>(cpus / "cpufreq/boost")) facts.boost = *on != 0;
  else if (const auto off = read_number<int>(cpus / "intel_pstate/no_turbo")) facts.boost = *off == 0;
  facts.numa_nodes = std::max<int>(1, static_cast<int>(numbered_folders(root / "sys/devices/system/node", "node").size()));

  for (const fs::path& folder : numbered_folders(cpus / "cpu0/cache", "index")) {
    CacheFacts cache;
    cache.level = read_number<int>(folder / "level").value_or(0);
    cache.kind = read_line_file(folder / "type").value_or("");
    for (char& c : cache.kind) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    cache.bytes = parse_size(read_line_file(folder / "size").value_or("")).value_or(0);
    cache.shared_by = std::max(1, count_list(read_line_file(folder / "shared_cpu_list").value_or("")));
    if (cache.level > 0 && cache.bytes > 0) facts.caches.push_back(std::move(cache));
  }
}

void read_memory(const fs::path& root, HostFacts& facts) {
  const std::string text = read_line_file(root / "proc/meminfo").value_or("");
  facts.memory_bytes = kilobytes_of(text, "MemTotal").value_or(0);
  facts.memory_available_bytes = kilobytes_of(text, "MemAvailable").value_or(0);
  facts.swap_bytes = kilobytes_of(text, "SwapTotal").value_or(0);
  // This process's own control group, or the top one that a container sees as its own. "max" is no number: no limit.
  std::string group;
  const std::string groups = read_line_file(root / "proc/self/cgroup").value_or("");
  if (const std::size_t at = groups.find("0::/"); at != std::string::npos)
    group = groups.substr(at + 4, groups.find('\n', at) - at - 4);
  for (const fs::path& file : {root / "sys/fs/cgroup" / group / "memory.max", root / "sys/fs/cgroup/memory.max",
                               root / "sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const auto limit = read_number<std::uint64_t>(file);
    if (!limit || *limit >= facts.memory_bytes) continue;
    facts.memory_limit_bytes = *limit;
    // What the group uses, less the file pages that it would give up.
    const bool is_first_version = file.filename() == "memory.limit_in_bytes";
    const auto used = read_number<std::uint64_t>(file.parent_path() / (is_first_version ? "memory.usage_in_bytes" : "memory.current"));
    if (!used) break;
    std::uint64_t idle = 0;
    for_each_line(read_line_file(file.parent_path() / "memory.stat").value_or(""), ' ', [&](std::string_view key, std::string_view value) {
      if (key == (is_first_version ? "total_inactive_file" : "inactive_file")) idle = parse_number<std::uint64_t>(value).value_or(0);
    });
    const std::uint64_t kept = *used - std::min(idle, *used);
    facts.memory_available_bytes = std::min(facts.memory_available_bytes, *limit - std::min(kept, *limit));
    break;
  }
  // "always [madvise] never": the one in brackets holds.
  if (const auto pages = read_line_file(root / "sys/kernel/mm/transparent_hugepage/enabled")) {
    const std::size_t open = pages->find('['), close = pages->find(']');
    if (open != std::string::npos && close != std::string::npos && close > open)
      facts.huge_pages = pages->substr(open + 1, close - open - 1);
  }
}

std::optional<std::string> find_hypervisor(const fs::path& root) {
  const std::string signature = hypervisor_signature();
  if (signature.empty()) return read_line_file(root / "sys/hypervisor/type");
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"KVMKVMKVM", "kvm"},       {"Microsoft Hv", "hyper-v"},      {"VMwareVMware", "vmware"}, {"XenVMMXenVMM", "xen"},
      {"TCGTCGTCGTCG", "qemu"},   {"VBoxVBoxVBox", "virtualbox"},   {"bhyve bhyve ", "bhyve"},  {"ACRNACRNACRN", "acrn"}};
  for (const auto& [id, name] : kNames)
    if (id == signature) return std::string(name);
  return signature;
}

std::optional<std::string> find_container(const fs::path& root) {
  std::error_code ignored;
  if (auto named = read_line_file(root / "run/systemd/container"); named && !named->empty()) return named;
  if (fs::exists(root / "run/.containerenv", ignored)) return "podman";
  if (fs::exists(root / ".dockerenv", ignored)) return "docker";
  const std::string groups = read_line_file(root / "proc/1/cgroup").value_or("");
  for (const char* name : {"docker", "kubepods", "lxc", "libpod"})
    if (groups.find(std::string("/") + name) != std::string::npos) return name;
  return std::nullopt;
}

std::string find_os(const fs::path& root) {
  std::string name;
  const std::string text = read_line_file(root / "etc/os-release").value_or("");
  for_each_line(text, '=', [&](std::string_view key, std::string_view value) {
    if (key == "PRETTY_NAME") name = value;
  });
  return name;
}

void read_load(const fs::path& root, HostFacts& facts) {
  const std::string text = read_line_file(root / "proc/loadavg").value_or("");
  std::string_view rest = text;
  for (auto* load : {&facts.load_1, &facts.load_5, &facts.load_15}) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    *load = parse_number<double>(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace

std::optional<std::uint64_t> kilobytes_of(std::string_view text, std::string_view key) {
  std::optional<std::uint64_t> found;
  for_each_line(text, ':', [&](std::string_view name, std::string_view value) {
    if (name == key && !found)
      if (const auto kilobytes = parse_number<std::uint64_t>(value)) found = *kilobytes * 1024;
  });
  return found;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  text = trim(text);
  const auto value = parse_number<std::uint64_t>(text);
  if (!value) return std::nullopt;
  switch (text.back()) {
    case 'K': return *value << 10;
    case 'M': return *value << 20;
    case 'G': return *value << 30;
    default: return *value;
  }
}

std::uint64_t HostFacts::last_cache_bytes() const {
  int level = 0;
  std::uint64_t bytes = 0;
  for (const CacheFacts& cache : caches)
    if (cache.level > level && cache.kind != "instruction") level = cache.level, bytes = cache.bytes;
  return bytes;
}

HostFacts read_host_facts(const fs::path& root) {
  HostFacts facts;
  facts.isa = describe_isa(detect_isa());
  facts.allowed_threads = available_threads();
  read_cpu(root, facts);
  read_memory(root, facts);
  read_load(root, facts);
  facts.os = find_os(root);
  facts.virtual_machine = find_hypervisor(root);
  facts.container = find_container(root);
  utsname names{};
  if (::uname(&names) == 0) {
    facts.kernel = std::string(names.sysname) + " " + names.release;
    facts.machine = names.machine;
  }
  return facts;
}

ProcessMemory read_process_memory() {
  ProcessMemory memory;
  const std::string status = read_line_file("/proc/self/status").value_or("");
  memory.peak_bytes = kilobytes_of(status, "VmHWM").value_or(0);
  memory.resident_bytes = kilobytes_of(status, "VmRSS").value_or(0);
  memory.anonymous_bytes = kilobytes_of(status, "RssAnon").value_or(0);
  memory.file_bytes = kilobytes_of(status, "RssFile").value_or(0);
  memory.shared_bytes = kilobytes_of(status, "RssShmem").value_or(0);
  const std::string mapped = read_line_file("/proc/self/smaps_rollup").value_or("");
  memory.proportional_bytes = kilobytes_of(mapped, "Pss");
  for (const char* kind : {"AnonHugePages", "FilePmdMapped", "ShmemPmdMapped"})
    if (const auto bytes = kilobytes_of(mapped, kind)) memory.huge_page_bytes = memory.huge_page_bytes.value_or(0) + *bytes;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    memory.minor_faults = static_cast<std::uint64_t>(usage.ru_minflt);
    memory.major_faults = static_cast<std::uint64_t>(usage.ru_majflt);
  }
  return memory;
}

bool reset_peak_memory() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5" << std::flush;
  return out.good();
}

ASSAY_JSON_HERE(HostFacts)

}  // namespace assay

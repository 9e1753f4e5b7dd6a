// /proc, /sys, clocks and getrusage behind the surroundings.
#include "bench/harness/surroundings.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

namespace assay {

namespace fs = std::filesystem;

namespace {

template <class T>
std::optional<T> read_value(const fs::path& file) {
  std::ifstream in(file);
  T value{};
  if (in >> value) return value;
  return std::nullopt;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem)) out.push_back(entry->path());
  std::sort(out.begin(), out.end());
  return out;
}

// "some avg10=0.00 ... total=123" in microseconds.
std::optional<double> read_stall(const fs::path& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::size_t at = line.find("total=");
    if (line.starts_with("some ") && at != std::string::npos) return std::strtod(line.c_str() + at + 6, nullptr) / 1e3;
  }
  return std::nullopt;
}

// The first line of /proc/stat: user nice system idle iowait irq softirq steal, in clock ticks.
void read_processors(const fs::path& root, MachineMoment& out) {
  std::ifstream in(root / "proc/stat");
  std::string name;
  double ticks[8];
  in >> name;
  for (double& value : ticks) in >> value;
  if (!in || name != "cpu") return;
  const double per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.busy_s = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second;
  out.steal_s = ticks[7] / per_second;
}

std::optional<double> read_clock(const fs::path& root) {
  std::ifstream in(root / "proc/cpuinfo");
  double sum = 0;
  int count = 0;
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (!line.starts_with("cpu MHz") || colon == std::string::npos) continue;
    sum += std::strtod(line.c_str() + colon + 1, nullptr);
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<std::uint64_t> read_throttles(const fs::path& root) {
  std::optional<std::uint64_t> sum;
  for (const fs::path& cpu : entries_of(root / "sys/devices/system/cpu"))
    for (const char* name : {"core_throttle_count", "package_throttle_count"})
      if (const auto count = read_value<std::uint64_t>(cpu / "thermal_throttle" / name)) sum = sum.value_or(0) + *count;
  return sum;
}

std::optional<double> difference(const std::optional<double>& before, const std::optional<double>& after) {
  if (!before || !after) return std::nullopt;
  return std::max(0.0, *after - *before);
}

}  // namespace

std::optional<double> read_temperature(const fs::path& root) {
  std::optional<double> hottest;
  const auto note = [&](const std::optional<double>& millidegrees) {
    if (millidegrees && *millidegrees > 0) hottest = std::max(hottest.value_or(0), *millidegrees / 1e3);
  };
  for (const fs::path& zone : entries_of(root / "sys/class/thermal")) {
    const std::string type = read_value<std::string>(zone / "type").value_or("");
    if (type.find("pkg_temp") != std::string::npos || type.find("cpu") != std::string::npos) note(read_value<double>(zone / "temp"));
  }
  for (const fs::path& device : entries_of(root / "sys/class/hwmon")) {
    const std::string name = read_value<std::string>(device / "name").value_or("");
    if (name != "coretemp" && name != "k10temp" && name != "zenpower") continue;
    for (const fs::path& file : entries_of(device)) {
      const std::string input = file.filename().string();
      if (input.starts_with("temp") && input.ends_with("_input")) note(read_value<double>(file));
    }
  }
  return hottest;
}

MachineMoment read_moment(const fs::path& root) {
  MachineMoment out;
  out.steady_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  out.wall_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  out.own_cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  read_processors(root, out);
  out.memory_stall_ms = read_stall(root / "proc/pressure/memory");
  out.cpu_stall_ms = read_stall(root / "proc/pressure/cpu");
  out.io_stall_ms = read_stall(root / "proc/pressure/io");
  out.clock_mhz = read_clock(root);
  out.temperature_c = read_temperature(root);
  out.load_1 = read_value<double>(root / "proc/loadavg");
  out.throttle_events = read_throttles(root);
  return out;
}

Surroundings between(const MachineMoment& before, const MachineMoment& after) {
  Surroundings out;
  out.seconds = after.steady_s - before.steady_s;
  out.wall_jump_s = after.wall_s - before.wall_s - out.seconds;
  if (out.seconds > 0) {
    // Ticks are 10 ms: over less than a fifth of a second they say nothing.
    const auto busy = difference(before.busy_s, after.busy_s), steal = difference(before.steal_s, after.steal_s);
    if (busy && out.seconds > 0.2) out.other_cpus = std::max(0.0, *busy - (after.own_cpu_s - before.own_cpu_s)) / out.seconds;
    if (steal && out.seconds > 0.2) out.steal_percent = 100 * *steal / out.seconds;
  }
  out.clock_before_mhz = before.clock_mhz;
  out.clock_after_mhz = after.clock_mhz;
  out.temperature_c = after.temperature_c;
  if (before.throttle_events && after.throttle_events) out.throttle_events = *after.throttle_events - *before.throttle_events;
  out.load_1 = after.load_1;
  out.pressure = {.memory_ms = difference(before.memory_stall_ms, after.memory_stall_ms),
                  .cpu_ms = difference(before.cpu_stall_ms, after.cpu_stall_ms),
                  .io_ms = difference(before.io_stall_ms, after.io_stall_ms)};
  return out;
}

EnergyMeter::EnergyMeter(fs::path root) {
  const auto add = [&](const fs::path& file, double range, const std::string& name) {
    const auto now = read_value<double>(file);  // readable by root only on many systems
    if (!now) return;
    counters_.push_back({file, *now, range});
    sensor_ += (sensor_.empty() ? "" : ", ") + name;
  };
  for (const fs::path& zone : entries_of(root / "sys/class/powercap")) {
    const std::string name = read_value<std::string>(zone / "name").value_or("");
    if (name.starts_with("package") || name.starts_with("psys"))
      add(zone / "energy_uj", read_value<double>(zone / "max_energy_range_uj").value_or(0), "rapl " + name);
  }
  if (!counters_.empty()) return;
  for (const fs::path& device : entries_of(root / "sys/class/hwmon"))
    for (const fs::path& file : entries_of(device)) {
      const std::string input = file.filename().string();
      if (input.starts_with("energy") && input.ends_with("_input"))
        add(file, 0, "hwmon " + read_value<std::string>(device / "name").value_or("") + " " + input);
    }
}

std::optional<double> EnergyMeter::joules() {
  if (counters_.empty()) return std::nullopt;
  double sum = 0;
  for (Counter& counter : counters_) {
    const auto now = read_value<double>(counter.file);
    if (!now) return std::nullopt;
    const double moved = *now - counter.last_uj;
    sum += moved >= 0 ? moved : moved + counter.range_uj;
    counter.last_uj = *now;
  }
  return sum / 1e6;
}

}  // namespace assay

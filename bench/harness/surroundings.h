// Surroundings: what else the machine does while something is measured, and the energy it takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "bench/harness/round.h"

namespace assay {

// Counters of one moment. Files are read below `root`, so that tests can give a folder of their own.
struct MachineMoment {
  double steady_s = 0, wall_s = 0;
  double own_cpu_s = 0;                     // of this process, all threads
  std::optional<double> busy_s, steal_s;    // of all processors since boot
  std::optional<double> memory_stall_ms, cpu_stall_ms, io_stall_ms;
  std::optional<double> clock_mhz, temperature_c, load_1;
  std::optional<std::uint64_t> throttle_events;
};
MachineMoment read_moment(const std::filesystem::path& root = "/");

// What lies between two moments.
Surroundings between(const MachineMoment& before, const MachineMoment& after);

// The hottest sensor of the processor, in degrees Celsius: a thermal zone or hwmon device that says it is one.
std::optional<double> read_temperature(const std::filesystem::path& root = "/");

// An energy counter: RAPL packages (/sys/class/powercap) or hwmon energy inputs, summed up.
class EnergyMeter {
 public:
  explicit EnergyMeter(std::filesystem::path root = "/");
  const std::string& sensor() const { return sensor_; }  // "rapl: package-0", empty where there is none
  bool has_sensor() const { return !counters_.empty(); }
  // Joules since the last call (or the construction), counters that wrapped included. Nothing without a sensor.
  std::optional<double> joules();

 private:
  struct Counter {
    std::filesystem::path file;
    double last_uj = 0, range_uj = 0;
  };
  std::string sensor_;
  std::vector<Counter> counters_;
};

}  // namespace assay

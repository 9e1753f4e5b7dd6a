// assay hardware: what this machine is and what it can do, measured.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/probes.h"
#include "runtime/core/describe.h"
#include "runtime/core/host.h"
#include "runtime/core/json.h"
#include "runtime/core/parallel.h"
#include "runtime/core/progress.h"
#include "runtime/kernels/vulkan/probe.h"

namespace assay {

namespace {

constexpr const char* kFooter = R"(Examples:
  assay hardware                      facts and measured limits, in about two seconds
  assay hardware --no-measure         facts alone, at once
  assay hardware --json --threads 1

Read, write and copy are sequential passes over a buffer of eight times the last cache; a copy counts bytes read and written.
Peaks are multiply-adds in registers. Benchmarks relate their results to these numbers ("of limit"): decode to the read
bandwidth (assay bench: to what it is right after each round), prefill to the multiply-add peak of its arithmetic.

Devices are those that --backend vulkan:N takes, with what a shader reads a second, what the processor uploads, and the peaks of
float32, float16 and packed 8-bit dot products in operations (a multiply-add is two).

Exit codes: 0 done, 2 usage.)";

struct HardwareArguments {
  int threads = 0;
  double seconds = 0.15;
  bool no_measure = false;
  bool json = false;
};

struct DiskFacts {
  std::string path;
  std::optional<std::uint64_t> free_bytes, total_bytes;

  static constexpr void fields(auto visit) {
    using D = DiskFacts;
    visit("path", "", Better::none, &D::path);
    visit("free_bytes", "B", Better::none, &D::free_bytes);
    visit("total_bytes", "B", Better::none, &D::total_bytes);
  }
};

DiskFacts read_disk(const std::filesystem::path& path) {
  DiskFacts facts{path.string(), {}, {}};
  std::error_code failed;
  const auto space = std::filesystem::space(path, failed);
  if (!failed) facts.free_bytes = space.available, facts.total_bytes = space.capacity;
  return facts;
}

void line(std::string_view name, const std::string& text) { fmt::print("{:<14} {}\n", name, text); }

std::string caches_text(const HostFacts& host) {
  std::string text;
  for (const CacheFacts& cache : host.caches) {
    if (cache.kind == "instruction") continue;
    text += fmt::format("{}L{} {}", text.empty() ? "" : ", ", cache.level, format_bytes(cache.bytes));
    if (cache.shared_by > 1) text += fmt::format(" (shared by {})", cache.shared_by);
  }
  return text.empty() ? "not known" : text;
}

void print_facts(const HostFacts& host, const DiskFacts& disk) {
  line("cpu", fmt::format("{}, {} cores, {} threads ({} allowed here)", host.cpu_model, host.cores, host.hardware_threads, host.allowed_threads));
  line("isa", host.isa);
  line("caches", caches_text(host));
  std::string memory = fmt::format("{}, {} available", format_bytes(host.memory_bytes), format_bytes(host.memory_available_bytes));
  if (host.memory_limit_bytes) memory += fmt::format(", limited to {} for this process", format_bytes(*host.memory_limit_bytes));
  line("memory", memory);
  if (host.numa_nodes > 1) line("numa", fmt::format("{} nodes", host.numa_nodes));
  if (disk.free_bytes) line("disk", fmt::format("{} free of {} at {}", format_bytes(*disk.free_bytes), format_bytes(*disk.total_bytes), terminal_safe(disk.path)));
  std::string system = host.os + ", " + host.kernel;
  if (host.virtual_machine) system += ", virtual machine (" + *host.virtual_machine + ")";
  if (host.container) system += ", container (" + *host.container + ")";
  line("system", system);
  if (host.governor) line("governor", *host.governor);
  if (host.load_1) line("load", fmt::format("{:.2f} in the last minute", *host.load_1));
}

void print_limit(std::string_view name, const std::optional<double>& one, const std::optional<double>& all, std::string_view unit, std::string_view isa) {
  if (!one) return;
  const auto figure = [](double value) { return fmt::format("{:.{}f}", value, value < 100 ? 1 : 0); };
  fmt::print("{:<14} {:>8} {:>8} {}{}{}\n", name, figure(*one), all ? figure(*all) : "", unit, isa.empty() ? "" : "  ", isa);
}

void print_limits(const MachineLimits& limits) {
  fmt::print("\n{:<14} {:>8} {:>8}\n", "limit", "1 thread", fmt::format("{} thr.", limits.threads));
  print_limit("read", limits.read_1_gbps, limits.read_all_gbps, "GB/s", "");
  print_limit("write", limits.write_1_gbps, limits.write_all_gbps, "GB/s", "");
  print_limit("copy", limits.copy_1_gbps, limits.copy_all_gbps, "GB/s", "");
  print_limit("int8 dot", limits.int8_dot_1_gmacs, limits.int8_dot_all_gmacs, "GMAC/s", limits.int8_dot_isa);
  print_limit("bf16 dot", limits.bf16_dot_1_gmacs, limits.bf16_dot_all_gmacs, "GMAC/s", limits.bf16_dot_isa);
  print_limit("f32 fma", limits.f32_fma_1_gmacs, limits.f32_fma_all_gmacs, "GMAC/s", limits.f32_fma_isa);
}

// A Vulkan device: what it is, and its limits when they were measured.
struct DeviceRow {
  vulkan::DeviceFacts facts;
  std::optional<vulkan::DevicePeaks> peaks;
  std::string problem;  // why they were not
};
struct Devices {
  std::vector<DeviceRow> rows;
  std::string problem;  // why there are none
};

Devices read_devices(bool measures) {
  Devices devices;
  auto found = vulkan::list_devices();
  if (!found) {
    devices.problem = found.error().detail;
    return devices;
  }
  if (found->empty()) devices.problem = "the installed drivers find no device";
  for (std::uint32_t i = 0; i < found->size(); ++i) {
    DeviceRow row{(*found)[i], {}, (*found)[i].lacks.empty() ? "" : "lacks " + (*found)[i].lacks};
    if (measures && row.problem.empty()) {
      auto device = vulkan::Device::open(i);
      auto peaks = device ? vulkan::measure_peaks(*device) : Result<vulkan::DevicePeaks>(device.error());
      if (peaks)
        row.peaks = *peaks;
      else
        row.problem = peaks.error().detail;
    }
    devices.rows.push_back(std::move(row));
  }
  return devices;
}

std::string features_of(const vulkan::DeviceFacts& facts) {
  std::string text = facts.max_subgroup_size == facts.min_subgroup_size ? fmt::format("subgroups of {}", facts.subgroup_size) : fmt::format("subgroups of {} ({} to {})", facts.subgroup_size, facts.min_subgroup_size, facts.max_subgroup_size);
  const std::pair<bool, std::string_view> features[] = {{facts.has_half, "float16"}, {facts.has_integer_dot, facts.is_integer_dot_fast ? "fast integer dot" : "integer dot"},
                                                        {facts.has_cooperative_matrix, "cooperative matrix"}, {facts.is_host_visible, "direct uploads"},
                                                        {facts.can_import_host_memory, "host import"}, {facts.timestamp_ns > 0, "timestamps"}};
  for (const auto& [present, name] : features)
    if (present) text += fmt::format(", {}", name);
  return text;
}

void print_devices(const Devices& devices) {
  fmt::print("\n");
  if (!devices.problem.empty()) return line("vulkan", devices.problem);
  for (std::size_t i = 0; i < devices.rows.size(); ++i) {
    const auto& [facts, peaks, problem] = devices.rows[i];
    line(fmt::format("vulkan:{}", i), fmt::format("{} ({}), driver {}, Vulkan {}", terminal_safe(facts.name), name_of(facts.kind), terminal_safe(facts.driver), facts.api));
    line("", fmt::format("{}{}; {}", format_bytes(facts.memory_bytes), facts.budget_bytes > 0 ? fmt::format(", {} free for this process", format_bytes(facts.budget_bytes)) : "", features_of(facts)));
    if (!problem.empty()) line("", problem);
    if (!peaks) continue;
    const auto peak = [](std::string_view name, double ops) { return ops > 0 ? fmt::format(", {} {:.1f} GOP/s", name, ops * 1e-9) : ""; };
    line("", fmt::format("read {:.1f} GB/s, upload {:.1f} GB/s{}{}{}", peaks->read_bytes * 1e-9, peaks->upload_bytes * 1e-9, peak("float32", peaks->float_ops), peak("float16", peaks->half_ops), peak("int8", peaks->integer_ops)));
  }
}

Json devices_json(const Devices& devices) {
  Json::Array list;
  for (const auto& [facts, peaks, problem] : devices.rows) {
    Json row;
    row.set("name", facts.name).set("kind", std::string(name_of(facts.kind))).set("driver", facts.driver).set("api", facts.api).set("memory_bytes", static_cast<std::int64_t>(facts.memory_bytes));
    row.set("budget_bytes", facts.budget_bytes > 0 ? Json(static_cast<std::int64_t>(facts.budget_bytes)) : Json()).set("subgroup_size", static_cast<std::int64_t>(facts.subgroup_size));
    row.set("float16", facts.has_half).set("integer_dot", facts.has_integer_dot).set("fast_integer_dot", facts.is_integer_dot_fast).set("cooperative_matrix", facts.has_cooperative_matrix);
    row.set("direct_uploads", facts.is_host_visible).set("host_import", facts.can_import_host_memory).set("problem", problem.empty() ? Json() : Json(problem));
    if (peaks) row.set("read_gbps", peaks->read_bytes * 1e-9).set("upload_gbps", peaks->upload_bytes * 1e-9).set("float32_gops", peaks->float_ops * 1e-9).set("float16_gops", peaks->half_ops * 1e-9).set("int8_gops", peaks->integer_ops * 1e-9);
    list.push_back(std::move(row));
  }
  return list;
}

int run_hardware(const HardwareArguments& arguments) {
  const HostFacts host = read_host_facts();
  std::error_code no_folder;
  const DiskFacts disk = read_disk(std::filesystem::current_path(no_folder));
  const int threads = arguments.threads > 0 ? arguments.threads : available_threads();
  if (!arguments.json) print_facts(host, disk);
  std::fflush(stdout);
  std::optional<MachineLimits> limits;
  if (!arguments.no_measure) limits = measure_limits(threads, arguments.seconds);
  const Devices devices = read_devices(!arguments.no_measure);
  if (arguments.json) {
    Json document;
    document.set("schema", "assay.hardware/1").set("host", to_json(host)).set("disk", to_json(disk));
    document.set("limits", limits ? to_json(*limits) : Json()).set("devices", devices_json(devices));
    if (!devices.problem.empty()) document.set("vulkan", devices.problem);
    fmt::print("{}\n", to_text(document));
  } else {
    if (limits) print_limits(*limits);
    print_devices(devices);
  }
  return kExitYes;
}

}  // namespace

void add_hardware(Command app, int& exit_code) {
  const Command command = app.add_command("hardware", "What this machine is, and its measured limits");
  const auto arguments = std::make_shared<HardwareArguments>();
  command.footer(kFooter);
  command.add_option("-t,--threads", arguments->threads, "Threads of the second column (default: all this process may use)").between(1, 1024);
  command.add_option("--seconds", arguments->seconds, "How long each of the 12 measurements goes on").shows_default().between(0.01, 10.0);
  command.add_flag("--no-measure", arguments->no_measure, "Facts only");
  command.add_flag("--json", arguments->json, "Everything as JSON, bytes and 1e9 a second as numbers");
  command.when_given([arguments, &exit_code] { exit_code = run_hardware(*arguments); });
}

}  // namespace assay

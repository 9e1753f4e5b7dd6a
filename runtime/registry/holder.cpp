// /proc tells when a process began and which start of the machine this is.
#include "runtime/registry/holder.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace assay {

namespace {

std::string read_first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The 22nd field of /proc/PID/stat, in clock ticks; the second may hold anything in parentheses. Empty: no such
// process.
std::string start_of(const std::string& pid) {
  const std::string line = read_first_line("/proc/" + pid + "/stat");
  std::size_t at = line.rfind(')');
  if (at == std::string::npos) return "";
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
  return at == std::string::npos ? "" : line.substr(at + 1, line.find(' ', at + 1) - at - 1);
}

std::string describe_process(const std::string& pid) {
  const std::string start = start_of(pid);
  return start.empty() ? "" : pid + " " + start + " " + read_first_line("/proc/sys/kernel/random/boot_id");
}

}  // namespace

std::string this_holder() {
  return describe_process(std::to_string(::getpid()));
}

bool is_alive(std::string_view holder) {
  const std::string pid(holder.substr(0, holder.find(' ')));
  return !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos && describe_process(pid) == holder;
}

}  // namespace assay

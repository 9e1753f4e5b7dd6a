// What the fuzz targets share: a scratch folder in memory, and what must hold for every finding whatever the input.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/validate/rules.h"
#include "runtime/validate/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace assay::fuzz {

inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// One folder a process, in memory where the system has such a place; removed at the end.
class Scratch {
 public:
  Scratch() {
    const bool has_memory = std::filesystem::is_directory("/dev/shm");
    std::string pattern =
        (has_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) / "assay-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "a scratch folder can be made");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;

  std::filesystem::path write(std::string_view name, std::span<const std::uint8_t> bytes) const {
    const std::filesystem::path path = path_ / name;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    require(file != nullptr, "a scratch file can be made");
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
    return path;
  }
  std::filesystem::path write(std::string_view name, std::string_view text) const {
    return write(name, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The input in a block of exactly its size, so that reading one byte too many is seen.
struct Exact {
  explicit Exact(std::span<const std::uint8_t> input)
      : size(input.size()), data(std::make_unique<std::byte[]>(input.size())) {
    if (size > 0) std::memcpy(data.get(), input.data(), size);
  }
  Bytes bytes() const { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

// Every finding follows a rule of the table, in its severity, and says something a reader can use.
inline void check(std::span<const Finding> findings) {
  for (const Finding& finding : findings) {
    const Rule* rule = find_rule(finding.rule);
    require(rule != nullptr, finding.rule + " is in the table of rules");
    require(rule->severity == finding.severity, finding.rule + " has the severity of the table");
    require(!finding.message.empty() && finding.message.size() < 20000, finding.rule + " has a message");
    require(!finding.advice.empty() || finding.rule == "file.open", finding.rule + " has advice");
  }
}

// Validates a path at the levels that read it, and opens it as programs do: refused exactly when there is an error.
inline void validate_path(const std::filesystem::path& path) {
  const auto validation = validate(path, {.numbers = true, .hash = true, .threads = 1});
  require(validation.has_value(), "a readable path is validated");
  check(validation->findings);
  AllFindings all;
  const auto lenient = open_model(path, all);
  const auto strict = open_model(path);
  bool has_error = false;
  for (const Finding& finding : all.findings()) has_error = has_error || finding.severity == Severity::error;
  require(strict.has_value() == !has_error, "a model opens exactly when its parsers find no error");
  require(lenient.has_value() || has_error, "a model that does not open has an error");
}

}  // namespace assay::fuzz

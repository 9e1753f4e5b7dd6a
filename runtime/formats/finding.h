// Findings: what a parser has to say about a file. Opening stops at the first error; the validator collects them all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

enum class Severity : std::uint8_t { error, warning, note };

// `rule` is a stable id such as "gguf.string.past-end"; `subject` the key or tensor; `message` one sentence; `advice`
// what to do.
struct Finding {
  Severity severity = Severity::error;
  std::string rule{};
  Code code = Code::malformed;
  std::string file{};
  std::optional<std::uint64_t> offset{};
  std::string subject{};
  std::string message{};
  std::string advice{};

  Error to_error() const;
};

// Where a parser reports. `report` answers whether the parser should go on.
class FindingSink {
 public:
  virtual ~FindingSink() = default;
  virtual bool report(Finding finding) = 0;
};

// Keeps the first error and stops there; lets warnings and notes pass.
class FirstError final : public FindingSink {
 public:
  bool report(Finding finding) override;
  const std::optional<Error>& error() const { return error_; }

 private:
  std::optional<Error> error_;
};

// Keeps everything, up to `limit` findings (a hostile file may earn millions).
class AllFindings final : public FindingSink {
 public:
  explicit AllFindings(std::size_t limit = 10000) : limit_(limit) {}
  bool report(Finding finding) override;
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  std::size_t limit_;
  std::vector<Finding> findings_;
};

}  // namespace assay

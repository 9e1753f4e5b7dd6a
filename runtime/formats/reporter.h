// Reporter: how the parsers of this folder speak to a FindingSink; knows the file and whether anyone still listens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/formats/finding.h"

namespace assay {

// Advice that fits most damage to a file.
inline constexpr std::string_view kDownloadAgain = "the file is damaged or was cut short: download it again";

// Bytes from a file made fit for a message: valid printable ASCII and UTF-8 stays, the rest becomes \xHH, long text is
// cut.
std::string printable(std::string_view text, std::size_t limit = 80);

bool is_utf8(std::string_view text);

// Where names stand quoted in a JSON text, for messages. Looks a limited number of times, so that a text with a million
// wrong entries is not searched a million times.
class NameFinder {
 public:
  // `base` is added to every place found.
  NameFinder(std::string_view text, std::uint64_t base) : text_(text), base_(base) {}

  // The `nth` (0: first) place; nothing when there is none, as when the name is written with escapes.
  std::optional<std::uint64_t> find(std::string_view name, int nth = 0) {
    if (searches_left_ == 0) return std::nullopt;
    --searches_left_;
    const std::string quoted = quote(name);
    std::size_t at = text_.find(quoted);
    while (nth-- > 0 && at != std::string_view::npos) at = text_.find(quoted, at + 1);
    return at == std::string_view::npos ? std::nullopt : std::optional<std::uint64_t>(base_ + at);
  }

 private:
  static std::string quote(std::string_view name) {
    std::string quoted;
    return quoted.append("\"").append(name).append("\"");
  }

  std::string_view text_;
  std::uint64_t base_;
  int searches_left_ = 32;
};

// Every report answers whether parsing should go on; after one "no" nothing more is passed to the sink.
class Reporter {
 public:
  Reporter(FindingSink& sink, std::string file) : sink_(sink), file_(std::move(file)) {}

  bool error(Finding finding) {
    failed_ = true;
    return pass(Severity::error, std::move(finding));
  }
  bool warning(Finding finding) { return pass(Severity::warning, std::move(finding)); }
  bool note(Finding finding) { return pass(Severity::note, std::move(finding)); }

  bool stopped() const { return stopped_; }
  bool failed() const { return failed_; }
  const std::string& file() const { return file_; }
  FindingSink& sink() { return sink_; }

 private:
  bool pass(Severity severity, Finding finding) {
    if (stopped_) return false;
    finding.severity = severity;
    if (finding.file.empty()) finding.file = file_;
    stopped_ = !sink_.report(std::move(finding));
    return !stopped_;
  }

  FindingSink& sink_;
  std::string file_;
  bool stopped_ = false;
  bool failed_ = false;
};

}  // namespace assay

// LinesFile: a file of JSON lines that only grows by whole lines, whatever happens; and its reading.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/json.h"

namespace assay {

class LinesFile {
 public:
  // Opens for appending and makes the folders above it. An unfinished last line of a process that was killed is cut off.
  static Result<LinesFile> open(const std::filesystem::path& path);
  LinesFile(LinesFile&& other) noexcept;
  LinesFile& operator=(LinesFile&& other) noexcept;
  ~LinesFile();

  // Writes the line and its end through to the disk. When that fails (no space), the file is what it was before.
  Result<> append(std::string_view line);
  const std::filesystem::path& path() const { return path_; }

 private:
  LinesFile() = default;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::filesystem::path path_;
};

struct JsonLine {
  std::uint64_t number = 0;  // from 1
  Json json;
};
struct JsonLines {
  std::vector<JsonLine> lines;
  std::vector<std::string> problems;  // "FILE:LINE: what is wrong": these lines are left out
};
// Reads every line that is JSON. Errors: not_found, io.
Result<JsonLines> read_json_lines(const std::filesystem::path& path);

// Replaces a file by this text, whole or not at all. Errors: io.
Result<> write_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace assay

// Where tests find their files: the repository's fixtures, and the shared data set that is not part of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/json.h"

namespace assay::test {

inline std::filesystem::path fixture(std::string_view name) { return std::filesystem::path(ASSAY_SOURCE_DIR) / "fixtures" / name; }

// A file of the shared data set ($ASSAY_SHARED_DATA, else ../shared/data beside the repository), if it is there.
inline std::optional<std::filesystem::path> shared_data(std::string_view name) {
  const char* root = std::getenv("ASSAY_SHARED_DATA");
  std::filesystem::path path = root ? std::filesystem::path(root) : std::filesystem::path(ASSAY_SOURCE_DIR) / "../shared/data";
  path /= name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}
// Use: ASSAY_SHARED_OR_SKIP(vocabulary, "tokenizers/x.gguf"): declares the path `vocabulary` or skips the test by name.
#define ASSAY_SHARED_OR_SKIP(variable, name)                                                            \
  const auto variable##_found = ::assay::test::shared_data(name);                                       \
  if (!variable##_found) GTEST_SKIP() << "needs shared data: " << (name) << " (set ASSAY_SHARED_DATA)"; \
  const std::filesystem::path variable = *variable##_found

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << "cannot read " << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

// A file of little-endian values.
template <class T>
std::vector<T> read_values(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  std::vector<T> values(text.size() / sizeof(T));
  std::memcpy(values.data(), text.data(), values.size() * sizeof(T));
  return values;
}

inline Json read_json(const std::filesystem::path& path) {
  auto json = parse_json(read_text(path));
  EXPECT_TRUE(json) << path << ": " << (json ? "" : json.error().message());
  return json ? std::move(*json) : Json();
}

// A fresh empty folder, removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace assay::test

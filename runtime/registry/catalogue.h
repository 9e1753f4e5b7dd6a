// Catalogue: the models that exist, as data: rows built in from catalogue.yaml, overridden by a file of the user's.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/describe.h"
#include "runtime/core/error.h"

namespace assay {

enum class SizeClass : std::uint8_t {
  small,
  medium,
  large
};  // by parameters, in thousand millions: below 2.5, below 10, from 10 on
inline constexpr std::array<std::string_view, 3> kSizeClassNames = {"small", "medium", "large"};
constexpr std::span<const std::string_view> enum_names(SizeClass) {
  return kSizeClassNames;
}

enum class Availability : std::uint8_t {
  bundled,     // in fixtures/, nothing to download
  available,   // on a hub
  unavailable  // `reason` says why, `instead` names what to take
};
inline constexpr std::array<std::string_view, 3> kAvailabilityNames = {"bundled", "available", "unavailable"};
constexpr std::span<const std::string_view> enum_names(Availability) {
  return kAvailabilityNames;
}

enum class GpuNeed : std::uint8_t { none, recommended, required };
inline constexpr std::array<std::string_view, 3> kGpuNeedNames = {"none", "recommended", "required"};
constexpr std::span<const std::string_view> enum_names(GpuNeed) {
  return kGpuNeedNames;
}

// One model. Sizes are approximate until the hub was asked.
struct CatalogueRow {
  std::string id;    // "qwen-3-4b"
  std::string name;  // for people: "Qwen3 4B"
  std::string description;
  std::string provider;  // who made the model
  std::uint64_t parameters = 0;
  SizeClass size = SizeClass::small;
  std::string quantization;  // "Q4_K_M", "MLX 4-bit", "BF16"
  std::string format;        // "gguf", "safetensors", "mlx", "executorch"
  std::string architecture;  // as its files name it
  std::string repository;    // "ORG/REPO"
  std::string file;          // glob of the weight files in it; empty: the folder as a whole
  std::string path;          // of a bundled model, below fixtures/
  std::uint64_t bytes = 0;
  std::uint64_t memory_bytes = 0;  // to run it with a context of 4096
  GpuNeed gpu = GpuNeed::none;
  std::vector<std::string> tags;
  std::string licence;
  std::string page;          // link for people
  bool verified = false;     // somebody looked at the repository's listing
  bool recommended = false;  // the default model
  Availability availability = Availability::available;
  std::string reason;
  std::vector<std::string> instead;  // ids

  static constexpr void fields(auto visit) {
    using C = CatalogueRow;
    constexpr Better none = Better::none;
    visit("id", "", none, &C::id);
    visit("name", "", none, &C::name);
    visit("description", "", none, &C::description);
    visit("provider", "", none, &C::provider);
    visit("parameters", "", none, &C::parameters);
    visit("size", "", none, &C::size);
    visit("quantization", "", none, &C::quantization);
    visit("format", "", none, &C::format);
    visit("architecture", "", none, &C::architecture);
    visit("repository", "", none, &C::repository);
    visit("file", "", none, &C::file);
    visit("path", "", none, &C::path);
    visit("bytes", "B", none, &C::bytes);
    visit("memory_bytes", "B", none, &C::memory_bytes);
    visit("gpu", "", none, &C::gpu);
    visit("tags", "", none, &C::tags);
    visit("licence", "", none, &C::licence);
    visit("page", "", none, &C::page);
    visit("verified", "", none, &C::verified);
    visit("recommended", "", none, &C::recommended);
    visit("availability", "", none, &C::availability);
    visit("reason", "", none, &C::reason);
    visit("instead", "", none, &C::instead);
  }

  // Whether this build computes that architecture.
  bool runs_here() const;
  // Of an unavailable row: why, and what to take instead.
  Error refusal() const;
};

class Catalogue {
 public:
  // The built-in rows, then those of `user_file` when it exists: a known id replaces the fields it gives, a new id adds
  // a row. Errors: malformed, naming every failing key with line and column; io.
  static Result<Catalogue> open(const std::filesystem::path& user_file = {});

  const std::vector<CatalogueRow>& rows() const { return rows_; }
  // Not sensitive to case.
  const CatalogueRow* find(std::string_view id) const;
  // The row of a repository's file, when there is one; an empty file finds rows of whole folders.
  const CatalogueRow* find_file(std::string_view repository, std::string_view file) const;
  // The model that is meant when none is named.
  const CatalogueRow* recommended() const;
  // "; did you mean qwen-3-4b?" or nothing.
  std::string suggestion(std::string_view id) const;

 private:
  explicit Catalogue(std::vector<CatalogueRow> rows) : rows_(std::move(rows)) {}
  std::vector<CatalogueRow> rows_;
};

// The text of catalogue.yaml, as it was when this was built.
std::string_view catalogue_text();

}  // namespace assay

// HubSource: what a user asks for, taken apart: a repository with a quantisation, a file of it, or a URL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"

namespace assay {

enum class SourceKind : std::uint8_t { repository, file, url };

struct HubSource {
  SourceKind kind = SourceKind::repository;
  std::string repository{};  // "ORG/REPO"
  std::string quant{};       // "Q4_K_M"; empty: choose
  std::string file{};        // path in the repository (kind file)
  std::string url{};         // kind url
  std::string revision{};    // branch, tag or commit; empty: main

  // As a user would write it.
  std::string text() const;
};

// Which files of a repository are wanted beyond what its source says.
struct FileChoice {
  std::vector<std::string> include{}, exclude{};  // globs, "*" crosses folders; include empty: all
  bool all = false;                               // every file of the repository
};

// ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE, each with @REVISION after the repository and with hf: or hf:// before it, or
// a URL; a URL of a repository or a file at `endpoint` is taken as that. Errors: usage, saying what the forms are.
Result<HubSource> parse_source(std::string_view text, std::string_view endpoint = "https://huggingface.co");

// ORG/REPO or ORG/REPO:QUANT by its letters; says nothing about whether it exists.
bool is_repository_name(std::string_view text);

// Shell patterns as Python's fnmatch reads them: * ? [abc] [!abc].
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace assay

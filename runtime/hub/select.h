// Which files of a repository make the model that was asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/hub/api.h"
#include "runtime/hub/source.h"

namespace assay {

struct FileSelection {
  std::vector<HubFile> files;  // small ones first
  // What a program opens: a path in the repository, or empty for the folder itself.
  std::string model;
  bool is_model = false;  // the files are a whole model, to be validated as one
  // A shard index that must be read before all of the files are known; empty otherwise.
  std::string index;
};

// By what the repository holds: one quantisation of its GGUF files with all its parts; sharded safetensors (only the
// index and the companions are in `files` then: add_shards() follows); the safetensors of a folder with its
// configuration and tokenizer; or what a file name, globs or `all` ask for. Errors: not_found (with the names that are
// there), unsupported (.pte), usage.
Result<FileSelection> select_files(const HubListing& listing, const HubSource& source, const FileChoice& choice);

// The shards that the text of an index names, each of which must be in the listing.
Result<> add_shards(const HubListing& listing, std::string_view index_text, FileSelection& selection);

// "Q4_K_M" of "name-Q4_K_M-00001-of-00002.gguf"; empty where the name says none.
std::string quant_of_name(std::string_view file_name);
// Whether a file's name says that quantisation, in any case of letters.
bool names_quant(std::string_view file_name, std::string_view quant);

}  // namespace assay

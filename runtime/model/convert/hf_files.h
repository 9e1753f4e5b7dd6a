// Files of a Hugging Face or MLX folder beside the weights: read, copied, made.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/json.h"
#include "runtime/model/convert/plan.h"

namespace assay::convert {

// The document in `path`; nothing when there is no such file.
Result<std::optional<Json>> read_json_file(const std::filesystem::path& path);
// Writes beside the target and renames.
Result<> write_text_file(const std::filesystem::path& path, std::string_view text);

// config.json of a folder with a GGUF file's weights; `config`: see folder_config(). Errors: unsupported, where a number of the file
// has no name in config.json.
Result<Json> config_json(const ModelFile& in, const Config& config);

// config.json of the result: the source's own with the new precision, or made from GGUF keys. Modules whose MLX format differs
// from the rest are listed by name. Errors: unsupported, where a GGUF file's rope factors have no name in config.json.
Result<Json> make_config_json(const ModelFile& in, const Config& config, const ConvertOptions& options, const Plan& plan);

// Copies the tokenizer and generation files of a folder, or makes tokenizer.json and tokenizer_config.json from GGUF keys
// where they are byte-level BPE; what is not carried becomes a note.
Result<> write_tokenizer_files(const ModelFile& in, const std::filesystem::path& folder, std::vector<std::string>& notes);

}  // namespace assay::convert

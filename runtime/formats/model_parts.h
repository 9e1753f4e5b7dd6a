// The steps of open_model, private to it: mapping, GGUF sets, safetensors sets, folders, side scales.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "runtime/formats/model_file.h"
#include "runtime/formats/reporter.h"

namespace assay::opening {

// All of these answer whether a usable model is (still) there; where not, an error has been reported.

// Maps one more file of the model.
bool map_file(const std::filesystem::path& path, Reporter& report, ModelFile& model);
void report_error(const Error& error, std::string rule, Reporter& report);

// One GGUF file, or the whole set when it is a part of one.
bool open_gguf(const std::filesystem::path& path, Reporter& report, ModelFile& model);

bool open_safetensors(const std::filesystem::path& path, Reporter& report, ModelFile& model);
// Parses one more safetensors file into model.tensors.
bool add_safetensors(const std::filesystem::path& path, Reporter& report, ModelFile& model);
// The set that an index file describes.
bool open_shard_index(const std::filesystem::path& path, Reporter& report, ModelFile& model);
// A complete set of -0000i-of-0000N files without an index.
bool open_shard_set(const std::vector<std::filesystem::path>& paths, Reporter& report, ModelFile& model);

// config.json beside the weights, where there is one.
bool read_config(Reporter& report, ModelFile& model);

// What to open in a folder: one file (an index counts as one), or the files of a set without index.
std::optional<std::vector<std::filesystem::path>> choose_weights(const std::filesystem::path& folder, Reporter& report);

// Joins weights with the scales that lie in tensors of their own (MLX, FP8, bitsandbytes).
bool join_side_scales(Reporter& report, ModelFile& model);

// The object in a JSON file; `rule` names the finding when there is none.
std::optional<Json> read_json_file(const std::filesystem::path& path, std::string_view rule, Reporter& report);

std::string file_name_of(const std::filesystem::path& path);

}  // namespace assay::opening

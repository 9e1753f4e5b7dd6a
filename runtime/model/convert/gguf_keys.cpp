// Model keys of a GGUF result.
#include "runtime/model/convert/gguf_keys.h"

#include <algorithm>
#include <array>

#include "runtime/model/gguf_config.h"

namespace assay::convert {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of the block layouts, ggml's number

constexpr std::array<std::string_view, 6> kNotCopied = {"general.file_type", "general.quantization_version", "general.alignment",
                                                        "split.no",          "split.count",                  "split.tensors.count"};

void set_weight_keys(const ConvertOptions& options, GgufWriter& writer) {
  if (dtype_of(options.mix.base).block_values > 1) writer.set_u32("general.quantization_version", kQuantizationVersion);
  writer.set_u32("general.file_type", options.mix.file_type);
}

// "models/Llama-3.2-1B/" -> "Llama-3.2-1B"
std::string folder_name(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(folder, ignored);
  return whole.filename().string();
}

}  // namespace

void copy_gguf_keys(const ModelFile& in, const ConvertOptions& options, GgufWriter& writer) {
  for (const MetaEntry& entry : in.metadata.entries())
    if (std::ranges::find(kNotCopied, entry.key) == kNotCopied.end()) writer.copy(entry);
  set_weight_keys(options, writer);
}

Result<> set_model_keys(const ModelFile& in, const Config& config, const ConvertOptions& options, GgufWriter& writer) {
  write_gguf_config(config, writer);
  writer.set_string("general.type", "model");
  writer.set_string("general.name", folder_name(in.folder));
  set_weight_keys(options, writer);
  return success();
}

}  // namespace assay::convert

// Model keys of a GGUF result.
#include "runtime/model/convert/gguf_keys.h"

#include <algorithm>
#include <array>
#include <cmath>

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

void set_rope_keys(const Config& config, const std::string& prefix, GgufWriter& writer) {
  const RopeConfig& rope = config.rope;
  writer.set_f32(prefix + "rope.freq_base", rope.base);
  writer.set_u32(prefix + "rope.dimension_count", rope.dims);
  if (rope.scaling == RopeScaling::none || rope.scaling == RopeScaling::llama3) return;  // llama3: rope_freqs.weight
  writer.set_string(prefix + "rope.scaling.type", rope.scaling == RopeScaling::yarn ? "yarn" : "linear");
  writer.set_f32(prefix + "rope.scaling.factor", rope.factor);
  if (rope.scaling != RopeScaling::yarn) return;
  writer.set_u32(prefix + "rope.scaling.original_context_length", rope.original_context);
  if (std::fabs(rope.attention_factor - 1.0f) > 1e-6f) writer.set_f32(prefix + "rope.scaling.attn_factor", rope.attention_factor);
}

}  // namespace

void copy_gguf_keys(const ModelFile& in, const ConvertOptions& options, GgufWriter& writer) {
  for (const MetaEntry& entry : in.metadata.entries())
    if (std::ranges::find(kNotCopied, entry.key) == kNotCopied.end()) writer.copy(entry);
  set_weight_keys(options, writer);
}

Result<> set_model_keys(const ModelFile& in, const Config& config, const ConvertOptions& options, GgufWriter& writer) {
  // GGUF knows mistral's layout as llama.
  const std::string architecture = config.arch->gguf_adjacent_pairs ? "llama" : std::string(config.arch->gguf_name);
  const std::string prefix = architecture + ".";
  writer.set_string("general.architecture", architecture);
  writer.set_string("general.type", "model");
  writer.set_string("general.name", folder_name(in.folder));
  writer.set_u32(prefix + "context_length", config.context);
  writer.set_u32(prefix + "embedding_length", config.embedding);
  writer.set_u32(prefix + "block_count", config.layers);
  writer.set_u32(prefix + "feed_forward_length", config.feed_forward);
  writer.set_u32(prefix + "attention.head_count", config.heads);
  writer.set_u32(prefix + "attention.head_count_kv", config.kv_heads);
  writer.set_f32(prefix + "attention.layer_norm_rms_epsilon", config.norm_epsilon);
  writer.set_u32(prefix + "attention.key_length", config.head_dim);
  writer.set_u32(prefix + "attention.value_length", config.head_dim);
  set_rope_keys(config, prefix, writer);
  writer.set_u32(prefix + "vocab_size", config.vocabulary);
  set_weight_keys(options, writer);
  return success();
}

}  // namespace assay::convert

// convert_model(): any openable model into another weight format and, where asked, another kind of file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/quant_mix.h"

namespace assay {

enum class ConvertKind : std::uint8_t {
  gguf,         // one .gguf file
  safetensors,  // a Hugging Face folder: config.json, model.safetensors, tokenizer files
  mlx           // the same with MLX affine triples
};

// Tensors whose GGUF name matches `pattern` ('*' stands for anything) take `format`. The first match counts.
struct FormatOverride {
  std::string pattern;
  FormatId format = FormatId::F16;
};

struct ConvertOptions {
  ConvertKind kind = ConvertKind::gguf;
  Mix mix;                             // gguf
  FormatId format = FormatId::BF16;    // safetensors: F32, F16, BF16, F8_*, NF4, FP4; mlx: MLX_*
  std::uint32_t group = 64;            // mlx: values per scale
  std::vector<FormatOverride> overrides;
  int threads = 0;
  bool measure_error = false;          // decode what was written and compare
};

// One weight format of the result.
struct ConvertedFormat {
  FormatId format = FormatId::F32;
  std::uint64_t tensors = 0;
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
  double squared_error = 0;   // against the input's values, when measured
  double squared_value = 0;
};

struct ConvertReport {
  std::vector<ConvertedFormat> formats;  // in the order first met
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;               // of tensors
  std::vector<std::string> notes;        // what was not carried over, what to know
  double bits_per_weight() const { return values == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(values); }
};

// Writes `out` (a file for gguf, else a folder that is made when missing). Weights pass through in runs of rows: memory stays bounded
// by them, one tensor's scales and, where columns become rows, one matrix; folders whose weights lie in another order than the
// decoder's (see Copy) have those in memory. Nothing is left under the final name when it fails.
// Errors: of the readers and encoders, with tensor and row named; unsupported where a family has no other layout; interrupted.
Result<ConvertReport> convert_model(const ModelFile& in, const std::filesystem::path& out, const ConvertOptions& options, ProgressFn progress);

// What the mix rules need to know, from a file of any family.
MixModel mix_model_of(const ModelFile& file);

}  // namespace assay

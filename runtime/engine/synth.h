// synthesize(): writes a model file of a real model's shape with random weights, so that its speed can be measured
// anywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"
#include "runtime/model/shapes.h"

namespace assay {

enum class SynthLayout : std::uint8_t {
  gguf,
  safetensors,  // a Hugging Face folder: config.json, tokenizer.json, model*.safetensors
  mlx           // the same with MLX affine triples, group 64, embedding included
};
std::string_view name_of(SynthLayout layout);

// "llama-3.2-1b:Q4_K_M". Without a quantisation: Q4_K_M. Errors: usage, naming the known shapes.
struct SynthSpec {
  const ModelShape* shape = nullptr;
  std::string quant;
};
Result<SynthSpec> parse_synth_spec(std::string_view text);

// The layout that goes with a quantisation's name: MLX names give mlx, everything else gguf.
SynthLayout layout_for(std::string_view quant);

struct SynthOptions {
  SynthLayout layout = SynthLayout::gguf;
  std::uint32_t shards = 1;
  std::uint64_t seed = 1;       // equal seeds give equal files
  bool replaces_files = false;  // otherwise an existing file is an error
  int threads = 2;
};

struct SynthSummary {
  std::vector<std::filesystem::path> files;  // the weight files, first part first
  std::uint64_t parameters = 0;
  std::uint64_t tensors = 0;
  std::uint64_t weight_bytes = 0;
  double bits_per_weight = 0;  // of all tensors
};

// Writes `out`: a .gguf file, with several shards out-00001-of-0000N.gguf, or a folder for the other layouts. `quant`
// is a mix (Q4_K_M, F16 ...), for safetensors F32, F16, BF16, F8_E4M3 or F8_E5M2, for mlx "mlx-4bit" or MLX_Q4 (2 to 6
// and 8). Memory stays bounded (about 50 MB) whatever the size. Nothing is left behind under the target's name when it
// fails. Errors: usage, io (no space is told before anything is written), interrupted.
Result<SynthSummary> synthesize(const ModelShape& shape, std::string_view quant, const SynthOptions& options,
                                const std::filesystem::path& out, ProgressFn progress);

}  // namespace assay

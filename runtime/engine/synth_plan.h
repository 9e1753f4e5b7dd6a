// The plan of a synthetic model: every tensor that its file will hold, with the fill that makes its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/engine/synth.h"
#include "runtime/engine/synth_fill.h"
#include "runtime/model/quant_mix.h"
#include "runtime/model/shapes.h"

namespace assay {

// One tensor of the file. `shape` and `format` are what the file declares (U32 words for MLX levels).
struct SynthTensor {
  std::string name;
  FormatId format = FormatId::F32;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
  std::uint32_t fill_block = 1;  // the fill works in units of so many bytes
  std::size_t fill = 0;          // index into SynthPlan::fills
  std::uint64_t stream = 0;      // equal streams get equal random bits
};

// Tensors that belong in one shard: one weight, or weight, scales and biases.
struct SynthModule {
  std::size_t first = 0, count = 0;  // of SynthPlan::tensors
  std::uint64_t bytes = 0;
};

struct SynthPlan {
  std::vector<SynthTensor> tensors;
  std::vector<SynthModule> modules;
  std::vector<Fill> fills;
  Mix mix;                            // gguf
  FormatId element = FormatId::BF16;  // safetensors, and the norms and scales of mlx
  std::uint32_t mlx_bits = 0;
  std::uint64_t bytes() const;
};

// MLX affine groups are this long in every file Assay makes.
inline constexpr std::uint32_t kMlxGroup = 64;

// Errors: usage, when the quantisation is none of the layout's.
Result<SynthPlan> plan_synth(const ModelShape& shape, std::string_view quant, SynthLayout layout);

// The bits of an MLX quantisation's name ("mlx-4bit", "MLX_Q4", "4bit"), 0 when it is none.
std::uint32_t mlx_bits_of(std::string_view quant);

}  // namespace assay

// Quantisation mixes: which weight format every tensor of a model takes under a name such as Q4_K_M.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/dtype.h"

namespace assay {

// A named choice of formats, in llama-quantize's names and placement (no importance matrix). Plain format names (F16, Q8_0,
// Q4_0 ...) are mixes too: their output matrix takes Q6_K or Q8_0 unless `pure`.
struct Mix {
  std::string_view name;      // the canonical one: "Q4_K" is told as "Q4_K_M"
  FormatId base = FormatId::F16;
  std::uint32_t file_type = 0;  // general.file_type of a GGUF file
  bool pure = false;            // every matrix in `base`
};

// Not sensitive to case. Q3_K, Q4_K and Q5_K mean their _M mix, as in llama-quantize.
std::optional<Mix> mix_from_name(std::string_view name, bool pure = false);
// Every accepted name, in the order users expect; for help and error texts.
std::vector<std::string_view> mix_names();
// The name that stands for a general.file_type; empty when unknown.
std::string_view mix_name_of(std::uint32_t file_type);

// What the rules ask about the model. `experts` is 0 or 1 for dense models.
struct MixModel {
  std::string_view architecture = "llama";  // GGUF name
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t experts = 0;
  bool is_tied = false;  // the file has no output.weight
};

// One tensor by its GGUF name ("blk.3.attn_v.weight") and shape (slowest dimension first). `kept` is the answer where the mix
// leaves a tensor alone: the format it is stored in, or what a converter gives vectors, F32.
struct MixTensor {
  std::string_view name;
  std::span<const std::uint64_t> shape;
  FormatId kept = FormatId::F32;
};

// The format of `tensor`. Rows that do not hold whole blocks fall back as in llama-quantize (Q4_K to Q5_0, Q6_K to Q8_0 ...)
// and to F16 where nothing else fits.
FormatId mix_format(const Mix& mix, const MixModel& model, const MixTensor& tensor);

// Whether any mix would touch this tensor: a matrix named "...weight" that is no norm, router or other small helper.
bool is_quantizable(std::string_view name, std::span<const std::uint64_t> shape);

// `format`, or its stand-in when rows of `cols` values do not hold whole blocks of it.
FormatId format_for_cols(FormatId format, std::uint64_t cols);

}  // namespace assay

// The plan of a conversion: every tensor of the result, where its values come from and how they are stored.
#pragma once

#include <optional>
#include <vector>

#include "runtime/model/convert.h"
#include "runtime/model/model.h"

namespace assay::convert {

// How the rows of a matrix move. Heads of llama's Q and K hold rotation pairs as (2i, 2i+1) in GGUF and as halves elsewhere.
enum class RowOrder : std::uint8_t { as_is, to_adjacent, to_halves };

struct Step {
  const TensorView* source = nullptr;  // none: `stacked` one above the other, or `made` holds the values
  std::vector<const TensorView*> stacked;  // all of one shape
  std::string name;                    // in the result
  FormatId format = FormatId::F32;
  RowOrder order = RowOrder::as_is;
  std::uint32_t head_dim = 0;          // rows per head, where rows move
  std::vector<std::uint64_t> shape;
  std::vector<float> made;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<std::string> notes;
  std::optional<Model> bound;  // owns what steps point to and the file does not hold
};

// The row of the source that becomes row `row` of the result.
std::uint64_t source_row(const Step& step, std::uint64_t row);

// GGUF from GGUF keeps names, order and everything that is no matrix. GGUF from a folder renames by the weight table.
Result<Plan> plan_gguf(const ModelFile& in, const ConvertOptions& options);
// A Hugging Face or MLX folder from anything that binds to a known architecture. `config` is the source's.
Result<Plan> plan_folder(const ModelFile& in, const Config& config, const ConvertOptions& options);

// The frequency divisors that stand for llama3 scaling in a GGUF file.
std::vector<float> llama3_factors(const RopeConfig& rope);

}  // namespace assay::convert

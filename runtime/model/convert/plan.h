// The plan of a conversion: every tensor of the result, where its values come from and how they are stored.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/model/convert.h"
#include "runtime/model/model.h"
#include "runtime/model/weights.h"

namespace assay::convert {

// How the rows of a matrix move. Heads of llama's Q and K hold rotation pairs as (2i, 2i+1) in GGUF and as halves elsewhere.
enum class RowOrder : std::uint8_t { as_is, to_adjacent, to_halves };

// Rows of the result that come from one tensor, or from several that one matrix is made of.
struct Piece {
  const TensorView* source = nullptr;
  std::array<const TensorView*, 2> others{};  // their rows (values, of vectors) stand behind the source's
  bool alternates = false;                    // or in turns with them
  bool transposes = false;                    // then columns become rows
  RowOrder order = RowOrder::as_is;
  std::uint32_t head_dim = 0;  // rows per head, where rows move
  float added = 0;             // to every value

  bool is_plain() const { return others[0] == nullptr && !transposes && added == 0; }
  std::uint64_t rows() const;
};

struct Step {
  std::vector<Piece> pieces;  // one above the other; none: `made` holds the values
  std::string name;           // in the result
  FormatId format = FormatId::F32;
  std::vector<std::uint64_t> shape;
  std::vector<float> made;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<std::string> notes;
  std::optional<Model> bound;  // owns what steps point to and the file does not hold
  std::vector<std::unique_ptr<TensorView>> slices;  // the same
};

// One more part of a tensor: a piece of its own, or one that the last piece's matrix or vector goes on with.
void add_piece(std::vector<Piece>& pieces, const Piece& piece, bool joins);
// The row of a piece's source that becomes row `row` of the piece, where it is as it stands there.
std::uint64_t source_row(const Piece& piece, std::uint64_t row);
// Every value of a piece, row after row.
std::vector<float> values_of(const Piece& piece);
// One tensor as it is.
Step step_from(const TensorView& tensor);
// Whether a weight's rows are those of heads that rotate, which layouts order differently.
bool moves_rows(const WeightRow& row);

// Formats that the user asked for by name.
class OverrideList {
 public:
  explicit OverrideList(const std::vector<FormatOverride>& list) : list_(list), used_(list.size()) {}
  std::optional<FormatId> find(std::string_view name);
  // A pattern that matches nothing is a mistake worth stopping for.
  Result<> check_all_used() const;

 private:
  const std::vector<FormatOverride>& list_;
  std::vector<bool> used_;
};

// GGUF from GGUF keeps names, order and everything that is no matrix. GGUF from a folder renames by the weight table.
Result<Plan> plan_gguf(const ModelFile& in, const ConvertOptions& options);
// A Hugging Face or MLX folder from anything that binds to a known architecture. `target`: what the folder's config.json will say.
Result<Plan> plan_folder(const ModelFile& in, const Config& target, const ConvertOptions& options);
// The source's numbers as a folder has them: its family's name there, and the order of rotation pairs. Errors: unsupported.
Result<Config> folder_config(const ModelFile& in, const Config& source);

// The frequency divisors that stand for llama3 scaling in a GGUF file.
std::vector<float> llama3_factors(const RopeConfig& rope);

}  // namespace assay::convert

// FP8 weights with `X.weight_scale` or `X.weight_scale_inv`: one value, one per row, or one per block; the stored
// factor multiplies.
#include "runtime/formats/side_scales.h"

namespace assay::opening {

namespace {

constexpr std::string_view kAdvice = "download the model again, or another precision of it";

struct Grid {
  std::uint64_t group_rows = 1;
  std::uint64_t group = 1;
};

std::uint64_t ceil_divide(std::uint64_t a, std::uint64_t b) {
  return a / b + (a % b != 0);
}

// config.json quantization_config.weight_block_size [rows, cols]; 128 x 128 is what everybody uses.
Grid block_size(const Json& config) {
  const Json* quantization = config.find("quantization_config");
  const Json* size = quantization != nullptr ? quantization->find("weight_block_size") : nullptr;
  const Json::Array* pair = size != nullptr ? size->array() : nullptr;
  if (pair == nullptr || pair->size() != 2) return {128, 128};
  return {(*pair)[0].unsigned_integer().value_or(0), (*pair)[1].unsigned_integer().value_or(0)};
}

// The grid that explains the shape of the scales, if one does. Leading dimensions (experts) must be the same in both.
std::optional<Grid> grid_of(const TensorView& weight, const TensorView& scales, Grid block) {
  const std::size_t rank = weight.shape.size();
  if (scales.count() == 1) return Grid{weight.rows(), weight.cols()};
  if (rank < 2) return std::nullopt;
  const std::uint64_t rows = weight.shape[rank - 2];
  if (scales.shape.size() == 1 && rank == 2 && scales.shape[0] == rows) return Grid{1, weight.cols()};
  if (scales.shape.size() != rank) return std::nullopt;
  for (std::size_t i = 0; i + 2 < rank; ++i)
    if (scales.shape[i] != weight.shape[i]) return std::nullopt;
  const std::uint64_t scale_rows = scales.shape[rank - 2];
  const std::uint64_t scale_cols = scales.shape[rank - 1];
  if (scale_rows == rows && scale_cols == 1) return Grid{1, weight.cols()};
  if (block.group_rows == 0 || block.group == 0) return std::nullopt;
  const bool fits =
      scale_rows == ceil_divide(rows, block.group_rows) && scale_cols == ceil_divide(weight.cols(), block.group);
  // Stacked matrices read as one need whole blocks in each.
  return fits && (rank == 2 || rows % block.group_rows == 0) ? std::optional(block) : std::nullopt;
}

bool join(TensorView& weight, const TensorView& scales, TensorPool& pool, Reporter& report) {
  if (!is_float(scales.format))
    return pool.error(report, "fp8.scale-type", scales,
                      "scales of type " + std::string(name_of(scales.format)) + " are not read", kAdvice);
  const auto grid = weight.count() == 0 ? std::nullopt : grid_of(weight, scales, block_size(pool.model().config));
  if (!grid || grid->group > UINT32_MAX || grid->group_rows > UINT32_MAX)
    return pool.error(report, "fp8.scale-shape", scales,
                      "scales " + shape_text(scales.shape) + " fit the weight " + shape_text(weight.shape) +
                          " neither as one value, nor per row, nor per block of config.json's weight_block_size",
                      kAdvice);
  weight.side = {scales.format,
                 scales.data,
                 {},
                 static_cast<std::uint32_t>(grid->group),
                 static_cast<std::uint32_t>(grid->group_rows)};
  pool.take(scales);
  return true;
}

}  // namespace

bool join_fp8(TensorPool& pool, Reporter& report) {
  for (TensorView& tensor : pool.tensors()) {
    if (tensor.format != FormatId::F8_E4M3 && tensor.format != FormatId::F8_E5M2) continue;
    const TensorView* scale = pool.find(tensor.name + "_scale");
    const TensorView* inverse = pool.find(tensor.name + "_scale_inv");
    if (scale != nullptr && inverse != nullptr) {
      if (!pool.error(report, "fp8.scale-twice", tensor, "the weight has both _scale and _scale_inv", kAdvice))
        return false;
      continue;
    }
    const TensorView* scales = scale != nullptr ? scale : inverse;
    if (scales != nullptr && !join(tensor, *scales, pool, report)) return false;
  }
  return true;
}

}  // namespace assay::opening

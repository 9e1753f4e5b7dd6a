// Joining weights with scales that lie in tensors of their own; shared by the joins of each convention.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/formats/model_parts.h"

namespace assay::opening {

// The tensors of a model by name while they are being joined. Joined scales are marked and dropped at the end.
class TensorPool {
 public:
  explicit TensorPool(ModelFile& model);

  ModelFile& model() { return model_; }
  std::vector<TensorView>& tensors() { return model_.tensors; }
  TensorView* find(std::string_view name);
  // The scales now belong to a weight.
  void take(const TensorView& tensor);
  void drop_taken();

  // Reports about one tensor; `message` and `advice` as in Finding.
  bool error(Reporter& report, std::string_view rule, const TensorView& tensor, std::string message,
             std::string_view advice);
  bool warning(Reporter& report, std::string_view rule, const TensorView& tensor, std::string message,
               std::string_view advice);

 private:
  ModelFile& model_;
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<bool> taken_;
};

std::string shape_text(const std::vector<std::uint64_t>& shape);
bool is_float(FormatId format);  // F32, F16, BF16: what scales are stored in

// Each answers whether to go on.
bool join_mlx(TensorPool& pool, Reporter& report);
bool join_fp8(TensorPool& pool, Reporter& report);
bool join_bitsandbytes(TensorPool& pool, Reporter& report);

}  // namespace assay::opening

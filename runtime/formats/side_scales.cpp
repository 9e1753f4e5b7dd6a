// The pool the joins work on, and the order they run in.
#include "runtime/formats/side_scales.h"

namespace assay::opening {

TensorPool::TensorPool(ModelFile& model) : model_(model), taken_(model.tensors.size()) {
  index_.reserve(model.tensors.size());
  for (std::size_t i = 0; i < model.tensors.size(); ++i) index_.emplace(model.tensors[i].name, i);
}

TensorView* TensorPool::find(std::string_view name) {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &model_.tensors[found->second];
}

void TensorPool::take(const TensorView& tensor) {
  taken_[static_cast<std::size_t>(&tensor - model_.tensors.data())] = true;
}

void TensorPool::drop_taken() {
  std::vector<TensorView> kept;
  kept.reserve(model_.tensors.size());
  for (std::size_t i = 0; i < taken_.size(); ++i)
    if (!taken_[i]) kept.push_back(std::move(model_.tensors[i]));
  model_.tensors = std::move(kept);
  index_.clear();  // its names have moved
}

namespace {

Finding about(const ModelFile& model, std::string_view rule, const TensorView& tensor, std::string message,
              std::string_view advice) {
  return {.rule = std::string(rule),
          .code = Code::malformed,
          .file = model.files[tensor.file].path().string(),
          .offset = tensor.offset,
          .subject = printable(tensor.name),
          .message = std::move(message),
          .advice = std::string(advice)};
}

}  // namespace

bool TensorPool::error(Reporter& report, std::string_view rule, const TensorView& tensor, std::string message,
                       std::string_view advice) {
  return report.error(about(model_, rule, tensor, std::move(message), advice));
}
bool TensorPool::warning(Reporter& report, std::string_view rule, const TensorView& tensor, std::string message,
                         std::string_view advice) {
  return report.warning(about(model_, rule, tensor, std::move(message), advice));
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape) text += (text.size() == 1 ? "" : ", ") + std::to_string(size);
  return text + "]";
}

bool is_float(FormatId format) {
  return format == FormatId::F32 || format == FormatId::F16 || format == FormatId::BF16;
}

bool join_side_scales(Reporter& report, ModelFile& model) {
  TensorPool pool(model);
  const bool good = join_mlx(pool, report) && join_fp8(pool, report) && join_bitsandbytes(pool, report);
  pool.drop_taken();
  return good;
}

}  // namespace assay::opening

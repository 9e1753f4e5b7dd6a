// Which kernel table runs: the first of a priority list that the processor supports.
#include "runtime/kernels/cpu/dispatch.h"

namespace assay {

WeightRows weight_rows(const TensorView& tensor) {
  WeightRows rows;
  rows.format = tensor.format;
  rows.rows = static_cast<std::uint32_t>(tensor.rows());
  rows.cols = static_cast<std::uint32_t>(tensor.cols());
  rows.data = tensor.data.data();
  rows.row_bytes = tensor.row_bytes();
  rows.scales = tensor.side.scales.data();
  rows.biases = tensor.side.biases.data();
  rows.group = tensor.side.group;
  rows.scale_format = tensor.side.format;
  return rows;
}

std::array<const Kernels*, 6> all_kernels() {
  return {&avx512_vnni::bf16_table(), &avx512_vnni::table(), &avx512::table(), &avx_vnni::table(), &avx2::table(), &scalar::table()};
}

std::string kernel_names() {
  std::string names;
  for (const Kernels* kernels : all_kernels()) (names += names.empty() ? "" : ", ") += kernels->name;
  return names;
}

const Kernels* best_kernels() {
  const IsaSet isa = detect_isa();
  for (const Kernels* kernels : all_kernels())
    if ((kernels->needs & ~isa) == 0) return kernels;
  return nullptr;
}

const Kernels* kernels_named(std::string_view name) {
  const IsaSet isa = detect_isa();
  for (const Kernels* kernels : all_kernels())
    if (kernels->name == name && (kernels->needs & ~isa) == 0) return kernels;
  return nullptr;
}

}  // namespace assay

// The grids and code tables of runtime/quant, one after another.
#include "runtime/kernels/vulkan/tables.h"

#include <cstring>

#include "runtime/quant/iq_grids.h"
#include "runtime/quant/nf4.h"

namespace assay::vulkan {

std::vector<std::byte> format_tables() {
  std::vector<std::byte> bytes(sizeof(kIq1Grid) + sizeof(kIq2XxsGrid) + sizeof(kIq2XsGrid) + sizeof(kIq2SGrid) + sizeof(kIq3XxsGrid) + sizeof(kIq3SGrid) + sizeof(NF4::kValues) + sizeof(FP4::kValues));
  std::byte* at = bytes.data();
  const auto add = [&](const auto& grid) {
    std::memcpy(at, grid.data(), sizeof(grid));
    at += sizeof(grid);
  };
  add(kIq1Grid);
  add(kIq2XxsGrid);
  add(kIq2XsGrid);
  add(kIq2SGrid);
  add(kIq3XxsGrid);
  add(kIq3SGrid);
  add(NF4::kValues);
  add(FP4::kValues);
  return bytes;
}

}  // namespace assay::vulkan

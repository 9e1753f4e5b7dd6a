// Which shape of cooperative matrices the kernels use.
#include "runtime/kernels/vulkan/cooperative.h"

#include <algorithm>

namespace assay::vulkan {

namespace {

constexpr std::uint32_t kTile = 64, kDepth = 32, kThreads = 256;  // of shaders/op/matmul_coop.glsl

bool fits(const CooperativeMatrixShape& shape, std::uint32_t subgroup_size) {
  constexpr std::uint32_t kHalf = 0, kFloat = 1, kSubgroup = 3;
  if (shape.AType != kHalf || shape.BType != kHalf || shape.CType != kFloat || shape.ResultType != kFloat || shape.scope != kSubgroup || shape.saturatingAccumulation) return false;
  if (shape.MSize == 0 || shape.NSize == 0 || shape.KSize == 0 || kTile % shape.MSize != 0 || kTile % shape.NSize != 0 || kDepth % shape.KSize != 0) return false;
  // A subgroup's products lie beside each other.
  const std::uint32_t subgroups = kThreads / std::max(1u, subgroup_size), across = kTile / shape.NSize, products = kTile / shape.MSize * across;
  const std::uint32_t each = (products + subgroups - 1) / subgroups;
  return each <= across && across % each == 0;
}

}  // namespace

void read_cooperative_matrix(VkInstance instance, VkPhysicalDevice device, bool has_features, DeviceFacts& facts) {
  if (!has_features || !facts.has_half || kThreads % std::max(1u, facts.subgroup_size) != 0) return;
  CooperativeMatrixFeatures supported;
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &supported;
  vkGetPhysicalDeviceFeatures2(device, &features);
  using List = VkResult(VKAPI_PTR*)(VkPhysicalDevice, std::uint32_t*, CooperativeMatrixShape*);
  const auto list = reinterpret_cast<List>(vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  std::uint32_t count = 0;
  if (!supported.cooperativeMatrix || list == nullptr || list(device, &count, nullptr) != VK_SUCCESS) return;
  std::vector<CooperativeMatrixShape> shapes(count);
  if (list(device, &count, shapes.data()) != VK_SUCCESS) return;
  // The largest that fits: most products for a load.
  const CooperativeMatrixShape* best = nullptr;
  for (const CooperativeMatrixShape& shape : shapes)
    if (fits(shape, facts.subgroup_size) && (best == nullptr || shape.MSize * shape.NSize * shape.KSize > best->MSize * best->NSize * best->KSize)) best = &shape;
  if (best == nullptr) return;
  facts.has_cooperative_matrix = true;
  facts.matrix_rows = best->MSize;
  facts.matrix_cols = best->NSize;
  facts.matrix_depth = best->KSize;
}

}  // namespace assay::vulkan

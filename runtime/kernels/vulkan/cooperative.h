// VK_KHR_cooperative_matrix, which the headers of Debian 12 do not have: what of it is used, as the registry defines it.
#pragma once

#include "runtime/kernels/vulkan/api.h"

namespace assay::vulkan {

inline constexpr const char* kCooperativeMatrixName = "VK_KHR_cooperative_matrix";

struct CooperativeMatrixFeatures {
  VkStructureType sType = static_cast<VkStructureType>(1000506000);
  void* pNext = nullptr;
  VkBool32 cooperativeMatrix = VK_FALSE;
  VkBool32 cooperativeMatrixRobustBufferAccess = VK_FALSE;
};

struct CooperativeMatrixShape {
  VkStructureType sType = static_cast<VkStructureType>(1000506001);
  void* pNext = nullptr;
  std::uint32_t MSize = 0, NSize = 0, KSize = 0;
  std::uint32_t AType = 0, BType = 0, CType = 0, ResultType = 0;  // 0: float16, 1: float32
  VkBool32 saturatingAccumulation = VK_FALSE;
  std::uint32_t scope = 0;  // 3: subgroup
};

// Notes in `facts` the shape that the kernels would use, if the device has the extension, what it needs, and one that fits their tiles.
// `features`: whether the device has the Vulkan memory model, full subgroups and a choice of their size.
void read_cooperative_matrix(VkInstance instance, VkPhysicalDevice device, bool has_features, DeviceFacts& facts);

}  // namespace assay::vulkan

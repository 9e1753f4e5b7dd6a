// Copies in turns: the processor fills one half while the device empties the other.
#include "runtime/kernels/vulkan/staging.h"

#include <algorithm>
#include <cstring>

namespace assay::vulkan {

Staging::~Staging() {
  for (Half& half : halves_) {
    if (half.commands != VK_NULL_HANDLE) device_.vk.vkFreeCommandBuffers(device_.handle, device_.pool, 1, &half.commands);
    if (half.fence != VK_NULL_HANDLE) device_.vk.vkDestroyFence(device_.handle, half.fence, nullptr);
  }
}

Result<> Staging::open(const Buffer& memory) {
  for (Half& half : halves_) {
    ASSAY_TRY(half.commands, device_.new_commands());
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    ASSAY_VK(device_.vk.vkCreateFence(device_.handle, &fence, nullptr, &half.fence), "making a fence");
  }
  memory_ = memory;
  return success();
}

Result<> Staging::add(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset) {
  for (std::uint64_t at = 0; at < from.size();) {
    Half& half = halves_[filled_];
    ASSAY_TRY_VOID(wait(half));
    const std::uint64_t count = std::min(kHalf - half.used, from.size() - at), place = filled_ * kHalf + half.used;
    std::memcpy(memory_.host + place, from.data() + at, count);
    half.copies.push_back({buffer_of(to), {memory_.offset + place, to.offset + offset + at, count}});
    half.used += count;
    at += count;
    if (half.used < kHalf) continue;
    ASSAY_TRY_VOID(start(half));
    filled_ = 1 - filled_;
  }
  return success();
}

Result<> Staging::finish() {
  if (halves_[filled_].used > 0 && !halves_[filled_].is_copied) ASSAY_TRY_VOID(start(halves_[filled_]));
  for (Half& half : halves_) ASSAY_TRY_VOID(wait(half));
  return success();
}

Result<> Staging::start(Half& half) {
  ASSAY_TRY_VOID(device_.begin_once(half.commands));
  for (const Copy& copy : half.copies) device_.vk.vkCmdCopyBuffer(half.commands, buffer_of(memory_), copy.to, 1, &copy.region);
  ASSAY_VK(device_.vk.vkEndCommandBuffer(half.commands), "recording a copy");
  ASSAY_TRY_VOID(device_.start(half.commands, half.fence));
  half.is_copied = true;
  return success();
}

Result<> Staging::wait(Half& half) {
  if (!half.is_copied) return success();
  ASSAY_VK(device_.vk.vkWaitForFences(device_.handle, 1, &half.fence, VK_TRUE, UINT64_MAX), "copying");
  half.is_copied = false;
  half.used = 0;
  half.copies.clear();
  return success();
}

}  // namespace assay::vulkan

// Inside of the Vulkan layer: volk, the device's state and how a VkResult becomes an Error. Included by this folder's .cpp files only.
#pragma once

#include <volk.h>

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/kernels/vulkan/vulkan.h"

namespace assay::vulkan {

inline constexpr std::uint32_t kPushBytes = 128;

Error failure(VkResult result, std::string_view doing);
#define ASSAY_VK(call, doing)                                                     \
  do {                                                                            \
    if (const VkResult assay_vk = (call); assay_vk != VK_SUCCESS) return failure(assay_vk, doing); \
  } while (false)

struct Instance {
  VkInstance handle = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger = VK_NULL_HANDLE;
  std::mutex mutex;  // of messages: drivers may call from any thread
  std::vector<std::string> messages;
  ~Instance();
};
Result<std::unique_ptr<Instance>> make_instance(bool validates);
Result<std::vector<VkPhysicalDevice>> physical_devices(const Instance& instance);
DeviceFacts facts_of(const Instance& instance, VkPhysicalDevice device);

// Buffer::handle is a VkBuffer, whatever that is on this platform.
inline std::uint64_t handle_of(VkBuffer buffer) { return reinterpret_cast<std::uint64_t>(buffer); }
inline VkBuffer buffer_of(const Buffer& buffer) { return reinterpret_cast<VkBuffer>(buffer.handle); }  // NOLINT(performance-no-int-to-ptr)

// What tests make of a device, by ASSAY_TEST_DEVICE: "real" (a software device passes for a graphics card), "lost:N" (it is lost after N
// submits), "memory:N" (it has N bytes); several with commas between.
struct TestDevice {
  bool is_real = false;
  std::optional<std::uint64_t> submits, memory_bytes;
};
TestDevice test_device();

struct Program {
  std::string shader;
  std::vector<Constant> constants;
  VkPipeline pipeline = VK_NULL_HANDLE;
};

struct Device::State {
  std::unique_ptr<Instance> instance;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  DeviceFacts facts;
  DeviceOptions options;
  VkDevice handle = VK_NULL_HANDLE;
  VolkDeviceTable vk{};
  std::uint32_t family = 0;
  VkQueue queue = VK_NULL_HANDLE;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkPipelineCache cache = VK_NULL_HANDLE;
  VkPhysicalDeviceMemoryProperties memory{};
  VkDeviceSize import_alignment = 0;
  TestDevice test;
  std::uint64_t submits = 0, allocated_bytes = 0;
  std::vector<Program> programs;
  ~State();
  Result<VkCommandBuffer> new_commands();
  // Begins a recording that is submitted once.
  Result<> begin_once(VkCommandBuffer commands);
  // Without waiting: `done` is signalled after the commands.
  Result<> start(VkCommandBuffer commands, VkFence done);
  // For what was started with `fence`.
  Result<> wait();
  // Starts and waits.
  Result<> submit(VkCommandBuffer commands);
};

}  // namespace assay::vulkan

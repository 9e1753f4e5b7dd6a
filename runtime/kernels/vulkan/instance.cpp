// Instances and devices: what there is, what each can do, and how a failure reads.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#define VOLK_IMPLEMENTATION  // volk's own functions: once, here
#include "runtime/kernels/vulkan/cooperative.h"

#if defined(__SANITIZE_ADDRESS__)
// Drivers leak, and the loader unloads them before leaks are looked for, so that no suppression can name their frames: a process that has
// loaded one is not searched for leaks.
static bool has_loaded_drivers = false;
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() { return has_loaded_drivers ? 1 : 0; }
#define ASSAY_NOTE_DRIVERS() (has_loaded_drivers = true)
#else
#define ASSAY_NOTE_DRIVERS() static_cast<void>(0)
#endif

namespace assay::vulkan {

namespace {

std::string version_text(std::uint32_t version) { return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version), VK_API_VERSION_PATCH(version)); }

VKAPI_ATTR VkBool32 VKAPI_CALL note_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT, const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  auto* instance = static_cast<Instance*>(user);
  const std::lock_guard lock(instance->mutex);
  instance->messages.emplace_back(data->pMessage);
  return VK_FALSE;
}

template <class T>
T structure(VkStructureType type, void* next = nullptr) {
  T value{};
  value.sType = type;
  value.pNext = next;
  return value;
}

std::vector<std::string> extensions_of(VkPhysicalDevice device) {
  std::uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i) names.emplace_back(all[i].extensionName);
  return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

DeviceKind kind_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return DeviceKind::integrated;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return DeviceKind::discrete;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return DeviceKind::virtual_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return DeviceKind::cpu;
    default: return DeviceKind::other;
  }
}

void read_memory(VkPhysicalDevice device, const std::vector<std::string>& extensions, DeviceFacts& facts) {
  auto budget = structure<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
  facts.has_memory_budget = has(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, facts.has_memory_budget ? &budget : nullptr);
  vkGetPhysicalDeviceMemoryProperties2(device, &memory);
  const auto& all = memory.memoryProperties;
  std::uint32_t largest = 0;
  for (std::uint32_t i = 0; i < all.memoryHeapCount; ++i)
    if ((all.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && all.memoryHeaps[i].size > facts.memory_bytes) {
      largest = i;
      facts.memory_bytes = all.memoryHeaps[i].size;
      facts.budget_bytes = facts.has_memory_budget ? budget.heapBudget[i] : 0;
    }
  constexpr VkMemoryPropertyFlags kDirect = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  for (std::uint32_t i = 0; i < all.memoryTypeCount; ++i)
    if (all.memoryTypes[i].heapIndex == largest && (all.memoryTypes[i].propertyFlags & kDirect) == kDirect) facts.is_host_visible = true;
}

// The baseline that every kernel needs; the first thing missing is named.
std::string missing_of(VkPhysicalDevice device, std::uint32_t api, DeviceFacts& facts, bool& can_have_matrices) {
  if (api < VK_API_VERSION_1_3) return "Vulkan 1.3";
  auto v13 = structure<VkPhysicalDeviceVulkan13Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES);
  auto v12 = structure<VkPhysicalDeviceVulkan12Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &v13);
  auto v11 = structure<VkPhysicalDeviceVulkan11Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, &v12);
  auto features = structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &v11);
  vkGetPhysicalDeviceFeatures2(device, &features);
  facts.has_half = v12.shaderFloat16;
  facts.has_integer_dot = v13.shaderIntegerDotProduct;
  can_have_matrices = v12.vulkanMemoryModel && v13.computeFullSubgroups;
  const std::pair<VkBool32, const char*> needs[] = {
      {features.features.shaderInt64, "64-bit integers in shaders"}, {features.features.shaderInt16, "16-bit integers in shaders"},
      {v12.shaderInt8, "8-bit integers in shaders"},                 {v12.storageBuffer8BitAccess, "8-bit storage"},
      {v11.storageBuffer16BitAccess, "16-bit storage"},              {v12.bufferDeviceAddress, "buffer device addresses"},
      {v12.scalarBlockLayout, "scalar block layout"},                {v13.synchronization2, "synchronization2"},
      {v13.subgroupSizeControl, "subgroup size control"}};
  for (const auto& [present, name] : needs)
    if (!present) return name;
  return {};
}

}  // namespace

std::string_view name_of(DeviceKind kind) {
  constexpr std::string_view kNames[] = {"other", "integrated", "discrete", "virtual", "cpu"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool is_built() { return true; }

Error failure(VkResult result, std::string_view doing) {
  switch (result) {
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return {Code::memory, "Vulkan", fmt::format("the device has no memory left for {}; use a smaller --context, fewer layers (--gpu-layers) or --backend cpu", doing)};
    case VK_ERROR_OUT_OF_HOST_MEMORY: return {Code::memory, "Vulkan", fmt::format("the driver found no host memory for {}; free some, or use --backend cpu", doing)};
    case VK_ERROR_DEVICE_LOST: return {Code::io, "Vulkan", fmt::format("the device was lost while {}: its driver reset it or it was removed; run again, or use --backend cpu", doing)};
    default: return {Code::io, "Vulkan", fmt::format("the driver failed while {} (VkResult {}); update the driver, or use --backend cpu", doing, static_cast<int>(result))};
  }
}

Instance::~Instance() {
  if (handle == VK_NULL_HANDLE) return;
  if (messenger != VK_NULL_HANDLE) vkDestroyDebugUtilsMessengerEXT(handle, messenger, nullptr);
  vkDestroyInstance(handle, nullptr);
}

namespace {

// volk keeps the loader's functions for the whole process: loaded once, whichever thread comes first.
VkResult load_loader() {
  static const VkResult loaded = volkInitialize();
  return loaded;
}
std::mutex& loading() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Result<std::unique_ptr<Instance>> make_instance(bool validates) {
  const std::lock_guard lock(loading());
  if (load_loader() != VK_SUCCESS) return Error{Code::unsupported, "Vulkan", "there is no Vulkan loader (libvulkan.so.1) on this machine; install libvulkan1 and the GPU's driver, or use --backend cpu"};
  ASSAY_NOTE_DRIVERS();
  auto instance = std::make_unique<Instance>();
  auto application = structure<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  application.pApplicationName = "assay";
  application.apiVersion = VK_API_VERSION_1_3;
  auto info = structure<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  info.pApplicationInfo = &application;
  const char* layer = "VK_LAYER_KHRONOS_validation";
  const char* debug = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  const VkValidationFeatureEnableEXT enabled[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  auto features = structure<VkValidationFeaturesEXT>(VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT);
  features.enabledValidationFeatureCount = 1;
  features.pEnabledValidationFeatures = enabled;
  if (validates) {
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &layer;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &debug;
    info.pNext = &features;
  }
  switch (const VkResult result = vkCreateInstance(&info, nullptr, &instance->handle)) {
    case VK_SUCCESS: break;
    case VK_ERROR_LAYER_NOT_PRESENT: return Error{Code::unsupported, "Vulkan", "the validation layer is not installed (vulkan-validationlayers)"};
    case VK_ERROR_INCOMPATIBLE_DRIVER: return Error{Code::unsupported, "Vulkan", "no Vulkan driver is installed on this machine; install the GPU's (Debian: mesa-vulkan-drivers, or the vendor's), or use --backend cpu"};
    default: return failure(result, "starting Vulkan");
  }
  volkLoadInstanceOnly(instance->handle);
  if (validates) {
    auto messenger = structure<VkDebugUtilsMessengerCreateInfoEXT>(VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT);
    messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT;
    messenger.pfnUserCallback = note_message;
    messenger.pUserData = instance.get();
    ASSAY_VK(vkCreateDebugUtilsMessengerEXT(instance->handle, &messenger, nullptr, &instance->messenger), "starting validation");
  }
  return instance;
}

Result<std::vector<VkPhysicalDevice>> physical_devices(const Instance& instance) {
  std::uint32_t count = 0;
  if (const VkResult result = vkEnumeratePhysicalDevices(instance.handle, &count, nullptr); result != VK_SUCCESS && result != VK_ERROR_INITIALIZATION_FAILED)
    return failure(result, "looking for devices");
  std::vector<VkPhysicalDevice> devices(count);
  if (count > 0) ASSAY_VK(vkEnumeratePhysicalDevices(instance.handle, &count, devices.data()), "looking for devices");
  return devices;
}

TestDevice test_device() {
  TestDevice made;
  const char* text = std::getenv("ASSAY_TEST_DEVICE");
  for (std::string_view rest = text == nullptr ? "" : text; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const std::size_t colon = std::min(word.find(':'), word.size());
    const std::string number(word.substr(std::min(word.size(), colon + 1)));
    if (word == "real") made.is_real = true;
    if (word.substr(0, colon) == "lost") made.submits = std::strtoull(number.c_str(), nullptr, 10);
    if (word.substr(0, colon) == "memory") made.memory_bytes = std::strtoull(number.c_str(), nullptr, 10);
  }
  return made;
}

DeviceFacts facts_of(const Instance& instance, VkPhysicalDevice device) {
  const std::vector<std::string> extensions = extensions_of(device);
  auto dot = structure<VkPhysicalDeviceShaderIntegerDotProductProperties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES);
  auto sizes = structure<VkPhysicalDeviceSubgroupSizeControlProperties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, &dot);
  auto v12 = structure<VkPhysicalDeviceVulkan12Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, &sizes);
  auto v11 = structure<VkPhysicalDeviceVulkan11Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, &v12);
  auto properties = structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &v11);
  vkGetPhysicalDeviceProperties2(device, &properties);
  const auto& base = properties.properties;
  DeviceFacts facts;
  facts.name = base.deviceName;
  facts.driver = fmt::format("{} {}", v12.driverName, v12.driverInfo);
  facts.api = version_text(base.apiVersion);
  facts.kind = test_device().is_real ? DeviceKind::discrete : kind_of(base.deviceType);
  facts.max_allocation_bytes = v11.maxMemoryAllocationSize;
  facts.max_storage_range_bytes = base.limits.maxStorageBufferRange;
  facts.shared_memory_bytes = base.limits.maxComputeSharedMemorySize;
  facts.subgroup_size = v11.subgroupSize;
  facts.min_subgroup_size = sizes.minSubgroupSize == 0 ? v11.subgroupSize : sizes.minSubgroupSize;
  facts.max_subgroup_size = sizes.maxSubgroupSize == 0 ? v11.subgroupSize : sizes.maxSubgroupSize;
  facts.max_threads = base.limits.maxComputeWorkGroupInvocations;
  facts.timestamp_ns = base.limits.timestampComputeAndGraphics ? static_cast<double>(base.limits.timestampPeriod) : 0;
  facts.is_integer_dot_fast = dot.integerDotProduct4x8BitPackedSignedAccelerated;
  facts.can_import_host_memory = has(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  read_memory(device, extensions, facts);
  bool can_have_matrices = false;
  facts.lacks = missing_of(device, base.apiVersion, facts, can_have_matrices);
  const bool can_choose_size = (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  if (facts.lacks.empty() && has(extensions, kCooperativeMatrixName)) read_cooperative_matrix(instance.handle, device, can_have_matrices && can_choose_size, facts);
  constexpr VkSubgroupFeatureFlags kSubgroup = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
  if (facts.lacks.empty() && (v11.subgroupSupportedOperations & kSubgroup) != kSubgroup) facts.lacks = "subgroup arithmetic";
  if (facts.lacks.empty() && facts.shared_memory_bytes < 32 * 1024) facts.lacks = "32 KiB of shared memory";
  if (facts.lacks.empty() && facts.max_threads < 256) facts.lacks = "workgroups of 256 threads";
  return facts;
}

Result<std::vector<DeviceFacts>> list_devices() {
  ASSAY_TRY(const std::unique_ptr<Instance> instance, make_instance(false));
  ASSAY_TRY(const std::vector<VkPhysicalDevice> devices, physical_devices(*instance));
  std::vector<DeviceFacts> facts;
  for (VkPhysicalDevice device : devices) facts.push_back(facts_of(*instance, device));
  return facts;
}

}  // namespace assay::vulkan

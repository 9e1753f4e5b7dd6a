// Device: the queue, the pipelines and how work is submitted.
#include <fmt/format.h>

#include <atomic>
#include <algorithm>
#include <cstring>
#include <thread>

#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/cooperative.h"
#include "runtime/kernels/vulkan/shader_pack.h"

namespace assay::vulkan {

namespace {

// Threads that compile pipelines: as many as there are, but no more than this.
constexpr std::size_t kMostCompilers = 16;

std::optional<std::uint32_t> compute_family(VkPhysicalDevice device) {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  for (std::uint32_t i = 0; i < count; ++i)
    if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) return i;
  return std::nullopt;
}

Result<> make_device(Device::State& state) {
  const auto family = compute_family(state.physical);
  if (!family) return Error{Code::unsupported, "Vulkan", fmt::format("{} has no queue for compute work", state.facts.name)};
  state.family = *family;
  VkPhysicalDeviceVulkan13Features v13{};
  v13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
  v13.synchronization2 = v13.subgroupSizeControl = VK_TRUE;
  v13.shaderIntegerDotProduct = state.facts.has_integer_dot;
  v13.computeFullSubgroups = state.facts.has_cooperative_matrix;
  VkPhysicalDeviceVulkan12Features v12{};
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  v12.pNext = &v13;
  v12.shaderInt8 = v12.storageBuffer8BitAccess = v12.bufferDeviceAddress = v12.scalarBlockLayout = VK_TRUE;
  v12.shaderFloat16 = state.facts.has_half;
  v12.hostQueryReset = VK_TRUE;
  v12.vulkanMemoryModel = state.facts.has_cooperative_matrix;
  CooperativeMatrixFeatures matrices;
  matrices.cooperativeMatrix = VK_TRUE;
  if (state.facts.has_cooperative_matrix) v13.pNext = &matrices;
  VkPhysicalDeviceVulkan11Features v11{};
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  v11.pNext = &v12;
  v11.storageBuffer16BitAccess = VK_TRUE;
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &v11;
  features.features.shaderInt64 = features.features.shaderInt16 = VK_TRUE;
  const float priority = 1;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = state.family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  std::vector<const char*> extensions;
  if (state.facts.can_import_host_memory) extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (state.facts.has_cooperative_matrix) extensions.push_back(kCooperativeMatrixName);
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  ASSAY_VK(vkCreateDevice(state.physical, &info, nullptr, &state.handle), "opening the device");
  volkLoadDeviceTable(&state.vk, state.handle);
  state.vk.vkGetDeviceQueue(state.handle, state.family, 0, &state.queue);
  return success();
}

bool fits_device(std::span<const std::byte> cache, VkPhysicalDevice device) {
  VkPipelineCacheHeaderVersionOne header;
  if (cache.size() < sizeof(header)) return false;
  std::memcpy(&header, cache.data(), sizeof(header));
  VkPhysicalDeviceProperties properties;
  vkGetPhysicalDeviceProperties(device, &properties);
  return header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && header.vendorID == properties.vendorID && header.deviceID == properties.deviceID &&
         std::memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

Result<> make_parts(Device::State& state) {
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = state.family;
  ASSAY_VK(state.vk.vkCreateCommandPool(state.handle, &pool, nullptr, &state.pool), "making a command pool");
  VkFenceCreateInfo fence{};
  fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
  ASSAY_VK(state.vk.vkCreateFence(state.handle, &fence, nullptr, &state.fence), "making a fence");
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  VkPipelineLayoutCreateInfo layout{};
  layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  ASSAY_VK(state.vk.vkCreatePipelineLayout(state.handle, &layout, nullptr, &state.layout), "making a pipeline layout");
  VkPipelineCacheCreateInfo cache{};
  cache.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  if (fits_device(state.options.pipeline_cache, state.physical)) {
    cache.initialDataSize = state.options.pipeline_cache.size();
    cache.pInitialData = state.options.pipeline_cache.data();
  }
  ASSAY_VK(state.vk.vkCreatePipelineCache(state.handle, &cache, nullptr, &state.cache), "making a pipeline cache");
  return success();
}

VkResult compile(Device::State& state, Program& program) {
  const std::span<const std::uint32_t> words = find_shader(program.shader);
  VkShaderModuleCreateInfo module_info{};
  module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module_info.codeSize = words.size_bytes();
  module_info.pCode = words.data();
  VkShaderModule module = VK_NULL_HANDLE;
  if (const VkResult result = state.vk.vkCreateShaderModule(state.handle, &module_info, nullptr, &module); result != VK_SUCCESS) return result;
  std::vector<VkSpecializationMapEntry> entries;
  std::vector<std::uint32_t> values;
  for (const Constant& constant : program.constants) {
    entries.push_back({constant.id, static_cast<std::uint32_t>(4 * values.size()), 4});
    values.push_back(constant.value);
  }
  const VkSpecializationInfo constants{static_cast<std::uint32_t>(entries.size()), entries.data(), 4 * values.size(), values.data()};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{};
  size.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  // Which subgroup computes which part of a tile is counted on the processor.
  const bool is_cooperative = program.shader.starts_with("matmul_coop.");
  size.requiredSubgroupSize = is_cooperative ? state.facts.subgroup_size : state.options.subgroup_size;
  VkComputePipelineCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.layout = state.layout;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.pNext = size.requiredSubgroupSize != 0 ? &size : nullptr;
  if (is_cooperative) info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &constants;
  const VkResult result = state.vk.vkCreateComputePipelines(state.handle, state.cache, 1, &info, nullptr, &program.pipeline);
  state.vk.vkDestroyShaderModule(state.handle, module, nullptr);
  return result;
}

}  // namespace

Device::State::~State() {
  if (handle == VK_NULL_HANDLE) return;
  vk.vkDeviceWaitIdle(handle);
  for (const Program& program : programs)
    if (program.pipeline != VK_NULL_HANDLE) vk.vkDestroyPipeline(handle, program.pipeline, nullptr);
  if (cache != VK_NULL_HANDLE) vk.vkDestroyPipelineCache(handle, cache, nullptr);
  if (layout != VK_NULL_HANDLE) vk.vkDestroyPipelineLayout(handle, layout, nullptr);
  if (fence != VK_NULL_HANDLE) vk.vkDestroyFence(handle, fence, nullptr);
  if (pool != VK_NULL_HANDLE) vk.vkDestroyCommandPool(handle, pool, nullptr);
  vk.vkDestroyDevice(handle, nullptr);
}

Result<VkCommandBuffer> Device::State::new_commands() {
  VkCommandBufferAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  ASSAY_VK(vk.vkAllocateCommandBuffers(handle, &info, &commands), "a command buffer");
  return commands;
}

Result<> Device::State::begin_once(VkCommandBuffer commands) {
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  ASSAY_VK(vk.vkBeginCommandBuffer(commands, &begin), "recording");
  return success();
}

Result<> Device::State::start(VkCommandBuffer commands, VkFence done) {
  if (test.submits && submits++ >= *test.submits) return failure(VK_ERROR_DEVICE_LOST, "computing");
  VkSubmitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  ASSAY_VK(vk.vkResetFences(handle, 1, &done), "preparing work");
  ASSAY_VK(vk.vkQueueSubmit(queue, 1, &info, done), "submitting work");
  return success();
}

Result<> Device::State::wait() {
  ASSAY_VK(vk.vkWaitForFences(handle, 1, &fence, VK_TRUE, UINT64_MAX), "computing");
  return success();
}

Result<> Device::State::submit(VkCommandBuffer commands) {
  ASSAY_TRY_VOID(start(commands, fence));
  return wait();
}

Device::Device(std::unique_ptr<State> state) : state_(std::move(state)) {}
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;

Result<Device> Device::open(std::uint32_t index, const DeviceOptions& options) {
  auto state = std::make_unique<State>();
  ASSAY_TRY(state->instance, make_instance(options.validates));
  ASSAY_TRY(const std::vector<VkPhysicalDevice> devices, physical_devices(*state->instance));
  if (devices.empty()) return Error{Code::unsupported, "Vulkan", "the installed drivers find no device; check the GPU and its driver (vulkaninfo --summary), or use --backend cpu"};
  if (index >= devices.size())
    return Error{Code::unsupported, "Vulkan", fmt::format("there is no device {}; this machine has {} (see assay hardware), numbered from 0", index, devices.size())};
  state->physical = devices[index];
  state->facts = facts_of(*state->instance, state->physical);
  state->options = options;
  state->test = test_device();
  if (!state->facts.lacks.empty()) return Error{Code::unsupported, "Vulkan", fmt::format("{} lacks {}, which the kernels need; use another device or --backend cpu", state->facts.name, state->facts.lacks)};
  if (options.forces_staging) state->facts.is_host_visible = state->facts.can_import_host_memory = false;
  vkGetPhysicalDeviceMemoryProperties(state->physical, &state->memory);
  if (state->facts.can_import_host_memory) {
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT import{};
    import.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &import;
    vkGetPhysicalDeviceProperties2(state->physical, &properties);
    state->import_alignment = import.minImportedHostPointerAlignment;
  }
  ASSAY_TRY_VOID(make_device(*state));
  ASSAY_TRY_VOID(make_parts(*state));
  state->options.pipeline_cache = {};
  return Device(std::move(state));
}

const DeviceFacts& Device::facts() const { return state_->facts; }
bool Device::has_shader(std::string_view shader) { return !find_shader(shader).empty(); }
std::size_t Device::programs() const { return state_->programs.size(); }

ProgramId Device::program(std::string_view shader, std::span<const Constant> constants) {
  const auto same = [&](const Program& program) {
    return program.shader == shader && std::equal(constants.begin(), constants.end(), program.constants.begin(), program.constants.end(),
                                                  [](const Constant& a, const Constant& b) { return a.id == b.id && a.value == b.value; });
  };
  const auto found = std::find_if(state_->programs.begin(), state_->programs.end(), same);
  if (found != state_->programs.end()) return static_cast<ProgramId>(found - state_->programs.begin());
  ASSAY_CHECK(has_shader(shader));
  state_->programs.push_back({std::string(shader), {constants.begin(), constants.end()}});
  return static_cast<ProgramId>(state_->programs.size() - 1);
}

Result<> Device::build_programs() {
  std::vector<Program*> missing;
  for (Program& program : state_->programs)
    if (program.pipeline == VK_NULL_HANDLE) missing.push_back(&program);
  if (missing.empty()) return success();
  std::atomic<std::size_t> next{0};
  std::atomic<int> failed{VK_SUCCESS};
  const auto work = [&] {
    for (std::size_t i = next++; i < missing.size(); i = next++)
      if (const VkResult result = compile(*state_, *missing[i]); result != VK_SUCCESS) failed = result;
  };
  std::vector<std::jthread> helpers;
  const std::size_t threads = std::min({missing.size(), kMostCompilers, std::size_t{std::max(1u, std::thread::hardware_concurrency())}});
  for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();
  if (failed != VK_SUCCESS) return failure(static_cast<VkResult>(failed.load()), "compiling kernels");
  return success();
}

std::vector<std::byte> Device::pipeline_cache() const {
  std::size_t size = 0;
  if (state_->vk.vkGetPipelineCacheData(state_->handle, state_->cache, &size, nullptr) != VK_SUCCESS) return {};
  std::vector<std::byte> data(size);
  if (state_->vk.vkGetPipelineCacheData(state_->handle, state_->cache, &size, data.data()) != VK_SUCCESS) return {};
  data.resize(size);
  return data;
}

std::vector<std::string> Device::validation_messages() const {
  const std::lock_guard lock(state_->instance->mutex);
  return state_->instance->messages;
}

}  // namespace assay::vulkan

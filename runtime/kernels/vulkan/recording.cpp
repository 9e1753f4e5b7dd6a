// Recording: a command buffer, with barriers where one dispatch needs what another wrote.
#include <algorithm>

#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/api.h"

namespace assay::vulkan {

struct Recording::State {
  Device::State& device;
  bool measures_times;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkQueryPool queries = VK_NULL_HANDLE;
  std::uint32_t query_count = 0, next_query = 0;
  std::uint32_t dispatches = 0, barriers = 0;
  ProgramId bound = UINT32_MAX;
  std::vector<Touch> touched{};  // since the last barrier

  ~State() {
    if (commands != VK_NULL_HANDLE) device.vk.vkFreeCommandBuffers(device.handle, device.pool, 1, &commands);
    if (queries != VK_NULL_HANDLE) device.vk.vkDestroyQueryPool(device.handle, queries, nullptr);
  }
  void note_time() {
    if (queries != VK_NULL_HANDLE && next_query < query_count)
      device.vk.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries, next_query++);
  }
};

namespace {

constexpr std::uint32_t kMostTimed = 4096;  // timestamps of a recording

bool conflicts(const std::vector<Touch>& earlier, std::span<const Touch> now) {
  return std::any_of(now.begin(), now.end(), [&](const Touch& touch) {
    return std::any_of(earlier.begin(), earlier.end(), [&](const Touch& old) { return old.resource == touch.resource && (old.writes || touch.writes); });
  });
}

// Makes what dispatches and copies wrote visible to `to_stage`.
void barrier(const VolkDeviceTable& vk, VkCommandBuffer commands, VkPipelineStageFlags2 to_stage, VkAccessFlags2 to_access) {
  VkMemoryBarrier2 memory{};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2;
  memory.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = to_stage;
  memory.dstAccessMask = to_access;
  VkDependencyInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &memory;
  vk.vkCmdPipelineBarrier2(commands, &info);
}

}  // namespace

Recording::Recording(Device& device, bool measures_times) : state_(new State{device.state(), measures_times && device.facts().timestamp_ns > 0}) {}
Recording::~Recording() = default;
Recording::Recording(Recording&&) noexcept = default;
Recording& Recording::operator=(Recording&&) noexcept = default;

Result<> Recording::begin() {
  State& s = *state_;
  if (s.commands == VK_NULL_HANDLE) {
    ASSAY_TRY(s.commands, s.device.new_commands());
  }
  if (s.measures_times && s.queries == VK_NULL_HANDLE) {
    VkQueryPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = s.query_count = kMostTimed;
    ASSAY_VK(s.device.vk.vkCreateQueryPool(s.device.handle, &info, nullptr, &s.queries), "timestamps");
  }
  s.dispatches = s.barriers = s.next_query = 0;
  s.bound = UINT32_MAX;
  s.touched.clear();
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  ASSAY_VK(s.device.vk.vkBeginCommandBuffer(s.commands, &begin), "recording");
  if (s.queries != VK_NULL_HANDLE) s.device.vk.vkCmdResetQueryPool(s.commands, s.queries, 0, s.query_count);
  s.note_time();
  return success();
}

void Recording::dispatch(ProgramId program, std::span<const std::byte> push, Groups groups, std::span<const Touch> touches) {
  State& s = *state_;
  ASSAY_CHECK(push.size() <= kPushBytes && program < s.device.programs.size());
  ASSAY_CHECK(s.device.programs[program].pipeline != VK_NULL_HANDLE);
  if (conflicts(s.touched, touches)) {
    barrier(s.device.vk, s.commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT);
    ++s.barriers;
    s.touched.clear();
  }
  s.touched.insert(s.touched.end(), touches.begin(), touches.end());
  if (s.bound != program) s.device.vk.vkCmdBindPipeline(s.commands, VK_PIPELINE_BIND_POINT_COMPUTE, s.device.programs[program].pipeline);
  s.bound = program;
  s.device.vk.vkCmdPushConstants(s.commands, s.device.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<std::uint32_t>(push.size()), push.data());
  s.device.vk.vkCmdDispatch(s.commands, groups.x, groups.y, groups.z);
  ++s.dispatches;
  s.note_time();
}

void Recording::copy(const Buffer& from, const Buffer& to, std::uint64_t bytes) {
  State& s = *state_;
  ASSAY_CHECK(bytes <= from.bytes && bytes <= to.bytes);
  barrier(s.device.vk, s.commands, VK_PIPELINE_STAGE_2_COPY_BIT, VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT);
  const VkBufferCopy region{from.offset, to.offset, bytes};
  s.device.vk.vkCmdCopyBuffer(s.commands, buffer_of(from), buffer_of(to), 1, &region);
}

Result<> Recording::end() {
  State& s = *state_;
  barrier(s.device.vk, s.commands, VK_PIPELINE_STAGE_2_HOST_BIT | VK_PIPELINE_STAGE_2_COPY_BIT, VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_TRANSFER_READ_BIT);
  ASSAY_VK(s.device.vk.vkEndCommandBuffer(s.commands), "recording");
  return success();
}

std::uint32_t Recording::dispatches() const { return state_->dispatches; }
std::uint32_t Recording::barriers() const { return state_->barriers; }

Result<std::vector<double>> Recording::times_ms() {
  State& s = *state_;
  if (s.next_query < 2) return std::vector<double>{};
  std::vector<std::uint64_t> ticks(s.next_query);
  ASSAY_VK(s.device.vk.vkGetQueryPoolResults(s.device.handle, s.queries, 0, s.next_query, ticks.size() * 8, ticks.data(), 8, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT), "reading timestamps");
  std::vector<double> times;
  for (std::size_t i = 1; i < ticks.size(); ++i) times.push_back(static_cast<double>(ticks[i] - ticks[i - 1]) * s.device.facts.timestamp_ns * 1e-6);
  return times;
}

Result<> Device::run(Recording& recording) { return state_->submit(recording.state().commands); }
Result<> Device::start(Recording& recording) { return state_->start(recording.state().commands, state_->fence); }
Result<> Device::wait() { return state_->wait(); }

}  // namespace assay::vulkan

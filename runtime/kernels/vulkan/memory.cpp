// Memory: large blocks handed out in pieces, imports of the processor's own pages, and copies to and from them.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/staging.h"

namespace assay::vulkan {

namespace {

constexpr std::uint64_t kPiece = 256;  // alignment of a piece
constexpr std::size_t kMostBlocks = 2048;  // with imports: devices take at least 4096 allocations
constexpr std::uint64_t kFirstBlock = 16u << 20, kLargestBlock = 512u << 20;

struct Block {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  std::uint64_t bytes = 0, used = 0, address = 0;
  std::byte* host = nullptr;
  Where where = Where::device;
  bool imported = false;
};

}  // namespace

struct Memory::State {
  Device::State& device;
  Staging staging;
  std::vector<Block> blocks{};
  VkCommandBuffer commands = VK_NULL_HANDLE;

  ~State() {
    device.vk.vkDeviceWaitIdle(device.handle);
    if (commands != VK_NULL_HANDLE) device.vk.vkFreeCommandBuffers(device.handle, device.pool, 1, &commands);
    for (const Block& block : blocks) release(block);
  }
  void release(const Block& block) {
    if (block.buffer != VK_NULL_HANDLE) device.vk.vkDestroyBuffer(device.handle, block.buffer, nullptr);
    if (block.memory == VK_NULL_HANDLE) return;
    device.vk.vkFreeMemory(device.handle, block.memory, nullptr);
    if (!block.imported) device.allocated_bytes -= block.bytes;
  }
  Result<> make_buffer(Block& block, bool imports);
  Result<> bind(Block& block, std::uint32_t type, void* next);
  Result<Block*> block_for(std::uint64_t bytes, Where where);
  template <class Record>
  Result<> run(Record&& record);
  Result<> open_staging(Memory& memory) {
    if (staging.is_open()) return success();
    ASSAY_TRY(const Buffer buffer, memory.allocate(Staging::kBytes, Where::host));
    return staging.open(buffer);
  }
};

namespace {

// The memory type that has all of `flags`, most device-local first; of `allowed`.
std::optional<std::uint32_t> type_of(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t allowed, VkMemoryPropertyFlags flags) {
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i)
    if ((allowed >> i & 1) && (memory.memoryTypes[i].propertyFlags & flags) == flags) return i;
  return std::nullopt;
}

constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

// Flags to try, best first.
std::vector<VkMemoryPropertyFlags> wishes(Where where, const DeviceFacts& facts) {
  if (where == Where::host) return {kHost | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, kHost};
  if (facts.is_host_visible) return {kHost | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
  return {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
}

}  // namespace

Result<> Memory::State::make_buffer(Block& block, bool imports) {
  VkExternalMemoryBufferCreateInfo external{};
  external.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO;
  external.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkBufferCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.pNext = imports ? &external : nullptr;
  info.size = block.bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  ASSAY_VK(device.vk.vkCreateBuffer(device.handle, &info, nullptr, &block.buffer), "a buffer");
  return success();
}

Result<> Memory::State::bind(Block& block, std::uint32_t type, void* next) {
  VkMemoryAllocateFlagsInfo flags{};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.pNext = next;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryRequirements needs;
  device.vk.vkGetBufferMemoryRequirements(device.handle, block.buffer, &needs);
  VkMemoryAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  info.pNext = &flags;
  info.allocationSize = block.imported ? block.bytes : needs.size;
  info.memoryTypeIndex = type;
  const std::string what = fmt::format("{:.1f} MB", static_cast<double>(block.bytes) / 1e6);
  const std::uint64_t limit = device.test.memory_bytes.value_or(UINT64_MAX);
  if (!block.imported && block.bytes > limit - std::min(limit, device.allocated_bytes)) return failure(VK_ERROR_OUT_OF_DEVICE_MEMORY, what);
  if (!block.imported) device.allocated_bytes += block.bytes;
  ASSAY_VK(device.vk.vkAllocateMemory(device.handle, &info, nullptr, &block.memory), what);
  ASSAY_VK(device.vk.vkBindBufferMemory(device.handle, block.buffer, block.memory, 0), "binding memory");
  VkBufferDeviceAddressInfo address{};
  address.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
  address.buffer = block.buffer;
  block.address = device.vk.vkGetBufferDeviceAddress(device.handle, &address);
  const VkMemoryPropertyFlags has = device.memory.memoryTypes[type].propertyFlags;
  const bool may_map = block.where == Where::host || device.facts.is_host_visible;
  if (!block.imported && may_map && (has & kHost) == kHost) {
    void* host = nullptr;
    ASSAY_VK(device.vk.vkMapMemory(device.handle, block.memory, 0, VK_WHOLE_SIZE, 0, &host), "mapping memory");
    block.host = static_cast<std::byte*>(host);
  }
  return success();
}

Result<Block*> Memory::State::block_for(std::uint64_t bytes, Where where) {
  for (Block& block : blocks)
    if (block.where == where && !block.imported && block.bytes - block.used >= bytes) return &block;
  if (bytes > device.facts.max_allocation_bytes)
    return Error{Code::memory, "Vulkan", fmt::format("{} MB in one piece are more than the {} MB that {} gives at once; use fewer layers (--gpu-layers), a smaller --context or --backend cpu", bytes / 1000000, device.facts.max_allocation_bytes / 1000000, device.facts.name)};
  std::uint64_t held = 0;
  for (const Block& block : blocks) held += block.where == where && !block.imported ? block.bytes : 0;
  Block block;
  block.where = where;
  block.bytes = std::min(std::max(bytes, std::clamp(held, kFirstBlock, kLargestBlock)), device.facts.max_allocation_bytes);
  Error last{Code::memory, "Vulkan", "no memory type fits"};
  for (const std::uint64_t size : {block.bytes, bytes}) {  // exactly what is needed where a large block does not fit
    for (const VkMemoryPropertyFlags flags : wishes(where, device.facts)) {
      Block attempt = block;
      attempt.bytes = size;
      if (auto made = make_buffer(attempt, false); !made) return std::move(made).error();
      VkMemoryRequirements needs;
      device.vk.vkGetBufferMemoryRequirements(device.handle, attempt.buffer, &needs);
      const auto type = type_of(device.memory, needs.memoryTypeBits, flags);
      auto bound = type ? bind(attempt, *type, nullptr) : Result<>(last);
      if (bound) {
        blocks.push_back(attempt);
        return &blocks.back();
      }
      last = std::move(bound).error();
      release(attempt);
    }
  }
  return last;
}

template <class Record>
Result<> Memory::State::run(Record&& record) {
  if (commands == VK_NULL_HANDLE) {
    ASSAY_TRY(commands, device.new_commands());
  }
  ASSAY_TRY_VOID(device.begin_once(commands));
  record(commands);
  ASSAY_VK(device.vk.vkEndCommandBuffer(commands), "recording a copy");
  return device.submit(commands);
}

Memory::Memory(Device& device) : state_(new State{device.state(), Staging(device.state())}) {}
Memory::~Memory() = default;

Result<Buffer> Memory::allocate(std::uint64_t bytes, Where where) {
  const std::uint64_t whole = (std::max<std::uint64_t>(bytes, 1) + kPiece - 1) / kPiece * kPiece;
  ASSAY_TRY(Block* const block, state_->block_for(whole, where));
  const std::uint64_t offset = block->used;
  block->used += whole;
  return Buffer{block->address + offset, bytes, block->host == nullptr ? nullptr : block->host + offset, handle_of(block->buffer), offset};
}

Result<Buffer> Memory::import(std::span<const std::byte> bytes) {
  Device::State& device = state_->device;
  const Error no{Code::unsupported, "Vulkan", "the device does not take the processor's memory"};
  if (!device.facts.can_import_host_memory || bytes.empty() || state_->blocks.size() >= kMostBlocks) return no;
  const std::uint64_t page = std::max<std::uint64_t>(device.import_alignment, 4096);
  const auto start = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = start / page * page, end = (start + bytes.size() + page - 1) / page * page;
  void* pages = reinterpret_cast<void*>(first);  // NOLINT(performance-no-int-to-ptr): the page that holds the first byte
  VkMemoryHostPointerPropertiesEXT pointer{};
  pointer.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT;
  if (device.vk.vkGetMemoryHostPointerPropertiesEXT(device.handle, VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, pages, &pointer) != VK_SUCCESS) return no;
  Block block;
  block.bytes = end - first;
  block.used = block.bytes;
  block.imported = true;
  ASSAY_TRY_VOID(state_->make_buffer(block, true));
  VkImportMemoryHostPointerInfoEXT import{};
  import.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
  import.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  import.pHostPointer = pages;
  VkMemoryRequirements needs;
  device.vk.vkGetBufferMemoryRequirements(device.handle, block.buffer, &needs);
  const auto type = type_of(device.memory, needs.memoryTypeBits & pointer.memoryTypeBits, 0);
  if (!type || needs.size > block.bytes || !state_->bind(block, *type, &import)) {
    state_->release(block);
    return no;
  }
  state_->blocks.push_back(block);
  return Buffer{block.address + (start - first), bytes.size(), nullptr, handle_of(block.buffer), start - first};
}

Result<> Memory::upload_later(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset) {
  ASSAY_CHECK(offset <= to.bytes && from.size() <= to.bytes - offset);
  if (to.host != nullptr) {
    std::copy(from.begin(), from.end(), to.host + offset);
    return success();
  }
  ASSAY_TRY_VOID(state_->open_staging(*this));
  return state_->staging.add(from, to, offset);
}

Result<> Memory::finish_uploads() { return state_->staging.finish(); }

Result<> Memory::upload(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset) {
  ASSAY_TRY_VOID(upload_later(from, to, offset));
  return finish_uploads();
}

Result<> Memory::download(const Buffer& from, std::span<std::byte> to, std::uint64_t offset) {
  ASSAY_CHECK(offset <= from.bytes && to.size() <= from.bytes - offset);
  if (from.host != nullptr) {
    std::copy_n(from.host + offset, to.size(), to.begin());
    return success();
  }
  ASSAY_TRY_VOID(state_->open_staging(*this));
  ASSAY_TRY_VOID(finish_uploads());
  const Buffer& staging = state_->staging.memory();
  for (std::uint64_t at = 0; at < to.size(); at += Staging::kBytes) {
    const std::uint64_t count = std::min<std::uint64_t>(Staging::kBytes, to.size() - at);
    const VkBufferCopy region{from.offset + offset + at, staging.offset, count};
    ASSAY_TRY_VOID(state_->run([&](VkCommandBuffer commands) {
      state_->device.vk.vkCmdCopyBuffer(commands, buffer_of(from), buffer_of(staging), 1, &region);
    }));
    std::copy_n(staging.host, count, to.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return success();
}

Result<> Memory::clear(const Buffer& buffer) {
  return state_->run([&](VkCommandBuffer commands) {
    state_->device.vk.vkCmdFillBuffer(commands, buffer_of(buffer), buffer.offset, (buffer.bytes + 3) / 4 * 4, 0);
  });
}

std::uint64_t Memory::allocated_bytes() const {
  std::uint64_t bytes = 0;
  for (const Block& block : state_->blocks) bytes += block.imported ? 0 : block.bytes;
  return bytes;
}
std::uint64_t Memory::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const Block& block : state_->blocks) bytes += block.imported ? 0 : block.used;
  return bytes;
}
std::uint64_t Memory::staging_bytes() const { return state_->staging.memory().bytes; }

}  // namespace assay::vulkan

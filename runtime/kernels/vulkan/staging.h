// Staging: bounded memory that the processor writes and the device copies from; one half is filled while the other is copied.
#pragma once

#include <array>
#include <vector>

#include "runtime/kernels/vulkan/api.h"

namespace assay::vulkan {

class Staging {
 public:
  static constexpr std::uint64_t kBytes = 16u << 20, kHalf = kBytes / 2;

  explicit Staging(Device::State& device) : device_(device) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // `memory`: kBytes that the processor can write. Errors: memory, io.
  Result<> open(const Buffer& memory);
  bool is_open() const { return memory_.bytes != 0; }
  const Buffer& memory() const { return memory_; }
  // Takes the bytes now; they are in `to` after finish(). Errors: io, memory.
  Result<> add(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset);
  Result<> finish();

 private:
  struct Copy {
    VkBuffer to;
    VkBufferCopy region;
  };
  struct Half {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    std::uint64_t used = 0;
    std::vector<Copy> copies{};
    bool is_copied = false;  // the device is at it
  };
  Result<> start(Half& half);
  Result<> wait(Half& half);

  Device::State& device_;
  Buffer memory_;
  std::array<Half, 2> halves_{};
  std::size_t filled_ = 0;  // the half that bytes go to
};

}  // namespace assay::vulkan

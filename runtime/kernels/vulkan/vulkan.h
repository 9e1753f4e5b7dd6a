// Vulkan compute without Vulkan's headers: devices, memory by address, programs and recorded command sequences.
//
// Memory is addressed by 64-bit device addresses, which shaders take as push constants: there are no descriptors, no range limits and no
// second copy of a weight that is larger than maxStorageBufferRange. Built without Vulkan, every entry point says so (null.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/progress.h"

namespace assay::vulkan {

enum class DeviceKind : std::uint8_t { other, integrated, discrete, virtual_gpu, cpu };
std::string_view name_of(DeviceKind kind);

// What a device is and what of it the kernels use. Sizes in bytes.
struct DeviceFacts {
  std::string name;
  std::string driver;  // "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"
  std::string api;     // "1.3.230"
  DeviceKind kind = DeviceKind::other;
  std::uint64_t memory_bytes = 0;           // of the largest device-local heap
  std::uint64_t budget_bytes = 0;           // what this process may use of it now; 0: not told
  std::uint64_t max_allocation_bytes = 0;
  std::uint64_t max_storage_range_bytes = 0;
  std::uint32_t shared_memory_bytes = 0;    // of a workgroup
  std::uint32_t subgroup_size = 0, min_subgroup_size = 0, max_subgroup_size = 0;
  std::uint32_t max_threads = 0;            // of a workgroup
  bool is_host_visible = false;             // device memory can be written by the processor: uploads need no staging
  bool has_half = false;                    // shaderFloat16
  bool has_integer_dot = false;             // the instruction
  bool is_integer_dot_fast = false;         // ... and the driver says it is accelerated
  bool has_cooperative_matrix = false;      // in a shape that the kernels use: float16 inputs, float32 sums, of a subgroup
  std::uint32_t matrix_rows = 0, matrix_cols = 0, matrix_depth = 0;  // of that shape
  bool has_memory_budget = false;
  bool can_import_host_memory = false;
  double timestamp_ns = 0;                  // of one tick; 0: no timestamps
  std::string lacks;                        // what keeps Assay from using it; empty: usable

  bool is_real() const { return kind == DeviceKind::discrete || kind == DeviceKind::integrated || kind == DeviceKind::virtual_gpu; }
};

// Every device of every driver, usable or not, in the loader's order. Errors (unsupported): built without Vulkan, no loader, no driver.
Result<std::vector<DeviceFacts>> list_devices();
// Whether this program was built with Vulkan.
bool is_built();

struct DeviceOptions {
  bool validates = false;       // the validation layer with synchronisation validation; see Device::validation_messages
  bool forces_staging = false;  // uploads as on a device whose memory the processor cannot write
  std::uint32_t subgroup_size = 0;              // 0: the driver's choice
  std::span<const std::byte> pipeline_cache{};  // what pipeline_cache() returned in an earlier run; another device's is ignored
};

// A piece of device memory. `host` is set where the processor can read and write it.
struct Buffer {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::byte* host = nullptr;
  std::uint64_t handle = 0;  // of the block it lies in
  std::uint64_t offset = 0;  // in that block
};

// A compiled shader with its specialisation constants.
using ProgramId = std::uint32_t;
struct Constant {
  std::uint32_t id, value;
};

class Recording;

class Device {
 public:
  // Errors: unsupported (no such device, or what it lacks), memory, io (the driver failed).
  static Result<Device> open(std::uint32_t index, const DeviceOptions& options = {});
  Device(Device&&) noexcept;
  Device& operator=(Device&&) noexcept;
  ~Device();

  const DeviceFacts& facts() const;
  // The program of a shader ("matvec.q4_k"); compiled by build_programs(). ASSAY_CHECKs that the shader exists.
  ProgramId program(std::string_view shader, std::span<const Constant> constants);
  static bool has_shader(std::string_view shader);
  // Compiles what was asked for since the last call, on several threads.
  Result<> build_programs();
  std::size_t programs() const;
  // Runs a recording and waits for it. Errors: io (device lost), memory.
  Result<> run(Recording& recording);
  // The same in two steps.
  Result<> start(Recording& recording);
  Result<> wait();
  std::vector<std::byte> pipeline_cache() const;
  std::vector<std::string> validation_messages() const;

  struct State;
  State& state() { return *state_; }

 private:
  explicit Device(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

enum class Where : std::uint8_t {
  device,  // fastest for shaders; `host` only on devices whose memory the processor can write
  host     // the processor's to read and write
};

// Memory that is freed together: a few large blocks, handed out in pieces of 256-byte alignment.
class Memory {
 public:
  explicit Memory(Device& device);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Errors: memory, with what there is and what was asked for.
  Result<Buffer> allocate(std::uint64_t bytes, Where where);
  // The processor's own pages as device memory; the bytes must outlive this. Errors: unsupported: upload instead.
  Result<Buffer> import(std::span<const std::byte> bytes);
  // Copies into a buffer, through bounded staging memory where the processor cannot write it. Errors: io, memory.
  Result<> upload(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset = 0);
  // The same for many: the bytes are taken now, and are there after finish_uploads(). What is staged is copied while more is staged.
  Result<> upload_later(std::span<const std::byte> from, const Buffer& to, std::uint64_t offset = 0);
  Result<> finish_uploads();
  // Fills with zeros.
  Result<> clear(const Buffer& buffer);
  Result<> download(const Buffer& from, std::span<std::byte> to, std::uint64_t offset = 0);
  std::uint64_t allocated_bytes() const;
  std::uint64_t used_bytes() const;  // of these, what was handed out
  std::uint64_t staging_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One thing that a dispatch reads or writes, named by the caller: barriers follow from these.
struct Touch {
  std::uint32_t resource;
  bool writes = false;
};

// Commands recorded once and run many times.
class Recording {
 public:
  explicit Recording(Device& device, bool measures_times = false);
  ~Recording();
  Recording(Recording&&) noexcept;
  Recording& operator=(Recording&&) noexcept;

  Result<> begin();
  struct Groups {
    std::uint32_t x = 1, y = 1, z = 1;
  };
  // `push`: at most 128 bytes. A barrier goes before it when it touches what earlier commands wrote, or writes what they touched.
  void dispatch(ProgramId program, std::span<const std::byte> push, Groups groups, std::span<const Touch> touches);
  // Copies the first bytes of a buffer that earlier commands wrote.
  void copy(const Buffer& from, const Buffer& to, std::uint64_t bytes);
  Result<> end();

  std::uint32_t dispatches() const;
  std::uint32_t barriers() const;
  // Milliseconds of each dispatch of the last run, in order; empty unless measured.
  Result<std::vector<double>> times_ms();

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace assay::vulkan

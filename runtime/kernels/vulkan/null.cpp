// The Vulkan layer of a program that was built without Vulkan: the same entry points, which say so.
#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/vulkan.h"

namespace assay::vulkan {

namespace {
Error not_built() {
  return {Code::unsupported, "Vulkan", "this program was built without Vulkan (its headers or glslc were missing; scripts/setup.sh installs them); use --backend cpu"};
}
}  // namespace

// Nothing below open() can be reached: no Device exists.
struct Device::State {};
struct Memory::State {};
struct Recording::State {};

std::string_view name_of(DeviceKind) { return "none"; }
bool is_built() { return false; }
Result<std::vector<DeviceFacts>> list_devices() { return not_built(); }

Device::Device(std::unique_ptr<State> state) : state_(std::move(state)) {}
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;
Result<Device> Device::open(std::uint32_t, const DeviceOptions&) { return not_built(); }
const DeviceFacts& Device::facts() const { check_failed("there is a device", __FILE__, __LINE__); }
ProgramId Device::program(std::string_view, std::span<const Constant>) { return 0; }
bool Device::has_shader(std::string_view) { return false; }
Result<> Device::build_programs() { return not_built(); }
std::size_t Device::programs() const { return 0; }
Result<> Device::run(Recording&) { return not_built(); }
Result<> Device::start(Recording&) { return not_built(); }
Result<> Device::wait() { return not_built(); }
std::vector<std::byte> Device::pipeline_cache() const { return {}; }
std::vector<std::string> Device::validation_messages() const { return {}; }

Memory::Memory(Device&) {}
Memory::~Memory() = default;
Result<Buffer> Memory::allocate(std::uint64_t, Where) { return not_built(); }
Result<Buffer> Memory::import(std::span<const std::byte>) { return not_built(); }
Result<> Memory::upload(std::span<const std::byte>, const Buffer&, std::uint64_t) { return not_built(); }
Result<> Memory::upload_later(std::span<const std::byte>, const Buffer&, std::uint64_t) { return not_built(); }
Result<> Memory::finish_uploads() { return not_built(); }
Result<> Memory::clear(const Buffer&) { return not_built(); }
Result<> Memory::download(const Buffer&, std::span<std::byte>, std::uint64_t) { return not_built(); }
std::uint64_t Memory::allocated_bytes() const { return 0; }
std::uint64_t Memory::used_bytes() const { return 0; }
std::uint64_t Memory::staging_bytes() const { return 0; }

Recording::Recording(Device&, bool) {}
Recording::~Recording() = default;
Recording::Recording(Recording&&) noexcept = default;
Recording& Recording::operator=(Recording&&) noexcept = default;
Result<> Recording::begin() { return not_built(); }
void Recording::dispatch(ProgramId, std::span<const std::byte>, Groups, std::span<const Touch>) {}
void Recording::copy(const Buffer&, const Buffer&, std::uint64_t) {}
Result<> Recording::end() { return not_built(); }
std::uint32_t Recording::dispatches() const { return 0; }
std::uint32_t Recording::barriers() const { return 0; }
Result<std::vector<double>> Recording::times_ms() { return not_built(); }

}  // namespace assay::vulkan

// Weights on their way to the device: as stored, straight from the mapping, or imported where the device can read it there.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <vector>

#include "runtime/kernels/vulkan/ops.h"
#include "runtime/quant/dequantize.h"

namespace assay::vulkan {

namespace {

// Formats whose shaders read words and vectors at the file's own alignment.
constexpr std::uint64_t kImportAlignment = 16;
// Smaller weights are copied: an import takes whole pages and a buffer of its own.
constexpr std::size_t kWorthImporting = 1u << 20;

Result<std::uint64_t> copy(Memory& memory, Bytes bytes) {
  ASSAY_TRY(const Buffer buffer, memory.allocate(bytes.size(), Where::device));
  ASSAY_TRY_VOID(memory.upload_later(bytes, buffer));
  return buffer.address;
}

Result<std::uint64_t> place(Memory& memory, const Device& device, Bytes bytes) {
  if (bytes.empty()) return std::uint64_t{0};
  const bool reads_host = device.facts().kind == DeviceKind::cpu || device.facts().kind == DeviceKind::integrated;
  if (reads_host && bytes.size() >= kWorthImporting && reinterpret_cast<std::uintptr_t>(bytes.data()) % kImportAlignment == 0)
    if (const auto imported = memory.import(bytes)) return imported->address;
  return copy(memory, bytes);
}

FormatId held_as(FormatId format) { return format == FormatId::F64 ? FormatId::F32 : format; }

}  // namespace

bool has_kernels(FormatId format) { return Device::has_shader(shader_name("matvec", held_as(format))); }

std::uint64_t device_bytes(const TensorView& tensor) { return tensor.format == FormatId::F64 ? tensor.count() * 4 : tensor.stored_bytes(); }

Result<DeviceWeight> load_weight(Memory& memory, const Device& device, const TensorView& tensor) {
  DeviceWeight weight;
  weight.format = held_as(tensor.format);
  if (!has_kernels(tensor.format)) return Error{Code::unsupported, tensor.name, fmt::format("there are no Vulkan kernels for {} weights; use --backend cpu", name_of(tensor.format))};
  weight.rows = static_cast<std::uint32_t>(tensor.rows());
  weight.cols = static_cast<std::uint32_t>(tensor.cols());
  weight.group = tensor.side.group;
  weight.group_rows = tensor.side.group_rows;
  weight.side_format = tensor.side.format;
  if (tensor.format == FormatId::F64) {
    std::vector<float> values(tensor.count());
    for (std::uint64_t row = 0; row < tensor.rows(); ++row) dequantize_row(tensor, row, std::span(values).subspan(row * tensor.cols(), tensor.cols()));
    weight.row_bytes = weight.cols * 4;
    ASSAY_TRY(weight.data, copy(memory, std::as_bytes(std::span(values))));
  } else {
    weight.row_bytes = static_cast<std::uint32_t>(tensor.row_bytes());
    ASSAY_TRY(weight.data, place(memory, device, tensor.data));
    ASSAY_TRY(weight.scales, place(memory, device, tensor.side.scales));
    ASSAY_TRY(weight.biases, place(memory, device, tensor.side.biases));
  }
  weight.is_aligned = weight.cols % 16 == 0 && weight.row_bytes % 16 == 0 && weight.data % 16 == 0;
  return weight;
}

bool are_alike(const TensorView& a, const TensorView& b) {
  return a.format == b.format && a.shape == b.shape && a.side.format == b.side.format && a.side.group == b.side.group && a.side.group_rows == b.side.group_rows &&
         a.side.scales.empty() == b.side.scales.empty();
}

Result<DeviceTable> make_table(Memory& memory, std::span<const DeviceWeight> weights, std::span<const std::uint64_t> biases) {
  DeviceTable made;
  made.shape = weights.front();
  made.count = static_cast<std::uint32_t>(weights.size());
  made.has_bias = !biases.empty();
  std::vector<std::array<std::uint64_t, 4>> rows;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    rows.push_back({weights[i].data, weights[i].scales, weights[i].biases, biases.empty() ? 0 : biases[i]});
    made.shape.is_aligned = made.shape.is_aligned && weights[i].is_aligned;
  }
  ASSAY_TRY(made.table, copy(memory, std::as_bytes(std::span(rows))));
  return made;
}

Result<DeviceTable> load_table(Memory& memory, const Device& device, std::span<const TensorView* const> tensors, std::span<const std::uint64_t> biases) {
  std::vector<DeviceWeight> weights;
  for (const TensorView* tensor : tensors) {
    if (!are_alike(*tensor, *tensors.front()))
      return Error{Code::unsupported, tensor->name, fmt::format("is stored in another way than {}, and Vulkan kernels take experts of one format and shape; use --backend cpu", tensors.front()->name)};
    ASSAY_TRY(const DeviceWeight weight, load_weight(memory, device, *tensor));
    weights.push_back(weight);
  }
  return make_table(memory, weights, biases);
}

}  // namespace assay::vulkan

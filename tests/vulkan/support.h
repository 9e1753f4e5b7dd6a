// The device that tests run on, weights with random bits, and running one call after another.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/ops.h"
#include "runtime/kernels/vulkan/tables.h"
#include "runtime/kernels/vulkan/vulkan.h"
#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"

namespace assay::test {

// The device named by ASSAY_TEST_DEVICE, else the first that is usable.
inline std::uint32_t test_device_index() {
  if (const char* named = std::getenv("ASSAY_TEST_DEVICE")) return static_cast<std::uint32_t>(std::atoi(named));
  const auto devices = vulkan::list_devices();
  ASSAY_CHECK(devices.has_value());
  for (std::uint32_t i = 0; i < devices->size(); ++i)
    if ((*devices)[i].lacks.empty()) return i;
  return 0;
}

// A device, its memory and its kernels.
struct Gpu {
  vulkan::Device device;
  vulkan::Memory memory;
  vulkan::Ops ops;

  explicit Gpu(vulkan::DeviceOptions options = {}) : device(open(options)), memory(device), ops(device, put(vulkan::format_tables()).address) {}

  static vulkan::Device open(const vulkan::DeviceOptions& options) {
    auto device = vulkan::Device::open(test_device_index(), options);
    if (!device) std::fprintf(stderr, "%s\n", device.error().message().c_str());
    ASSAY_CHECK(device.has_value());
    return std::move(*device);
  }
  vulkan::Buffer make(std::uint64_t bytes) {
    auto buffer = memory.allocate(bytes, vulkan::Where::device);
    ASSAY_CHECK(buffer.has_value());
    ASSAY_CHECK(memory.clear(*buffer).has_value());
    return *buffer;
  }
  template <class T>
  vulkan::Buffer put(const std::vector<T>& values) {
    const vulkan::Buffer buffer = make(values.size() * sizeof(T));
    ASSAY_CHECK(memory.upload(std::as_bytes(std::span(values)), buffer).has_value());
    return buffer;
  }
  template <class T>
  std::vector<T> take(const vulkan::Buffer& buffer, std::size_t count) {
    std::vector<T> values(count);
    ASSAY_CHECK(memory.download(buffer, std::as_writable_bytes(std::span(values))).has_value());
    return values;
  }
  // Rows of floats on the device, with strides as kernels want them.
  vulkan::Rows put_rows(const std::vector<float>& values, std::uint32_t cols) {
    const vulkan::Rows rows = make_rows(static_cast<std::uint32_t>(values.size() / cols), cols);
    std::vector<float> padded(values.size() / cols * rows.stride);
    for (std::size_t row = 0; row < values.size() / cols; ++row) std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(row * cols), cols, padded.begin() + static_cast<std::ptrdiff_t>(row * rows.stride));
    ASSAY_CHECK(memory.upload(std::as_bytes(std::span(padded)), buffers.back()).has_value());
    return rows;
  }
  vulkan::Rows make_rows(std::uint32_t count, std::uint32_t cols) {
    buffers.push_back(make(std::uint64_t{count} * vulkan::stride_of(cols) * 4));
    return {buffers.back().address, vulkan::stride_of(cols), cols};
  }
  std::vector<float> take_rows(const vulkan::Rows& rows, std::uint32_t count) {
    const auto found = std::find_if(buffers.begin(), buffers.end(), [&](const vulkan::Buffer& buffer) { return buffer.address == rows.address; });
    const std::vector<float> padded = take<float>(*found, std::size_t{count} * rows.stride);
    std::vector<float> values;
    for (std::size_t row = 0; row < count; ++row)
      values.insert(values.end(), padded.begin() + static_cast<std::ptrdiff_t>(row * rows.stride), padded.begin() + static_cast<std::ptrdiff_t>(row * rows.stride + rows.cols));
    return values;
  }
  // One after another, each behind a barrier.
  void run(std::initializer_list<vulkan::Call> calls) {
    const auto built = device.build_programs();
    ASSERT_TRUE(built) << built.error().message();
    ASSERT_TRUE(memory.finish_uploads());
    vulkan::Recording recording(device);
    ASSERT_TRUE(recording.begin());
    const vulkan::Touch touch{0, true};
    for (const vulkan::Call& call : calls) recording.dispatch(call.program, {call.push.data(), call.push_bytes}, call.groups, {&touch, 1});
    ASSERT_TRUE(recording.end());
    const auto done = device.run(recording);
    ASSERT_TRUE(done) << done.error().message();
  }

  std::vector<vulkan::Buffer> buffers;
};

// One device for all tests: pipelines are compiled once.
inline Gpu& gpu() {
  static Gpu shared;
  return shared;
}

// A weight that owns its bytes: random codes and scales, drawn again where a block decodes to something that is not finite or beyond `largest`.
struct Bits {
  std::vector<std::byte> data, scales, biases;
  TensorView view;
};

inline std::vector<std::byte> random_halves(std::mt19937& random, std::size_t count) {
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<std::byte> bytes(count * 2);
  for (std::size_t i = 0; i < count; ++i) {
    const Half half = to_half(normal(random));
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  return bytes;
}

// `least`: of each block's largest value, so that a share of it can be measured in float16.
inline Bits random_bits(FormatId format, std::uint32_t rows, std::uint32_t cols, std::uint32_t seed, float largest = 100.0f, float least = 0.0f) {
  std::mt19937 random(seed);
  Bits bits;
  const DtypeRow& dtype = dtype_of(format);
  bits.view.name = "weights";
  bits.view.format = format;
  bits.view.shape = {rows, cols};
  const std::uint32_t group = cols % 64 == 0 ? 64 : 32;
  const bool is_mlx = format >= FormatId::MLX_Q2 && format <= FormatId::MLX_Q8, is_flat = format == FormatId::NF4 || format == FormatId::FP4;
  if (is_mlx) {
    bits.scales = random_halves(random, std::size_t{rows} * (cols / group));
    bits.biases = random_halves(random, std::size_t{rows} * (cols / group));
    bits.view.side = {FormatId::F16, bits.scales, bits.biases, group, 1};
  } else if (is_flat) {
    bits.scales = random_halves(random, (std::size_t{rows} * cols + group - 1) / group);
    bits.view.side = {FormatId::F16, bits.scales, {}, group, 1};
  } else if (format == FormatId::F8_E4M3) {
    bits.scales = random_halves(random, std::size_t{(rows + 2) / 3} * ((cols + group - 1) / group));
    bits.view.side = {FormatId::F16, bits.scales, {}, group, 3};
  }
  bits.data.resize(rows * bits.view.row_bytes());
  std::vector<float> decoded(dtype.block_values);
  const bool may_check = !is_mlx && !is_flat;
  for (std::size_t at = 0; at < bits.data.size(); at += dtype.block_bytes) {
    TensorView block;
    block.format = format;
    block.shape = {dtype.block_values};
    block.data = {bits.data.data() + at, dtype.block_bytes};
    for (bool fine = false; !fine;) {
      for (std::size_t i = 0; i < dtype.block_bytes; ++i) bits.data[at + i] = static_cast<std::byte>(random());
      fine = true;
      if (!may_check) continue;
      dequantize_row(block, 0, decoded);
      float top = 0;
      for (const float value : decoded) {
        fine = fine && std::abs(value) <= largest;
        top = std::max(top, std::abs(value));
      }
      fine = fine && top >= least;
    }
  }
  bits.view.data = bits.data;
  return bits;
}

inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// The scalar truth: all rows.
inline std::vector<float> truth_of(const TensorView& view) {
  std::vector<float> values(view.count());
  for (std::uint64_t row = 0; row < view.rows(); ++row) dequantize_row(view, row, std::span(values).subspan(row * view.cols(), view.cols()));
  return values;
}

// Every format that has kernels, once.
inline std::vector<FormatId> kernel_formats() {
  std::vector<FormatId> formats;
  const auto add = [&]<class F>(std::type_identity<F>) { formats.push_back(F::kId); };
  for_each_format(ElementFormats{}, add);
  for_each_format(BlockFormats{}, add);
  for_each_format(SideFormats{}, add);
  return formats;
}
inline std::string test_name(FormatId format) { return std::string(name_of(format)); }

// Distance in units in the last place; values below the smallest normal float count as one another.
inline double ulps_between(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const float size = std::max({std::abs(a), std::abs(b), 1.17549435e-38f});
  int exponent = 0;
  std::frexp(size, &exponent);
  return std::abs(static_cast<double>(a) - b) / std::ldexp(1.0, exponent - 24);
}

struct Difference {
  double worst = 0, rms = 0;
};
inline Difference compare(std::span<const float> found, std::span<const float> expected) {
  Difference difference;
  EXPECT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    EXPECT_FALSE(std::isnan(d)) << i;
    difference.worst = std::max(difference.worst, d);
    difference.rms += d * d;
  }
  difference.rms = std::sqrt(difference.rms / static_cast<double>(std::max<std::size_t>(1, expected.size())));
  return difference;
}

}  // namespace assay::test

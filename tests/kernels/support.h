// Weights of any format with random bits and sane scales, and inputs to multiply them with.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "runtime/kernels/cpu/table.h"
#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"
#include "runtime/quant/encode.h"

// The AVX-VNNI table with its instructions in the encoding of AVX-512 (isa_avx_vnni_evex.cpp), which processors run that have no AVX-VNNI.
namespace assay::avx_vnni_evex {
const Kernels& table();
}

namespace assay::test {

// A weight matrix that owns its bytes. `shift` puts the data at an odd address.
struct Matrix {
  std::vector<std::byte> data, scales, biases;
  TensorView view;
};

// How MLX matrices are scaled; group 0: 64 where that divides the rows, else 32.
struct SideChoice {
  std::uint32_t group = 0;
  FormatId format = FormatId::BF16;
};

// Bytes of random codes: encoded where there is an encoder, else random bits whose decoded values are finite and small.
inline Matrix random_matrix(FormatId format, std::uint32_t rows, std::uint32_t cols, std::uint32_t seed, std::size_t shift = 0, SideChoice side = {}) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  Matrix m;
  m.view.name = "weights";
  m.view.format = format;
  m.view.shape = {rows, cols};
  std::vector<float> values(std::size_t{rows} * cols);
  for (float& value : values) value = normal(random);
  const bool is_side = format >= FormatId::MLX_Q2 && format <= FormatId::MLX_Q8;
  if (is_side) {
    const std::uint32_t group = side.group != 0 ? side.group : cols % 64 == 0 ? 64 : 32;
    auto encoded = encode_matrix({.format = format, .scale_format = side.format, .group = group}, values, rows, cols);
    m.data = std::move(encoded->data);
    m.scales = std::move(encoded->scales);
    m.biases = std::move(encoded->biases);
    for (std::vector<std::byte>* stream : {&m.scales, &m.biases}) stream->insert(stream->begin(), shift, std::byte{0});
    m.view.side = {side.format, Bytes(m.scales).subspan(shift), Bytes(m.biases).subspan(shift), group, 1};
  } else if (has_encoder(format)) {
    m.data.resize(rows * m.view.row_bytes());
    for (std::uint32_t row = 0; row < rows; ++row) {
      const auto done = encode_row(format, std::span(values).subspan(std::size_t{row} * cols, cols),
                                   std::span(m.data).subspan(row * m.view.row_bytes(), m.view.row_bytes()));
      if (!done) std::abort();
    }
  } else {
    // Random codes; a block whose values come out wild (an infinite or huge scale) is drawn again.
    const DtypeRow& dtype = dtype_of(format);
    m.data.resize(rows * m.view.row_bytes());
    std::vector<float> decoded(dtype.block_values);
    for (std::size_t at = 0; at < m.data.size(); at += dtype.block_bytes) {
      TensorView block;
      block.format = format;
      block.shape = {dtype.block_values};
      block.data = {m.data.data() + at, dtype.block_bytes};
      for (bool fine = false; !fine;) {
        for (std::size_t i = 0; i < dtype.block_bytes; ++i) m.data[at + i] = static_cast<std::byte>(random());
        dequantize_row(block, 0, decoded);
        fine = true;
        for (const float value : decoded) fine = fine && std::abs(value) < 100.0f;
      }
    }
  }
  if (shift > 0) m.data.insert(m.data.begin(), shift, std::byte{0});
  m.view.data = Bytes(m.data).subspan(shift);
  return m;
}

struct RandomInputs {
  std::vector<float> values, scales, sums;
  std::vector<std::int8_t> levels;
  Inputs inputs;
  bool whole_scales;

  RandomInputs(const Kernels& kernels, std::uint32_t count, std::uint32_t cols, std::uint32_t seed, bool whole = true) : whole_scales(whole) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const std::size_t chunks = chunks_of(cols);
    values.resize(std::size_t{count} * cols);
    for (float& value : values) value = normal(random);
    levels.resize(count * chunks * kChunk);
    scales.resize(count * chunks * kGroupsPerChunk);
    sums.resize(scales.size());
    inputs = {count, cols, values.data(), levels.data(), scales.data(), sums.data()};
    quantize(kernels);
  }

  // Again, after `values` were changed.
  void quantize(const Kernels& kernels) {
    const std::size_t chunks = chunks_of(inputs.cols);
    for (std::size_t n = 0; n < inputs.count; ++n)
      kernels.quantize(values.data() + n * inputs.cols, inputs.cols, whole_scales, levels.data() + n * chunks * kChunk, scales.data() + n * chunks * kGroupsPerChunk,
                       sums.data() + n * chunks * kGroupsPerChunk);
  }

  // What the kernel is really given for input n, value i: the float, or the level times its scale.
  double given(bool as_levels, std::size_t n, std::size_t i) const {
    if (!as_levels) return values[n * inputs.cols + i];
    const std::size_t chunks = chunks_of(inputs.cols);
    return static_cast<double>(scales[n * chunks * kGroupsPerChunk + i / 16]) * levels[n * chunks * kChunk + i];
  }
};

// The value that a packed form holds for input n, value i.
inline double given(const PackedInputs& packed, std::size_t n, std::size_t i) {
  const std::uint32_t chunk = static_cast<std::uint32_t>(i / kChunk), panel = static_cast<std::uint32_t>(n / kPanel);
  const std::size_t k = i % kChunk, c = n % kPanel;
  if (packed.packing == Packing::floats) return packed.panel<FloatPanel>(chunk, panel)->values[k][c];
  if (packed.packing == Packing::bfloats) return to_float(BFloat16{packed.panel<BfloatPanel>(chunk, panel)->values[k / 2][c][k % 2]});
  if (packed.packing == Packing::words32) {
    const WordPanel& words = *packed.panel<WordPanel>(chunk, panel);
    return words.levels[k / 2][c][k % 2] * static_cast<double>(words.scales[k / 32][c]);
  }
  const LevelPanel& levels = *packed.panel<LevelPanel>(chunk, panel);
  const std::uint8_t level = levels.levels[k / 4][c][k % 4];
  return (has_signed_bytes(packed.packing) ? static_cast<std::int8_t>(level) : level - 128) * static_cast<double>(levels.scales[k / 32][c]);
}

inline std::vector<const Kernels*> runnable_kernels() {
  std::vector<const Kernels*> tables;
  for (const Kernels* kernels : all_kernels())
    if (kernels_named(kernels->name) != nullptr) tables.push_back(kernels);
  if ((avx_vnni_evex::table().needs & ~detect_isa()) == 0) tables.push_back(&avx_vnni_evex::table());
  return tables;
}

// Tests of every instruction set on rows of random floats.
class KernelsTest : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
  static std::vector<float> random(std::size_t count, std::uint32_t seed, float deviation = 1.0f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = normal(engine);
    return values;
  }
};

}  // namespace assay::test

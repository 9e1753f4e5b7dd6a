// What the decoder tests share: a tensor over bytes, all of its rows as floats, and comparison bit by bit.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/quant/all.h"
#include "runtime/quant/dequantize.h"

namespace assay::test {

inline TensorView tensor_over(FormatId format, std::uint64_t rows, std::uint64_t cols, Bytes data) {
  TensorView tensor;
  tensor.name = "t.weight";
  tensor.format = format;
  tensor.shape = {rows, cols};
  tensor.data = data;
  return tensor;
}

inline std::vector<float> decode(const TensorView& tensor) {
  const auto checked = check_dequantizable(tensor);
  EXPECT_TRUE(checked) << (checked ? "" : checked.error().message());
  if (!checked) return {};
  std::vector<float> out(tensor.count());
  for (std::uint64_t row = 0; row < tensor.rows(); ++row)
    dequantize_row(tensor, row, std::span(out).subspan(row * tensor.cols(), tensor.cols()));
  return out;
}

// Equal bits; where a NaN is wanted any NaN will do.
inline void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(want[i]))
        << "value " << i << ": got " << got[i] << ", want " << want[i];
  }
}

// The same bytes on every machine (xorshift64, a fixed start).
inline std::vector<std::byte> scrambled_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint64_t state = 88172645463325252u;
  for (std::byte& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::byte>(state >> 32);
  }
  return bytes;
}

template <class List>
struct TestTypesOf;
template <class... Formats>
struct TestTypesOf<FormatList<Formats...>> {
  using type = ::testing::Types<Formats...>;
};

// Test names end in the format's name.
struct FormatNames {
  template <class F>
  static std::string GetName(int) {
    return std::string(name_of(F::kId));
  }
};

}  // namespace assay::test

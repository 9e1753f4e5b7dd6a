// Kernels on float rows: quantiser, norm, gate and attention against their formulas in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/kernels/support.h"

namespace assay::test {
namespace {

class Rows : public ::testing::TestWithParam<const Kernels*> {
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

TEST_P(Rows, QuantizerKeepsHalfALevelAndPadsWithZeros) {
  for (const std::uint32_t cols : {1u, 31u, 32u, 64u, 250u, 256u, 300u, 576u}) {
    const RandomInputs inputs(kernels(), 1, cols, cols);
    for (std::uint32_t i = 0; i < chunks_of(cols) * kChunk; ++i) {
      if (i >= cols) {
        EXPECT_EQ(inputs.levels[i], 0);
        continue;
      }
      const float scale = inputs.scales[i / 16];
      EXPECT_NEAR(inputs.levels[i] * scale, inputs.values[i], 0.5001f * scale) << i;  // ties and one rounding of 127 / top
    }
    for (std::uint32_t g = 0; g < chunks_of(cols) * kGroupsPerChunk; ++g) {
      int sum = 0;
      for (std::uint32_t i = 16 * g; i < 16 * g + 16; ++i) sum += inputs.levels[i];
      EXPECT_EQ(inputs.sums[g], inputs.scales[g] * static_cast<float>(sum));
    }
  }
}

TEST_P(Rows, QuantizerOfZerosIsZero) {
  const std::vector<float> zeros(64, 0.0f);
  std::vector<std::int8_t> levels(256, 9);
  std::vector<float> scales(16, 9.0f), sums(16, 9.0f);
  kernels().quantize(zeros.data(), 64, levels.data(), scales.data(), sums.data());
  for (const std::int8_t level : levels) EXPECT_EQ(level, 0);
  for (const float scale : scales) EXPECT_EQ(scale, 0.0f);
}

TEST_P(Rows, RmsNormFollowsItsFormula) {
  for (const std::uint32_t count : {1u, 16u, 24u, 64u, 100u, 2048u}) {
    const auto x = random(count, count), weight = random(count, count + 1);
    std::vector<float> out(count);
    kernels().rms_norm(x.data(), weight.data(), count, 1e-5f, out.data());
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * value;
    const double scale = 1.0 / std::sqrt(squares / count + 1e-5);
    for (std::uint32_t i = 0; i < count; ++i) EXPECT_NEAR(out[i], x[i] * scale * weight[i], 2e-6 * std::abs(x[i] * scale * weight[i]) + 1e-12);
  }
}

TEST_P(Rows, GateIsSiluTimesUp) {
  for (const std::size_t count : {1u, 15u, 16u, 100u}) {
    auto gate = random(count, 1, 20.0f);
    const auto up = random(count, 2);
    if (count > 3) gate[0] = 100.0f, gate[1] = -100.0f, gate[2] = -88.0f, gate[3] = 0.0f;
    const auto before = gate;
    kernels().gate_up(gate.data(), up.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = before[i] / (1.0 + std::exp(-static_cast<double>(before[i]))) * up[i];
      // The exponential is within 3e-7; far below zero, exp overflow is cut at e^88, which leaves at most 1e-36.
      EXPECT_NEAR(gate[i], expected, 1e-6 * std::abs(expected) + 1e-35) << before[i];
    }
  }
}

// Softmax attention over a cache filled position by position, against the formula on what the cache holds.
void expect_attention(const Kernels& kernels, std::uint32_t dim, std::uint32_t positions, std::uint32_t rows, bool is_f32) {
  SCOPED_TRACE(std::to_string(dim) + " dim, " + std::to_string(positions) + " positions, " + std::to_string(rows) + " rows");
  const std::uint32_t padded = padded_dim_of(dim), bytes = is_f32 ? 4 : 2, room = (positions + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  // Unwritten positions hold NaN bits: they must never matter.
  std::vector<std::byte> keys(std::size_t{room} * dim * bytes, std::byte{0xff}), values(std::size_t{room} * padded * bytes, std::byte{0xff});
  const KvView kv{keys.data(), values.data(), dim, padded, is_f32};
  std::mt19937 engine(dim + positions);
  std::normal_distribution<float> normal;
  std::vector<float> k(std::size_t{positions} * dim), v(k.size());
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = normal(engine), v[i] = normal(engine);
  for (std::uint32_t at = 0; at < positions; ++at) kernels.store_kv(k.data() + at * dim, v.data() + at * dim, at, kv);
  if (!is_f32)
    for (std::size_t i = 0; i < k.size(); ++i) k[i] = to_float(to_half(k[i])), v[i] = to_float(to_half(v[i]));

  std::vector<float> query(std::size_t{rows} * dim), out(query.size());
  for (float& value : query) value = normal(engine) * 2;
  std::vector<AttentionRow> tasks(rows);
  for (std::uint32_t r = 0; r < rows; ++r) tasks[r] = {query.data() + r * dim, out.data() + r * dim, positions - std::min(positions - 1, r * 3)};
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  kernels.attend(kv, tasks.data(), rows, scale);

  for (std::uint32_t r = 0; r < rows; ++r) {
    std::vector<double> weights(tasks[r].visible);
    double total = 0, top = -1e300;
    for (std::uint32_t at = 0; at < tasks[r].visible; ++at) {
      double dot = 0;
      for (std::uint32_t d = 0; d < dim; ++d) dot += static_cast<double>(query[r * dim + d]) * k[at * dim + d];
      weights[at] = dot * scale;
      top = std::max(top, weights[at]);
    }
    for (double& weight : weights) total += weight = std::exp(weight - top);
    for (std::uint32_t d = 0; d < dim; ++d) {
      double expected = 0;
      for (std::uint32_t at = 0; at < tasks[r].visible; ++at) expected += weights[at] / total * v[at * dim + d];
      ASSERT_NEAR(out[r * dim + d], expected, 2e-5) << "row " << r << " dim " << d;  // scores of a few units in float32
    }
  }
}

TEST_P(Rows, AttentionEqualsSoftmaxOfTheCache) {
  for (const bool is_f32 : {false, true})
    for (const std::uint32_t dim : {16u, 24u, 64u, 80u, 96u, 128u, 256u})
      for (const std::uint32_t positions : {1u, 15u, 16u, 17u, 128u, 129u, 300u}) expect_attention(kernels(), dim, positions, 1 + (dim + positions) % 8, is_f32);
  for (std::uint32_t rows = 1; rows <= kAttentionRows; ++rows) expect_attention(kernels(), 64, 140, rows, false);
}

INSTANTIATE_TEST_SUITE_P(Isa, Rows, ::testing::ValuesIn(runnable_kernels()), [](const auto& param) { return std::string(param.param->name); });

}  // namespace
}  // namespace assay::test

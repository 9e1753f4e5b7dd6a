// Kernels that only some families need: LayerNorm, activations, soft caps, and attention with windows, sinks and values narrower than
// keys; against their formulas in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "tests/kernels/support.h"

namespace assay::test {
namespace {

class FamilyRows : public KernelsTest {};

TEST_P(FamilyRows, LayerNormFollowsItsFormulaWithAndWithoutBias) {
  for (const std::uint32_t count : {1u, 16u, 24u, 64u, 100u, 2048u}) {
    auto x = random(count, count);
    for (float& value : x) value += 3.0f;  // a mean worth taking off
    const auto weight = random(count, count + 1), bias = random(count, count + 2);
    for (const float* shift : {bias.data(), static_cast<const float*>(nullptr)}) {
      std::vector<float> out(count);
      kernels().layer_norm(x.data(), weight.data(), shift, count, 1e-5f, out.data());
      double mean = 0, variance = 0;
      for (const float value : x) mean += static_cast<double>(value) / count;
      for (const float value : x) variance += (value - mean) * (value - mean) / count;
      for (std::uint32_t i = 0; i < count; ++i) {
        const double expected = (x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + (shift == nullptr ? 0 : shift[i]);
        ASSERT_NEAR(out[i], expected, 2e-5 * (1 + std::fabs(expected))) << count << " " << i;  // float32 sums of up to 2048 values
      }
    }
  }
}

TEST_P(FamilyRows, ActivationsFollowTheirFormulas) {
  std::vector<float> gate = random(1000, 1, 3.0f), up = random(1000, 2, 5.0f);
  const std::vector<float> edges = {0.0f, -0.0f, 50.0f, -50.0f, 1e4f, -1e4f, 7.0f, 6.9999f, -7.0f};
  for (std::size_t i = 0; i < edges.size(); ++i) gate[i] = edges[i], up[edges.size() + i] = edges[i];
  const auto expect = [&](auto compute, auto formula) {
    std::vector<float> out = gate;
    compute(out.data(), up.data(), out.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double expected = formula(static_cast<double>(gate[i]), static_cast<double>(up[i]));
      ASSERT_NEAR(out[i], expected, 2e-6 * (1 + std::fabs(expected))) << gate[i] << " " << up[i];  // the exponential's 3e-7 and a few roundings
    }
  };
  const auto gelu = [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))); };
  expect(kernels().gate_up_gelu, [&](double g, double u) { return gelu(g) * u; });
  expect([&](float* g, const float*, std::size_t count) { kernels().gate_up_gelu(g, nullptr, count); }, [&](double g, double) { return gelu(g); });
  expect(kernels().gate_up_clamped, [](double g, double u) {
    const double clamped = std::min(g, 7.0);
    return clamped / (1 + std::exp(-1.702 * clamped)) * (std::clamp(u, -7.0, 7.0) + 1);
  });
}

TEST_P(FamilyRows, SoftCapsKeepSmallValuesAndBoundLargeOnes) {
  for (const float cap : {4.0f, 30.0f, 50.0f}) {
    std::vector<float> values = random(333, 7, 2 * cap);
    values[0] = 1e30f, values[1] = -1e30f, values[2] = 0.0f;
    std::vector<float> capped = values;
    kernels().soft_cap(capped.data(), capped.size(), cap);
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(capped[i], cap * std::tanh(static_cast<double>(values[i]) / cap), 1e-6 * cap) << values[i];
  }
}

// What one row sees, and by which rule.
struct View {
  std::uint32_t dim, value_dim, positions, window;  // window 0: all
  std::uint32_t ring;                               // positions of the cache; 0: all
  float cap = 0, sink = AttentionRow::kNoSink;
};

// Positions are stored one after the other and overwrite what a ring has no more room for; the last `rows` positions ask.
void expect_attention(const Kernels& kernels, const View& view, std::uint32_t rows, KvType type) {
  SCOPED_TRACE(testing::Message() << view.dim << "/" << view.value_dim << " dims, " << view.positions << " positions, window " << view.window << ", ring " << view.ring << ", cap " << view.cap
                                  << ", sink " << view.sink << ", " << rows << " rows, " << name_of(type));
  const std::uint32_t room = view.ring > 0 ? view.ring : (view.positions + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  // Every bit set: what was never written is NaN and must never matter.
  std::vector<std::byte> keys(std::size_t{room} * view.dim * kv_value_bytes(type), std::byte{0xff}), values(std::size_t{room} * padded_dim_of(view.value_dim) * kv_value_bytes(type), std::byte{0xff});
  std::vector<std::uint16_t> key_scales(std::size_t{room} * kv_groups(type, view.dim), 0xffff), value_scales(std::size_t{room} * kv_groups(type, view.value_dim), 0xffff);
  const KvView kv{type, view.dim, padded_dim_of(view.value_dim), keys.data(), values.data(), key_scales.data(), value_scales.data(), view.value_dim, room};
  std::mt19937 engine(view.dim + view.positions);
  std::normal_distribution<float> normal;
  std::vector<float> k(std::size_t{view.positions} * view.dim), v(std::size_t{view.positions} * view.value_dim), query(std::size_t{rows} * view.dim), out(std::size_t{rows} * view.value_dim);
  for (std::vector<float>* all : {&k, &v, &query})
    for (float& value : *all) value = type == KvType::q8_0 ? std::nearbyint(127 * std::tanh(normal(engine))) / 128 : to_float(to_half(normal(engine)));
  if (type == KvType::q8_0)  // a scale of 1/128 for every group: levels are exact
    for (auto& [all, dim] : {std::pair{&k, view.dim}, std::pair{&v, view.value_dim}})
      for (std::size_t row = 0; row < all->size() / dim; ++row)
        for (std::uint32_t first = 0; first < dim; first += kKvGroup) (*all)[row * dim + first] = 127.0f / 128;
  for (std::uint32_t at = 0; at < view.positions; ++at) kernels.store_kv(k.data() + at * view.dim, v.data() + at * view.value_dim, at % room, kv);

  std::vector<AttentionRow> tasks(rows);
  for (std::uint32_t r = 0; r < rows; ++r) {
    const std::uint32_t visible = view.positions - std::min(view.positions - 1, r);
    tasks[r] = {query.data() + r * view.dim, out.data() + r * view.value_dim, visible, view.window > 0 && visible > view.window ? visible - view.window : 0, view.sink};
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(view.dim));
  kernels.attend(kv, tasks.data(), rows, {scale, view.cap});

  for (std::uint32_t r = 0; r < rows; ++r) {
    std::vector<double> weights(tasks[r].visible);
    double total = std::exp(static_cast<double>(view.sink));
    for (std::uint32_t at = tasks[r].first; at < tasks[r].visible; ++at) {
      double dot = 0;
      for (std::uint32_t d = 0; d < view.dim; ++d) dot += static_cast<double>(query[r * view.dim + d]) * k[at * view.dim + d];
      dot *= scale;
      total += weights[at] = std::exp(view.cap > 0 ? view.cap * std::tanh(dot / view.cap) : dot);
    }
    for (std::uint32_t d = 0; d < view.value_dim; ++d) {
      double expected = 0;
      for (std::uint32_t at = tasks[r].first; at < tasks[r].visible; ++at) expected += weights[at] / total * v[at * view.value_dim + d];
      ASSERT_NEAR(out[r * view.value_dim + d], expected, 2e-5) << "row " << r << " dim " << d;  // scores of a few units in float32
    }
  }
}

TEST_P(FamilyRows, AttentionKeepsToWindowsInRings) {
  for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0})
    for (const std::uint32_t positions : {1u, 15u, 16u, 17u, 40u, 127u, 128u, 129u, 300u, 1000u})
      for (const std::uint32_t rows : {1u, 2u, 4u, 7u}) {
        expect_attention(kernels(), {64, 64, positions, 16, 32}, rows, type);    // a ring that just holds window and rows
        expect_attention(kernels(), {64, 64, positions, 100, 112}, rows, type);  // a window that spans blocks
        expect_attention(kernels(), {64, 64, positions, 200, 208}, rows, type);  // more than one span of the kernel
        expect_attention(kernels(), {64, 64, positions, 16, 0}, rows, type);     // a window in a whole cache
      }
}

TEST_P(FamilyRows, AttentionFollowsCapsAndSinks) {
  for (const float cap : {0.0f, 0.5f, 4.0f})
    for (const float sink : {AttentionRow::kNoSink, -2.0f, 0.0f, 3.0f})
      for (const std::uint32_t window : {0u, 16u}) expect_attention(kernels(), {32, 32, 150, window, window > 0 ? 32u : 0u, cap, sink}, 5, KvType::f16);
}

TEST_P(FamilyRows, AttentionTakesKeysWiderThanValues) {
  for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
    expect_attention(kernels(), {48, 32, 70, 0, 0}, 3, type);
    expect_attention(kernels(), {576, 512, 40, 0, 0}, 8, type);  // DeepSeek-V2's
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, FamilyRows, ::testing::ValuesIn(runnable_kernels()), [](const auto& param) { return std::string(param.param->name); });

}  // namespace
}  // namespace assay::test

// Kernels on float rows: quantiser, norm, gate and attention against their formulas in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "runtime/core/aligned.h"
#include "tests/kernels/support.h"

namespace assay::test {
namespace {

class Rows : public KernelsTest {};

TEST_P(Rows, QuantizerKeepsHalfALevelAndPadsWithZeros) {
  for (const bool is_whole : {false, true})
    for (const std::uint32_t cols : {1u, 31u, 32u, 64u, 250u, 256u, 300u, 576u}) {
      const RandomInputs inputs(kernels(), 1, cols, cols, is_whole);
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

// Within a chunk scales are whole multiples of a 127th of the largest, which is a 127th of the largest value: sums of products by whole
// scales rest on it. Groups a hundred times apart, one of zeros, and one that rounds up to a step of its own.
TEST_P(Rows, QuantizerScalesAreWholeStepsOfTheirChunk) {
  constexpr std::uint32_t kGroups = 16;
  const float sizes[kGroups] = {1, 0.01f, 0, 1e-6f, 0.5f, 0.333f, 0.999f, 3, 7, 7, 7, 7, 7, 7, 7, 1e-30f};
  RandomInputs inputs(kernels(), 1, 32 * kGroups, 5);
  for (std::uint32_t i = 0; i < 32 * kGroups; ++i) inputs.values[i] *= sizes[i / 32];
  inputs.quantize(kernels());
  for (std::uint32_t chunk = 0; chunk < 2; ++chunk) {
    const float largest = *std::max_element(inputs.scales.begin() + 16 * chunk, inputs.scales.begin() + 16 * (chunk + 1));
    float top_value = 0;
    for (std::uint32_t i = 256 * chunk; i < 256 * (chunk + 1); ++i) top_value = std::max(top_value, std::abs(inputs.values[i]));
    EXPECT_NEAR(largest, top_value / 127, 1e-6f * largest);
    for (std::uint32_t g = 0; g < 8; ++g) {
      float top = 0;
      for (std::uint32_t i = 0; i < 32; ++i) top = std::max(top, std::abs(inputs.values[256 * chunk + 32 * g + i]));
      const float scale = inputs.scales[16 * chunk + 2 * g], steps = scale / largest * 127;
      EXPECT_NEAR(steps, std::round(steps), 1e-4f) << g;
      EXPECT_EQ(scale, inputs.scales[16 * chunk + 2 * g + 1]) << g;
      EXPECT_LE(scale * 127, top * (1 + 1e-6f) + largest) << g;  // not more than one step above what the group needs
    }
  }
}

TEST_P(Rows, QuantizerPassesOnWhatIsNotFinite) {
  for (const bool is_whole : {false, true})
    for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      RandomInputs inputs(kernels(), 1, 512, 5, is_whole);
      inputs.values[300] = odd;
      inputs.quantize(kernels());
      EXPECT_FALSE(std::isfinite(inputs.scales[(300 - 256) / 16 + 16]));
      for (std::uint32_t g = 0; g < 16; ++g) EXPECT_TRUE(std::isfinite(inputs.scales[g]) && std::isfinite(inputs.sums[g])) << "the other chunk";
    }
}

TEST_P(Rows, QuantizerOfZerosIsZero) {
  const std::vector<float> zeros(64, 0.0f);
  for (const bool is_whole : {false, true}) {
    std::vector<std::int8_t> levels(256, 9);
    std::vector<float> scales(16, 9.0f), sums(16, 9.0f);
    kernels().quantize(zeros.data(), 64, is_whole, levels.data(), scales.data(), sums.data());
    for (const std::int8_t level : levels) EXPECT_EQ(level, 0);
    for (const float scale : scales) EXPECT_EQ(scale, 0.0f);
  }
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

// Whole panels have code of their own in some tables; what they hold is the same to the bit, also where inputs are zero, tiny or
// not numbers (of those, that scales are NaN is enough).
TEST_P(Rows, PackedLevelsAreTheSameInEveryTable) {
  const Kernels& plain = *kernels_named("scalar");
  for (const Packing packing : {Packing::levels32, Packing::levels64, Packing::signed32, Packing::signed64})
    for (const std::uint32_t inputs : {kPanel, 2 * kPanel - 1}) {
      const std::uint32_t cols = 2 * kChunk + 40, chunks = chunks_of(cols);
      std::vector<float> values = random(std::size_t{inputs} * cols, inputs);
      std::fill_n(values.begin() + 64, 64, 0.0f);
      std::fill_n(values.begin() + 128, 64, 1e-32f);
      values[cols + 7] = std::numeric_limits<float>::quiet_NaN();
      values[2 * cols + 200] = 1e6f;
      PackedInputs expected{packing, inputs, cols, nullptr}, packed = expected;
      AlignedBuffer<std::byte> expected_memory(expected.bytes()), memory(packed.bytes());
      expected.panels = expected_memory.data(), packed.panels = memory.data();
      for (std::uint32_t p = 0; p < panels_of(inputs); ++p) plain.pack(values.data(), expected, p), kernels().pack(values.data(), packed, p);
      for (std::uint32_t chunk = 0; chunk < chunks; ++chunk)
        for (std::uint32_t p = 0; p < panels_of(inputs); ++p) {
          const LevelPanel &a = *expected.panel<LevelPanel>(chunk, p), &b = *packed.panel<LevelPanel>(chunk, p);
          for (std::uint32_t c = 0; c < kPanel; ++c) {
            SCOPED_TRACE(testing::Message() << "inputs " << inputs << " chunk " << chunk << " panel " << p << " column " << c);
            if (std::isnan(a.scales[0][c])) {
              for (std::uint32_t g = 0; g < kChunk / 32; ++g) EXPECT_EQ(std::isnan(a.scales[g][c]), std::isnan(b.scales[g][c]));
              continue;
            }
            for (std::uint32_t k = 0; k < kChunk; ++k) ASSERT_EQ(a.levels[k / 4][c][k % 4], b.levels[k / 4][c][k % 4]) << k;
            for (std::uint32_t g = 0; g < kChunk / 32; ++g) {
              EXPECT_EQ(a.scales[g][c], b.scales[g][c]);
              if (has_sums(packing)) {
                EXPECT_EQ(a.sums[g][c], b.sums[g][c]);
              }
              if (!has_pairs(packing)) continue;
              EXPECT_EQ(a.pair_scales[c], b.pair_scales[c]);
              for (int i = 0; i < 2; ++i) EXPECT_EQ(a.pairs16[g][c][i], b.pairs16[g][c][i]);
              EXPECT_EQ(a.pairs32[g / 2][c][g % 2], b.pairs32[g / 2][c][g % 2]);
            }
          }
        }
    }
}

// Words hold what signed bytes hold, also where whole panels of bytes have code of their own.
TEST_P(Rows, PackedWordsAreTheSignedLevels) {
  const Kernels& plain = *kernels_named("scalar");
  const std::uint32_t inputs = 2 * kPanel - 1, cols = 2 * kChunk + 40;
  const std::vector<float> values = random(std::size_t{inputs} * cols, 3);
  PackedInputs bytes{Packing::signed32, inputs, cols, nullptr}, words{Packing::words32, inputs, cols, nullptr};
  AlignedBuffer<std::byte> bytes_memory(bytes.bytes()), words_memory(words.bytes());
  bytes.panels = bytes_memory.data(), words.panels = words_memory.data();
  for (std::uint32_t p = 0; p < panels_of(inputs); ++p) plain.pack(values.data(), bytes, p), kernels().pack(values.data(), words, p);
  for (std::uint32_t chunk = 0; chunk < chunks_of(cols); ++chunk)
    for (std::uint32_t p = 0; p < panels_of(inputs); ++p) {
      const LevelPanel& a = *bytes.panel<LevelPanel>(chunk, p);
      const WordPanel& b = *words.panel<WordPanel>(chunk, p);
      for (std::uint32_t c = 0; c < kPanel; ++c) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk << " panel " << p << " column " << c);
        for (std::uint32_t k = 0; k < kChunk; ++k) ASSERT_EQ(static_cast<std::int8_t>(a.levels[k / 4][c][k % 4]), b.levels[k / 2][c][k % 2]) << k;
        for (std::uint32_t g = 0; g < kChunk / 32; ++g) {
          EXPECT_EQ(a.scales[g][c], b.scales[g][c]);
          EXPECT_EQ(a.sums[g][c], b.sums[g][c]);
        }
      }
    }
}

// What q8_0 keeps of a row: a scale for 32 values, rounded to F16, and the nearest of 255 levels.
void round_to_q8_0(float* row, std::uint32_t count) {
  for (std::uint32_t first = 0; first < count; first += kKvGroup) {
    const std::uint32_t end = std::min(count, first + kKvGroup);
    float top = 0;
    for (std::uint32_t i = first; i < end; ++i) top = std::max(top, std::abs(row[i]));
    const float scale = to_float(to_half(top / 127.0f)), inverse = scale > 0 ? 1.0f / scale : 0.0f;
    for (std::uint32_t i = first; i < end; ++i) row[i] = std::clamp(std::nearbyint(row[i] * inverse), -127.0f, 127.0f) * scale;
  }
}

// A cache of one head, every bit set: unwritten positions hold NaN, which must never matter.
struct OneHead {
  OneHead(KvType type, std::uint32_t dim, std::uint32_t value_dim, std::uint32_t positions)
      : room((positions + kKeyBlock - 1) / kKeyBlock * kKeyBlock),
        keys(std::size_t{room} * dim * kv_value_bytes(type), std::byte{0xff}),
        values(std::size_t{room} * padded_dim_of(value_dim) * kv_value_bytes(type), std::byte{0xff}),
        key_scales(std::size_t{room} * kv_groups(type, dim), 0xffff),
        value_scales(std::size_t{room} * kv_groups(type, value_dim), 0xffff),
        view{type, dim, padded_dim_of(value_dim), keys.data(), values.data(), key_scales.data(), value_scales.data(), value_dim} {}
  std::uint32_t room;
  std::vector<std::byte> keys, values;
  std::vector<std::uint16_t> key_scales, value_scales;
  KvView view;
};

float round_to_bfloat16(float value) { return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x7fff + (std::bit_cast<std::uint32_t>(value) >> 16 & 1)) & 0xffff0000); }

struct AttentionCase {
  std::uint32_t dim, positions, rows;
  KvType type = KvType::f16;
  float size = 1;               // of keys and values
  std::uint32_t ring = 0;       // positions there is room for, when rows see the last 40 alone
  std::uint32_t value_dim = 0;  // 0: dim
  float cap = 0;
};

// Softmax attention over a cache filled position by position, against the formula on what the cache holds.
void expect_attention(const Kernels& kernels, const AttentionCase& c) {
  const std::uint32_t dim = c.dim, value_dim = c.value_dim > 0 ? c.value_dim : dim, rows = c.rows;
  SCOPED_TRACE(testing::Message() << kernels.name << ": " << dim << " dim, values " << value_dim << ", " << c.positions << " positions, ring " << c.ring << ", " << rows << " rows, cap " << c.cap
                                  << ", " << name_of(c.type));
  OneHead cache(c.type, dim, value_dim, c.ring > 0 ? c.ring : c.positions);
  if (c.ring > 0) cache.view.positions = c.ring;
  const KvView& kv = cache.view;
  std::mt19937 engine(dim + c.positions);
  std::normal_distribution<float> normal;
  std::vector<float> k(std::size_t{c.positions} * dim), v(std::size_t{c.positions} * value_dim);
  for (std::vector<float>* each : {&k, &v})
    for (float& value : *each) value = c.size * normal(engine);
  for (std::uint32_t at = 0; at < c.positions; ++at) kernels.store_kv(k.data() + at * dim, v.data() + at * value_dim, at % kv.positions, kv);
  if (c.type == KvType::f16)
    for (std::vector<float>* each : {&k, &v})
      for (float& value : *each) value = to_float(to_half(value));
  if (c.type == KvType::q8_0)
    for (std::uint32_t at = 0; at < c.positions; ++at) round_to_q8_0(k.data() + at * dim, dim), round_to_q8_0(v.data() + at * value_dim, value_dim);

  std::vector<float> query(std::size_t{rows} * dim), out(std::size_t{rows} * value_dim);
  for (float& value : query) value = normal(engine) * 2;
  std::vector<AttentionRow> tasks(rows);
  for (std::uint32_t r = 0; r < rows; ++r) {
    const std::uint32_t visible = c.ring > 0 ? c.positions - r : c.positions - std::min(c.positions - 1, r * 3);
    const std::uint32_t first = c.ring > 0 ? visible - 40 : r % 3 == 1 ? visible / 2 : 0;
    tasks[r] = {query.data() + r * dim, out.data() + r * value_dim, visible, first, r % 4 == 2 ? 0.5f : AttentionRow::kNoSink};
  }
  const ScoreRule rule{1.0f / std::sqrt(static_cast<float>(dim)), c.cap};
  const bool rounds = rows > kAttentionRows;
  (rounds ? kernels.attend_many : kernels.attend)(kv, tasks.data(), rows, rule);
  if (rounds)
    for (std::vector<float>* given : {&k, &v, &query})
      for (float& value : *given) value = round_to_bfloat16(value);

  for (std::uint32_t r = 0; r < rows; ++r) {
    std::vector<double> weights(tasks[r].visible);
    const bool has_sink = tasks[r].sink > AttentionRow::kNoSink;
    double top = has_sink ? tasks[r].sink : -1e300;
    for (std::uint32_t at = tasks[r].first; at < tasks[r].visible; ++at) {
      double dot = 0;
      for (std::uint32_t d = 0; d < dim; ++d) dot += static_cast<double>(query[r * dim + d]) * k[at * dim + d];
      weights[at] = c.cap > 0 ? c.cap * std::tanh(dot * rule.scale / c.cap) : dot * rule.scale;
      top = std::max(top, weights[at]);
    }
    double total = has_sink ? std::exp(tasks[r].sink - top) : 0;
    for (std::uint32_t at = tasks[r].first; at < tasks[r].visible; ++at) total += weights[at] = std::exp(weights[at] - top);
    for (std::uint32_t d = 0; d < value_dim; ++d) {
      double expected = 0, magnitude = 0;
      for (std::uint32_t at = tasks[r].first; at < tasks[r].visible; ++at) {
        expected += weights[at] / total * v[at * value_dim + d];
        magnitude += weights[at] / total * std::abs(v[at * value_dim + d]);
      }
      // Scores of a few units in float32, and the rounding of shares to eight bits: 2^-8 each at most.
      ASSERT_NEAR(out[r * value_dim + d], expected, 2e-5 + (rounds ? 0x1p-8 * magnitude : 0)) << "row " << r << " dim " << d;
    }
  }
}

TEST_P(Rows, AttentionEqualsSoftmaxOfTheCache) {
  for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0})
    for (const std::uint32_t dim : {16u, 24u, 64u, 80u, 96u, 128u, 256u})
      for (const std::uint32_t positions : {1u, 15u, 16u, 17u, 128u, 129u, 300u}) expect_attention(kernels(), {.dim = dim, .positions = positions, .rows = 1 + (dim + positions) % 8, .type = type});
  for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0})
    for (std::uint32_t rows = 1; rows <= kAttentionRows; ++rows) expect_attention(kernels(), {.dim = 64, .positions = 140, .rows = rows, .type = type});
}

TEST_P(Rows, AttentionOfManyRowsEqualsSoftmaxOfWhatWasRounded) {
  if (kernels().attend_many == nullptr) GTEST_SKIP() << kernels().name << " has no multiply-adds of bfloat16";
  for (const std::uint32_t dim : {16u, 24u, 64u, 65u, 80u, 96u, 128u, 256u, kMaxHeadDim})
    for (const std::uint32_t positions : {9u, 15u, 16u, 17u, 64u, 65u, 143u, 300u})
      expect_attention(kernels(), {.dim = dim, .positions = positions, .rows = kAttentionRows + 1 + (dim + positions) % (kAttentionManyRows - kAttentionRows)});
  for (std::uint32_t rows = kAttentionRows + 1; rows <= kAttentionManyRows; ++rows) expect_attention(kernels(), {.dim = 64, .positions = 140, .rows = rows});
}

// Latent attention, values of another width than keys, capped scores.
TEST_P(Rows, AttentionOfOtherShapes) {
  for (const std::uint32_t rows : {1u, 3u, 8u, 9u, kAttentionManyRows})
    if (rows <= kAttentionRows || kernels().attend_many != nullptr)
      for (const std::uint32_t positions : {5u, 70u, 150u}) {
        expect_attention(kernels(), {.dim = 576, .positions = positions, .rows = rows, .value_dim = 512});
        expect_attention(kernels(), {.dim = 64, .positions = positions, .rows = rows, .value_dim = 24});
        expect_attention(kernels(), {.dim = 24, .positions = positions, .rows = rows, .value_dim = 65, .cap = 3});
      }
}

TEST_P(Rows, AttentionWalksRoundARing) {
  for (const std::uint32_t ring : {96u, 112u})
    for (const std::uint32_t positions : {100u, 112u, 150u, 193u, 230u})
      for (const std::uint32_t rows : {1u, 5u, 8u, 9u, 30u, kAttentionManyRows})
        if (rows <= kAttentionRows || kernels().attend_many != nullptr) expect_attention(kernels(), {.dim = 64, .positions = positions, .rows = rows, .ring = ring});
}

TEST_P(Rows, RotationTurnsEveryPairByItsAngle) {
  for (const bool neighbours : {false, true})
    for (const std::uint32_t pairs : {1u, 5u, 16u, 20u, 32u, 64u}) {
      std::mt19937 engine(pairs);
      std::uniform_real_distribution<float> angle(-3, 3);
      std::vector<float> values(2 * pairs + 1, 7.0f), cosines, sines, angles(pairs);
      for (std::uint32_t i = 0; i < 2 * pairs; ++i) values[i] = angle(engine);
      for (float& each : angles) {
        each = angle(engine);
        cosines.insert(cosines.end(), neighbours ? 2 : 1, std::cos(each));
        if (neighbours) sines.push_back(-std::sin(each));
        sines.push_back(std::sin(each));
      }
      const std::vector<float> before = values;
      kernels().rotate(values.data(), cosines.data(), sines.data(), pairs, neighbours);
      for (std::uint32_t pair = 0; pair < pairs; ++pair) {
        const std::uint32_t first = neighbours ? 2 * pair : pair, second = neighbours ? first + 1 : pair + pairs;
        const double a = before[first], b = before[second], cosine = std::cos(angles[pair]), sine = std::sin(angles[pair]);
        EXPECT_NEAR(values[first], a * cosine - b * sine, 1e-6) << neighbours << " " << pairs << " pair " << pair;
        EXPECT_NEAR(values[second], a * sine + b * cosine, 1e-6) << neighbours << " " << pairs << " pair " << pair;
      }
      EXPECT_EQ(values.back(), 7.0f);  // nothing beyond the pairs is touched
    }
}

// Scales below F16's normal numbers are rounded by up to half, and to zero below 3e-8: levels must not overflow.
TEST_P(Rows, TinyValuesOfAnEightBitCacheStayFinite) {
  for (const float size : {1e-5f, 1e-6f, 1e-9f, 0.0f}) expect_attention(kernels(), {.dim = 64, .positions = 40, .rows = 3, .type = KvType::q8_0, .size = size});
}

TEST_P(Rows, NaNInAnEightBitCacheIsSeen) {
  OneHead cache(KvType::q8_0, 64, 64, 16);
  std::vector<float> k(64, 1.0f), v(64, 1.0f);
  for (std::uint32_t at = 0; at < 3; ++at) kernels().store_kv(k.data(), v.data(), at, cache.view);
  v[40] = std::numeric_limits<float>::quiet_NaN();
  kernels().store_kv(k.data(), v.data(), 3, cache.view);
  std::vector<float> query(64, 1.0f), out(64);
  const AttentionRow row{query.data(), out.data(), 4};
  kernels().attend(cache.view, &row, 1, {0.1f});
  EXPECT_TRUE(std::isnan(out[40]));
  EXPECT_NEAR(out[0], 1.0f, 1e-3);  // 127 levels of a scale with 11 bits
}

INSTANTIATE_TEST_SUITE_P(Isa, Rows, ::testing::ValuesIn(runnable_kernels()), [](const auto& param) { return std::string(param.param->name); });

}  // namespace
}  // namespace assay::test

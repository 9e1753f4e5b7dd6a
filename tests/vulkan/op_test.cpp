// Ops beside weights against plain loops: products of many inputs, norms, rope, caches, attention; and what memory and validation do.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/vulkan/support.h"

namespace assay {
using namespace test;
using vulkan::Multiply;
using vulkan::Ops;
using vulkan::Rows;
namespace {

vulkan::DeviceWeight load(Gpu& on, const TensorView& view) {
  auto weight = vulkan::load_weight(on.memory, on.device, view);
  EXPECT_TRUE(weight) << weight.error().message();
  return *weight;
}

// Products with all magnitudes of a result added up: what a bound is a share of.
struct Truth {
  std::vector<double> products, magnitudes;
};
Truth multiply(std::span<const float> weights, std::span<const float> inputs, std::uint32_t rows, std::uint32_t cols) {
  Truth truth;
  for (std::size_t token = 0; token < inputs.size() / cols; ++token)
    for (std::uint32_t row = 0; row < rows; ++row) {
      double sum = 0, magnitude = 0;
      for (std::uint32_t i = 0; i < cols; ++i) {
        const double product = static_cast<double>(weights[std::size_t{row} * cols + i]) * inputs[token * cols + i];
        sum += product;
        magnitude += std::abs(product);
      }
      truth.products.push_back(sum);
      truth.magnitudes.push_back(magnitude);
    }
  return truth;
}

// Returns the largest difference as a share of its sum of magnitudes.
double expect_products(const Truth& truth, std::span<const float> found, double share) {
  double worst = 0;
  EXPECT_EQ(found.size(), truth.products.size());
  for (std::size_t i = 0; i < std::min(found.size(), truth.products.size()); ++i) {
    const double difference = std::abs(found[i] - truth.products[i]);
    EXPECT_LE(difference, truth.magnitudes[i] * share + 1e-6) << i << ": " << found[i] << " for " << truth.products[i];
    if (truth.magnitudes[i] > 0) worst = std::max(worst, difference / truth.magnitudes[i]);
  }
  return worst;
}

// Relative to the sum of magnitudes. Floats: additions in another order. Halves: two roundings to 11 bits. Levels: inputs rounded to 1/254 of
// the largest of 32, weights as they are.
double bound_of(Multiply how) { return how == Multiply::floats ? 2e-6 : how == Multiply::levels ? 1.2e-2 : 1.2e-3; }

std::vector<float> run_matmul(Gpu& on, Multiply how, const vulkan::DeviceWeight& weight, const std::vector<float>& inputs, std::uint32_t count) {
  const Rows from = on.put_rows(inputs, weight.cols), to = on.make_rows(count, weight.rows);
  if (how != Multiply::levels) {
    on.run({on.ops.matmul(how, weight, from, 0, count, to, false)});
  } else {
    const vulkan::Buffer levels = on.make(std::uint64_t{count} * from.stride), facts = on.make(std::uint64_t{count} * from.stride / 2);
    on.run({on.ops.quantize(from, count, levels.address, facts.address),
            on.ops.matmul(how, weight, {levels.address, from.stride, from.cols}, facts.address, count, to, false)});
  }
  return on.take_rows(to, count);
}

class MatMul : public ::testing::TestWithParam<FormatId> {};

// 70 rows and 67 inputs: more than a tile of each, and not a whole number of them.
TEST_P(MatMul, GivesTheProductsInEveryWay) {
  constexpr std::uint32_t kRows = 70, kCols = 256, kCount = 67;
  const Bits bits = random_bits(GetParam(), kRows, kCols, 4, 10.0f, 1e-3f);
  const std::vector<float> inputs = random_floats(std::size_t{kCount} * kCols, 5);
  const Truth truth = multiply(truth_of(bits.view), inputs, kRows, kCols);
  const vulkan::DeviceWeight weight = load(gpu(), bits.view);
  int ways = 0;
  for (const Multiply how : {Multiply::floats, Multiply::halves, Multiply::levels, Multiply::matrices}) {
    if (!gpu().ops.can_multiply(how, weight.format)) continue;
    ++ways;
    SCOPED_TRACE(static_cast<int>(how));
    RecordProperty(std::string(name_of(how)), std::to_string(expect_products(truth, run_matmul(gpu(), how, weight, inputs, kCount), bound_of(how)) * 1e6));
  }
  EXPECT_GE(ways, gpu().device.facts().has_cooperative_matrix ? 2 : 1);
}

// Every format by its levels or floats is proven at one subgroup size; that there is no subgroup operation in these shaders is why one is enough.
INSTANTIATE_TEST_SUITE_P(All, MatMul, ::testing::ValuesIn(kernel_formats()), [](const auto& param) { return test_name(param.param); });

// Odd shapes: one row, rows that are no multiple of anything, columns that are no multiple of 8, sums onto what is there, biases.
TEST(Products, OddShapesBiasesAndSums) {
  const struct {
    FormatId format;
    std::uint32_t rows, cols;
  } cases[] = {{FormatId::F32, 1, 1}, {FormatId::F16, 3, 37}, {FormatId::BF16, 65, 130}, {FormatId::Q4_K, 1, 256}, {FormatId::Q8_0, 129, 96}, {FormatId::Q6_K, 67, 512}, {FormatId::I8, 5, 51}};
  for (const auto& [format, rows, cols] : cases) {
    SCOPED_TRACE(std::string(name_of(format)) + " " + std::to_string(rows) + "x" + std::to_string(cols));
    const Bits bits = random_bits(format, rows, cols, 6, 10.0f);
    const vulkan::DeviceWeight weight = load(gpu(), bits.view);
    const std::vector<float> bias = random_floats(rows, 7);
    const vulkan::Buffer bias_buffer = gpu().put(bias);
    for (const std::uint32_t count : {1u, 3u, 9u}) {
      const std::vector<float> inputs = random_floats(std::size_t{count} * cols, 8), start = random_floats(std::size_t{count} * rows, 9);
      Truth truth = multiply(truth_of(bits.view), inputs, rows, cols);
      for (std::size_t i = 0; i < truth.products.size(); ++i) truth.products[i] += start[i] + bias[i % rows];
      const Rows from = gpu().put_rows(inputs, cols), to = gpu().put_rows(start, rows);
      gpu().run({count <= Ops::kMostColumns ? gpu().ops.matvec(weight, from, count, to, true, bias_buffer.address)
                                            : gpu().ops.matmul(Multiply::floats, weight, from, 0, count, to, true, bias_buffer.address)});
      expect_products(truth, gpu().take_rows(to, count), 3e-6);
    }
  }
}

// More rows than one dimension of a dispatch takes workgroups, and more bytes than maxStorageBufferRange: addresses know no such limit.
TEST(Products, AWeightAboveTheStorageBufferRange) {
  constexpr std::uint32_t kCols = 1088, kRows = 131072;
  const Bits some = random_bits(FormatId::Q8_0, 64, kCols, 10, 10.0f);
  ASSERT_GT(std::uint64_t{kRows} * some.view.row_bytes(), std::uint64_t{128} << 20);
  std::vector<std::byte> data;
  data.reserve(std::size_t{kRows} * some.view.row_bytes());
  for (std::uint32_t row = 0; row < kRows; row += 64) data.insert(data.end(), some.data.begin(), some.data.end());
  TensorView view = some.view;
  view.shape = {kRows, kCols};
  view.data = data;
  Gpu own;
  const vulkan::DeviceWeight weight = load(own, view);
  const std::vector<float> inputs = random_floats(kCols, 11);
  const Truth truth = multiply(truth_of(some.view), inputs, 64, kCols);
  const Rows from = own.put_rows(inputs, kCols), to = own.make_rows(1, kRows);
  own.run({own.ops.matvec(weight, from, 1, to, false)});
  const std::vector<float> found = own.take_rows(to, 1);
  for (std::size_t row = 0; row < found.size(); ++row) ASSERT_NEAR(found[row], truth.products[row % 64], truth.magnitudes[row % 64] * 2e-6) << row;
}

TEST(Norms, RmsLayerAndPerHead) {
  constexpr std::uint32_t kTokens = 5;
  for (const std::uint32_t cols : {64u, 80u, 257u}) {
    for (const bool is_layer : {false, true}) {
      for (const std::uint32_t heads : {1u, 3u}) {
        const std::vector<float> x = random_floats(std::size_t{kTokens} * cols * heads, 12), weight = random_floats(cols, 13), bias = random_floats(cols, 14);
        const vulkan::Buffer weights = gpu().put(weight), biases = gpu().put(bias);
        const Rows rows = gpu().put_rows(x, cols * heads);
        gpu().run({gpu().ops.norm({is_layer, weights.address, is_layer ? biases.address : 0, heads, cols, cols, 1e-5f}, rows, rows, kTokens)});
        const std::vector<float> found = gpu().take_rows(rows, kTokens);
        for (std::size_t at = 0; at < x.size(); at += cols) {
          double mean = 0, squares = 0;
          for (std::uint32_t i = 0; i < cols && is_layer; ++i) mean += x[at + i] / static_cast<double>(cols);
          for (std::uint32_t i = 0; i < cols; ++i) squares += (x[at + i] - mean) * (x[at + i] - mean);
          const double scale = 1 / std::sqrt(squares / cols + 1e-5);
          for (std::uint32_t i = 0; i < cols; ++i) ASSERT_NEAR(found[at + i], (x[at + i] - mean) * scale * weight[i] + (is_layer ? bias[i] : 0), 1e-5) << cols << " " << i;
        }
      }
    }
  }
}

struct AttentionCase {
  std::uint32_t dim, heads, kv_heads;
  KvType type;
  std::uint32_t splits, window;
  float cap;
  bool sinks;
};

// Two sequences: one decodes, one reads five tokens; positions 37 and 0.
void expect_attention(const AttentionCase& c) {
  SCOPED_TRACE("dim " + std::to_string(c.dim) + ", type " + std::to_string(static_cast<int>(c.type)) + ", splits " + std::to_string(c.splits) + ", window " + std::to_string(c.window));
  constexpr std::uint32_t kPositions = 64, kSequences = 2, kHistory = 37;
  const std::uint32_t group = c.heads / c.kv_heads, width = c.kv_heads * c.dim;
  // Everything that is ever stored: sequence 0 has kHistory + 1 tokens, sequence 1 five.
  const std::vector<float> keys = random_floats(std::size_t{kHistory + 6} * width, 15), values = random_floats(keys.size(), 16);
  const std::vector<float> queries = random_floats(std::size_t{6} * c.heads * c.dim, 17), sinks = random_floats(c.heads, 18);
  std::vector<vulkan::TokenFacts> stored;
  for (std::uint32_t i = 0; i <= kHistory; ++i) stored.push_back({0, 0, i, 0});
  for (std::uint32_t i = 0; i < 5; ++i) stored.push_back({0, 1, i, 0});
  const std::uint64_t bytes = std::uint64_t{kSequences} * kPositions * width * kv_value_bytes(c.type), scale_bytes = std::uint64_t{kSequences} * kPositions * c.kv_heads * 2 * ((c.dim + 31) / 32);
  const Ops::Cache cache{gpu().make(bytes).address, gpu().make(bytes).address, gpu().make(scale_bytes).address, gpu().make(scale_bytes).address, c.kv_heads, kPositions, c.type};
  const vulkan::Buffer tokens = gpu().put(stored), sink_buffer = gpu().put(sinks);
  std::vector<vulkan::AttentionPiece> pieces;
  for (std::uint32_t row = 0; row < group; row += Ops::kAttentionRows) pieces.push_back({0, row, std::min(Ops::kAttentionRows, group - row), 0, kHistory, {}});
  for (std::uint32_t row = 0; row < 5 * group; row += Ops::kAttentionRows) pieces.push_back({1, row, std::min(Ops::kAttentionRows, 5 * group - row), 1, 0, {}});
  const vulkan::Buffer piece_buffer = gpu().put(pieces);
  const Rows key_rows = gpu().put_rows(keys, width), value_rows = gpu().put_rows(values, width);
  const Rows query = gpu().put_rows(queries, c.heads * c.dim), out = gpu().make_rows(6, c.heads * c.dim);
  const vulkan::Buffer parts = gpu().make(std::uint64_t{6} * c.heads * c.splits * (c.dim + 2) * 4);
  const float scale = 1 / std::sqrt(static_cast<float>(c.dim));
  const Ops::Attention attention{c.heads, c.dim, c.dim, c.dim, c.window, scale, c.cap, c.sinks ? sink_buffer.address : 0, piece_buffer.address, static_cast<std::uint32_t>(pieces.size()), c.splits};
  const std::uint32_t count = static_cast<std::uint32_t>(stored.size());
  const vulkan::Call store_keys = gpu().ops.store_kv(cache, false, key_rows, c.dim, tokens.address, count), store_values = gpu().ops.store_kv(cache, true, value_rows, c.dim, tokens.address, count);
  const vulkan::Call attend = gpu().ops.attend(attention, cache, query, out, parts.address);
  if (c.splits == 1)
    gpu().run({store_keys, store_values, attend});
  else
    gpu().run({store_keys, store_values, attend, gpu().ops.attend_join(attention, parts.address, out, 6)});
  const std::vector<float> found = gpu().take_rows(out, 6);
  // F32: rounding alone. F16: keys and values to 11 bits. Q8_0: to 1/254 of the largest of 32.
  const double bound = c.type == KvType::f32 ? 2e-5 : c.type == KvType::f16 ? 4e-3 : 6e-2;
  for (std::uint32_t token = 0; token < 6; ++token) {
    const std::uint32_t first = token == 0 ? 0 : kHistory + 1, seen = token == 0 ? kHistory + 1 : token;
    for (std::uint32_t head = 0; head < c.heads; ++head) {
      std::vector<double> scores;
      double top = c.sinks ? sinks[head] : -1e30;
      const std::uint32_t begin = c.window != 0 && seen > c.window ? seen - c.window : 0;
      for (std::uint32_t at = begin; at < seen; ++at) {
        double score = 0;
        for (std::uint32_t i = 0; i < c.dim; ++i) score += static_cast<double>(queries[(token * c.heads + head) * c.dim + i]) * keys[(first + at) * width + head / group * c.dim + i];
        score *= scale;
        if (c.cap > 0) score = c.cap * std::tanh(score / c.cap);
        scores.push_back(score);
        top = std::max(top, score);
      }
      double sum = c.sinks ? std::exp(sinks[head] - top) : 0;
      for (double& score : scores) sum += score = std::exp(score - top);
      for (std::uint32_t i = 0; i < c.dim; ++i) {
        double expected = 0;
        for (std::uint32_t at = begin; at < seen; ++at) expected += scores[at - begin] / sum * values[(first + at) * width + head / group * c.dim + i];
        ASSERT_NEAR(found[(token * c.heads + head) * c.dim + i], expected, bound) << "token " << token << ", head " << head << ", value " << i;
      }
    }
  }
}

TEST(Attention, EveryHeadSizeCacheTypeAndSplit) {
  for (const std::uint32_t dim : {64u, 80u, 96u, 128u, 256u})
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) expect_attention({dim, 6, 2, type, 1, 0, 0, false});
  expect_attention({64, 4, 4, KvType::f32, 3, 0, 0, false});
  expect_attention({128, 8, 1, KvType::f16, 7, 0, 0, false});
  expect_attention({80, 6, 2, KvType::f32, 1, 9, 0, false});
  expect_attention({64, 6, 2, KvType::f32, 4, 9, 30.0f, true});
  expect_attention({512, 4, 2, KvType::f32, 1, 0, 50.0f, true});
}

TEST(MemoryOfADevice, IsTheSameByStagingDirectlyAndByImport) {
  const Bits bits = random_bits(FormatId::Q4_K, 4096, 512, 19, 10.0f);
  ASSERT_GE(bits.data.size(), 1u << 20);
  const std::vector<float> inputs = random_floats(512, 20);
  std::vector<std::vector<float>> results;
  for (const bool staging : {false, true}) {
    Gpu own({.forces_staging = staging});
    const Rows from = own.put_rows(inputs, 512), to = own.make_rows(1, 4096);
    own.run({own.ops.matvec(load(own, bits.view), from, 1, to, false)});
    results.push_back(own.take_rows(to, 1));
    EXPECT_LE(own.memory.staging_bytes(), 16u << 20);
  }
  EXPECT_EQ(results[0], results[1]);
  // At an address that is none of a page's first ones.
  Gpu own;
  const auto imported = own.memory.import(std::span(bits.data).subspan(288));
  if (!own.device.facts().can_import_host_memory) GTEST_SKIP() << "the device does not import host memory";
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(own.memory.allocated_bytes() > 0, true);
}

// Two halves in turns: larger than both, ends in the middle of words, and many small ones together.
TEST(MemoryOfADevice, StagedBytesArriveWholeAndInTheirPlaces) {
  Gpu own({.forces_staging = true});
  std::mt19937 random(23);
  std::vector<std::byte> large((37u << 20) + 13);
  for (std::size_t i = 0; i + 4 <= large.size(); i += 4) {
    const auto word = static_cast<std::uint32_t>(random());
    std::memcpy(large.data() + i, &word, 4);
  }
  const vulkan::Buffer buffer = own.make(large.size() + 64);
  ASSERT_TRUE(own.memory.upload_later(large, buffer, 64));
  std::vector<vulkan::Buffer> places;
  for (std::size_t i = 0; i < 300; ++i) {
    places.push_back(own.make(101));
    ASSERT_TRUE(own.memory.upload_later(std::span(large).subspan(i * 1000, 101), places.back()));
  }
  ASSERT_TRUE(own.memory.finish_uploads());
  const auto found = own.take<std::byte>(buffer, large.size() + 64);
  EXPECT_TRUE(std::equal(large.begin(), large.end(), found.begin() + 64));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto small = own.take<std::byte>(places[i], 101);
    ASSERT_TRUE(std::equal(small.begin(), small.end(), large.begin() + static_cast<std::ptrdiff_t>(i * 1000))) << i;
  }
  EXPECT_LE(own.memory.staging_bytes(), 16u << 20);
}

TEST(MemoryOfADevice, SaysHowMuchWasAskedForWhenThereIsTooLittle) {
  const auto buffer = gpu().memory.allocate(std::uint64_t{1} << 45, vulkan::Where::device);
  ASSERT_FALSE(buffer);
  EXPECT_EQ(buffer.error().code, Code::memory);
  EXPECT_NE(buffer.error().message().find("--gpu-layers"), std::string::npos) << buffer.error().message();
}

TEST(Devices, OneThatIsNotThereIsNamedWithTheirNumber) {
  const auto device = vulkan::Device::open(99);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, Code::unsupported);
  EXPECT_NE(device.error().message().find("no device 99"), std::string::npos) << device.error().message();
}

TEST(Barriers, AreWhereOneDispatchNeedsAnother) {
  const vulkan::Call call = gpu().ops.elements(vulkan::Element::scale, gpu().make_rows(1, 32), {}, 1.0f, 1);
  ASSERT_TRUE(gpu().device.build_programs());
  vulkan::Recording recording(gpu().device);
  ASSERT_TRUE(recording.begin());
  const auto dispatch = [&](std::initializer_list<vulkan::Touch> touches) { recording.dispatch(call.program, {call.push.data(), call.push_bytes}, call.groups, {touches.begin(), touches.size()}); };
  dispatch({{1, true}});
  dispatch({{2, true}});  // another thing
  EXPECT_EQ(recording.barriers(), 0u);
  dispatch({{1}, {3, true}});  // reads what was written
  EXPECT_EQ(recording.barriers(), 1u);
  dispatch({{2}});  // written before the barrier
  dispatch({{1}});  // two readers
  EXPECT_EQ(recording.barriers(), 1u);
  dispatch({{1, true}});  // writes what is read
  EXPECT_EQ(recording.barriers(), 2u);
  ASSERT_TRUE(recording.end());
  EXPECT_EQ(recording.dispatches(), 6u);
}

}  // namespace
}  // namespace assay

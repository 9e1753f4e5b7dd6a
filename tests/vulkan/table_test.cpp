// Matrices behind a table, the choice of experts, and the choice of a token, against plain loops.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/engine/sampler.h"
#include "tests/vulkan/support.h"

namespace assay {
using namespace test;
using vulkan::Ops;
using vulkan::Rows;
namespace {

constexpr std::uint32_t kMatrices = 5, kTokens = 3, kParts = 2, kRows = 37, kCols = 256;

// Matrices with random bits, in the order of the table.
struct Matrices {
  std::vector<Bits> bits;
  std::vector<std::vector<float>> truth;
  vulkan::DeviceTable table;

  explicit Matrices(FormatId format, std::span<const std::uint64_t> biases = {}) {
    std::vector<const TensorView*> views;
    for (std::uint32_t i = 0; i < kMatrices; ++i) bits.push_back(random_bits(format, kRows, kCols, 30 + i, 10.0f));
    for (const Bits& one : bits) {
      truth.push_back(truth_of(one.view));
      views.push_back(&one.view);
    }
    auto loaded = vulkan::load_table(gpu().memory, gpu().device, views, biases);
    EXPECT_TRUE(loaded) << loaded.error().message();
    if (loaded) table = *loaded;
  }
  // A row's product with an input, and what differences are a share of.
  std::pair<double, double> product(std::uint32_t matrix, std::uint32_t row, const float* input) const {
    double sum = 0, magnitude = 0;
    for (std::uint32_t i = 0; i < kCols; ++i) {
      const double product = static_cast<double>(truth[matrix][row * kCols + i]) * input[i];
      sum += product;
      magnitude += std::abs(product);
    }
    return {sum, magnitude};
  }
};

struct Choice {
  std::uint32_t matrix;
  float weight;
};
const std::vector<Choice> kChoices = {{4, 0.75f}, {1, 0.25f}, {0, 1.5f}, {4, -0.5f}, {2, 0.0f}, {3, 1.0f}};  // [token][part]

class Table : public ::testing::TestWithParam<FormatId> {};

// Parts as experts take them: gates of one input for all parts of a token; downs of an input for each, weighted, onto what is there.
TEST_P(Table, ChosenMatricesGiveTheirProductsAndTheirWeightedSums) {
  std::vector<std::uint64_t> biases;
  std::vector<std::vector<float>> bias_values;
  for (std::uint32_t i = 0; i < kMatrices; ++i) {
    bias_values.push_back(random_floats(kRows, 40 + i));
    biases.push_back(gpu().put(bias_values.back()).address);
  }
  const Matrices matrices(GetParam(), biases);
  const vulkan::Buffer choices = gpu().put(kChoices);
  const std::uint32_t stride = vulkan::stride_of(kRows);

  const std::vector<float> inputs = random_floats(kTokens * kCols, 50);
  const Rows from = gpu().put_rows(inputs, kCols), slots = gpu().make_rows(kTokens * kParts, kRows);
  gpu().run({gpu().ops.matvec_parts(matrices.table, {.parts = kParts, .choices = choices.address, .to_part = stride}, from, kTokens, {slots.address, kParts * stride, kRows})});
  const std::vector<float> each = gpu().take_rows(slots, kTokens * kParts);
  for (std::uint32_t slot = 0; slot < kTokens * kParts; ++slot)
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const auto [product, magnitude] = matrices.product(kChoices[slot].matrix, row, inputs.data() + slot / kParts * kCols);
      ASSERT_NEAR(each[slot * kRows + row], product + bias_values[kChoices[slot].matrix][row], magnitude * 2e-6 + 1e-6) << slot << " " << row;
    }

  const std::vector<float> own_inputs = random_floats(kTokens * kParts * kCols, 51), start = random_floats(kTokens * kRows, 52);
  const Rows own = gpu().put_rows(own_inputs, kCols), sums = gpu().put_rows(start, kRows);
  gpu().run({gpu().ops.matvec_join(matrices.table, {.parts = kParts, .choices = choices.address, .from_part = own.stride}, {own.address, kParts * own.stride, kCols}, kTokens, sums)});
  const std::vector<float> joined = gpu().take_rows(sums, kTokens);
  for (std::uint32_t token = 0; token < kTokens; ++token)
    for (std::uint32_t row = 0; row < kRows; ++row) {
      double expected = start[token * kRows + row], magnitudes = std::abs(expected);
      for (std::uint32_t slot = token * kParts; slot < (token + 1) * kParts; ++slot) {
        const auto [product, magnitude] = matrices.product(kChoices[slot].matrix, row, own_inputs.data() + slot * kCols);
        expected += kChoices[slot].weight * (product + bias_values[kChoices[slot].matrix][row]);
        magnitudes += std::abs(kChoices[slot].weight) * magnitude;
      }
      ASSERT_NEAR(joined[token * kRows + row], expected, magnitudes * 2e-6 + 1e-6) << token << " " << row;
    }
}

// Two matrices for each choice: a gate and an up.
TEST_P(Table, PairsGiveTheActivationOfGateAndUp) {
  std::vector<std::uint64_t> biases;
  std::vector<std::vector<float>> bias_values;
  for (std::uint32_t i = 0; i < kMatrices; ++i) {
    bias_values.push_back(random_floats(kRows, 80 + i));
    biases.push_back(gpu().put(bias_values.back()).address);
  }
  const Matrices matrices(GetParam(), biases);
  const std::vector<Choice> pairs = {{1, 1}, {0, 1}, {0, 1}, {1, 1}, {1, 1}, {1, 1}};  // of five matrices two pairs
  const vulkan::Buffer choices = gpu().put(pairs);
  std::vector<float> inputs = random_floats(kTokens * kCols, 54);
  for (float& input : inputs) input *= 0.01f;  // where activations bend
  const Rows from = gpu().put_rows(inputs, kCols), slots = gpu().make_rows(kTokens * kParts, kRows);
  gpu().run({gpu().ops.matvec_gated(matrices.table, {.parts = kParts, .choices = choices.address, .to_part = slots.stride}, from, kTokens, {slots.address, kParts * slots.stride, kRows}, vulkan::Element::silu_gate)});
  const std::vector<float> found = gpu().take_rows(slots, kTokens * kParts);
  for (std::uint32_t slot = 0; slot < kTokens * kParts; ++slot)
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const std::uint32_t first = 2 * pairs[slot].matrix;
      const auto [gate, gate_magnitude] = matrices.product(first, row, inputs.data() + slot / kParts * kCols);
      const auto [up, up_magnitude] = matrices.product(first + 1, row, inputs.data() + slot / kParts * kCols);
      const double g = gate + bias_values[first][row], u = up + bias_values[first + 1][row];
      // Errors of both go through the product; silu is never steeper than 1.1.
      const double bound = 2e-6 * (1.1 * gate_magnitude * std::abs(u) + up_magnitude * std::abs(g)) + 1e-5 * (1 + std::abs(g * u));
      ASSERT_NEAR(found[slot * kRows + row], g / (1 + std::exp(-g)) * u, bound) << slot << " " << row;
    }
}

// A kind of format each: elements, blocks, blocks of one byte's alignment, scales beside the weights, scales of the flattened matrix.
INSTANTIATE_TEST_SUITE_P(Kinds, Table, ::testing::Values(FormatId::F32, FormatId::BF16, FormatId::Q4_K, FormatId::MXFP4, FormatId::MLX_Q4, FormatId::F8_E4M3, FormatId::NF4),
                         [](const auto& param) { return test_name(param.param); });

// Parts as heads take them: each its own matrix, and what the matrix does not take is copied behind.
TEST(HeadMatrices, TakeEachHeadAndCopyTheRest) {
  constexpr std::uint32_t kRest = 12, kFrom = kCols + kRest, kTo = kRows + kRest;
  const Matrices matrices(FormatId::F16);
  const std::vector<float> inputs = random_floats(kTokens * kMatrices * kFrom, 53);
  const Rows from = gpu().put_rows(inputs, kMatrices * kFrom), to = gpu().make_rows(kTokens, kMatrices * kTo);
  gpu().run({gpu().ops.matvec_parts(matrices.table, {.parts = kMatrices, .from_part = kFrom, .to_part = kTo, .rest = kRest}, from, kTokens, to)});
  const std::vector<float> found = gpu().take_rows(to, kTokens);
  for (std::uint32_t at = 0; at < kTokens * kMatrices; ++at) {
    const float* input = inputs.data() + at * kFrom;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const auto [product, magnitude] = matrices.product(at % kMatrices, row, input);
      ASSERT_NEAR(found[at * kTo + row], product, magnitude * 2e-6 + 1e-6) << at << " " << row;
    }
    for (std::uint32_t i = 0; i < kRest; ++i) ASSERT_EQ(found[at * kTo + kRows + i], input[kCols + i]) << at << " " << i;
  }
}

TEST(Tables, OfDifferentFormatsAreRefusedByTheTensorsName) {
  Bits first = random_bits(FormatId::F16, 4, 32, 60), second = random_bits(FormatId::Q8_0, 4, 32, 61);
  first.view.name = "first";
  second.view.name = "second";
  const TensorView* const views[] = {&first.view, &second.view};
  const auto table = vulkan::load_table(gpu().memory, gpu().device, views, {});
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, Code::unsupported);
  EXPECT_NE(table.error().message().find("second"), std::string::npos) << table.error().message();
}

// The rule in doubles: which experts, and their weights.
std::vector<std::pair<std::uint32_t, double>> expected_route(const Ops::Route& route, const float* logits, const std::vector<float>& correction) {
  const std::uint32_t count = route.experts, each = count / route.groups;
  std::vector<double> shares(logits, logits + count);
  const double top = *std::max_element(shares.begin(), shares.end());
  double whole = 0;
  for (const double logit : shares) whole += std::exp(logit - top);
  for (double& share : shares) share = route.gating == Ops::Gating::softmax ? std::exp(share - top) / whole : route.gating == Ops::Gating::sigmoid ? 1 / (1 + std::exp(-share)) : share;
  std::vector<double> scores = shares;
  for (std::uint32_t i = 0; i < count && !correction.empty(); ++i) scores[i] += correction[i];
  std::vector<std::pair<double, std::uint32_t>> groups;
  for (std::uint32_t group = 0; group < route.groups; ++group) {
    std::vector<double> inside(scores.begin() + group * each, scores.begin() + (group + 1) * each);
    std::sort(inside.rbegin(), inside.rend());
    groups.emplace_back(-(inside[0] + (route.counts_best_two && each > 1 ? inside[1] : 0)), group);
  }
  std::sort(groups.begin(), groups.end());
  for (std::uint32_t place = route.used_groups; place < route.groups; ++place)
    std::fill_n(scores.begin() + groups[place].second * each, each, -std::numeric_limits<double>::infinity());
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
  std::vector<std::pair<std::uint32_t, double>> chosen;
  double sum = 0;
  for (std::uint32_t k = 0; k < route.used; ++k) {
    const double share = shares[order[k]], weight = route.gating == Ops::Gating::softmax_of_chosen ? std::exp(share - top) : share;
    chosen.emplace_back(order[k], weight);
    sum += weight;
  }
  for (auto& [expert, weight] : chosen) weight *= route.scale / (route.divides ? sum : 1);
  return chosen;
}

TEST(Routing, ChoosesAndWeighsAsTheRuleSays) {
  using Gating = Ops::Gating;
  const std::vector<Ops::Route> routes = {
      {.experts = 4, .used = 2, .divides = true},
      {.experts = 6, .used = 6, .scale = 1.5f},
      {.experts = 130, .used = 8, .gating = Gating::softmax_of_chosen, .divides = true},
      {.experts = 64, .used = 6, .gating = Gating::sigmoid, .divides = true, .scale = 2.5f, .correction = 1},
      {.experts = 256, .used = 8, .gating = Gating::sigmoid, .divides = true, .correction = 1, .groups = 8, .used_groups = 4, .counts_best_two = true},
      {.experts = 160, .used = 6, .scale = 16.0f, .groups = 8, .used_groups = 3}};
  for (Ops::Route route : routes) {
    SCOPED_TRACE(route.experts);
    std::vector<float> logits = random_floats(std::size_t{kTokens} * route.experts, 70), correction;
    if (route.correction != 0) {
      correction = random_floats(route.experts, 71);
      route.correction = gpu().put(correction).address;
    }
    // The second token's largest are equal: the lower index comes first.
    if (correction.empty()) logits[route.experts + 3] = logits[route.experts + 1] = 5.0f;
    const Rows rows = gpu().put_rows(logits, route.experts);
    const vulkan::Buffer out = gpu().make(std::uint64_t{kTokens} * route.used * Ops::kChoiceBytes);
    gpu().run({gpu().ops.route(route, rows, out.address, kTokens)});
    const std::vector<Choice> found = gpu().take<Choice>(out, std::size_t{kTokens} * route.used);
    for (std::uint32_t token = 0; token < kTokens; ++token) {
      const auto expected = expected_route(route, logits.data() + token * route.experts, correction);
      for (std::uint32_t k = 0; k < route.used; ++k) {
        EXPECT_EQ(found[token * route.used + k].matrix, expected[k].first) << "token " << token << ", choice " << k;
        EXPECT_NEAR(found[token * route.used + k].weight, expected[k].second, 1e-5 * std::max(1.0, std::abs(expected[k].second))) << "token " << token << ", choice " << k;
      }
    }
  }
}

// Exactly as the sampler on the processor: the lowest index among equals, and NaN only where nothing else is.
TEST(Argmax, IsTheSamplersChoice) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const std::uint32_t cols : {1u, 31u, 255u, 2048u, 128256u}) {
    SCOPED_TRACE(cols);
    std::vector<std::vector<float>> rows(8, random_floats(cols, cols));
    rows[1].back() = 100;
    rows[2][cols / 2] = rows[2][cols / 3] = rows[2].back() = 100;  // ties
    std::fill(rows[3].begin(), rows[3].end(), 0.25f);
    std::fill(rows[4].begin(), rows[4].end(), nan);
    std::fill(rows[5].begin(), rows[5].end(), -infinity);
    rows[5][0] = nan;
    rows[6][cols / 2] = nan;
    rows[7].back() = infinity;
    rows[0][0] = -0.0f;
    std::vector<float> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    const Rows from = gpu().put_rows(all, cols);
    const vulkan::Buffer out = gpu().make(rows.size() * 4);
    gpu().run({gpu().ops.argmax(from, out.address, static_cast<std::uint32_t>(rows.size()))});
    const auto found = gpu().take<std::int32_t>(out, rows.size());
    for (std::size_t row = 0; row < rows.size(); ++row) EXPECT_EQ(found[row], most_likely(rows[row])) << row;
  }
}

}  // namespace
}  // namespace assay

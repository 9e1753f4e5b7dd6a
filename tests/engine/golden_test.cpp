// Logits and greedy continuations against golden values from outside implementations: every model, backend and instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/reference_backend.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/kernels/cpu/table.h"
#include "tests/support/data.h"

namespace assay {
using namespace test;
namespace {

// What a run may differ by from its golden, and why.
struct Bounds {
  double max, rms, top1;
  double greedy_margin;  // golden choices closer than this may legitimately fall differently
};
// float32 throughout: rounding in another order.
constexpr Bounds kReference{5e-4, 2e-4, 1.0, 2e-3};
// float32 weights and activations, F16 keys and values: the golden implementation itself moves by up to 0.04 with an F16 cache.
constexpr Bounds kHalfCache{0.05, 0.015, 0.97, 0.1};
// bfloat16 activations beside bfloat16 weights: 8 bits of mantissa instead of 24.
constexpr Bounds kBfloatInputs{0.25, 0.05, 0.95, 0.4};
// 8-bit activations: the golden implementation itself moves by 0.2 to 0.4, 0.07 root mean square.
constexpr Bounds kQuantised{1.0, 0.12, 0.92, 0.8};

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;
  std::vector<std::int32_t> greedy;
  std::vector<double> margins;
};

std::vector<std::int32_t> ids_of(const Json& array) {
  std::vector<std::int32_t> ids;
  for (const Json& id : *array.array()) ids.push_back(static_cast<std::int32_t>(*id.integer()));
  return ids;
}

struct GoldenRun {
  std::string file;
  std::uint32_t context;  // that the golden session had: longrope chooses its factors by it
};
struct Case {
  std::string name, model;
  std::vector<GoldenRun> runs;  // golden runs of this model
  bool quantised;
};

std::vector<Case> architecture_cases() {
  std::vector<Case> cases;
  const auto folder = fixture("architectures");
  const Json index = read_json(folder / "index.json");
  for (const Json& entry : *index.find("cases")->array()) {
    const std::string& model = *entry.find("model")->string();
    auto known = std::find_if(cases.begin(), cases.end(), [&](const Case& c) { return c.model == model; });
    if (known == cases.end()) {
      std::string name = model;
      std::replace_if(name.begin(), name.end(), [](unsigned char ch) { return !std::isalnum(ch); }, '_');
      known = cases.insert(cases.end(), {name, model, {}, entry.find("tolerance_quantised_activations") != nullptr});
    }
    known->runs.push_back({*entry.find("run")->string(), static_cast<std::uint32_t>(*entry.find("n_ctx")->integer())});
  }
  return cases;
}

std::vector<Case> float_cases() {
  std::vector<Case> cases = architecture_cases();
  std::erase_if(cases, [](const Case& c) { return c.quantised; });
  return cases;
}

Golden read_golden(const std::filesystem::path& run) {
  const Json json = read_json(run);
  Golden golden{ids_of(*json.find("tokens")), read_values<float>(run.parent_path() / *json.find("logits")->string()), ids_of(*json.find("greedy")), {}};
  for (const Json& margin : *json.find("greedy_margin")->array()) golden.margins.push_back(*margin.number());
  return golden;
}

// Router logits closer than this may fall the other way by rounding keys and values to F16, and the row is another one then.
constexpr float kNearTie = 0.005f;

// The rows of a run in which some layer's choice of experts is nearly a tie, by the reference backend.
class TieFinder : public ReferenceBackend {
 public:
  TieFinder(const Model& model, std::uint32_t context, std::size_t rows) : ReferenceBackend(model, context, 1), config_(model.config), is_near(rows) {}

  void experts(std::uint32_t layer) {
    const std::size_t count = config_.experts.count, used = config_.experts.used;
    for (std::size_t row = 0; row < is_near.size(); ++row) {
      std::vector<float> logits(rows(Slot::router).begin() + row * count, rows(Slot::router).begin() + (row + 1) * count);
      std::sort(logits.begin(), logits.end(), std::greater<>());
      if (used < count && logits[used - 1] - logits[used] < kNearTie) is_near[row] = true;
    }
    ReferenceBackend::experts(layer);
  }

 private:
  const Config& config_;

 public:
  std::vector<bool> is_near;
};

std::vector<bool> near_ties(const Model& model, const std::vector<std::int32_t>& tokens) {
  TieFinder finder(model, static_cast<std::uint32_t>(tokens.size()), tokens.size());
  const Segment segment{0, 0, static_cast<std::uint32_t>(tokens.size())};
  if (model.config.experts.count > 0) forward(model, finder, tokens, {&segment, 1}, LogitsWanted::none);
  return finder.is_near;
}

// Differences over all rows of all runs of a model: a share of agreeing rows means something only over enough of them.
class Comparison {
 public:
  explicit Comparison(std::size_t vocabulary) : vocabulary_(vocabulary) {}

  // Rows marked in `skipped` are not compared; there may be one in sixteen.
  void add(std::span<const float> logits, std::span<const float> golden, const std::vector<bool>& skipped = {}) {
    ASSERT_EQ(logits.size(), golden.size());
    ASSERT_LE(16 * std::count(skipped.begin(), skipped.end(), true), static_cast<std::ptrdiff_t>(golden.size() / vocabulary_) + 15);
    for (std::size_t i = 0; i < golden.size(); ++i) {
      if (!skipped.empty() && skipped[i / vocabulary_]) continue;
      const double difference = std::abs(static_cast<double>(logits[i]) - golden[i]);
      ASSERT_FALSE(std::isnan(difference)) << "logit " << i;
      worst_ = std::max(worst_, difference);
      squares_ += difference * difference;
    }
    values_ += golden.size();
    for (std::size_t at = 0; at < golden.size(); at += vocabulary_)
      same_top_ += most_likely(logits.subspan(at, vocabulary_)) == most_likely(golden.subspan(at, vocabulary_));
  }

  void expect_within(const Bounds& bounds, std::string_view label) const {
    const double rms = std::sqrt(squares_ / static_cast<double>(values_));
    const double top1 = static_cast<double>(same_top_) / (static_cast<double>(values_) / static_cast<double>(vocabulary_));
    const std::string prefix(label);
    ::testing::Test::RecordProperty(prefix + "_max", std::to_string(worst_));
    ::testing::Test::RecordProperty(prefix + "_rms", std::to_string(rms));
    ::testing::Test::RecordProperty(prefix + "_top1", std::to_string(top1));
    EXPECT_LE(worst_, bounds.max);
    EXPECT_LE(rms, bounds.rms);
    EXPECT_GE(top1, bounds.top1);
  }

 private:
  std::size_t vocabulary_, values_ = 0, same_top_ = 0;
  double worst_ = 0, squares_ = 0;
};

void expect_greedy(Session& session, std::span<const float> last, const std::vector<std::int32_t>& expected, const std::vector<double>& margins, double bound) {
  std::vector<float> logits(last.begin(), last.end());
  for (std::size_t step = 0; step < expected.size() && margins[step] >= bound; ++step) {
    const std::int32_t next = most_likely(logits);
    ASSERT_EQ(next, expected[step]) << "step " << step << ", golden margin " << margins[step];
    const auto fed = session.feed({&next, 1}, LogitsWanted::last);
    ASSERT_TRUE(fed) << fed.error().message();
    logits.assign(fed->begin(), fed->end());
  }
}

class Architecture : public ::testing::TestWithParam<Case> {
 protected:
  void expect_golden(SessionOptions options, const Bounds& bounds) {
    const auto folder = fixture("architectures");
    const auto file = open_model(folder / GetParam().model);
    ASSERT_TRUE(file) << file.error().message();
    const auto model = bind_model(*file);
    ASSERT_TRUE(model) << model.error().message();
    const std::size_t vocabulary = model->config.vocabulary;
    Comparison comparison(vocabulary);
    std::string isa;
    for (const GoldenRun& run : GetParam().runs) {
      SCOPED_TRACE(run.file);
      const Golden golden = read_golden(folder / run.file);
      options.context = run.context;
      auto session = Session::open(*model, options);
      ASSERT_TRUE(session) << session.error().message();
      isa = session->isa();
      const auto logits = session->feed(golden.tokens, LogitsWanted::all);
      ASSERT_TRUE(logits) << logits.error().message();
      const bool is_exact = bounds.max == kReference.max;
      comparison.add(*logits, golden.logits, is_exact ? std::vector<bool>() : near_ties(*model, golden.tokens));
      expect_greedy(*session, logits->last(vocabulary), golden.greedy, golden.margins, bounds.greedy_margin);
    }
    comparison.expect_within(bounds, isa);
  }
};

class FloatArchitecture : public Architecture {};

TEST_P(Architecture, ReferenceBackendGivesGoldenLogits) { expect_golden({.backend = BackendKind::reference}, kReference); }

TEST_P(Architecture, CpuBackendGivesGoldenLogitsOnEveryIsa) {
  for (const Kernels* kernels : all_kernels()) {
    SCOPED_TRACE(kernels->name);
    if (kernels_named(kernels->name) == nullptr) continue;  // not on this processor
    const bool rounds_inputs = GetParam().model.find("bf16") != std::string::npos && kernels->name == "avx512_bf16";
    expect_golden({.threads = 2, .isa = kernels->name}, GetParam().quantised ? kQuantised : rounds_inputs ? kBfloatInputs : kHalfCache);
  }
}

// float32 weights and a float32 cache leave only the order of additions and the exponential's 3e-7.
TEST_P(FloatArchitecture, CpuBackendWithFloatCacheIsAsExactAsTheReference) {
  for (const Kernels* kernels : all_kernels()) {
    SCOPED_TRACE(kernels->name);
    if (kernels_named(kernels->name) == nullptr || kernels->name == "avx512_bf16") continue;  // the latter rounds inputs
    expect_golden({.threads = 2, .kv = KvType::f32, .isa = kernels->name}, kReference);
  }
}

// One token at a time takes the mat-vec kernels; a batch takes the mat-mul kernels.
TEST_P(Architecture, TokensOneByOneGiveGoldenLogits) {
  expect_golden({.threads = 2, .batch = 1}, GetParam().quantised ? kQuantised : kHalfCache);
}

INSTANTIATE_TEST_SUITE_P(Goldens, Architecture, ::testing::ValuesIn(architecture_cases()), [](const auto& param) { return param.param.name; });
INSTANTIATE_TEST_SUITE_P(Goldens, FloatArchitecture, ::testing::ValuesIn(float_cases()), [](const auto& param) { return param.param.name; });

// The trained models, in every layout. `greedy` names the entry of greedy.json that holds for the file's own weights.
struct Trained {
  std::string name, model, folder, logits, greedy;
  bool quantised;
};
const std::vector<Trained> kTrained = {
    {"NanoF16", "nano-frankenstein/gguf/nano-frankenstein-F16.gguf", "nano-frankenstein", "logits.f32.bin", "torch_fp32", false},
    {"NanoSharded", "nano-frankenstein/hf-sharded", "nano-frankenstein", "logits.f32.bin", "torch_fp32", false},
    {"NanoQ4KM", "nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf", "nano-frankenstein", "logits_q4_k_m.f32.bin", "Q4_K_M", true},
    {"NanoMlx4", "nano-frankenstein/mlx-4bit", "nano-frankenstein", "logits_mlx4.f32.bin", "mlx-4bit", true},
    {"TinyQ4KM", "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf", "tiny-frankenstein", "logits_q4_k_m.f32.bin", "Q4_K_M", true},
};

class TrainedModel : public ::testing::TestWithParam<Trained> {
 protected:
  void expect_sequences(const SessionOptions& options, const Bounds& bounds) {
    const auto file = open_model(fixture("models") / GetParam().model);
    ASSERT_TRUE(file) << file.error().message();
    const auto model = bind_model(*file);
    ASSERT_TRUE(model) << model.error().message();
    const auto folder = fixture("golden") / GetParam().folder;
    const Json index = read_json(folder / "logits.json");
    const std::vector<float> golden = read_values<float>(folder / GetParam().logits);
    auto session = Session::open(*model, options);
    ASSERT_TRUE(session) << session.error().message();
    Comparison comparison(model->config.vocabulary);
    std::size_t at = 0;
    for (const Json& sequence : *index.find("sequences")->array()) {
      session->rewind();
      const auto logits = session->feed(ids_of(*sequence.find("ids")), LogitsWanted::all);
      ASSERT_TRUE(logits) << logits.error().message();
      ASSERT_LE(at + logits->size(), golden.size());
      comparison.add(*logits, std::span(golden).subspan(at, logits->size()));
      at += logits->size();
    }
    EXPECT_EQ(at, golden.size());
    comparison.expect_within(bounds, session->isa());
  }
};

TEST_P(TrainedModel, ReferenceBackendGivesGoldenLogits) { expect_sequences({.backend = BackendKind::reference}, kReference); }

// F16 and BF16 weights are widened exactly; what is left is the F16 cache, smaller here than on random weights.
TEST_P(TrainedModel, CpuBackendGivesGoldenLogits) { expect_sequences({.threads = 2}, GetParam().quantised ? kQuantised : kHalfCache); }

TEST_P(TrainedModel, ReferenceBackendContinuesAsTheGolden) {
  const auto file = open_model(fixture("models") / GetParam().model);
  ASSERT_TRUE(file) << file.error().message();
  const auto model = bind_model(*file);
  ASSERT_TRUE(model) << model.error().message();
  const Json greedy = read_json(fixture("golden") / GetParam().folder / "greedy.json");
  const Json& prompts = *greedy.find("prompts");
  const Json* same_weights = greedy.find("torch_same_weights")->find(GetParam().greedy);
  for (std::size_t i = 0; i < prompts.array()->size(); ++i) {
    const Json& prompt = (*prompts.array())[i];
    const std::vector<std::int32_t> expected = ids_of(same_weights ? *(*same_weights->array())[i].find("ids") : *prompt.find("torch_fp32"));
    auto session = Session::open(*model, {.backend = BackendKind::reference});
    ASSERT_TRUE(session) << session.error().message();
    auto logits = session->feed(ids_of(*prompt.find("ids")), LogitsWanted::last);
    ASSERT_TRUE(logits) << logits.error().message();
    for (std::size_t step = 0; step < expected.size(); ++step) {
      std::vector<float> sorted(logits->begin(), logits->end());
      std::nth_element(sorted.begin(), sorted.begin() + 1, sorted.end(), std::greater<>());
      const float margin = *std::max_element(sorted.begin(), sorted.begin() + 1) - sorted[1];
      if (margin < kReference.greedy_margin) break;
      const std::int32_t next = most_likely(*logits);
      ASSERT_EQ(next, expected[step]) << "prompt " << i << ", step " << step << ", margin " << margin;
      logits = session->feed({&next, 1}, LogitsWanted::last);
      ASSERT_TRUE(logits) << logits.error().message();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, TrainedModel, ::testing::ValuesIn(kTrained), [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace assay

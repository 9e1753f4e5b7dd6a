// Golden logits from outside implementations: reading them, what runs may differ by, and why.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/engine/reference_backend.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "tests/support/data.h"

namespace assay::test {

// What a run may differ by from its golden, and why.
struct Bounds {
  double max, rms, top1;
  double greedy_margin;  // golden choices closer than this may legitimately fall differently
};
// float32 throughout: rounding in another order.
inline constexpr Bounds kReference{5e-4, 2e-4, 1.0, 2e-3};
// float32 weights and activations, F16 keys and values: the golden implementation itself moves by up to 0.04 with an F16 cache.
inline constexpr Bounds kHalfCache{0.05, 0.015, 0.97, 0.1};
// bfloat16 activations beside bfloat16 weights: 8 bits of mantissa instead of 24.
inline constexpr Bounds kBfloatInputs{0.25, 0.05, 0.95, 0.4};
// 8-bit activations: the golden implementation itself moves by 0.2 to 0.4, 0.07 root mean square.
inline constexpr Bounds kQuantised{1.0, 0.12, 0.92, 0.8};

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;
  std::vector<std::int32_t> greedy;
  std::vector<double> margins;
};

inline std::vector<std::int32_t> ids_of(const Json& array) {
  std::vector<std::int32_t> ids;
  for (const Json& id : *array.array()) ids.push_back(static_cast<std::int32_t>(*id.integer()));
  return ids;
}

struct GoldenRun {
  std::string file;
  std::uint32_t context;  // that the golden session had: longrope chooses its factors by it
};
struct Case {
  std::string name, model, family;
  std::vector<GoldenRun> runs;  // golden runs of this model
  bool quantised;
};

inline std::vector<Case> architecture_cases() {
  std::vector<Case> cases;
  const auto folder = fixture("architectures");
  const Json index = read_json(folder / "index.json");
  for (const Json& entry : *index.find("cases")->array()) {
    const std::string& model = *entry.find("model")->string();
    auto known = std::find_if(cases.begin(), cases.end(), [&](const Case& c) { return c.model == model; });
    if (known == cases.end()) {
      std::string name = model;
      std::replace_if(name.begin(), name.end(), [](unsigned char ch) { return !std::isalnum(ch); }, '_');
      known = cases.insert(cases.end(), {name, model, *entry.find("family")->string(), {}, entry.find("tolerance_quantised_activations") != nullptr});
    }
    known->runs.push_back({*entry.find("run")->string(), static_cast<std::uint32_t>(*entry.find("n_ctx")->integer())});
  }
  return cases;
}

inline std::vector<Case> float_cases() {
  std::vector<Case> cases = architecture_cases();
  std::erase_if(cases, [](const Case& c) { return c.quantised; });
  return cases;
}

inline Golden read_golden(const std::filesystem::path& run) {
  const Json json = read_json(run);
  Golden golden{ids_of(*json.find("tokens")), read_values<float>(run.parent_path() / *json.find("logits")->string()), ids_of(*json.find("greedy")), {}};
  for (const Json& margin : *json.find("greedy_margin")->array()) golden.margins.push_back(*margin.number());
  return golden;
}

// Router logits closer than this may fall the other way by rounding keys and values to F16, and the row is another one then.
inline constexpr float kNearTie = 0.005f;

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

inline std::vector<bool> near_ties(const Model& model, const std::vector<std::int32_t>& tokens) {
  TieFinder finder(model, static_cast<std::uint32_t>(tokens.size()), tokens.size());
  const Segment segment{0, 0, static_cast<std::uint32_t>(tokens.size())};
  if (model.config.experts.count > 0) forward(model, finder, tokens, {&segment, 1}, LogitsWanted::all);  // every layer of it
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
    for (std::size_t at = 0; at < golden.size(); at += vocabulary_) {
      const auto row = golden.subspan(at, vocabulary_);
      lost_.push_back(static_cast<double>(row[static_cast<std::size_t>(most_likely(row))]) - row[static_cast<std::size_t>(most_likely(logits.subspan(at, vocabulary_)))]);
    }
  }

  double rms() const { return std::sqrt(squares_ / static_cast<double>(values_)); }
  // Share of rows whose likeliest token is the golden one, or one that the golden logits hold for as likely within `near`.
  double top1(double near) const { return static_cast<double>(std::count_if(lost_.begin(), lost_.end(), [&](double lost) { return lost <= near; })) / static_cast<double>(lost_.size()); }
  bool is_within(const Bounds& bounds) const { return worst_ <= bounds.max && rms() <= bounds.rms && top1(bounds.rms) >= bounds.top1; }

  void expect_within(const Bounds& bounds, std::string_view label) const {
    const std::string prefix(label);
    ::testing::Test::RecordProperty(prefix + "_max", std::to_string(worst_));
    ::testing::Test::RecordProperty(prefix + "_rms", std::to_string(rms()));
    ::testing::Test::RecordProperty(prefix + "_top1", std::to_string(top1(bounds.rms)));
    EXPECT_LE(worst_, bounds.max);
    EXPECT_LE(rms(), bounds.rms);
    EXPECT_GE(top1(bounds.rms), bounds.top1);
  }

 private:
  std::size_t vocabulary_, values_ = 0;
  std::vector<double> lost_;  // a row: what the golden logits give less to its likeliest token than to their own
  double worst_ = 0, squares_ = 0;
};

inline void expect_greedy(Session& session, std::span<const float> last, const std::vector<std::int32_t>& expected, const std::vector<double>& margins, double bound) {
  std::vector<float> logits(last.begin(), last.end());
  for (std::size_t step = 0; step < expected.size() && margins[step] >= bound; ++step) {
    const std::int32_t next = most_likely(logits);
    ASSERT_EQ(next, expected[step]) << "step " << step << ", golden margin " << margins[step];
    const auto fed = session.feed({&next, 1}, LogitsWanted::last);
    ASSERT_TRUE(fed) << fed.error().message();
    logits.assign(fed->begin(), fed->end());
  }
}

// All rows of all runs of a golden model by one kind of session.
inline Comparison compare_with_golden(const Model& model, const std::vector<GoldenRun>& runs, SessionOptions options, const Bounds& bounds) {
  const auto folder = fixture("architectures");
  Comparison comparison(model.config.vocabulary);
  for (const GoldenRun& run : runs) {
    SCOPED_TRACE(run.file);
    const Golden golden = read_golden(folder / run.file);
    options.context = run.context;
    auto session = Session::open(model, options);
    if (!session) {
      ADD_FAILURE() << session.error().message();
      continue;
    }
    const auto logits = session->feed(golden.tokens, LogitsWanted::all);
    if (!logits) {
      ADD_FAILURE() << logits.error().message();
      continue;
    }
    const bool is_exact = bounds.max == kReference.max;
    comparison.add(*logits, golden.logits, is_exact ? std::vector<bool>() : near_ties(model, golden.tokens));
    expect_greedy(*session, logits->last(model.config.vocabulary), golden.greedy, golden.margins, bounds.greedy_margin);
  }
  return comparison;
}

}  // namespace assay::test

// Whole models on the device against golden values from outside implementations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/core/progress.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/vulkan_backend.h"
#include "runtime/model/model.h"
#include "tests/support/data.h"
#include "tests/vulkan/support.h"

namespace assay {
using namespace test;
namespace {

// An open model on the device, fed as a session feeds it.
class DeviceModel {
 public:
  DeviceModel(const std::filesystem::path& path, VulkanBackend::Options options) {
    auto file = open_model(path);
    if (!file) {
      error_ = file.error().message();
      return;
    }
    file_ = std::make_unique<ModelFile>(std::move(*file));
    auto model = bind_model(*file_);
    if (!model) {
      error_ = model.error().message();
      return;
    }
    model_ = std::make_unique<Model>(std::move(*model));
    options.device = test_device_index();
    if (options.context == 0) options.context = 256;
    if (options.batch == 1) options.batch = 64;
    auto backend = VulkanBackend::open(*model_, options, ignore_progress);
    if (!backend) {
      error_ = backend.error().message();
      return;
    }
    backend_ = std::move(*backend);
    batch_ = options.batch;
  }
  explicit operator bool() const { return backend_ != nullptr; }
  const std::string& error() const { return error_; }
  VulkanBackend& backend() { return *backend_; }
  const Model& model() const { return *model_; }
  std::uint32_t vocabulary() const { return model_->config.vocabulary; }

  // Logits of all tokens, from position 0 unless the sequence goes on.
  std::vector<float> feed(std::span<const std::int32_t> tokens, bool from_start = true) {
    if (from_start) position_ = 0;
    std::vector<float> logits;
    for (std::size_t first = 0; first < tokens.size(); first += batch_) {
      const auto part = tokens.subspan(first, std::min<std::size_t>(batch_, tokens.size() - first));
      const Segment segment{0, position_, static_cast<std::uint32_t>(part.size())};
      forward(*model_, *backend_, part, {&segment, 1}, LogitsWanted::all);
      const auto done = backend_->finish();
      EXPECT_TRUE(done) << done.error().message();
      if (!done) return {};
      const auto rows = backend_->rows(Slot::logits);
      logits.insert(logits.end(), rows.begin(), rows.end());
      position_ += segment.tokens;
    }
    return logits;
  }

 private:
  std::unique_ptr<ModelFile> file_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<VulkanBackend> backend_;
  std::uint32_t batch_ = 0, position_ = 0;
  std::string error_;
};

std::vector<std::int32_t> ids_of(const Json& array) {
  std::vector<std::int32_t> ids;
  for (const Json& id : *array.array()) ids.push_back(static_cast<std::int32_t>(*id.integer()));
  return ids;
}

struct Difference {
  double worst = 0, rms = 0;
};
Difference compare(std::span<const float> found, std::span<const float> expected) {
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

struct Golden {
  std::string name, model, run;
  std::uint32_t context;
};

std::vector<Golden> goldens() {
  std::vector<Golden> cases;
  const auto folder = fixture("architectures");
  const Json index = read_json(folder / "index.json");
  for (const Json& entry : *index.find("cases")->array()) {
    const std::string &model = *entry.find("model")->string(), &run = *entry.find("run")->string();
    if (!std::filesystem::exists(folder / model)) continue;
    std::string name = model + "_" + std::filesystem::path(run).stem().string();
    std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    cases.push_back({name, model, run, static_cast<std::uint32_t>(*entry.find("n_ctx")->integer())});
  }
  return cases;
}

// Weights are used as they are and every sum is float32: what is left is the order of additions, as for the float32 reference, and the
// precision of exp and the cache's type.
class GoldenModel : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenModel, GivesGoldenLogits) {
  const auto folder = fixture("architectures");
  DeviceModel device(folder / GetParam().model, {.context = GetParam().context, .kv = KvType::f32});
  if (!device && device.error().find("does not run") != std::string::npos) GTEST_SKIP() << device.error();
  ASSERT_TRUE(device) << device.error();
  const Json run = read_json(folder / GetParam().run);
  const std::vector<float> golden = read_values<float>((folder / GetParam().run).parent_path() / *run.find("logits")->string());
  const Difference difference = compare(device.feed(ids_of(*run.find("tokens"))), golden);
  RecordProperty("worst", std::to_string(difference.worst));
  RecordProperty("rms", std::to_string(difference.rms));
  EXPECT_LE(difference.worst, 2e-3);
  EXPECT_LE(difference.rms, 5e-4);
}

INSTANTIATE_TEST_SUITE_P(Architectures, GoldenModel, ::testing::ValuesIn(goldens()), [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace assay

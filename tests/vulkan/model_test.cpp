// Whole models on the device against golden values from outside implementations.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "runtime/core/progress.h"
#include "runtime/engine/vulkan_backend.h"
#include "runtime/model/memory_plan.h"
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

struct Golden {
  std::string name, model, run, family;
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
    cases.push_back({name, model, run, *entry.find("family")->string(), static_cast<std::uint32_t>(*entry.find("n_ctx")->integer())});
  }
  return cases;
}

// Weights are used as they are and every sum is float32: what is left is the order of additions, as for the float32 reference, and the
// precision of exp and the cache's type.
class GoldenModel : public ::testing::TestWithParam<Golden> {
 public:
  // Whether the goldens of each family hold, of those that this process has tested.
  static std::map<std::string, bool>& families_held() {
    static std::map<std::string, bool> held;
    return held;
  }

 protected:
  void TearDown() override {
    bool& holds = families_held().try_emplace(GetParam().family, true).first->second;
    holds = holds && !HasFailure();
  }
};

TEST_P(GoldenModel, GivesGoldenLogits) {
  const auto folder = fixture("architectures");
  DeviceModel device(folder / GetParam().model, {.context = GetParam().context, .kv = KvType::f32});
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

// The column of the table of families; runs after the goldens above, and says nothing of those that were left out.
class FamilyTable : public ::testing::TestWithParam<std::string> {};

TEST_P(FamilyTable, SaysOfEveryFamilyWhetherItRunsOnADevice) {
  ASSERT_FALSE(GoldenModel::families_held().empty()) << "run it with the goldens: --gtest_filter=Architectures/*";
  const std::string page = read_text(std::filesystem::path(ASSAY_SOURCE_DIR) / GetParam());
  for (const auto& [family, holds] : GoldenModel::families_held()) {
    const std::size_t row = page.find("\n| " + family + " |"), end = page.find('\n', row + 1);
    ASSERT_NE(row, std::string::npos) << family;
    EXPECT_EQ(std::string_view(page).substr(row, end - row).ends_with("| V |"), holds) << family;
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, FamilyTable, ::testing::Values("runtime/model/README.md"), [](const auto&) { return "families"; });

// The trained models, quantised, in every way that products, caches and splits can be computed. Bounds are those of what is rounded: nothing
// (float32 sums), inputs to 8 bits (as on the CPU: 1.0 and 0.12 there), to 11 bits, cached keys and values to 11 or 8 bits.
struct Way {
  std::string name;
  VulkanBackend::Options options;
  double worst, rms;
};

std::vector<Way> ways() {
  using vulkan::Multiply;
  return {{"Floats", {.kv = KvType::f32, .multiply = Multiply::floats}, 2e-3, 5e-4},
          {"FloatsOneByOne", {.batch = 3, .kv = KvType::f32}, 2e-3, 5e-4},
          {"SplitAttention", {.batch = 3, .kv = KvType::f32, .splits = 3}, 2e-3, 5e-4},
          {"Halves", {.kv = KvType::f16, .multiply = Multiply::halves}, 0.05, 0.015},
          {"Matrices", {.kv = KvType::f16, .multiply = Multiply::matrices}, 0.05, 0.015},  // as floats where a device has none
          {"Levels", {.kv = KvType::f16, .multiply = Multiply::levels}, 1.0, 0.12},
          {"Q8Cache", {.kv = KvType::q8_0}, 0.3, 0.05},
          {"Staged", {.kv = KvType::f32, .driver = {.forces_staging = true}}, 2e-3, 5e-4}};
}

class QuantisedModel : public ::testing::TestWithParam<Way> {};

TEST_P(QuantisedModel, GivesGoldenLogits) {
  DeviceModel device(fixture("models") / "nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf", GetParam().options);
  ASSERT_TRUE(device) << device.error();
  const auto folder = fixture("golden") / "nano-frankenstein";
  const Json index = read_json(folder / "logits.json");
  const std::vector<float> golden = read_values<float>(folder / "logits_q4_k_m.f32.bin");
  std::vector<float> found;
  for (const Json& sequence : *index.find("sequences")->array()) {
    const std::vector<float> logits = device.feed(ids_of(*sequence.find("ids")));
    found.insert(found.end(), logits.begin(), logits.end());
  }
  const Difference difference = compare(found, golden);
  RecordProperty("worst", std::to_string(difference.worst));
  RecordProperty("rms", std::to_string(difference.rms));
  EXPECT_LE(difference.worst, GetParam().worst);
  EXPECT_LE(difference.rms, GetParam().rms);
}

INSTANTIATE_TEST_SUITE_P(Ways, QuantisedModel, ::testing::ValuesIn(ways()), [](const auto& param) { return param.param.name; });

const std::filesystem::path kTiny = fixture("models") / "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf";

// A decode step: one recording, run again at every position; so many dispatches and barriers.
TEST(DecodeStep, IsRecordedOnce) {
  DeviceModel device(kTiny, {.context = 64});
  ASSERT_TRUE(device) << device.error();
  for (std::int32_t token = 1; token < 6; ++token) {
    ASSERT_EQ(device.feed({&token, 1}, token == 1).size(), device.vocabulary());
    EXPECT_EQ(device.backend().last_pass().is_replay, token > 1) << token;
  }
  const DevicePass pass = device.backend().last_pass();
  const std::uint32_t layers = device.model().config.layers;
  // gather; norm, 3 products, rope, 2 stores, attention, product, norm, gate with up, product a layer; norm and output.
  EXPECT_EQ(pass.dispatches, 1 + 12 * layers + 2);
  EXPECT_LE(pass.barriers, 8 * layers + 2);
}

class TokenOf : public ::testing::TestWithParam<std::pair<std::string, std::filesystem::path>> {};

// Of experts those that the token chose; of latent attention its heads' matrices; of everything else all, once.
TEST_P(TokenOf, ReadsTheWeightsOfThePlan) {
  DeviceModel device(GetParam().second, {.context = 64});
  ASSERT_TRUE(device) << device.error();
  std::vector<double> host_ms;
  for (std::int32_t token = 1; token < 40; ++token) {
    ASSERT_EQ(device.feed({&token, 1}, token == 1).size(), device.vocabulary());
    if (token > 1) host_ms.push_back(device.backend().last_pass().host_ms);
  }
  std::sort(host_ms.begin(), host_ms.end());
  const DevicePass pass = device.backend().last_pass();
  const MemoryPlan plan = plan_memory(device.model(), {.context = 64});
  std::uint64_t vectors = 0;
  for (const TensorView& tensor : device.model().file->tensors)
    if (tensor.shape.size() == 1) vectors += tensor.stored_bytes();
  std::uint64_t expert_vectors = 0;  // biases of all experts of a layer are one tensor; a token reads its experts' part
  for (const LayerWeights& layer : device.model().layers)
    for (std::size_t i = 0; i < layer.experts.size() && i < device.model().config.experts.used; ++i)
      for (const TensorView* bias : {layer.experts[i].gate_bias, layer.experts[i].up_bias, layer.experts[i].down_bias}) expert_vectors += bias == nullptr ? 0 : bias->stored_bytes();
  const std::uint64_t embedding_row = device.model().is_tied() ? 0 : device.model().embedding->row_bytes();  // a tied one is read whole anyway
  EXPECT_EQ(pass.weight_bytes + vectors + expert_vectors + embedding_row, plan.bytes_per_token);
  RecordProperty("dispatches", static_cast<int>(pass.dispatches));
  RecordProperty("barriers", static_cast<int>(pass.barriers));
  RecordProperty("weight_bytes", std::to_string(pass.weight_bytes));
  RecordProperty("plan_bytes", std::to_string(plan.bytes_per_token));
  RecordProperty("other_bytes", std::to_string(pass.other_bytes));
  RecordProperty("host_us", std::to_string(host_ms[host_ms.size() / 2] * 1e3));
}

INSTANTIATE_TEST_SUITE_P(DecodeStep, TokenOf,
                         ::testing::Values(std::pair("TinyQ4KM", kTiny), std::pair("LlamaMoe", fixture("architectures") / "llama-moe/model.gguf"),
                                           std::pair("Deepseek2", fixture("architectures") / "deepseek2/model.gguf"), std::pair("GptOssMxfp4", fixture("architectures") / "gpt-oss/model-mxfp4.gguf"),
                                           std::pair("Gemma3", fixture("architectures") / "gemma3/model.gguf")),
                         [](const auto& param) { return param.param.first; });

TEST(DecodeStep, KernelTimesAddUpToDispatches) {
  DeviceModel device(kTiny, {.context = 64, .measures_times = true});
  ASSERT_TRUE(device) << device.error();
  const std::int32_t token = 5;
  device.feed({&token, 1});
  const DevicePass pass = device.backend().last_pass();
  ASSERT_FALSE(pass.kernels.empty());
  std::uint32_t dispatches = 0;
  for (const KernelTime& time : pass.kernels) {
    dispatches += time.dispatches;
    EXPECT_GT(time.ms, 0) << time.kernel;
  }
  EXPECT_EQ(dispatches, pass.dispatches);
}

// Sliding layers hold the window and a batch, whatever the context; and the places of a ring are taken again many times.
TEST(Windows, AreRingsThatGiveTheGoldenLogits) {
  const auto folder = fixture("architectures") / "gpt-oss";
  const Json run = read_json(folder / "long.json");
  const std::vector<std::int32_t> tokens = ids_of(*run.find("tokens"));
  std::uint64_t small_bytes = 0;
  for (const std::uint32_t context : {256u, 2304u}) {
    DeviceModel device(folder / "model.gguf", {.context = context, .batch = 3, .kv = KvType::f32});
    ASSERT_TRUE(device) << device.error();
    const Config& config = device.model().config;
    ASSERT_EQ(std::count(config.slides.begin(), config.slides.end(), true), 1);
    ASSERT_GT(tokens.size(), 2 * std::size_t{config.window + 2});
    const Difference difference = compare(device.feed(tokens), read_values<float>(folder / *run.find("logits")->string()));
    EXPECT_LE(difference.worst, 2e-3);
    EXPECT_LE(difference.rms, 5e-4);
    if (small_bytes == 0) small_bytes = device.backend().used_bytes();
    else EXPECT_EQ(device.backend().used_bytes() - small_bytes, 2048 * (config.layers - 1) * config.kv_heads * 2 * config.head_dim * 4);  // of the other layer alone
  }
}

TEST(Validation, FindsNothingInAWholePassAndUploads) {
  DeviceModel device(kTiny, {.context = 64, .splits = 2, .measures_times = true, .driver = {.validates = true, .forces_staging = true}});
  ASSERT_TRUE(device) << device.error();
  std::vector<std::int32_t> tokens(20);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i + 3);
  device.feed(tokens);
  device.feed(std::span(tokens).first(2), false);
  device.backend().last_pass();
  const std::vector<std::string> messages = device.backend().validation_messages();
  EXPECT_TRUE(messages.empty()) << messages.size() << " messages, the first: " << messages.front();
}

TEST(Validation, FindsNothingInExpertsAndLatentAttention) {
  for (const char* family : {"deepseek2", "gpt-oss"}) {
    DeviceModel device(fixture("architectures") / family / "model.gguf", {.context = 64, .batch = 9, .splits = 2, .driver = {.validates = true, .forces_staging = true}});
    ASSERT_TRUE(device) << device.error();
    std::vector<std::int32_t> tokens(20, 7);
    device.feed(tokens);
    device.feed(std::span(tokens).first(1), false);
    const std::vector<std::string> messages = device.backend().validation_messages();
    EXPECT_TRUE(messages.empty()) << messages.size() << " messages, the first: " << messages.front();
  }
}

// That nothing is found means something: a dispatch beyond the device's limits is.
TEST(Validation, HearsAMistake) {
  Gpu own({.validates = true});
  const vulkan::Call call = own.ops.elements(vulkan::Element::scale, own.make_rows(1, 32), {}, 1.0f, 1);
  ASSERT_TRUE(own.device.build_programs());
  EXPECT_TRUE(own.device.validation_messages().empty());
  vulkan::Recording recording(own.device);
  ASSERT_TRUE(recording.begin());
  recording.dispatch(call.program, {call.push.data(), call.push_bytes}, {1u << 31, 1, 1}, {});
  EXPECT_FALSE(own.device.validation_messages().empty());
}

TEST(Pipelines, AreKeptInAFolderAndAFileOfAnotherDeviceIsIgnored) {
  const TemporaryFolder folder;
  {
    DeviceModel device(kTiny, {.context = 32, .cache_folder = folder.path().string()});
    ASSERT_TRUE(device) << device.error();
  }
  std::vector<std::filesystem::path> files(std::filesystem::directory_iterator(folder.path()), {});
  ASSERT_EQ(files.size(), 1u);
  EXPECT_GE(std::filesystem::file_size(files[0]), 32u);
  std::ofstream(files[0], std::ios::trunc) << "this is no pipeline cache, and longer than a header of one is";
  DeviceModel device(kTiny, {.context = 32, .cache_folder = folder.path().string()});
  ASSERT_TRUE(device) << device.error();
  const std::int32_t token = 5;
  EXPECT_EQ(device.feed({&token, 1}).size(), device.vocabulary());
}

}  // namespace
}  // namespace assay

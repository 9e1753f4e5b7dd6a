// Sessions on the device: whole and split models, several sequences, greedy choices, uploads, `auto`.
#include <gtest/gtest.h>

#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "tests/support/data.h"
#include "tests/vulkan/support.h"

namespace assay {
using namespace test;
namespace {

const std::filesystem::path kTiny = fixture("models") / "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf";

// The same model whole on the device, split at every layer, and on the CPU alone, by sessions.
class SessionOnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = open_model(kTiny);
    ASSERT_TRUE(file) << file.error().message();
    file_ = std::make_unique<ModelFile>(std::move(*file));
    auto model = bind_model(*file_);
    ASSERT_TRUE(model) << model.error().message();
    model_ = std::make_unique<Model>(std::move(*model));
  }
  Result<Session> open(std::optional<std::uint32_t> layers, BackendName backend = BackendName(BackendKind::vulkan, test_device_index()), std::uint32_t sequences = 1) {
    // One sequence in batches; several with fewer tokens to a batch than a step has.
    return Session::open(*model_, {.backend = backend, .threads = 1, .context = 64, .batch = sequences > 1 ? 1u : 16u, .sequences = sequences, .kv = KvType::f32, .gpu_layers = layers});
  }
  std::unique_ptr<ModelFile> file_;
  std::unique_ptr<Model> model_;
};

TEST_F(SessionOnDevice, SplitsAtAnyLayerAgree) {
  std::vector<std::int32_t> tokens(21);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(7 * i + 1);
  auto whole = Session::open(*model_, {.backend = BackendKind::reference, .context = 64});
  ASSERT_TRUE(whole) << whole.error().message();
  const auto expected = whole->feed(tokens, LogitsWanted::all);
  ASSERT_TRUE(expected);
  const std::uint32_t layers = model_->config.layers;
  for (const std::uint32_t on_device : {0u, 1u, layers / 2, layers - 1, layers, 99u}) {
    SCOPED_TRACE(on_device);
    auto session = open(on_device);
    ASSERT_TRUE(session) << session.error().message();
    const auto logits = session->feed(tokens, LogitsWanted::all);
    ASSERT_TRUE(logits) << logits.error().message();
    const Difference difference = compare(*logits, *expected);
    // Layers on the CPU round their inputs to 8 bits.
    EXPECT_LE(difference.rms, on_device >= layers ? 5e-4 : 0.12);
    EXPECT_EQ(session->options().backend == BackendKind::vulkan, on_device > 0);
  }
}

TEST_F(SessionOnDevice, SequencesTogetherAreEachAsIfAlone) {
  auto alone = open({}), together = open({}, BackendName(BackendKind::vulkan, test_device_index()), 3);
  ASSERT_TRUE(alone) << alone.error().message();
  ASSERT_TRUE(together) << together.error().message();
  const std::vector<std::int32_t> prompts[] = {{5, 6, 7, 8}, {9}, {10, 11}};
  for (std::uint32_t sequence = 0; sequence < 3; ++sequence) ASSERT_TRUE(together->feed(prompts[sequence], LogitsWanted::none, sequence));
  const std::int32_t next[] = {20, 21, 22};
  const auto stepped = together->step(next);
  ASSERT_TRUE(stepped) << stepped.error().message();
  const std::vector<float> all(stepped->begin(), stepped->end());
  const std::size_t vocabulary = model_->config.vocabulary;
  for (std::uint32_t sequence = 0; sequence < 3; ++sequence) {
    alone->rewind();
    ASSERT_TRUE(alone->feed(prompts[sequence], LogitsWanted::none));
    const auto logits = alone->feed({&next[sequence], 1}, LogitsWanted::last);
    ASSERT_TRUE(logits);
    EXPECT_LE(compare(std::span(all).subspan(sequence * vocabulary, vocabulary), *logits).worst, 1e-3) << sequence;
  }
}

// A device that chooses by itself goes the same way as the float32 reference whose logits are looked at here, and reads no logits back.
TEST_F(SessionOnDevice, GreedyChoicesAreThoseOfTheReference) {
  auto device = open({}), split = open(2u), reference = Session::open(*model_, {.backend = BackendKind::reference, .context = 64});
  ASSERT_TRUE(device) << device.error().message();
  ASSERT_TRUE(split) << split.error().message();
  ASSERT_TRUE(reference) << reference.error().message();
  const std::vector<std::int32_t> prompt = {5, 99, 300, 7, 8, 1000, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
  auto logits = reference->feed(prompt, LogitsWanted::last);
  ASSERT_TRUE(logits);
  auto chosen = device->feed_and_choose(prompt);
  ASSERT_TRUE(chosen) << chosen.error().message();
  EXPECT_TRUE(split->feed_and_choose(prompt));
  for (int made = 0; made < 40; ++made) {
    const std::int32_t expected = most_likely(*logits);
    ASSERT_EQ(*chosen, expected) << made;
    logits = reference->feed({&expected, 1}, LogitsWanted::last);
    ASSERT_TRUE(logits);
    chosen = device->feed_and_choose({&expected, 1});
    ASSERT_TRUE(chosen) << chosen.error().message();
    EXPECT_EQ(device->device_pass()->is_replay, made > 0);
    // Where it is told which token comes, a split session chooses among logits of its own.
    const auto other = split->feed_and_choose({&expected, 1});
    ASSERT_TRUE(other) << other.error().message();
    split->rewind(split->position() - 1);
    const auto its_logits = split->feed({&expected, 1}, LogitsWanted::last);
    ASSERT_TRUE(its_logits);
    EXPECT_EQ(*other, most_likely(*its_logits));
  }
}

TEST_F(SessionOnDevice, UploadsTellTheirProgressAndStopWhenAsked) {
  std::uint64_t last = 0, total = 0;
  const auto watch = [&](const ProgressEvent& event) {
    EXPECT_GE(event.done, last);
    last = event.done;
    total = event.total;
    return true;
  };
  SessionOptions options{.backend = BackendName(BackendKind::vulkan, test_device_index()), .context = 32};
  options.progress.emplace(watch);
  ASSERT_TRUE(Session::open(*model_, options));
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 3u << 20);
  const auto stop = [](const ProgressEvent&) { return false; };
  options.progress.emplace(stop);
  const auto stopped = Session::open(*model_, options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::interrupted);
}

TEST_F(SessionOnDevice, AutoLeavesASoftwareDeviceAloneAndSaysWhy) {
  auto session = open({}, BackendKind::automatic);
  ASSERT_TRUE(session) << session.error().message();
  if (session->options().backend == BackendKind::vulkan) GTEST_SKIP() << "there is a real GPU: " << session->backend_note();
  EXPECT_EQ(session->backend_note(), "the CPU: the only Vulkan device is software, which is slower");
}

}  // namespace
}  // namespace assay

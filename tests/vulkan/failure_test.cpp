// What a user is told when there is no driver or loader, when a device is lost and when its memory ends; and that `auto` goes on.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "tests/apps/command.h"
#include "tests/support/data.h"

namespace assay {
using namespace test;
namespace {

const std::filesystem::path kTiny = fixture("models") / "tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf";
const std::filesystem::path kWindows = fixture("architectures") / "gemma3/model.gguf";

// Environment variables for as long as this lives; children see them, too.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& wanted) {
    for (const auto& [name, value] : wanted) {
      const char* before = std::getenv(name.c_str());
      before_.emplace(name, before == nullptr ? std::nullopt : std::optional<std::string>(before));
      setenv(name.c_str(), value.c_str(), 1);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value)
        setenv(name.c_str(), value->c_str(), 1);
      else
        unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

Outcome generate(const std::string& backend) { return run({"generate", {"-m", kTiny.string(), "-p", "The monster", "-n", "12", "--backend", backend}}); }

// By name: exit 1 and one sentence. `auto`: the CPU's text, exit 0, and why.
void expect_refusal_and_fallback(const std::map<std::string, std::string>& environment, const std::string& sentence) {
  const Environment scope(environment);
  const Outcome named = generate("vulkan"), automatic = generate("auto"), cpu = generate("cpu");
  EXPECT_EQ(named.exit_code, 1) << named.err;
  EXPECT_EQ(named.out, "");
  EXPECT_TRUE(named.err.starts_with("generate: error: ")) << named.err;
  EXPECT_NE(named.err.find(sentence), std::string::npos) << named.err;
  EXPECT_EQ(std::count(named.err.begin(), named.err.end(), '\n'), 1) << named.err;
  EXPECT_EQ(automatic.exit_code, 0) << automatic.err;
  EXPECT_NE(automatic.err.find("generate: auto: the CPU"), std::string::npos) << automatic.err;
  EXPECT_NE(automatic.err.find(sentence), std::string::npos) << automatic.err;
  EXPECT_EQ(cpu.exit_code, 0) << cpu.err;
  EXPECT_EQ(automatic.out, cpu.out);
  EXPECT_FALSE(cpu.out.empty());
}

TEST(Failures, NoDriverIsOneSentenceAndTheCpu) {
  expect_refusal_and_fallback({{"VK_DRIVER_FILES", "/nonexistent.json"}, {"VK_ICD_FILENAMES", "/nonexistent.json"}}, "no Vulkan driver is installed");
}

TEST(Failures, BenchmarksAndValidationEndWithOneToo) {
  const Environment scope({{"VK_DRIVER_FILES", "/nonexistent.json"}, {"VK_ICD_FILENAMES", "/nonexistent.json"}});
  const TemporaryFolder folder;
  const std::string model = kTiny.string();
  for (const test::Command& command : {test::Command{"assay", {"bench", model, "--backend", "vulkan", "-p", "8", "-n", "4", "-r", "1", "--records", (folder.path() / "records").string()}},
                                       test::Command{"bench_models", {model, "--backend", "vulkan"}}, test::Command{"assay", {"validate", model, "--level", "run", "--backend", "vulkan"}}}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 1) << command.program << " " << command.arguments.front();
    EXPECT_NE((outcome.out + outcome.err).find("no Vulkan driver is installed"), std::string::npos) << outcome.out << outcome.err;
  }
}

TEST(Failures, NoLoaderIsOneSentenceAndTheCpu) {
  const TemporaryFolder folder;
  for (const char* name : {"libvulkan.so.1", "libvulkan.so"}) std::ofstream(folder.path() / name) << "no library";
  expect_refusal_and_fallback({{"LD_LIBRARY_PATH", folder.path().string()}}, "there is no Vulkan loader");
}

TEST(Failures, TooLittleDeviceMemoryIsOneSentenceAndTheCpu) {
  expect_refusal_and_fallback({{"ASSAY_TEST_DEVICE", "real,memory:1000000"}}, "the device has no memory left");
}

TEST(Failures, ALostDeviceIsOneSentenceAndTheCpu) {
  expect_refusal_and_fallback({{"ASSAY_TEST_DEVICE", "real,lost:0"}}, "the device was lost");
}

// Lost at any later moment: while weights go there, in the prompt, between tokens. What `auto` has said by then stays, and what follows is
// the same text.
TEST(Failures, ALostDeviceLeavesTheTextAsItWas) {
  const Outcome cpu = generate("cpu");
  int late = 0;
  for (const int submits : {3, 10, 14, 18}) {
    SCOPED_TRACE(submits);
    const Environment scope({{"ASSAY_TEST_DEVICE", "real,lost:" + std::to_string(submits)}});
    const Outcome automatic = generate("auto");
    EXPECT_EQ(automatic.exit_code, 0) << automatic.err;
    EXPECT_EQ(automatic.out, cpu.out);
    late += automatic.err.find("the CPU from here on") != std::string::npos;
    EXPECT_EQ(generate("vulkan").exit_code, 1);
  }
  EXPECT_GE(late, 2);
}

class LostSession : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override {
    auto file = open_model(GetParam());
    ASSERT_TRUE(file) << file.error().message();
    file_ = std::make_unique<ModelFile>(std::move(*file));
    auto model = bind_model(*file_);
    ASSERT_TRUE(model) << model.error().message();
    model_ = std::make_unique<Model>(std::move(*model));
  }
  Result<Session> open(BackendName backend) { return Session::open(*model_, {.backend = backend, .threads = 1, .context = 96, .batch = 8, .sequences = 2, .kv = KvType::f32}); }

  std::unique_ptr<ModelFile> file_;
  std::unique_ptr<Model> model_;
};

// Two sequences, decoded together, the device lost in the middle of one's prompt or of their decoding.
TEST_P(LostSession, GoesOnWithTheCpuAsIfItHadBeenTheCpuAllAlong) {
  std::vector<std::int32_t> first(30), second(11);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::int32_t>(5 * i + 2);
  for (std::size_t i = 0; i < second.size(); ++i) second[i] = static_cast<std::int32_t>(3 * i + 1);
  const auto all = [&](Session& session) {
    std::vector<std::int32_t> chosen;
    std::vector<float> logits;
    EXPECT_TRUE(session.feed(first, LogitsWanted::none, 0));
    const auto fed = session.feed(second, LogitsWanted::all, 1);
    EXPECT_TRUE(fed) << fed.error().message();
    if (fed) logits.assign(fed->begin(), fed->end());
    EXPECT_EQ(logits.size(), second.size() * model_->config.vocabulary);
    for (std::int32_t token = 20; token < 32; ++token) {
      const std::int32_t tokens[] = {token, token + 1};
      const auto choices = session.step_and_choose(tokens);
      EXPECT_TRUE(choices) << choices.error().message();
      if (choices) chosen.insert(chosen.end(), choices->begin(), choices->end());
    }
    session.rewind_one(0, 17);  // beyond what a window holds
    const auto again = session.feed_and_choose(std::span(first).subspan(17, 3), 0);
    EXPECT_TRUE(again) << again.error().message();
    if (again) chosen.push_back(*again);
    return std::pair(chosen, logits);
  };
  auto cpu = open(BackendKind::cpu);
  ASSERT_TRUE(cpu) << cpu.error().message();
  const auto [expected, expected_logits] = all(*cpu);
  std::uint64_t submits = 0;
  {
    const Environment scope(std::map<std::string, std::string>{{"ASSAY_TEST_DEVICE", "real"}});
    auto whole = open(BackendKind::automatic);
    ASSERT_TRUE(whole) << whole.error().message();
    EXPECT_TRUE(whole->options().backend == BackendKind::vulkan) << whole->backend_note();
    EXPECT_EQ(all(*whole).first, expected);
    EXPECT_TRUE(whole->options().backend == BackendKind::vulkan) << whole->backend_note();
  }
  // From where opening is done to where everything is: see which submits those are.
  bool was_lost_late = false;
  for (submits = 10; submits < 400; submits += 13) {
    const Environment scope({{"ASSAY_TEST_DEVICE", "real,lost:" + std::to_string(submits)}});
    auto session = open(BackendKind::automatic);
    ASSERT_TRUE(session) << session.error().message();
    if (!(session->options().backend == BackendKind::vulkan)) continue;  // lost while opening
    SCOPED_TRACE(submits);
    EXPECT_EQ(all(*session).first, expected);
    if (session->options().backend == BackendKind::vulkan) break;  // not lost any more
    was_lost_late = true;
    EXPECT_TRUE(session->backend_note().starts_with("the CPU from here on: Vulkan: the device was lost")) << session->backend_note();
  }
  EXPECT_TRUE(was_lost_late);
  EXPECT_LT(submits, 400u);
}

INSTANTIATE_TEST_SUITE_P(Models, LostSession, ::testing::Values(kTiny, kWindows), [](const auto& param) { return param.param == kTiny ? "Tiny" : "Windows"; });

TEST(Failures, ADeviceAskedForByNameIsNotLeft) {
  const auto file = open_model(kTiny);
  ASSERT_TRUE(file);
  const auto model = bind_model(*file);
  ASSERT_TRUE(model);
  std::optional<Error> error;
  for (int submits = 20; submits < 200 && !error; submits += 3) {
    const Environment scope({{"ASSAY_TEST_DEVICE", "lost:" + std::to_string(submits)}});
    auto session = Session::open(*model, {.backend = BackendKind::vulkan, .context = 64});
    if (!session) continue;
    for (std::int32_t token = 0; token < 40 && !error; ++token)
      if (const auto fed = session->feed({&token, 1}, LogitsWanted::last); !fed) error = fed.error();
  }
  ASSERT_TRUE(error);
  EXPECT_TRUE(is_of_device(*error));
  EXPECT_NE(error->message().find("was lost while computing"), std::string::npos) << error->message();
}

}  // namespace
}  // namespace assay

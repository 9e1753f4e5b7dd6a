// assay synth as a user runs it: bounded memory, Ctrl-C, messages, files that info opens.
#include "tests/apps/command.h"

namespace assay {
namespace {

using test::assay;
using test::expect_error;

TEST(AssaySynth, WritesARealShapeWithBoundedMemory) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() / "m.gguf";
  const auto outcome = assay({"synth", "qwen3-0.6b:Q4_K_M", path, "--json", "--quiet"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_LT(outcome.peak_kb, 256 * 1024);
  const auto json = parse_json(outcome.out);
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("schema")->string(), "assay.synth.v1");
  EXPECT_EQ(json->find("parameters")->unsigned_integer(), 596049920u);
  const auto info = assay({"info", path, "--json"});
  ASSERT_EQ(info.exit_code, 0) << info.err;
  const auto facts = parse_json(info.out);
  EXPECT_EQ(facts->find("parameters")->unsigned_integer(), 596049920u);
  EXPECT_EQ(*facts->find("mix")->string(), "Q4_K_M");
  EXPECT_TRUE(facts->find("memory_problem")->is_null());
}

TEST(AssaySynth, CtrlCLeavesNothingAndIsExitCode130) {
  const test::TemporaryFolder folder;
  const auto outcome =
      test::run({"assay", {"synth", "llama-2-7b:F16", folder.path() / "m.gguf"}, std::chrono::milliseconds(400)});
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(AssaySynth, ProgressIsOnStderrInTheAskedForm) {
  const test::TemporaryFolder folder;
  const auto outcome = assay({"synth", "smollm-135m:Q4_0", folder.path() / "m.gguf", "--progress", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto first = parse_json(outcome.err.substr(0, outcome.err.find('\n')));
  ASSERT_TRUE(first) << outcome.err;
  EXPECT_EQ(*first->find("event")->string(), "progress");
}

TEST(AssaySynth, RefusesToOverwriteAndUnwritableTargets) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() / "m.gguf";
  ASSERT_EQ(assay({"synth", "smollm-135m:Q4_0", path, "-q"}).exit_code, 0);
  expect_error(assay({"synth", "smollm-135m:Q4_0", path, "-q"}), 3, "--force");
  EXPECT_EQ(assay({"synth", "smollm-135m:Q4_0", path, "-q", "--force"}).exit_code, 0);
  expect_error(assay({"synth", "smollm-135m:Q4_0", "/proc/m.gguf", "-q"}), 3, "/proc");
  expect_error(assay({"synth", "smollm-135m:Q4_0", folder.path() / "absent/m.gguf", "-q"}), 3, "no such folder");
}

TEST(AssaySynth, ListsItsShapes) {
  const auto outcome = assay({"synth", "--list"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* name : {"llama-3.2-1b", "llama-3.2-3b", "tinyllama-1.1b", "mistral-7b", "llama-2-7b", "llama-2-13b",
                           "smollm-135m", "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b"})
    EXPECT_NE(outcome.out.find(name), std::string::npos) << name;
  const auto json = parse_json(assay({"synth", "--list", "--json"}).out);
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("schema")->string(), "assay.shapes.v1");
}

}  // namespace
}  // namespace assay

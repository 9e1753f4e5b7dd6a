// assay quantize as users meet it: exit codes, messages, the JSON summary, memory.
#include <gtest/gtest.h>

#include "runtime/core/json.h"
#include "tests/apps/command.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::fixture;

const std::string kInput = fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf").string();

test::Outcome quantize(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "quantize");
  return test::assay(std::move(arguments));
}

TEST(AssayQuantize, WritesAFileAndTellsItsSize) {
  test::TemporaryFolder folder;
  const std::string out = folder.path() / "q4.gguf";
  const auto run = quantize({kInput, out, "--type", "q4_k_m", "--error", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = parse_json(run.out);
  ASSERT_TRUE(json) << run.out;
  EXPECT_EQ(*json->find("schema")->string(), "assay.quantize/1");
  // 12 matrices at 4.5 bits, 3 at 6.5625, and the norms.
  EXPECT_NEAR(*json->find("bits_per_weight")->number(), 4.989, 0.001);
  EXPECT_TRUE(fs::exists(out));
  EXPECT_GT(*json->find("formats")->array()->front().find("rmse")->number(), 0.0);
}

TEST(AssayQuantize, RefusesWrongCommandsWithExitCode2) {
  test::TemporaryFolder folder;
  const std::string out = folder.path() / "out.gguf";
  const struct {
    std::vector<std::string> arguments;
    std::string_view said;
  } cases[] = {
      {{kInput, out, "--type", "Q9_K"}, "known: F32, F16, BF16, Q8_0"},
      {{kInput, out, "--type", "IQ2_XXS"}, "does not write it"},
      {{kInput, out}, "--type"},
      {{kInput, kInput, "--type", "Q8_0", "--force"}, "where the input lies"},
      {{kInput, folder.path() / "folder", "--type", "Q8_0"}, "does not end in .gguf"},
      {{kInput, folder.path() / "mlx", "--format", "mlx", "--type", "Q4_K_M"}, "known: Q2, Q3, Q4"},
      {{kInput, folder.path() / "hf", "--format", "safetensors", "--type", "Q4_K"}, "known: F32, F16, BF16"},
      {{kInput, out, "--type", "Q8_0", "--tensor-type", "blk.0"}, "expected NAME=TYPE"},
      {{kInput, out, "--type", "Q8_0", "--tensor-type", "blk.77.*=Q6_K"}, "matches no matrix"},
  };
  for (const auto& c : cases) {
    test::expect_error(quantize(c.arguments), 2, c.said);
    EXPECT_FALSE(fs::exists(out)) << c.said;
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(AssayQuantize, AsksBeforeWritingOverAFile) {
  test::TemporaryFolder folder;
  const std::string out = folder.path() / "out.gguf";
  ASSERT_EQ(quantize({kInput, out, "--type", "Q8_0"}).exit_code, 0);
  test::expect_error(quantize({kInput, out, "--type", "Q4_0"}), 2, "--force");
  EXPECT_EQ(quantize({kInput, out, "--type", "Q4_0", "--force"}).exit_code, 0);
}

TEST(AssayQuantize, SaysWhatItCannotReadWithExitCode3) {
  test::TemporaryFolder folder;
  const std::string out = folder.path() / "out.gguf";
  test::expect_error(quantize({"no-such-model.gguf", out, "--type", "Q8_0"}), 3, "no-such-model.gguf");
  test::expect_error(quantize({fixture("corrupt/gguf/alignment_3.gguf"), out, "--type", "Q8_0"}), 3, "alignment");
  EXPECT_FALSE(fs::exists(out));
}

// 135 million weights are 270 MB as F16; runs of rows and one tensor's scales are all that has to be held.
TEST(AssayQuantize, KeepsMemoryBoundedAndStopsCleanly) {
  test::TemporaryFolder folder;
  const std::string in = folder.path() / "in.gguf", out = folder.path() / "out.gguf";
  const auto made = test::assay({"synth", "smollm-135m:F16", in, "--quiet"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto run = quantize({in, out, "--type", "Q8_0", "--quiet"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their shadow memory counts, too
  EXPECT_LT(run.peak_kb, 128 * 1024) << "peak of a 270 MB input";
#endif
  fs::remove(out);
  const auto stopped = test::run(
      {"assay", {"quantize", in, out, "--type", "Q2_K", "--quiet", "--threads", "1"}, std::chrono::milliseconds(300)});
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1)
      << "only the input is left";
}

}  // namespace
}  // namespace assay

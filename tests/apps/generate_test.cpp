// generate as a user runs it: golden continuations from every layout, streams, options, and what it says when it cannot.
#include <algorithm>
#include <cstring>

#include "tests/apps/command.h"

namespace assay::test {
namespace {

const std::string kNano = fixture("models/nano-frankenstein");
const std::string kF16 = kNano + "/gguf/nano-frankenstein-F16.gguf";
const std::string kSharded = kNano + "/hf-sharded";
const std::string kMlx = kNano + "/mlx-4bit";

Outcome generate(std::vector<std::string> arguments) { return run({"generate", std::move(arguments)}); }

void expect_refusal(const Outcome& outcome, int exit_code, std::string_view part) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("generate: error: ")) << outcome.err;
  const std::string hint = "Try: generate --help\n";  // follows where the parser of the command line refused
  const std::string sentence = outcome.err.substr(0, outcome.err.size() - (outcome.err.ends_with(hint) ? hint.size() : 0));
  EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 1) << outcome.err;
  EXPECT_NE(sentence.find(part), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

Json greedy_golden() { return read_json(fixture("golden/nano-frankenstein/greedy.json")); }

std::string join(const Json& ids, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i ? "," : "") + std::to_string(*(*ids.array())[i].integer());
  return text;
}

// "The monster": no choice of the golden run is closer than 0.068, above what an F16 cache moves.
TEST(Generate, ContinuesAsTheGoldenFromGgufAndFromShards) {
  const Json golden = greedy_golden();
  const Json& prompt = (*golden.find("prompts")->array())[1];
  ASSERT_EQ(*prompt.find("text")->string(), "The monster");
  for (const std::string& model : {kF16, kSharded}) {
    const auto outcome = generate({"-m", model, "-p", "The monster", "-n", "64", "--ignore-eos"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, *prompt.find("torch_text")->string() + "\n") << model;
    EXPECT_NE(outcome.err.find("tok/s"), std::string::npos);
    EXPECT_NE(outcome.err.find("peak memory"), std::string::npos);
  }
}

TEST(Generate, ContinuesAsTheGoldenFromMlx) {
  const Json golden = greedy_golden();
  const Json& prompt = (*golden.find("prompts")->array())[1];
  const Json& expected = *(*golden.find("torch_same_weights")->find("mlx-4bit")->array())[1].find("ids");
  const auto outcome = generate({"-m", kMlx, "--backend", "reference", "--ids", join(*prompt.find("ids"), prompt.find("ids")->array()->size()), "-n", "32", "--print-ids", "-q"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, join(expected, 32) + "\n");
  EXPECT_EQ(outcome.err, "");
}

// An 8-bit cache moves logits by less than the closest choice of this text as well.
TEST(Generate, CopiedLockedAndWithAnEightBitCacheTheTextIsTheSame) {
  const Json golden = greedy_golden();
  const std::string expected = *(*golden.find("prompts")->array())[1].find("torch_text")->string() + "\n";
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--load", "copy"}, {"--mlock"}, {"--load", "copy", "--mlock"}, {"--kv-type", "q8_0"}}) {
    std::vector<std::string> arguments = {"-m", kF16, "-p", "The monster", "-n", "64", "--ignore-eos"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto outcome = generate(arguments);
    if (outcome.exit_code == 3 && outcome.err.find("ulimit -l") != std::string::npos) continue;  // may not lock here: told
    EXPECT_EQ(outcome.out, expected) << options[0] << outcome.err;
  }
  expect_refusal(generate({"-m", kF16, "-p", "x", "--load", "telepathy"}), 2, "telepathy");
}

TEST(Generate, WritesTheLogitsOfEveryPromptPosition) {
  const TemporaryFolder folder;
  const Json golden = read_json(fixture("golden/nano-frankenstein/logits.json"));
  const Json& ids = *(*golden.find("sequences")->array())[0].find("ids");
  const std::size_t rows = ids.array()->size();
  const std::string file = folder.path() / "logits.bin";
  const auto outcome = generate({"-m", kSharded, "--backend", "reference", "--ids", join(ids, rows), "-n", "0", "--logits", file});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto logits = read_values<float>(file), expected = read_values<float>(fixture("golden/nano-frankenstein/logits.f32.bin"));
  ASSERT_EQ(logits.size(), rows * 512);
  for (std::size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 5e-4) << i;  // float32 in another order
}

TEST(Generate, RefusesImagesByTheModelsName) {
  const auto outcome = generate({"-m", test::fixture("architectures/gemma2/hf"), "--ids", "1,2", "-n", "1", "--image", "cat.png"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.err.find("gemma2 reads text only"), std::string::npos) << outcome.err;
}

TEST(Generate, PrintsThePromptsIds) {
  const auto outcome = generate({"-m", kF16, "-p", "I was", "-n", "0", "--print-ids", "-q"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "40,312\n");
}

TEST(Generate, ReadsThePromptFromAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.path() / "prompt.txt";
  std::ofstream(file) << "The monster";
  EXPECT_EQ(generate({"-m", kF16, "-f", file, "-n", "8", "-q"}).out, generate({"-m", kF16, "-p", "The monster", "-n", "8", "-q"}).out);
  expect_refusal(generate({"-m", kF16, "-f", file + ".absent"}), 3, "--file");
}

TEST(Generate, EndsBeforeAStopString) {
  const std::string whole = generate({"-m", kF16, "-p", "The monster", "-n", "32", "-q"}).out;
  ASSERT_NE(whole.find("the most"), std::string::npos) << whole;
  EXPECT_EQ(generate({"-m", kF16, "-p", "The monster", "-n", "32", "-q", "--stop", "the most"}).out, whole.substr(0, whole.find("the most")) + "\n");
  EXPECT_EQ(generate({"-m", kF16, "-p", "The monster", "-n", "32", "-q", "--stop", "not in there"}).out, whole);
}

TEST(Generate, TheSameSeedGivesTheSameTextAndAnotherOneAnother) {
  const auto draw = [](const char* seed) { return generate({"-m", kF16, "-p", "The", "-n", "40", "--temp", "1.2", "-s", seed, "-q"}).out; };
  EXPECT_EQ(draw("5"), draw("5"));
  EXPECT_NE(draw("5"), draw("6"));
}

TEST(Generate, EveryInstructionSetRunsOrSaysThatItCannot) {
  for (const std::string isa : {"scalar", "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16"}) {
    const auto outcome = generate({"-m", kF16, "-p", "The monster", "-n", "4", "--isa", isa});
    if (outcome.exit_code == 0)
      EXPECT_NE(outcome.err.find(" " + isa + "\n"), std::string::npos) << outcome.err;
    else
      expect_refusal(outcome, 3, isa);
  }
  expect_refusal(generate({"-m", kF16, "-p", "x", "--isa", "avx1024"}), 3, "avx1024");
}

TEST(Generate, UsageErrorsExitWithTwo) {
  expect_refusal(generate({"-m", kF16}), 2, "nothing to continue");
  {
    const TemporaryFolder home;  // in which no model is selected
    setenv("ASSAY_HOME", home.path().c_str(), 1);
    setenv("HF_HUB_CACHE", (home.path() / "hub").c_str(), 1);
    expect_refusal(generate({"-p", "x"}), 2, "assay use ID");
    unsetenv("ASSAY_HOME");
    unsetenv("HF_HUB_CACHE");
  }
  expect_refusal(generate({"-m", kF16, "-p", "x", "--frobnicate"}), 2, "--frobnicate");
  expect_refusal(generate({"-m", kF16, "-p", "x", "--backend", "abacus"}), 2, "abacus");
  expect_refusal(generate({"-m", kF16, "-p", "x", "--kv-type", "q9"}), 2, "q9");
  expect_refusal(generate({"-m", kF16, "-p", "x", "--top-p", "2"}), 2, "--top-p");
  expect_refusal(generate({"-m", kF16, "--ids", "1,x"}), 2, "\"x\"");
  expect_refusal(generate({"-m", kF16, "-p", "x", "--stop", ""}), 2, "--stop");
}

TEST(Generate, WhatCannotBeDoneIsOneSentenceAndThree) {
  const TemporaryFolder folder;
  expect_refusal(generate({"-m", folder.path() / "absent.gguf", "-p", "x"}), 3, "absent.gguf");
  expect_refusal(generate({"-m", fixture("README.md"), "-p", "x"}), 3, "README.md");
  expect_refusal(generate({"-m", fixture("corrupt/gguf/arch_unknown.gguf"), "--ids", "1"}), 3, "frobnicator");
  expect_refusal(generate({"-m", fixture("corrupt/sharded/shard_missing"), "--ids", "1"}), 3, "model-00002-of-00002.safetensors");
  expect_refusal(generate({"-m", kF16, "-p", "a prompt of more than four tokens", "-c", "4"}), 3, "context");
  expect_refusal(generate({"-m", kF16, "--ids", "99999"}), 3, "99999");
  expect_refusal(generate({"-m", fixture("architectures/qwen3/model.gguf"), "-p", "x"}), 3, "--ids");
}

TEST(Generate, StopsWhereTheContextIsFull) {
  const auto outcome = generate({"-m", kF16, "-p", "The monster", "-n", "-1", "-c", "16", "--ignore-eos"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("context of 16 tokens is full"), std::string::npos) << outcome.err;
}

TEST(Generate, EndsCleanlyWhenInterrupted) {
  // The reference backend is slow enough to be in the middle of it.
  const auto outcome = run({"generate", {"-m", kF16, "-p", "The monster", "-n", "500", "--backend", "reference", "--ignore-eos"}, std::chrono::milliseconds(300)});
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("nal idea")) << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("\n"));
  EXPECT_NE(outcome.err.find("decode"), std::string::npos) << outcome.err;
}

// The plan stands in the message; nothing of that size is asked of the system.
TEST(Generate, RefusesWhatDoesNotFitIntoMemoryWithItsPlan) {
  const auto outcome = generate({"-m", kF16, "-p", "x", "-c", "4000000000"});
  EXPECT_EQ(outcome.exit_code, 3);
  for (const char* part : {"needs ", "weights 2.5", "KV cache ", "activations ", "in all", "--force tries all the same"}) EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
}

TEST(Generate, APreloadedModelSaysTheSame) {
  const auto mapped = generate({"-m", kF16, "-p", "The monster", "-n", "16", "-q"});
  const auto preloaded = generate({"-m", kF16, "-p", "The monster", "-n", "16", "-q", "--load", "preload"});
  EXPECT_EQ(preloaded.exit_code, 0) << preloaded.err;
  EXPECT_EQ(preloaded.out, mapped.out);
}

}  // namespace
}  // namespace assay::test

// The sweep grammar and plans: what llama-bench's users write, and their mistakes.
#include "bench/harness/sweep.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bench/harness/plan.h"
#include "tests/support/data.h"

namespace assay {
namespace {

std::vector<std::uint32_t> numbers(std::string_view text) {
  auto out = parse_numbers(text);
  EXPECT_TRUE(out) << text;
  return out ? *out : std::vector<std::uint32_t>();
}
using List = std::vector<std::uint32_t>;

TEST(Sweep, NumbersAreListsRangesStepsAndFactors) {
  EXPECT_EQ(numbers("512"), List({512}));
  EXPECT_EQ(numbers("1,2,8"), List({1, 2, 8}));
  EXPECT_EQ(numbers("1-4"), List({1, 2, 3, 4}));
  EXPECT_EQ(numbers("0-4096+2048"), List({0, 2048, 4096}));
  EXPECT_EQ(numbers("128-1024*2"), List({128, 256, 512, 1024}));
  EXPECT_EQ(numbers("7,1-2,100-300+100"), List({7, 1, 2, 100, 200, 300}));
}

TEST(Sweep, MistakesInNumbersAreNamed) {
  for (const char* text : {"", "a", "1,,2", "4-1", "1-9+0", "0-8*2", "1-8*1", "-3", "1-", "99999999999", "1-100000", "1.5"}) {
    const auto out = parse_numbers(text);
    ASSERT_FALSE(out) << text;
    EXPECT_EQ(out.error().code, Code::usage);
  }
  EXPECT_FALSE(parse_pair("512"));
  EXPECT_FALSE(parse_pair("512,0"));
  EXPECT_EQ(parse_pair("512,128")->second, 128u);
  EXPECT_EQ(*parse_memory("2G"), 2ull << 30);
  EXPECT_EQ(*parse_memory("300k"), 300u << 10);
  for (const char* text : {"", "G", "0", "-1", "2T", "99999999999999999999", "18446744073709551615G"}) EXPECT_FALSE(parse_memory(text)) << text;
}

TEST(Sweep, PromptAndGenerationAreMeasuredOnceEachAndTheRestIsCrossed) {
  Sweep sweep;
  sweep.prompt = {512, 1024};
  sweep.generate = {128};
  sweep.joined = {{64, 32}};
  sweep.threads = {1, 2};
  sweep.depth = {0, 4096};
  const auto cases = expand(sweep);
  ASSERT_EQ(cases.size(), 3u * 2 * 2);
  EXPECT_EQ(cases[0].prompt_tokens, 512u);
  EXPECT_EQ(cases[0].generated_tokens, 128u);
  EXPECT_EQ(cases[1].prompt_tokens, 1024u);
  EXPECT_EQ(cases[1].generated_tokens, 0u);
  EXPECT_TRUE(cases[2].is_joined);
}

TEST(Sweep, CasesNamedTwiceStandOnce) {
  Sweep sweep;
  sweep.threads = {1, 1, 2};
  EXPECT_EQ(expand(sweep).size(), 2u);
}

TEST(Sweep, ValuesFollowKeysUnlessGiven) {
  Sweep sweep;
  sweep.kv_keys = {"f16", "q8_0"};
  for (const CaseSettings& settings : expand(sweep)) EXPECT_EQ(settings.kv_keys, settings.kv_values);
  sweep.kv_values = {"f32"};
  for (const CaseSettings& settings : expand(sweep)) EXPECT_EQ(settings.kv_values, "f32");
}

TEST(Sweep, VariantsNameWhatDiffers) {
  Sweep sweep;
  sweep.threads = {0, 2};
  const auto names = name_variants(expand(sweep));
  EXPECT_EQ(names, std::vector<std::string>({"", "threads 2"}));
}

// ---- plans

using Options = std::vector<std::pair<const char*, const char*>>;
Result<BenchPlan> plan_of(const Options& options) {
  PlanText text;
  text.options["model"].push_back({"m.gguf", "MODEL"});
  for (const auto& [name, value] : options) text.options[name].push_back({value, std::string("--") + name});
  return make_plan(text);
}

TEST(Plan, DefaultsAreThoseOfLlamaBench) {
  const auto plan = plan_of({});
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->cases.size(), 1u);
  const CaseSettings& s = plan->cases[0].settings;
  EXPECT_EQ(s.prompt_tokens, 512u);
  EXPECT_EQ(s.generated_tokens, 128u);
  EXPECT_EQ(s.batch, 2048u);
  EXPECT_EQ(s.ubatch, 512u);
  EXPECT_EQ(s.kv_keys, "f16");
}

TEST(Plan, ConflictsAndMistakesNameTheOption) {
  const std::pair<Options, const char*> kCases[] = {
      {{{"rounds", "5"}, {"min-rounds", "3"}}, "--min-rounds"}, {{{"min-rounds", "9"}, {"max-rounds", "3"}}, "--max-rounds"},
      {{{"ctx", "256"}}, "--quality"},                          {{{"reference", "x.gguf"}}, "--quality"},
      {{{"threads", "x"}}, "--threads"},                        {{{"cache-type-k", "q9"}}, "q9"},
      {{{"backend", "cuda"}}, "cuda"},                          {{{"flash-attn", "maybe"}}, "maybe"},
      {{{"prompt", "0"}, {"gen", "0"}}, "nothing to measure"},  {{{"peer", "llama-bench"}}, "NAME=PATH"},
      {{{"peer", "other=/x"}}, "known: llama-bench"},           {{{"memory-limit", "lots"}}, "lots"},
      {{{"cpu-mask", "xyz"}}, "hexadecimal"},                   {{{"target", "-1"}}, "--target"},
      {{{"rounds", "2.5"}}, "whole"},                           {{{"parallel", "0"}}, "outside"},
      {{{"batch", "0"}}, "outside"},                            {{{"no-check", "perhaps"}}, "true"},
      {{{"program", "a=/x"}, {"program", "a=/y"}}, "twice"},
  };
  for (const auto& [options, part] : kCases) {
    const auto plan = plan_of(options);
    ASSERT_FALSE(plan) << part;
    EXPECT_EQ(plan.error().code, Code::usage);
    EXPECT_NE(plan.error().message().find(part), std::string::npos) << plan.error().message();
  }
  EXPECT_FALSE(make_plan({}));
}

TEST(Plan, PresetsArePlansAndCommandLineComesFirst) {
  for (const char* name : {"quick", "ci", "llama-bench", "localscore"}) {
    auto preset = preset_text(name);
    ASSERT_TRUE(preset) << name;
    PlanText text;
    text.options["model"].push_back({"m.gguf", "MODEL"});
    text.options["threads"].push_back({"1", "--threads"});
    add_missing(text, *preset);
    const auto plan = make_plan(text);
    ASSERT_TRUE(plan) << name << plan.error().message();
    EXPECT_EQ(plan->cases[0].settings.threads, 1);
    if (std::string_view(name) == "ci") {
      EXPECT_GE(plan->min_rounds, 10u);
    }
    if (std::string_view(name) == "localscore") {
      ASSERT_EQ(plan->cases.size(), 9u);
      EXPECT_EQ(plan->cases[0].settings.prompt_tokens, 1024u);
      EXPECT_EQ(plan->cases[8].settings.generated_tokens, 1536u);
    }
  }
  EXPECT_FALSE(preset_text("fast"));
}

TEST(Plan, ProgramsAreArmsOfEveryCase) {
  const auto plan = plan_of({{"program", "base=/a"}, {"program", "new=/b"}, {"threads", "1,2"}});
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->cases.size(), 4u);
  EXPECT_EQ(plan->cases[0].arm, "base");
  EXPECT_EQ(plan->cases[1].arm, "new");
}

class PlanFile : public ::testing::Test {
 protected:
  Result<PlanText> read(std::string_view text) {
    const auto path = folder_.path() / "plan.yaml";
    std::ofstream(path, std::ios::binary) << text;
    return read_plan_file(path);
  }
  void expect_error(std::string_view text, std::string_view place) {
    const auto plan = read(text);
    ASSERT_FALSE(plan) << text;
    EXPECT_NE(plan.error().message().find("plan.yaml" + std::string(place)), std::string::npos) << plan.error().message();
  }
  test::TemporaryFolder folder_;
};

TEST_F(PlanFile, HoldsOptionsAsOnTheCommandLine) {
  const auto text = read("models: [a.gguf, b.gguf]\nprompt: 512,1024\npg: [[64, 32], [16, 8]]\nthreads: [1, 2]\nquality: true\n");
  ASSERT_TRUE(text) << text.error().message();
  const auto plan = make_plan(*text);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->models.size(), 2u);
  EXPECT_EQ(plan->cases.size(), 2u * 2 * (2 + 2));
  EXPECT_TRUE(plan->quality.is_wanted);
}

TEST_F(PlanFile, MistakesAreToldWithLineAndColumn) {
  expect_error("models: a.gguf\nprompt: [1, 2\n", ":3:1");        // a list without an end
  expect_error("models: a.gguf\npromt: 512\n", ":2:1");           // unknown
  expect_error("models: a.gguf\nthreads: {a: 1}\n", ":2:10");     // a map
  expect_error("models: a.gguf\nthreads: 1\nthreads: 2\n", "");   // twice
  expect_error("- a\n- b\n", ":1:1");
  expect_error("pg: [[1, 2, 3]]\n", ":1:6");
  const auto text = read("models: a.gguf\nthreads: x1\n");
  ASSERT_TRUE(text);
  const auto plan = make_plan(*text);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message().find("plan.yaml:2:10"), std::string::npos) << plan.error().message();
  EXPECT_EQ(read_plan_file(folder_.path() / "none.yaml").error().code, Code::not_found);
}

TEST_F(PlanFile, DeepNestingIsRefused) {
  const auto plan = read("model: " + std::string(100000, '['));
  EXPECT_FALSE(plan);
}

}  // namespace
}  // namespace assay

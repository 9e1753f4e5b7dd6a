// assay.yaml files carried out: good ones, wrong ones, and those that need a fallback.
#include "runtime/registry/prepare.h"

#include <gtest/gtest.h>

#include "tests/registry/world.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::kCommitA;
using test::weights;

const std::string kModel = test::nano_gguf("Q8_0").string();

class PrepareTest : public test::RegistryWorld {
 protected:
  PrepareTest() {
    std::map<std::string, test::StubRepository> repositories;
    repositories["org/nano"].commit = kCommitA;
    repositories["org/nano"].files = {{"nano-F16.gguf", weights("F16")},
                                      {"nano-Q8_0.gguf", weights("Q8_0")},
                                      {"nano-Q4_K_M.gguf", weights("Q4_K_M")}};
    serve(std::move(repositories));
  }
  PrepareReport run(const std::string& text, bool forces = false) {
    const fs::path file = folder_.path() / "assay.yaml";
    std::ofstream(file) << text;
    Library library = open();
    Hub hub(options_);
    PrepareContext context{.library = library, .hub = hub, .temp_folder = folder_.path(), .forces = forces};
    return prepare(file, context);
  }
  static const StepResult* find(const PrepareReport& report, PrepareStep which, std::uint32_t attempt = 1) {
    for (const StepResult& step : report.steps)
      if (step.step == which && step.attempt == attempt) return &step;
    return nullptr;
  }
  static std::string told(const PrepareReport& report) {
    std::string out;
    for (const StepResult& step : report.steps)
      out += std::string(kPrepareStepNames[static_cast<std::size_t>(step.step)]) + " " +
             std::string(kStepStatusNames[static_cast<std::size_t>(step.status)]) + ": " + step.detail + "\n";
    return out;
  }
  // The problems of a wrong file, as "LINE:COLUMN KEY".
  std::vector<std::string> problems(const std::string& text) {
    const PrepareReport report = run(text);
    EXPECT_FALSE(report.is_ready);
    EXPECT_EQ(report.steps.size(), 1u);
    std::vector<std::string> out;
    const Json* list = report.steps.front().facts.find("problems");
    for (const Json& problem : *list->array())
      out.push_back(std::to_string(*problem.find("line")->integer()) + ":" +
                    std::to_string(*problem.find("column")->integer()) + " " + *problem.find("key")->string());
    return out;
  }
};

TEST_F(PrepareTest, LocalModelGoesThroughEveryStepInOrder) {
  const PrepareReport report = run("model: " + kModel + "\nload: {context: 128, batch: 64}\nhealth: {tokens: 8}\n");
  ASSERT_TRUE(report.is_ready) << told(report);
  EXPECT_EQ(report.path, kModel);
  EXPECT_EQ(report.settings.context, 128u);
  EXPECT_GE(report.settings.threads, 1u);
  ASSERT_EQ(report.steps.size(), kPrepareStepNames.size());
  for (std::size_t i = 0; i < report.steps.size(); ++i) EXPECT_EQ(report.steps[i].step, static_cast<PrepareStep>(i));
  EXPECT_EQ(find(report, PrepareStep::pull)->status, StepStatus::skipped);
  const Json& health = find(report, PrepareStep::health)->facts;
  EXPECT_EQ(health.find("tokens")->integer(), 8);
  EXPECT_FALSE(health.find("text")->string()->empty());
  EXPECT_GT(health.find("peak_bytes")->integer(), 0);
  const Json& load = find(report, PrepareStep::load)->facts;
  EXPECT_EQ(*load.find("architecture")->string(), "llama");
  EXPECT_GT(load.find("planned_bytes")->integer(), 1'000'000);
  EXPECT_FALSE(find(report, PrepareStep::optimise)->facts.find("tried")->array()->empty());
}

TEST_F(PrepareTest, ReportIsOneDocumentWithATypedResultForEveryStep) {
  const PrepareReport report = run("model: " + kModel + "\nload: {context: 64, threads: 1}\nhealth: {tokens: 2}\n");
  const auto json = parse_json(to_text(report.json("assay.yaml")));
  ASSERT_TRUE(json);
  EXPECT_EQ(*json->find("schema")->string(), "assay.prepare/1");
  EXPECT_TRUE(*json->find("ready")->boolean());
  EXPECT_EQ(json->find("settings")->find("threads")->integer(), 1);
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"config", "problems"},    {"hardware", "verdict"}, {"pull", "transferred_bytes"}, {"verify", "hashed_files"},
      {"load", "planned_bytes"}, {"optimise", "threads"}, {"health", "decode_tps"}};
  ASSERT_EQ(json->find("steps")->array()->size(), fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Json& step = json->find("steps")->array()->at(i);
    EXPECT_EQ(*step.find("step")->string(), fields[i].first);
    EXPECT_NE(step.find("facts")->find(fields[i].second), nullptr) << fields[i].second;
  }
}

TEST_F(PrepareTest, MissingModelIsPulledVerifiedAndRecorded) {
  const PrepareReport report =
      run("repository: org/nano\nload: {context: 64, quantization: Q8_0}\nhealth: {tokens: 2}\n");
  ASSERT_TRUE(report.is_ready) << told(report);
  const Json& pull = find(report, PrepareStep::pull)->facts;
  EXPECT_EQ(*pull.find("name")->string(), "org/nano:Q8_0");
  EXPECT_EQ(*pull.find("commit")->string(), kCommitA);
  EXPECT_EQ(pull.find("transferred_bytes")->integer(), static_cast<std::int64_t>(weights("Q8_0").content.size()));
  EXPECT_EQ(find(report, PrepareStep::verify)->facts.find("hashed_files")->integer(), 1);
  EXPECT_TRUE(*find(report, PrepareStep::hardware)->facts.find("network")->boolean());
  const PrepareReport again = run("model: org/nano:Q8_0\nload: {context: 64}\nhealth: {tokens: 2}\n");
  ASSERT_TRUE(again.is_ready) << told(again);
  EXPECT_EQ(find(again, PrepareStep::pull)->status, StepStatus::skipped);
}

TEST_F(PrepareTest, FilesAreChosenByGlobsAndRevision) {
  const PrepareReport report =
      run("repository: org/nano\nrevision: main\nfiles: [\"*F16*\"]\nload: {context: 64}\nhealth: {tokens: 2}\n");
  ASSERT_TRUE(report.is_ready) << told(report);
  EXPECT_TRUE(report.path.ends_with("nano-F16.gguf")) << report.path;
}

TEST_F(PrepareTest, SmallerContextIsTakenWhenMemoryIsBoundAndSaidSo) {
  // The bound lies between what contexts of 512 and of 64 need; the rest of the process does not count when loading.
  const PrepareReport report = run("model: " + kModel +
                                   "\nload: {context: 512, batch: 16}\nfallbacks:\n  - {context: 256}\n  - {context: "
                                   "64}\nbounds: {memory: 4GB}\nhealth: {tokens: 2}\n");
  ASSERT_TRUE(report.is_ready) << told(report);
  EXPECT_EQ(report.settings.context, 512u) << "no fallback is taken where there is room";
  const std::uint64_t wide =
      static_cast<std::uint64_t>(*find(report, PrepareStep::load)->facts.find("planned_bytes")->integer());
  const PrepareReport bound =
      run("model: " + kModel +
          "\nload: {context: 512, batch: 16}\nfallbacks:\n  - {context: 500}\n  - {context: 64}\nbounds: {memory: " +
          std::to_string(wide - 100'000) + "}\nhealth: {tokens: 2}\n");
  const StepResult* first = find(bound, PrepareStep::load, 1);
  const StepResult* second = find(bound, PrepareStep::load, 2);
  const StepResult* third = find(bound, PrepareStep::load, 3);
  ASSERT_TRUE(first && second && third) << told(bound);
  EXPECT_EQ(first->status, StepStatus::retried);
  EXPECT_EQ(first->error->code, Code::memory);
  EXPECT_NE(first->detail.find("next: context 500"), std::string::npos) << first->detail;
  EXPECT_EQ(second->status, StepStatus::retried);
  EXPECT_EQ(third->status, StepStatus::ok);
  EXPECT_EQ(find(bound, PrepareStep::verify, 3)->status, StepStatus::skipped) << "the same file is not hashed twice";
}

TEST_F(PrepareTest, OtherQuantisationIsPulledInstead) {
  const std::uint64_t f16 = weights("F16").content.size();
  const PrepareReport report =
      run("repository: org/nano\nload: {context: 64, quantization: F16}\nfallbacks:\n  - {quantization: "
          "Q4_K_M}\nbounds: {memory: " +
          std::to_string(f16 - 1) + "}\nhealth: {tokens: 2}\n");
  const StepResult* refused = find(report, PrepareStep::hardware, 1);
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->status, StepStatus::retried);
  EXPECT_NE(refused->detail.find("next: quantization Q4_K_M"), std::string::npos) << refused->detail;
  EXPECT_EQ(find(report, PrepareStep::pull, 1), nullptr) << "what cannot fit is not downloaded";
  ASSERT_NE(find(report, PrepareStep::pull, 2), nullptr) << told(report);
  EXPECT_EQ(*find(report, PrepareStep::pull, 2)->facts.find("name")->string(), "org/nano:Q4_K_M");
}

TEST_F(PrepareTest, FallbackMayBeAnotherModel) {
  const PrepareReport report =
      run("model: react-native-executorch-qwen-3\nfallbacks:\n  - {model: nano-frankenstein, context: 64}\nhealth: "
          "{tokens: 2}\n");
  ASSERT_TRUE(report.is_ready) << told(report);
  EXPECT_EQ(report.path, kModel);
  EXPECT_EQ(report.steps.back().attempt, 2u);
}

TEST_F(PrepareTest, LastFallbackThatFailsIsTheEnd) {
  const PrepareReport report =
      run("model: " + kModel + "\nload: {context: 512}\nfallbacks:\n  - {context: 256}\nbounds: {memory: 1000}\n");
  EXPECT_FALSE(report.is_ready);
  EXPECT_EQ(report.steps.back().attempt, 2u);
  EXPECT_EQ(report.steps.back().status, StepStatus::failed);
  EXPECT_EQ(report.steps.back().error->code, Code::memory);
}

TEST_F(PrepareTest, EveryFailingKeyIsNamedWithLineAndColumn) {
  EXPECT_EQ(
      problems("modle: x\nload:\n  context: lots\n  kv: f8\n  backend: gpu\n  isa: sse\nhardware:\n  memory: much\n  "
               "gpu: maybe\nfallbacks:\n  - {}\n  - {kv: q3, batch: 0}\nsampling: {top_p: 7}\nhealth: {tokens: 0}\n"),
      (std::vector<std::string>{"1:1 modle", "1:1 ", "3:12 load.context", "4:7 load.kv", "5:12 load.backend",
                                "6:8 load.isa", "8:11 hardware.memory", "9:8 hardware.gpu", "11:5 fallbacks[1]",
                                "12:10 fallbacks[2].kv", "12:21 fallbacks[2].batch", "13:11 sampling",
                                "14:18 health.tokens"}));
  EXPECT_EQ(problems("model: a\nrepository: b/c\n"), std::vector<std::string>{"2:13 repository"});
  EXPECT_EQ(problems("repository: nothing\n"), std::vector<std::string>{"1:13 repository"});
  EXPECT_EQ(problems("model: a/b\nrevision: main\nfiles: [x]\n"),
            (std::vector<std::string>{"2:11 revision", "3:8 files"}));
  EXPECT_EQ(problems("- a\n- b\n").size(), 1u);
}

TEST_F(PrepareTest, TextThatIsNoYamlIsToldWithItsPlace) {
  const PrepareReport report = run("model: [\n");
  ASSERT_FALSE(report.is_ready);
  EXPECT_EQ(report.steps.back().error->code, Code::malformed);
  EXPECT_NE(report.steps.back().detail.find("assay.yaml:"), std::string::npos) << report.steps.back().detail;
}

TEST_F(PrepareTest, WhatTheFileWantsOfTheMachineIsHeldAgainstIt) {
  const PrepareReport report =
      run("model: " + kModel +
          "\nhardware: {memory: 900TB, threads: 4000, gpu: recommended}\nfallbacks:\n  - {context: 64}\n");
  EXPECT_FALSE(report.is_ready);
  ASSERT_EQ(report.steps.size(), 2u) << "no fallback makes the machine larger";
  EXPECT_EQ(report.steps.back().error->code, Code::denied);
  const Json* refusals = report.steps.back().facts.find("verdict")->find("refusals");
  EXPECT_EQ(refusals->array()->size(), 2u);
  const PrepareReport forced =
      run("model: " + kModel + "\nhardware: {memory: 900TB}\nload: {context: 64}\nhealth: {tokens: 2}\n", true);
  EXPECT_TRUE(forced.is_ready) << told(forced);
  EXPECT_EQ(find(forced, PrepareStep::hardware)->status, StepStatus::warned);
}

TEST_F(PrepareTest, NetworkIsAskedForWhereTheFileWantsIt) {
  const std::string text =
      "model: " + kModel + "\nhardware: {network: true}\nload: {context: 64}\nhealth: {tokens: 2}\n";
  EXPECT_TRUE(run(text).is_ready);
  stub_.reset();
  const PrepareReport report = run(text);
  EXPECT_FALSE(report.is_ready);
  EXPECT_FALSE(*report.steps.back().facts.find("network")->boolean());
}

TEST_F(PrepareTest, DamagedModelIsNotLoaded) {
  const fs::path link = cache_.add_file("org/local", kCommitA, "x-Q8_0.gguf", kModel);
  test::damage(link);
  const PrepareReport report = run("model: org/local\nfallbacks:\n  - {context: 64}\n");
  EXPECT_FALSE(report.is_ready);
  EXPECT_EQ(report.steps.back().step, PrepareStep::verify);
  EXPECT_EQ(report.steps.back().attempt, 1u) << "a smaller context does not mend a file";
  EXPECT_EQ(report.steps.back().error->code, Code::mismatch);
}

TEST_F(PrepareTest, SlownessAndMemoryAreHeldAgainstTheHealthWanted) {
  const PrepareReport slow =
      run("model: " + kModel + "\nload: {context: 64, threads: 1}\nhealth: {tokens: 2, decode_tps: 1000000000}\n");
  EXPECT_FALSE(slow.is_ready);
  EXPECT_EQ(slow.steps.back().step, PrepareStep::health);
  EXPECT_EQ(slow.steps.back().error->code, Code::mismatch);
  const PrepareReport long_prompt = run("model: " + kModel + "\nload: {context: 8}\nhealth: {tokens: 20}\n");
  EXPECT_EQ(long_prompt.steps.back().error->code, Code::range);
}

TEST_F(PrepareTest, UnknownModelAndUnknownQuantisationSayWhatThereIs) {
  const PrepareReport unknown = run("model: qwen-3-4c\n");
  EXPECT_FALSE(unknown.is_ready);
  EXPECT_EQ(unknown.steps.back().step, PrepareStep::hardware);
  const PrepareReport quantisation = run("repository: org/nano\nload: {quantization: Q2_K}\n");
  EXPECT_EQ(quantisation.steps.back().error->code, Code::not_found);
  EXPECT_NE(quantisation.steps.back().detail.find("Q4_K_M"), std::string::npos) << quantisation.steps.back().detail;
  EXPECT_EQ(run("model: " + kModel + "\nload: {quantization: Q4_0}\n").steps.back().error->code, Code::usage);
}

}  // namespace
}  // namespace assay

// Commands that reach a hub, against a stub of one: pull by id, --pull, verify --repair, outdated, update, prepare, cache.
#include "tests/apps/command.h"
#include "tests/hub/hub_stub.h"
#include "tests/registry/hub_cache.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::kCommitA;
using test::kCommitB;

test::StubFile weights(const char* name) {
  return {.content = test::read_text(test::nano_gguf(name)), .is_large = true};
}

class HubCommands : public ::testing::Test {
 protected:
  HubCommands() {
    std::map<std::string, test::StubRepository> repositories;
    repositories["Qwen/Qwen3-4B-GGUF"].commit = kCommitA;
    repositories["Qwen/Qwen3-4B-GGUF"].files = {{"README.md", {.content = "words"}},
                                                {"Qwen3-4B-Q4_K_M.gguf", weights("Q4_K_M")},
                                                {"Qwen3-4B-Q8_0.gguf", weights("Q8_0")}};
    stub_ = std::make_unique<test::HubStub>(std::move(repositories));
    setenv("HF_ENDPOINT", stub_->endpoint().c_str(), 1);
    setenv("ASSAY_HOME", (folder_.path() / "home").c_str(), 1);
    setenv("HF_HUB_CACHE", (folder_.path() / "hub").c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder_.path() / "cache").c_str(), 1);
    for (const char* name :
         {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"})
      unsetenv(name);
  }
  ~HubCommands() override {
    for (const char* name : {"HF_ENDPOINT", "ASSAY_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"}) unsetenv(name);
  }
  Json json(std::vector<std::string> arguments, int exit_code = 0) {
    arguments.push_back("--json");
    const auto outcome = test::assay(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err << outcome.out;
    auto document = parse_json(outcome.out);
    EXPECT_TRUE(document) << outcome.out;
    return document ? std::move(*document) : Json();
  }
  std::string pull(const std::string& name) {
    const auto outcome = test::assay({"pull", name, "--quiet"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out.substr(0, outcome.out.find('\n'));
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<test::HubStub> stub_;
};

TEST_F(HubCommands, PullTakesACatalogueIdAndRecordsIt) {
  EXPECT_EQ(test::assay({"use", "qwen-3-4b"}).exit_code, 0);
  const std::string path = pull("");
  EXPECT_TRUE(path.ends_with("Qwen3-4B-Q4_K_M.gguf")) << path;
  const Json shown = json({"show", "qwen-3-4b"});
  EXPECT_EQ(*shown.find("record")->find("status")->string(), "downloaded");
  EXPECT_EQ(shown.find("downloads")->array()->size(), 1u);
  EXPECT_EQ(pull("nano-frankenstein"), test::nano_gguf("Q8_0").lexically_normal().string());
  test::expect_error(test::assay({"pull", "react-native-executorch-qwen-3"}), 3, "qwen-3-0.6b");
  test::expect_error(test::assay({"pull", "qwen-3-4c"}), 2, "did you mean \"qwen-3-4b\"");
}

TEST_F(HubCommands, PullRefusesWhatTheMachineCannotHoldUnlessForced) {
  fs::create_directories(folder_.path() / "home");
  std::ofstream(folder_.path() / "home" / "catalogue.yaml") << "models:\n  - id: qwen-3-4b\n    memory_bytes: 100TB\n";
  test::expect_error(test::assay({"pull", "qwen-3-4b", "--quiet"}), 3, "needs about 100 TB of memory");
  const auto forced = test::assay({"pull", "qwen-3-4b", "--quiet", "--force"});
  EXPECT_EQ(forced.exit_code, 0) << forced.err;
  EXPECT_NE(forced.err.find("warning"), std::string::npos) << forced.err;
}

TEST_F(HubCommands, ProgramsPullWhatIsMissingIfTheUserSaysSo) {
  const auto refused = test::run({"generate", {"-m", "Qwen/Qwen3-4B-GGUF:Q8_0", "-p", "The", "-n", "4"}});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_NE(refused.err.find("--pull"), std::string::npos) << refused.err;
  const auto pulled = test::run({"generate", {"-m", "Qwen/Qwen3-4B-GGUF:Q8_0", "-p", "The", "-n", "4", "--pull"}});
  EXPECT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_NE(pulled.err.find("generate: Qwen3-4B-Q8_0.gguf: done"), std::string::npos) << pulled.err;
  EXPECT_EQ(test::run({"generate", {"-m", "Qwen/Qwen3-4B-GGUF:Q8_0", "-p", "The", "-n", "4", "-q"}}).err, "");

  const auto bench =
      test::run({"bench_models", {"qwen-3-4b", "--pull", "-p", "4", "-n", "2", "--benchmark_list_tests"}});
  EXPECT_NE(bench.out.find("prefill"), std::string::npos) << bench.err << bench.out;
  const auto harness = test::assay({"bench", "Qwen/Qwen3-4B-GGUF", "--pull", "--list"});
  EXPECT_NE(harness.out.find("Qwen3-4B-Q4_K_M"), std::string::npos) << harness.err << harness.out;
}

TEST_F(HubCommands, VerifyTellsDamageAndRepairsIt) {
  const std::string path = pull("qwen-3-4b");
  EXPECT_EQ(test::assay({"verify", "qwen-3-4b", "--progress", "none"}).out, "good  qwen-3-4b\n");
  test::damage(path);
  const auto bad = test::assay({"verify", "--all", "--progress", "none"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.out.find("damaged  Qwen3-4B-Q4_K_M.gguf"), std::string::npos) << bad.out;
  const auto repaired = test::assay({"verify", "--all", "--repair", "--progress", "none"});
  EXPECT_EQ(repaired.exit_code, 0) << repaired.err << repaired.out;
  EXPECT_EQ(repaired.out, "good  qwen-3-4b (repaired)\n");
  EXPECT_TRUE(
      *json({"verify", "qwen-3-4b", "--progress", "none"}).find("models")->array()->at(0).find("is_good")->boolean());
  test::expect_error(test::assay({"verify"}), 2, "--all");
  test::expect_error(test::assay({"verify", path}), 2, "no record");
}

TEST_F(HubCommands, OutdatedTellsAndUpdateFetchesWhatChanged) {
  pull("qwen-3-4b");
  EXPECT_EQ(test::assay({"outdated", "--progress", "none"}).exit_code, 0);
  stub_->change("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", weights("F16"), kCommitB);
  const Json old = json({"outdated", "--progress", "none"}, 1);
  const Json& row = old.find("models")->array()->at(0);
  EXPECT_TRUE(*row.find("is_outdated")->boolean());
  EXPECT_EQ(*row.find("newest_commit")->string(), kCommitB);
  const auto updated = test::assay({"update", "--all", "--remove-old", "--progress", "none"});
  EXPECT_EQ(updated.exit_code, 0) << updated.err;
  EXPECT_EQ(*json({"show", "qwen-3-4b"}).find("record")->find("commit")->string(), kCommitB);
  EXPECT_EQ(json({"list", "--downloaded"}).find("storage_bytes")->integer(),
            static_cast<std::int64_t>(weights("F16").content.size()))
      << "the old snapshot is gone";
  EXPECT_EQ(test::assay({"outdated", "--progress", "none"}).exit_code, 0);
  test::expect_error(test::assay({"update", "nano-frankenstein"}), 2, "did not come from a hub");
  const auto offline = test::assay({"outdated", "--offline"});
  EXPECT_EQ(offline.exit_code, 3);
  EXPECT_NE(offline.err.find("offline"), std::string::npos) << offline.err;
}

TEST_F(HubCommands, PrepareGoesFromAFileToAModelThatAnswers) {
  const fs::path file = folder_.path() / "assay.yaml";
  std::ofstream(file)
      << "model: qwen-3-4b\nload: {context: 100000}\nfallbacks:\n  - {context: 128}\nhealth: {tokens: 4}\n";
  const auto outcome = test::assay({"prepare", file, "--progress", "none"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
  for (const char* part : {"ok       config", "ok       pull", "ok       verify", "retried  load", "next: context 128",
                           "skipped  pull (fallback 1)", "ok       health (fallback 1)", "ready: "})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  const Json report = json({"prepare", file, "--progress", "none"});
  EXPECT_TRUE(*report.find("ready")->boolean());
  EXPECT_EQ(report.find("settings")->find("context")->integer(), 128);
}

TEST_F(HubCommands, PrepareTellsEveryMistakeOfAFileAndItsExampleIsAFile) {
  const fs::path file = folder_.path() / "assay.yaml";
  std::ofstream(file) << "modle: x\nload:\n  context: lots\n";
  const auto outcome = test::assay({"prepare", file});
  EXPECT_EQ(outcome.exit_code, 2);
  for (const char* part : {"assay.yaml:1:1: modle: ", "did you mean \"model\"", "assay.yaml:3:12: load.context: "})
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
  EXPECT_EQ(json({"prepare", file}, 2).find("steps")->array()->at(0).find("facts")->find("problems")->array()->size(),
            3u);
  test::expect_error(test::assay({"prepare", folder_.path() / "none.yaml"}), 3, "none.yaml");
  std::ofstream(file, std::ios::trunc) << test::assay({"prepare", "--example"}).out;
  const Json example = json({"prepare", file, "--offline"}, 3);
  EXPECT_EQ(*example.find("steps")->array()->at(0).find("status")->string(), "ok")
      << "every key of the example is right";
}

TEST_F(HubCommands, CacheCheckNamesDamageAndRemovesItWhenAsked) {
  const fs::path model = pull("Qwen/Qwen3-4B-GGUF:Q4_K_M");
  EXPECT_EQ(test::assay({"cache", "check"}).exit_code, 0);
  const fs::path blob = fs::canonical(model);
  std::string content = test::read_text(blob);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  std::ofstream(blob, std::ios::binary) << content;
  const auto checked = test::assay({"cache", "check"});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_NE((checked.out + checked.err).find(blob.filename().string().substr(0, 12)), std::string::npos) << checked.out << checked.err;
  EXPECT_TRUE(fs::exists(blob));
  EXPECT_EQ(test::assay({"cache", "check", "--remove"}).exit_code, 1);
  EXPECT_FALSE(fs::exists(blob));
  EXPECT_EQ(test::read_text(pull("Qwen/Qwen3-4B-GGUF:Q4_K_M")), test::read_text(test::nano_gguf("Q4_K_M")));
}

TEST_F(HubCommands, CachePruneTakesLeftoversAndNothingElse) {
  const fs::path model = pull("Qwen/Qwen3-4B-GGUF:Q4_K_M");
  const fs::path blobs = fs::canonical(model).parent_path();
  const fs::path unfinished = blobs / (std::string(64, 'a') + ".incomplete"), unused = blobs / std::string(64, 'b');
  for (const fs::path& file : {unfinished, unused}) {
    std::ofstream(file) << "left over";
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(48));
  }
  EXPECT_EQ(test::assay({"cache", "prune", "--dry-run"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(unfinished) && fs::exists(unused));
  const auto asked = test::assay({"cache", "prune"});  // no terminal to ask on
  EXPECT_TRUE(fs::exists(unfinished) && fs::exists(unused)) << asked.out << asked.err;
  const auto pruned = test::assay({"cache", "prune", "--yes"});
  EXPECT_EQ(pruned.exit_code, 0) << pruned.err;
  EXPECT_FALSE(fs::exists(unfinished)) << pruned.out;
  EXPECT_FALSE(fs::exists(unused)) << pruned.out;
  EXPECT_EQ(test::read_text(model), test::read_text(test::nano_gguf("Q4_K_M")));
}

}  // namespace
}  // namespace assay

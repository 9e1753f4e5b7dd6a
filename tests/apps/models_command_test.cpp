// assay list, show, use, rm, import and export as a user meets them, with a home and caches of their own.
#include "tests/apps/command.h"
#include "tests/registry/hub_cache.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::fixture;
using test::kCommitA;
using test::kCommitB;

const fs::path kQ8 = test::nano_gguf("Q8_0"), kQ4 = test::nano_gguf("Q4_K_M");

class ModelsCommand : public ::testing::Test {
 protected:
  ModelsCommand() {
    setenv("ASSAY_HOME", (folder_.path() / "home").c_str(), 1);
    setenv("HF_HUB_CACHE", cache_.root().c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder_.path() / "cache").c_str(), 1);
    setenv("HOME", folder_.path().c_str(), 1);
    setenv("HF_HUB_OFFLINE", "1", 1);
  }
  ~ModelsCommand() override {
    for (const char* name : {"ASSAY_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "OLLAMA_MODELS"})
      unsetenv(name);
  }
  // The document that a command prints.
  Json json(std::vector<std::string> arguments, int exit_code = 0) {
    arguments.push_back("--json");
    const auto outcome = test::assay(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    auto document = parse_json(outcome.out);
    EXPECT_TRUE(document) << outcome.out;
    EXPECT_TRUE(document && document->find("schema")) << outcome.out;
    return document ? std::move(*document) : Json();
  }
  Json model(const std::string& name) {
    const Json list = json({"list"});
    for (const Json& each : *list.find("models")->array())
      if (*each.find("name")->string() == name) return each;
    return {};
  }
  std::string text(const Json& object, const char* key) {
    const Json* found = object.find(key);
    return found && found->string() ? *found->string() : "";
  }

  test::TemporaryFolder folder_;
  test::HubCache cache_{folder_.path() / "hub"};
};

TEST_F(ModelsCommand, ListShowsCatalogueAndCacheWithMarksAndStorage) {
  cache_.add_file("org/nano", kCommitA, "nano-Q8_0.gguf", kQ8);
  ASSERT_EQ(test::assay({"use", "org/nano"}).exit_code, 0);
  const auto outcome = test::assay({"list"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"Status", ">  org/nano:Q8_0", "downloaded", "bundled", "*  mistral-7b-instruct-v0.2",
                           "unavailable", "1.34 MB in files of models"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  EXPECT_EQ(json({"list"}).find("storage_bytes")->integer(), static_cast<std::int64_t>(fs::file_size(kQ8)));
  EXPECT_EQ(json({"list", "--downloaded"}).find("models")->array()->size(), 7u);
  EXPECT_EQ(json({"list", "--tag", "vision"}).find("models")->array()->size(), 3u);
  EXPECT_EQ(json({"list", "--size", "large"}).find("models")->array()->size(), 3u);
  test::expect_error(test::assay({"list", "--size", "huge"}), 2, "");
}

TEST_F(ModelsCommand, CatalogueOfTheUserWithAMistakeIsToldWithItsPlace) {
  fs::create_directories(folder_.path() / "home");
  std::ofstream(folder_.path() / "home" / "catalogue.yaml") << "models:\n  - id: x\n    repo: a/b\n";
  test::expect_error(test::assay({"list"}), 3, "catalogue.yaml:3:5");
}

TEST_F(ModelsCommand, ShowTellsRowRecordAndInfo) {
  const auto row = test::assay({"show", "qwen-3-4b"});
  EXPECT_EQ(row.exit_code, 0) << row.err;
  for (const char* part : {"page           https://huggingface.co/Qwen/Qwen3-4B-GGUF", "verified       no",
                           "assay pull qwen-3-4b", "Apache-2.0"})
    EXPECT_NE(row.out.find(part), std::string::npos) << part << "\n" << row.out;
  const auto pte = test::assay({"show", "react-native-executorch-qwen-3"});
  EXPECT_NE(pte.out.find(".pte"), std::string::npos);
  EXPECT_NE(pte.out.find("qwen-3-0.6b"), std::string::npos);
  cache_.add_file("Qwen/Qwen3-4B-GGUF", kCommitA, "Qwen3-4B-Q4_K_M.gguf", kQ4);
  const Json shown = json({"show", "qwen-3-4b"});
  EXPECT_EQ(text(*shown.find("record"), "commit"), kCommitA);
  EXPECT_EQ(text(*shown.find("info"), "architecture"), "llama");
  EXPECT_EQ(text(*shown.find("catalogue"), "licence"), "Apache-2.0");
  const auto here = test::assay({"show", "Qwen/Qwen3-4B-GGUF:Q4_K_M"});
  for (const char* part : {"status         downloaded", "files", "parameters     1246464"})
    EXPECT_NE(here.out.find(part), std::string::npos) << part << "\n" << here.out;
  test::expect_error(test::assay({"show", "qwen-3-4c"}), 3, "did you mean \"qwen-3-4b\"");
}

TEST_F(ModelsCommand, UseSelectsWhatIsMeantWhenNoModelIsNamed) {
  EXPECT_EQ(test::assay({"use"}).out, "mistral-7b-instruct-v0.2 (recommended; none is selected)\n");
  EXPECT_EQ(test::assay({"use", "NANO-frankenstein"}).out, "nano-frankenstein\n");
  EXPECT_EQ(text(json({"use"}), "model"), "nano-frankenstein");
  EXPECT_NE(test::assay({"info"}).out.find("nano-frankenstein-Q8_0.gguf"), std::string::npos);
  EXPECT_EQ(test::assay({"use", "--none"}).exit_code, 0);
  EXPECT_FALSE(*json({"use"}).find("selected")->boolean());
  test::expect_error(test::assay({"use", "nothing-like-it"}), 3, "no catalogue id");
  test::expect_error(test::assay({"use", "react-native-executorch-qwen-3"}), 3, "qwen-3-0.6b");
  test::expect_error(test::assay({"use", kQ8}), 2, "assay import");
}

TEST_F(ModelsCommand, CommandsTakeIdsAndRepositoriesWhereverTheyTakePaths) {
  cache_.add_file("org/nano", kCommitA, "nano-Q8_0.gguf", kQ8);
  for (const std::string& name :
       {std::string("nano-frankenstein"), std::string("org/nano"), std::string("hf:org/nano:Q8_0"), kQ8.string()}) {
    SCOPED_TRACE(name);
    EXPECT_NE(test::assay({"info", name}).out.find("parameters     1246464"), std::string::npos);
    EXPECT_EQ(test::assay({"tokenize", name, "The"}).exit_code, 0);
    EXPECT_EQ(test::assay({"validate", name, "--progress", "none"}).exit_code, 0);
    EXPECT_EQ(
        test::assay({"quantize", name, folder_.path() / "out.gguf", "--type", "Q4_0", "--force", "--progress", "none"})
            .exit_code,
        0);
    EXPECT_NE(test::assay({"bench", name, "--list"}).out.find("pp"), std::string::npos);
  }
  EXPECT_EQ(model("org/nano:Q8_0").find("uses")->integer(), 10);
  test::expect_error(test::assay({"info", "qwen-3-4b"}), 3, "assay pull qwen-3-4b");
  test::expect_error(test::assay({"info", "org/other"}), 3, "assay pull org/other");
}

TEST_F(ModelsCommand, RemoveAsksFreesWhatNothingElseRefersToAndSelectsTheDefaultAgain) {
  cache_.add_file("org/nano", kCommitA, "nano-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano", kCommitB, "nano-Q8_0.gguf", kQ8);
  cache_.add_ref("org/nano", "main", kCommitA);
  ASSERT_EQ(test::assay({"use", "org/nano"}).exit_code, 0);
  EXPECT_EQ(json({"rm", "org/nano", "--dry-run"}).find("models")->array()->at(0).find("freed_bytes")->integer(), 0);
  const auto unasked = test::assay({"rm", "org/nano"});
  EXPECT_EQ(unasked.exit_code, 2);
  EXPECT_NE(unasked.err.find("-y"), std::string::npos);
  const auto outcome = test::assay({"rm", "org/nano", "-y"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("other snapshots refer to them"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("mistral-7b-instruct-v0.2 is meant"), std::string::npos) << outcome.err;
  EXPECT_EQ(json({"rm", "org/nano", "-y"}).find("models")->array()->at(0).find("freed_bytes")->integer(),
            static_cast<std::int64_t>(fs::file_size(kQ8)));
  EXPECT_FALSE(fs::exists(cache_.repository("org/nano")));
  test::expect_error(test::assay({"rm", "org/nano", "-y"}), 3, "not in the cache");
  test::expect_error(test::assay({"rm", "nano-frankenstein", "-y"}), 2, "nothing to remove");
  test::expect_error(test::assay({"rm", kQ8, "-y"}), 2, "did not put there");
}

TEST_F(ModelsCommand, ImportAdoptsAFileUnderACatalogueId) {
  const fs::path file = folder_.path() / "by-hand.gguf";
  fs::copy_file(kQ4, file);
  const Json done = json({"import", file, "--as", "qwen-3-4b", "--progress", "none"});
  EXPECT_EQ(done.find("models")->array()->at(0).find("files")->array()->at(0).find("hash")->string()->size(), 64u);
  EXPECT_EQ(text(model("qwen-3-4b"), "status"), "downloaded");
  EXPECT_EQ(test::assay({"info", "qwen-3-4b"}).exit_code, 0);
  fs::resize_file(file, 1000);
  EXPECT_EQ(text(model("qwen-3-4b"), "status"), "stale");
  test::expect_error(test::assay({"info", "qwen-3-4b"}), 3, "another size");
  EXPECT_EQ(test::assay({"rm", "qwen-3-4b", "-y"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(ModelsCommand, ImportRefusesWhatIsBrokenTakenOrNotThere) {
  const fs::path broken = folder_.path() / "broken.gguf";
  std::ofstream(broken) << "GGUF and nothing more";
  EXPECT_EQ(test::assay({"import", broken}).exit_code, 3);
  test::expect_error(test::assay({"import", folder_.path() / "none.gguf"}), 3, "no such file");
  fs::create_directories(folder_.path() / "empty");
  test::expect_error(test::assay({"import", folder_.path() / "empty"}), 3, "holds no model");
  test::expect_error(test::assay({"import", "ollama"}), 3, "no store");
  test::expect_error(test::assay({"import", kQ8, "--as", "nano-frankenstein"}), 3, "bundled");
  test::expect_error(test::assay({"import", kQ8, "--as", "gemma-2-2b-it-mlx"}), 3, "mlx in the catalogue");
  ASSERT_EQ(test::assay({"import", kQ8, "--as", "mine", "--progress", "none"}).exit_code, 0);
  test::expect_error(test::assay({"import", kQ4, "--as", "mine"}), 3, "another model has this name");
  ASSERT_EQ(test::assay({"import", kQ8, "--as", "mine", "--progress", "none"}).exit_code, 0)
      << "the same file again is fine";
}

TEST_F(ModelsCommand, ImportAdoptsTheStoresOfOllamaAndLmStudio) {
  const fs::path store = folder_.path() / ".ollama" / "models",
                 library = store / "manifests" / "registry.ollama.ai" / "library" / "nano";
  fs::create_directories(store / "blobs");
  fs::create_directories(library);
  const std::string hash = *sha256_of_file(kQ8);
  fs::copy_file(kQ8, store / "blobs" / ("sha256-" + hash));
  const auto manifest = [](const std::string& digest) {
    return R"({"schemaVersion":2,"layers":[{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:00","size":1},)"
           R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" +
           digest + R"(","size":1341088}]})";
  };
  std::ofstream(library / "latest") << manifest(hash);
  std::ofstream(library / "lost") << manifest(std::string(64, '0'));
  std::ofstream(library / "odd") << "{\"layers\": 5}";
  const auto outcome = test::assay({"import", "ollama", "--progress", "none"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_NE(outcome.out.find("ollama/nano:latest"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("ollama/nano:lost: its blob is not there"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("names no model"), std::string::npos) << outcome.err;
  EXPECT_EQ(test::assay({"info", "ollama/nano:latest"}).exit_code, 0);

  const fs::path studio = folder_.path() / "studio";
  fs::create_directories(studio / "org" / "nano-GGUF");
  fs::copy_file(kQ4, studio / "org" / "nano-GGUF" / "nano-Q4_K_M.gguf");
  const Json adopted = json({"import", studio, "--progress", "none"});
  EXPECT_EQ(text(adopted, "kind"), "lmstudio");
  EXPECT_EQ(text(adopted.find("models")->array()->at(0), "name"), "lmstudio/org/nano-GGUF:Q4_K_M");
  EXPECT_EQ(test::assay({"info", "lmstudio/org/nano-GGUF:Q4_K_M"}).exit_code, 0);
}

TEST_F(ModelsCommand, ExportGivesAFolderThatValidatesByItsHashes) {
  cache_.add_folder("org/sharded", kCommitA, fixture("models/nano-frankenstein/hf-sharded"));
  const fs::path out = folder_.path() / "out";
  const auto outcome = test::assay({"export", "org/sharded", out, "--progress", "none"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto validated = test::assay({"validate", out, "--level", "structure,hash", "--progress", "none"});
  EXPECT_EQ(validated.exit_code, 0) << validated.out;
  EXPECT_NE(validated.out.find("SHA256SUMS agrees"), std::string::npos) << validated.out;
  test::expect_error(test::assay({"export", "org/sharded", out}), 3, "is there already");
  EXPECT_EQ(test::assay({"export", "org/sharded", out, "-f", "--link", "--progress", "none"}).exit_code, 0);
  EXPECT_EQ(fs::hard_link_count(out / "config.json"), 2u);
  EXPECT_EQ(test::assay({"export", "nano-frankenstein", folder_.path() / "one", "--progress", "none"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_.path() / "one" / "nano-frankenstein-Q8_0.gguf"));
}

TEST_F(ModelsCommand, ExportOfADamagedFileLeavesNothingOfIt) {
  const fs::path link = cache_.add_file("org/nano", kCommitA, "nano-Q8_0.gguf", kQ8);
  test::damage(link);
  const fs::path out = folder_.path() / "out";
  test::expect_error(test::assay({"export", "org/nano", out, "--progress", "none"}), 1, "assay verify --repair");
  EXPECT_TRUE(fs::is_empty(out));
}

TEST_F(ModelsCommand, DamagedDatabaseIsReplacedWithOneMessageAndResultsAreIndexedAgain) {
  cache_.add_file("org/nano", kCommitA, "nano-Q8_0.gguf", kQ8);
  ASSERT_EQ(test::assay({"list"}).exit_code, 0);
  std::ofstream(folder_.path() / "home" / "assay.db", std::ios::trunc) << std::string(5000, 'x');
  const auto outcome = test::assay({"list"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("assay: note: the database was damaged"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("org/nano:Q8_0"), std::string::npos);
  EXPECT_EQ(test::assay({"list"}).err, "");
}

}  // namespace
}  // namespace assay

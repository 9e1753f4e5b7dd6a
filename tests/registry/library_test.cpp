// What a model's name means: paths, ids, repositories of a cache that other programs filled, imports.
#include "runtime/registry/library.h"

#include <gtest/gtest.h>

#include <map>

#include "runtime/formats/model_file.h"
#include "runtime/registry/cached_models.h"
#include "runtime/registry/listing.h"
#include "runtime/registry/removal.h"
#include "tests/registry/world.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::fixture;
using test::kCommitA;
using test::kCommitB;

const fs::path kQ8 = test::nano_gguf("Q8_0"), kQ4 = test::nano_gguf("Q4_K_M");

class LibraryTest : public test::RegistryWorld {
 protected:
  std::vector<std::string> names(Library& library) {
    std::vector<std::string> out;
    const auto models = library.registry().models();
    for (const RegistryModel& model : *models) out.push_back(model.name);
    return out;
  }
  void expect_not_found(Library& library, std::string_view name, std::string_view part) {
    const auto found = library.find(name);
    ASSERT_FALSE(found) << name;
    EXPECT_NE(found.error().message().find(part), std::string::npos) << found.error().message();
  }
};

TEST_F(LibraryTest, CacheOfAnotherProgramIsRecorded) {
  cache_.add_file("org/nano-GGUF", kCommitA, "nano-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano-GGUF", kCommitA, "nano-Q4_K_M.gguf", kQ4);
  cache_.add("org/nano-GGUF", kCommitA, "mmproj-nano-F16.gguf", "no model of its own");
  cache_.add_ref("org/nano-GGUF", "main", kCommitA);
  cache_.add_folder("org/sharded", kCommitB, fixture("models/nano-frankenstein/hf-sharded"));
  cache_.add_folder("mlx-community/nano-4bit", kCommitB, fixture("models/nano-frankenstein/mlx-4bit"));
  cache_.add_file("Qwen/Qwen3-4B-GGUF", kCommitB, "Qwen3-4B-Q4_K_M.gguf", kQ4);
  Library library = open();
  EXPECT_EQ(names(library), (std::vector<std::string>{"mlx-community/nano-4bit", "org/nano-GGUF:Q4_K_M",
                                                      "org/nano-GGUF:Q8_0", "org/sharded", "qwen-3-4b"}));
  const RegistryModel sharded = **library.registry().find("org/sharded");
  EXPECT_EQ(sharded.format, "safetensors");
  EXPECT_EQ(sharded.quantization, "BF16");
  EXPECT_EQ(sharded.commit, kCommitB);
  EXPECT_EQ(sharded.files.at(0).name, "model-00001-of-00003.safetensors");
  EXPECT_EQ(sharded.weights_hash().size(), 64u);
  const RegistryModel mlx = **library.registry().find("mlx-community/nano-4bit");
  EXPECT_EQ(mlx.format, "mlx");
  EXPECT_EQ(mlx.quantization, "MLX 4-bit");
  EXPECT_EQ((*library.registry().find("org/nano-gguf:q8_0"))->revision, "main");
  for (const std::string& name : names(library)) EXPECT_TRUE(open_model(library.find(name)->path)) << name;
}

TEST_F(LibraryTest, IncompleteModelsAreNotRecorded) {
  for (const char* part : {"x-Q8_0-00001-of-00002.gguf"}) cache_.add("org/split", kCommitA, part, "one part of two");
  const fs::path folder = fixture("models/nano-frankenstein/hf-sharded");
  for (const char* file : {"config.json", "model.safetensors.index.json", "model-00001-of-00003.safetensors",
                           "model-00003-of-00003.safetensors"})
    cache_.add_file("org/sharded", kCommitA, file, folder / file);
  const fs::path link = cache_.add("org/dangling", kCommitA, "y-Q8_0.gguf", "its blob goes");
  fs::remove(fs::canonical(link));
  fs::create_directories(cache_.root() / "models--org--empty" / "snapshots" / kCommitA);
  fs::create_directories(cache_.root() / "datasets--org--x" / "snapshots" / kCommitA);
  Library library = open();
  EXPECT_TRUE(names(library).empty());
  cache_.add("org/split", kCommitA, "x-Q8_0-00002-of-00002.gguf", "the other");
  cache_.add_file("org/sharded", kCommitA, "model-00002-of-00003.safetensors",
                  folder / "model-00002-of-00003.safetensors");
  Library again = open();
  EXPECT_EQ(names(again), (std::vector<std::string>{"org/sharded", "org/split:Q8_0"}));
  EXPECT_EQ((*again.registry().find("org/split:Q8_0"))->files.size(), 2u);
}

TEST_F(LibraryTest, OlderSnapshotsCarryTheirCommitAndAreMeantByARevisionOnly) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano", kCommitB, "n-Q8_0.gguf", kQ4);
  cache_.add_ref("org/nano", "main", kCommitB);
  Library library = open();
  EXPECT_EQ(names(library), (std::vector<std::string>{"org/nano:Q8_0", "org/nano:Q8_0@aaaaaaa"}));
  EXPECT_NE(library.find("org/nano")->path.string().find(kCommitB), std::string::npos);
  EXPECT_NE(library.find("org/nano@aaaaaaa")->path.string().find(kCommitA), std::string::npos);
  EXPECT_NE(library.find("org/nano@main:Q8_0")->path.string().find(kCommitB), std::string::npos);
}

TEST_F(LibraryTest, ExistingPathWinsOverNames) {
  const fs::path here = fs::current_path();
  fs::current_path(folder_.path());
  fs::create_directories("Org/Repo");
  Library library = open();
  EXPECT_EQ(library.find("Org/Repo")->path, "Org/Repo");
  EXPECT_EQ(library.find("Org/Repo")->name, "");
  expect_not_found(library, "hf:Org/Repo", "not in the cache");
  fs::current_path(here);
}

TEST_F(LibraryTest, CatalogueIdIsItsFixtureOrItsRepositoryOrSaysHowToGetIt) {
  Library library = open();
  EXPECT_EQ(library.find("NANO-frankenstein")->path, kQ8);
  expect_not_found(library, "qwen-3-4b", "assay pull qwen-3-4b");
  expect_not_found(library, "react-native-executorch-qwen-3", "qwen-3-0.6b");
  EXPECT_EQ(library.find("react-native-executorch-qwen-3").error().code, Code::unsupported);
  cache_.add_file("Qwen/Qwen3-4B-GGUF", kCommitB, "Qwen3-4B-Q4_K_M.gguf", kQ4);
  ASSERT_TRUE(library.reconcile());
  EXPECT_EQ(library.find("qwen-3-4b")->name, "qwen-3-4b");
  EXPECT_EQ(library.find("Qwen/Qwen3-4B-GGUF")->name, "qwen-3-4b");
  EXPECT_EQ(library.find("hf:Qwen/Qwen3-4B-GGUF:q4_k_m")->name, "qwen-3-4b");
}

TEST_F(LibraryTest, RepositoryWithSeveralQuantisationsPrefersQ4KMThenQ8ThenTheOnlyOne) {
  const auto only = [&](std::initializer_list<const char*> files) {
    fs::remove_all(cache_.root());
    for (const char* file : files) cache_.add_file("org/m", kCommitA, file, kQ8);
    Library library = open();
    const auto found = library.find("org/m");
    return found ? found->name : found.error().message();
  };
  EXPECT_EQ(only({"m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"}), "org/m:Q4_K_M");
  EXPECT_EQ(only({"m-Q2_K.gguf", "m-Q8_0.gguf"}), "org/m:Q8_0");
  EXPECT_EQ(only({"m-Q2_K.gguf"}), "org/m:Q2_K");
  EXPECT_NE(only({"m-Q2_K.gguf", "m-Q6_K.gguf"}).find("org/m:Q2_K, org/m:Q6_K"), std::string::npos);
  Library library = open();
  EXPECT_EQ(library.find("org/m/m-Q6_K.gguf")->name, "org/m:Q6_K");
  expect_not_found(library, "org/m:Q5_K", "assay pull org/m:Q5_K");
}

TEST_F(LibraryTest, UnknownNamesAreAnsweredWithWhatWasProbablyMeant) {
  Library library = open();
  expect_not_found(library, "qwen-3-4c", "did you mean \"qwen-3-4b\"");
  expect_not_found(library, "/nonexistent/x.gguf", "no such file");
  expect_not_found(library, "x.gguf", "no such file");
  expect_not_found(library, "org/none", "assay pull org/none");
  expect_not_found(library, "", "empty");
}

TEST_F(LibraryTest, DefaultIsTheSelectedModelElseTheRecommendedOne) {
  Library library = open();
  EXPECT_EQ(*library.default_model(), "mistral-7b-instruct-v0.2");
  ASSERT_TRUE(library.registry().select("nano-frankenstein"));
  EXPECT_EQ(*library.default_model(), "nano-frankenstein");
}

TEST_F(LibraryTest, DamagedDatabaseIsMadeAnewFromTheCacheWithAMessage) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  { open(); }
  std::ofstream(places_.home / "assay.db", std::ios::trunc) << std::string(5000, 'x');
  Library library = open();
  ASSERT_EQ(library.notes().size(), 1u);
  EXPECT_NE(library.notes()[0].find("assay.db.damaged-"), std::string::npos);
  EXPECT_EQ(names(library), std::vector<std::string>{"org/nano:Q8_0"});
}

// ---- the list

TEST_F(LibraryTest, ListJoinsCatalogueAndRegistryAndFilters) {
  cache_.add_file("Qwen/Qwen3-4B-GGUF", kCommitB, "Qwen3-4B-Q4_K_M.gguf", kQ4);
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  Library library = open();
  ASSERT_TRUE(library.registry().select("qwen-3-4b"));
  const auto all = list_models(library, {}, 8'000'000'000);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 28u);
  std::map<std::string, ListedModel> by_name;
  for (const ListedModel& model : *all) by_name[model.name] = model;
  EXPECT_EQ(by_name["qwen-3-4b"].status, "downloaded");
  EXPECT_TRUE(by_name["qwen-3-4b"].selected);
  EXPECT_EQ(by_name["qwen-3-4b"].title, "Qwen3 4B");
  EXPECT_EQ(by_name["qwen-3-4b"].bytes, fs::file_size(kQ4)) << "what is here counts, not what the catalogue says";
  EXPECT_TRUE(by_name["mistral-7b-instruct-v0.2"].recommended);
  EXPECT_EQ(by_name["org/nano:Q8_0"].status, "downloaded");
  EXPECT_EQ(by_name["nano-frankenstein"].status, "bundled");
  EXPECT_EQ(by_name["react-native-executorch-qwen-3"].status, "unavailable");
  EXPECT_EQ(by_name["pixtral-12b"].fits, false);
  EXPECT_EQ(by_name["qwen-3-0.6b"].fits, true);
  EXPECT_TRUE(all->front().is_here());
  EXPECT_EQ(all->back().status, "unavailable");

  const auto count = [&](const ListFilter& filter) { return list_models(library, filter, 8'000'000'000)->size(); };
  EXPECT_EQ(count({.here_only = true}), 8u);  // two of the cache, six bundled
  EXPECT_EQ(count({.tag = "vision"}), 3u);
  EXPECT_EQ(count({.tag = "none"}), 0u);
  const auto large = list_models(library, {.size = SizeClass::large}, 0),
             fitting = list_models(library, {.fitting_only = true}, 2'000'000'000);
  EXPECT_EQ(large->size(), 3u);
  for (const ListedModel& model : *large) EXPECT_GE(model.parameters, 10'000'000'000u);
  for (const ListedModel& model : *fitting) EXPECT_LE(model.memory_bytes, 2'000'000'000u) << model.name;
}

TEST_F(LibraryTest, StorageCountsSharedBlobsOnce) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano", kCommitB, "n-Q8_0.gguf", kQ8);
  Library library = open();
  EXPECT_EQ(library.registry().models()->size(), 2u);
  EXPECT_EQ(storage_of(*library.registry().models()), fs::file_size(kQ8));
}

// ---- removal

class RemovalTest : public LibraryTest {
 protected:
  RemovalPlan remove(Library& library, const std::string& name) {
    const RegistryModel model = **library.registry().find(name);
    const RemovalPlan plan = plan_removal(model, *library.registry().models());
    const auto done = remove_files(plan, model, places_.hub_cache);
    EXPECT_TRUE(done) << done.error().message();
    EXPECT_TRUE(library.registry().remove(name));
    return plan;
  }
};

TEST_F(RemovalTest, BlobsOfOtherSnapshotsStayAndTheLastNameFreesThem) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano", kCommitB, "n-Q8_0.gguf", kQ8);
  cache_.add("org/nano", kCommitB, "README.md", "words");
  cache_.add_ref("org/nano", "main", kCommitB);
  Library library = open();
  const RemovalPlan first = remove(library, "org/nano:Q8_0");
  EXPECT_EQ(first.kept.size(), 1u);
  EXPECT_EQ(first.kept_bytes, fs::file_size(kQ8));
  EXPECT_EQ(first.blobs.size(), 1u) << "the page that stood beside the weights";
  EXPECT_FALSE(fs::exists(cache_.repository("org/nano") / "refs" / "main"));
  EXPECT_FALSE(fs::exists(cache_.repository("org/nano") / "snapshots" / kCommitB));
  ASSERT_TRUE(library.reconcile());
  const RemovalPlan second = remove(library, "org/nano:Q8_0");
  EXPECT_EQ(second.freed_bytes, fs::file_size(kQ8));
  EXPECT_FALSE(fs::exists(cache_.repository("org/nano")));
}

TEST_F(RemovalTest, OtherQuantisationsOfTheSnapshotStayWithWhatStandsBesideThem) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  cache_.add_file("org/nano", kCommitA, "n-Q4_K_M.gguf", kQ4);
  cache_.add("org/nano", kCommitA, "README.md", "words");
  Library library = open();
  EXPECT_EQ(remove(library, "org/nano:Q8_0").links.size(), 1u);
  EXPECT_TRUE(fs::exists(cache_.repository("org/nano") / "snapshots" / kCommitA / "README.md"));
  ASSERT_TRUE(library.reconcile());
  EXPECT_EQ(names(library), std::vector<std::string>{"org/nano:Q4_K_M"});
  EXPECT_EQ(remove(library, "org/nano:Q4_K_M").links.size(), 2u);
  EXPECT_FALSE(fs::exists(cache_.repository("org/nano")));
}

TEST_F(RemovalTest, PartialFilesOfADownloadStay) {
  cache_.add_file("org/nano", kCommitA, "n-Q8_0.gguf", kQ8);
  const fs::path partial = cache_.repository("org/nano") / "blobs" / "abc.assay.partial";
  std::ofstream(partial) << "half";
  Library library = open();
  remove(library, "org/nano:Q8_0");
  EXPECT_TRUE(fs::exists(partial));
}

TEST_F(RemovalTest, FilesOfTheUserStay) {
  RegistryModel model;
  model.name = "mine";
  model.source = "import";
  model.path = kQ8;
  model.files = {{kQ8, "x.gguf", 1, ""}};
  const RemovalPlan plan = plan_removal(model, {model});
  EXPECT_TRUE(plan.links.empty() && plan.blobs.empty());
  EXPECT_TRUE(remove_files(plan, model, places_.hub_cache));
  EXPECT_TRUE(fs::exists(kQ8));
}

}  // namespace
}  // namespace assay

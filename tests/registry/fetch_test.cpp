// From a name to its files: what it stands for, what is recorded of a download, what is checked before, what comes
// after.
#include "runtime/registry/fetch_model.h"

#include <gtest/gtest.h>

#include "runtime/core/sha256.h"
#include "runtime/hub/digest.h"
#include "runtime/registry/verify.h"
#include "tests/registry/world.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::damage;
using test::fixture;
using test::kCommitA;
using test::kCommitB;
using test::weights;

class FetchTest : public test::RegistryWorld {
 protected:
  FetchTest() {
    std::map<std::string, test::StubRepository> repositories;
    repositories["org/nano"].commit = kCommitA;
    repositories["org/nano"].files = {{"README.md", {.content = "words"}},
                                      {"nano-Q8_0.gguf", weights("Q8_0")},
                                      {"nano-Q4_K_M.gguf", weights("Q4_K_M")}};
    repositories["org/bad"].files = {
        {"bad.gguf", {.content = test::read_text(fixture("corrupt/gguf/n_dims_5.gguf")), .is_large = true}}};
    repositories["Qwen/Qwen3-4B-GGUF"].files = {{"Qwen3-4B-Q4_K_M.gguf", weights("Q4_K_M")}};
    serve(std::move(repositories));
  }
  Result<LocatedModel> fetch(Library& library, std::string_view name, PullPolicy policy = {.pulls = true}) {
    Hub hub(options_);
    return find_or_pull(library, hub, name, policy, ignore_pull_events,
                        [&](const std::string& text) { warnings_.push_back(text); });
  }
  Result<Renewal> newer(Library& library, const std::string& name) {
    Hub hub(options_);
    return look_for_newer(hub, **library.registry().find(name), ignore_pull_events);
  }

  std::vector<std::string> warnings_;
};

TEST_F(FetchTest, CatalogueIdsStandForTheirRepositoryAndFile) {
  const auto catalogue = Catalogue::open();
  const auto row = hub_request(*catalogue, "qwen-3-4b");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->source.kind, SourceKind::file);
  EXPECT_EQ(row->source.repository, "Qwen/Qwen3-4B-GGUF");
  EXPECT_EQ(row->source.file, "Qwen3-4B-Q4_K_M.gguf");
  const auto folder = hub_request(*catalogue, "gemma-2-2b-it-mlx");
  EXPECT_EQ(folder->source.kind, SourceKind::repository);
  EXPECT_EQ(hub_request(*catalogue, "a/b:Q8_0")->source.quant, "Q8_0");
  EXPECT_EQ(hub_request(*catalogue, "nano-frankenstein").error().code, Code::usage);
  EXPECT_EQ(hub_request(*catalogue, "react-native-executorch-qwen-3").error().code, Code::unsupported);
  EXPECT_NE(hub_request(*catalogue, "qwen-3-4c").error().message().find("did you mean \"qwen-3-4b\""),
            std::string::npos);
}

TEST_F(FetchTest, NothingIsDownloadedUnlessTheUserSaysSo) {
  Library library = open();
  const auto found = fetch(library, "org/nano", {});
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message().find("--pull"), std::string::npos);
  EXPECT_EQ(stub_->hub().request_count(), 0u);
}

TEST_F(FetchTest, MissingModelIsDownloadedOnceAndRecorded) {
  Library library = open();
  const auto found = fetch(library, "qwen-3-4b");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->name, "qwen-3-4b");
  EXPECT_TRUE(fs::exists(found->path));
  const RegistryModel model = **library.registry().find("qwen-3-4b");
  EXPECT_EQ(model.status, ModelStatus::downloaded);
  EXPECT_EQ(model.repository, "Qwen/Qwen3-4B-GGUF");
  const auto history = library.registry().downloads();
  ASSERT_EQ(history->size(), 1u);
  EXPECT_EQ(history->at(0).outcome, "downloaded");
  EXPECT_EQ(history->at(0).bytes, model.bytes);
  const std::size_t requests = stub_->hub().request_count();
  EXPECT_EQ(fetch(library, "qwen-3-4b")->path, found->path);
  EXPECT_EQ(stub_->hub().request_count(), requests);
  EXPECT_EQ(library.registry().downloads()->size(), 1u);
}

TEST_F(FetchTest, DownloadThatFailsIsRecordedWithItsReason) {
  Library library = open();
  const auto found = fetch(library, "org/bad");
  ASSERT_FALSE(found);
  const auto history = library.registry().downloads();
  ASSERT_EQ(history->size(), 1u);
  EXPECT_EQ(history->at(0).outcome, "failed");
  EXPECT_FALSE(history->at(0).detail.empty());
  for (const bool is_at_next_start : {false, true}) {
    Library now = is_at_next_start ? open() : std::move(library);
    const RegistryModel model = **now.registry().find("org/bad/bad.gguf");
    EXPECT_EQ(model.status, ModelStatus::failed) << "it is whole in the cache, and no model";
    EXPECT_EQ(model.reason, history->at(0).detail);
    EXPECT_FALSE(now.find("org/bad"));
  }
}

TEST_F(FetchTest, DownloadIsRefusedWhereTheMachineIsTooSmallUnlessForced) {
  fs::create_directories(places_.home);
  std::ofstream(places_.home / "catalogue.yaml") << "models:\n  - id: qwen-3-4b\n    memory_bytes: 100TB\n";
  Library library = open();
  const auto refused = fetch(library, "qwen-3-4b");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::memory);
  EXPECT_NE(refused.error().message().find("--force"), std::string::npos);
  EXPECT_EQ(stub_->files().request_count(), 0u);
  EXPECT_TRUE(fetch(library, "qwen-3-4b", {.pulls = true, .forces = true}));
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("100 TB"), std::string::npos) << warnings_[0];
}

TEST_F(FetchTest, LocateModelOpensNothingForAPath) {
  const std::string path = fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf").string();
  const auto warn = [](const std::string&) {};
  EXPECT_EQ(locate_model(places_, options_, path, {}, ignore_pull_events, warn)->path, path);
  EXPECT_EQ(locate_model(places_, options_, "missing.gguf", {}, ignore_pull_events, warn)->path, "missing.gguf");
  EXPECT_FALSE(fs::exists(places_.home));
  EXPECT_EQ(locate_model(places_, options_, "org/nano", {.pulls = true}, ignore_pull_events, warn)->name,
            "org/nano:Q4_K_M");
  Library library = open();
  EXPECT_EQ((*library.registry().find("org/nano:Q4_K_M"))->uses, 1u);
  ASSERT_TRUE(library.registry().select("org/nano:Q4_K_M"));
  EXPECT_EQ(locate_model(places_, options_, "", {}, ignore_pull_events, warn)->name, "org/nano:Q4_K_M");
}

// ---- verify and repair

TEST_F(FetchTest, VerifyNamesDamagedAndMissingFilesAndRepairFetchesThemAlone) {
  Library library = open();
  ASSERT_TRUE(fetch(library, "org/nano:Q8_0"));
  const RegistryModel model = **library.registry().find("org/nano:Q8_0");
  const auto good = verify_model(model, ignore_progress);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good->is_good);
  ASSERT_EQ(good->files.size(), 1u);
  EXPECT_EQ(good->files[0].hash, model.files[0].hash);

  damage(model.path);
  const auto bad = verify_model(model, ignore_progress);
  EXPECT_FALSE(bad->is_good);
  EXPECT_EQ(bad->files[0].verdict, FileVerdict::damaged);
  EXPECT_NE(bad->files[0].detail.find(model.files[0].hash), std::string::npos);
  const std::uint64_t before = stub_->files().body_bytes();
  const auto repaired = repair_model(library, options_, model, *bad, ignore_pull_events);
  ASSERT_TRUE(repaired) << repaired.error().message();
  EXPECT_TRUE(verify_model(model, ignore_progress)->is_good);
  EXPECT_EQ(stub_->files().body_bytes() - before, model.bytes);

  fs::remove(fs::canonical(model.path));
  const auto missing = verify_model(model, ignore_progress);
  EXPECT_EQ(missing->files[0].verdict, FileVerdict::missing);
  ASSERT_TRUE(repair_model(library, options_, model, *missing, ignore_pull_events));
  EXPECT_TRUE(verify_model(model, ignore_progress)->is_good);
}

TEST_F(FetchTest, VerifyChecksGitHashesOfSmallFilesAndSizes) {
  cache_.add_folder("org/folder", kCommitA, fixture("models/nano-frankenstein/mlx-4bit"));
  Library library = open();
  RegistryModel model = **library.registry().find("org/folder");
  ASSERT_TRUE(verify_model(model, ignore_progress)->is_good);
  RegistryFile* config = nullptr;
  for (RegistryFile& file : model.files)
    if (file.name == "config.json") config = &file;
  ASSERT_NE(config, nullptr);
  config->hash = std::string(40, '0');
  EXPECT_FALSE(verify_model(model, ignore_progress)->is_good);
  config->hash = *hash_file(config->path, DigestKind::git_sha1);
  EXPECT_TRUE(verify_model(model, ignore_progress)->is_good);
  config->hash.clear();
  EXPECT_TRUE(verify_model(model, ignore_progress)->is_good) << "nothing recorded is no damage";
  config->bytes += 1;
  EXPECT_FALSE(verify_model(model, ignore_progress)->is_good);
}

TEST_F(FetchTest, ImportedModelsAreVerifiedAndNotRepaired) {
  const fs::path file = folder_.path() / "mine.gguf";
  fs::copy_file(fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"), file);
  RegistryModel model;
  model.name = "mine";
  model.source = "import";
  model.format = "gguf";
  model.path = file;
  model.files = {{file, "mine.gguf", fs::file_size(file), *sha256_of_file(file)}};
  Library library = open();
  ASSERT_TRUE(library.registry().put(model));
  EXPECT_TRUE(verify_model(model, ignore_progress)->is_good);
  damage(file);
  const auto bad = verify_model(model, ignore_progress);
  EXPECT_FALSE(bad->is_good);
  EXPECT_EQ(repair_model(library, options_, model, *bad, ignore_pull_events).error().code, Code::unsupported);
}

// ---- outdated and update

TEST_F(FetchTest, NewerCommitIsOutdatedOnlyWhenTheModelsOwnFilesChanged) {
  Library library = open();
  ASSERT_TRUE(fetch(library, "org/nano:Q8_0"));
  auto same = newer(library, "org/nano:Q8_0");
  ASSERT_TRUE(same) << same.error().message();
  EXPECT_FALSE(same->newer.is_outdated);
  EXPECT_EQ(same->newer.newest_commit, kCommitA);

  stub_->change("org/nano", "README.md", {.content = "other words"}, kCommitB);
  const auto page = newer(library, "org/nano:Q8_0");
  EXPECT_EQ(page->newer.newest_commit, kCommitB);
  EXPECT_FALSE(page->newer.is_outdated);
  EXPECT_EQ(page->newer.missing_bytes, 0u);

  stub_->change("org/nano", "nano-Q8_0.gguf", weights("F16"), std::string(40, 'c'));
  const auto changed = newer(library, "org/nano:Q8_0");
  EXPECT_TRUE(changed->newer.is_outdated);
  EXPECT_EQ(changed->newer.missing_bytes, weights("F16").content.size());
}

TEST_F(FetchTest, UpdateFetchesChangedHashesOnlyAndTheOldSnapshotKeepsItsCommit) {
  Library library = open();
  ASSERT_TRUE(fetch(library, "org/nano:Q8_0"));
  stub_->change("org/nano", "README.md", {.content = "other words"}, kCommitB);
  const std::uint64_t before = stub_->files().body_bytes();
  const auto page = newer(library, "org/nano:Q8_0");
  Hub hub(options_);
  ASSERT_TRUE(pull_and_record(library, hub, page->plan));
  EXPECT_EQ(stub_->files().body_bytes(), before) << "the weights are the same: nothing comes again";
  EXPECT_EQ((*library.registry().find("org/nano:Q8_0"))->commit, kCommitB);
  EXPECT_EQ((*library.registry().find("org/nano:Q8_0@aaaaaaa"))->commit, kCommitA);
  EXPECT_FALSE(can_be_renewed(**library.registry().find("org/nano:Q8_0@aaaaaaa")));
  EXPECT_TRUE(can_be_renewed(**library.registry().find("org/nano:Q8_0")));
}

TEST_F(FetchTest, ModelsOfPlainUrlsAreRecorded) {
  test::TestServer server([](const test::ServerRequest& request) {
    static const std::string content = weights("Q4_K_M").content;
    return test::serve(request, content, "\"etag\"");
  });
  Library library = open();
  const auto found = fetch(library, server.url("/dir/by-url-Q4_K_M.gguf"));
  ASSERT_TRUE(found) << found.error().message();
  const auto models = library.registry().models();
  ASSERT_EQ(models->size(), 1u);
  EXPECT_EQ(models->at(0).source, "url");
  EXPECT_TRUE(models->at(0).is_here());
  EXPECT_TRUE(models->at(0).name.ends_with("/dir/by-url-Q4_K_M.gguf")) << models->at(0).name;
  EXPECT_EQ(library.find(models->at(0).name)->path, found->path);
  EXPECT_EQ(models->at(0).files.at(0).hash.size(), 64u);
  Library again = open();
  EXPECT_TRUE(again.find(models->at(0).name)) << "and found again at the next start";
  EXPECT_EQ((*again.registry().find(models->at(0).name))->files.at(0).hash, models->at(0).files.at(0).hash);
}

}  // namespace
}  // namespace assay

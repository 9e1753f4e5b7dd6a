// The registry's records: kept, reconciled with the disk, shared by processes, made anew when damaged.
#include "runtime/registry/registry.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "runtime/registry/holder.h"
#include "runtime/registry/schema.h"
#include "tests/support/data.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

RegistryModel hub_model(const std::string& name) {
  RegistryModel out;
  out.name = name;
  out.source = "hub";
  out.repository = "org/" + name;
  out.commit = std::string(40, 'a');
  out.path = "/cache/" + name + ".gguf";
  out.format = "gguf";
  out.bytes = 10;
  out.files = {{out.path, name + ".gguf", 10, std::string(64, '1')}};
  return out;
}

class RegistryTest : public ::testing::Test {
 protected:
  Registry open() {
    auto registry = Registry::open(home_);
    EXPECT_TRUE(registry) << registry.error().message();
    return std::move(*registry);
  }
  ModelStatus status(Registry& registry, const std::string& name) { return (*registry.find(name))->status; }

  test::TemporaryFolder folder_;
  const fs::path home_ = folder_.path() / "home";
  const fs::path database_ = home_ / "assay.db";
};

TEST_F(RegistryTest, ModelsAreKeptWithTheirFilesAndFoundInAnyCase) {
  {
    Registry registry = open();
    RegistryModel model = hub_model("Alpha");
    model.files.push_back({"/cache/b", "b", 5, ""});
    ASSERT_TRUE(registry.put(model));
    model.files.pop_back();
    model.quantization = "Q8_0";
    ASSERT_TRUE(registry.put(model));
  }
  Registry registry = open();
  const auto found = registry.find("aLPHA");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->name, "Alpha");
  EXPECT_EQ((*found)->quantization, "Q8_0");
  ASSERT_EQ((*found)->files.size(), 1u);
  EXPECT_EQ((*found)->files[0].hash, std::string(64, '1'));
  EXPECT_EQ((*found)->weights_hash(), std::string(64, '1'));
  EXPECT_EQ(registry.models()->size(), 1u);
  EXPECT_FALSE(*registry.find("beta"));
  EXPECT_EQ(registry.remove("beta").error().code, Code::not_found);
  ASSERT_TRUE(registry.remove("alpha"));
  EXPECT_TRUE(registry.models()->empty());
}

TEST_F(RegistryTest, SelectionAndUseCountsOutliveAReplacementAndTheSelectionNotARemoval) {
  Registry registry = open();
  ASSERT_TRUE(registry.put(hub_model("alpha")));
  ASSERT_TRUE(registry.select("alpha"));
  ASSERT_TRUE(registry.note_use("alpha"));
  ASSERT_TRUE(registry.note_use("Alpha"));
  ASSERT_TRUE(registry.put(hub_model("alpha")));
  const RegistryModel model = **registry.find("alpha");
  EXPECT_TRUE(model.selected);
  EXPECT_EQ(model.uses, 2u);
  EXPECT_EQ(model.last_used.size(), 20u);
  ASSERT_TRUE(registry.remove("alpha"));
  EXPECT_EQ(*registry.selected(), "");
}

TEST_F(RegistryTest, ReconcileFollowsTheCache) {
  Registry registry = open();
  auto first = registry.reconcile({hub_model("alpha"), hub_model("beta")});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->added, 2u);
  EXPECT_EQ(registry.reconcile({hub_model("alpha"), hub_model("beta")})->changed, 0u);
  RegistryModel moved = hub_model("alpha");
  moved.commit = std::string(40, 'b');
  const auto second = registry.reconcile({moved});
  EXPECT_EQ(second->changed, 1u);
  EXPECT_EQ(second->stale, 1u);
  EXPECT_EQ((*registry.find("alpha"))->commit, moved.commit);
  EXPECT_EQ(status(registry, "beta"), ModelStatus::stale);
  EXPECT_NE((*registry.find("beta"))->reason.find("gone"), std::string::npos);
  ASSERT_TRUE(registry.reconcile({moved, hub_model("beta")}));
  EXPECT_EQ(status(registry, "beta"), ModelStatus::downloaded);
}

TEST_F(RegistryTest, ModelThatIsFoundUnderAnotherNameIsRenamedWithItsSelection) {
  Registry registry = open();
  ASSERT_TRUE(registry.reconcile({hub_model("alpha")}));
  ASSERT_TRUE(registry.select("alpha"));
  RegistryModel renamed = hub_model("alpha");
  renamed.name = "catalogue-id";
  ASSERT_TRUE(registry.reconcile({renamed}));
  EXPECT_FALSE(*registry.find("alpha"));
  EXPECT_TRUE((*registry.find("catalogue-id"))->selected);
}

TEST_F(RegistryTest, ReconcileLooksAtImportedFiles) {
  const fs::path file = folder_.path() / "x.gguf";
  std::ofstream(file) << "12345";
  RegistryModel model = hub_model("mine");
  model.source = "import";
  model.files = {{file.string(), "x.gguf", 5, ""}};
  Registry registry = open();
  ASSERT_TRUE(registry.put(model));
  ASSERT_TRUE(registry.reconcile({}));
  EXPECT_EQ(status(registry, "mine"), ModelStatus::downloaded);
  std::ofstream(file, std::ios::app) << "6";
  ASSERT_TRUE(registry.reconcile({}));
  EXPECT_EQ(status(registry, "mine"), ModelStatus::stale);
  EXPECT_NE((*registry.find("mine"))->reason.find("another size"), std::string::npos);
  fs::resize_file(file, 5);
  ASSERT_TRUE(registry.reconcile({}));
  EXPECT_EQ(status(registry, "mine"), ModelStatus::downloaded);
  EXPECT_EQ((*registry.find("mine"))->reason, "");
}

TEST_F(RegistryTest, DownloadOfALivingProcessIsLeftAloneAndOneOfADeadProcessHasFailed) {
  Registry registry = open();
  ASSERT_TRUE(registry.begin_download(hub_model("alpha")));
  ASSERT_TRUE(registry.reconcile({}));
  EXPECT_EQ(status(registry, "alpha"), ModelStatus::downloading);
  const pid_t child = fork();
  if (child == 0) {
    auto own = Registry::open(home_);
    _exit(own && own->begin_download(hub_model("beta")) ? 0 : 1);
  }
  int exit_status = 0;
  waitpid(child, &exit_status, 0);
  ASSERT_EQ(exit_status, 0);
  EXPECT_EQ(status(registry, "beta"), ModelStatus::downloading);
  ASSERT_TRUE(registry.reconcile({}));
  EXPECT_EQ(status(registry, "alpha"), ModelStatus::downloading);
  EXPECT_EQ(status(registry, "beta"), ModelStatus::failed);
  EXPECT_NE((*registry.find("beta"))->reason.find("interrupted"), std::string::npos);
  ASSERT_TRUE(registry.reconcile({hub_model("beta")}));
  EXPECT_EQ(status(registry, "beta"), ModelStatus::downloaded);
}

TEST_F(RegistryTest, EndOfADownloadIsRecordedInTheHistory) {
  Registry registry = open();
  DownloadRecord record;
  record.model = "alpha";
  record.seconds = 1.5;
  record.bytes = 10;
  record.outcome = "failed";
  record.detail = "no network";
  ASSERT_TRUE(registry.begin_download(hub_model("alpha")));
  ASSERT_TRUE(registry.end_download(record, ModelStatus::failed));
  EXPECT_EQ(status(registry, "alpha"), ModelStatus::failed);
  EXPECT_EQ((*registry.find("alpha"))->reason, "no network");
  record.outcome = "downloaded";
  ASSERT_TRUE(registry.begin_download(hub_model("alpha")));
  ASSERT_TRUE(registry.end_download(record, ModelStatus::downloaded));
  EXPECT_EQ((*registry.find("alpha"))->reason, "");
  const auto history = registry.downloads();
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ(history->at(0).detail, "no network");
  EXPECT_EQ(history->at(1).seconds, 1.5);
  EXPECT_EQ(history->at(1).bytes, 10u);
}

TEST_F(RegistryTest, ModelThatIsUpdatedStaysUsableWhateverComesOfIt) {
  Registry registry = open();
  ASSERT_TRUE(registry.put(hub_model("alpha")));
  ASSERT_TRUE(registry.begin_download(hub_model("alpha")));
  EXPECT_EQ(status(registry, "alpha"), ModelStatus::downloaded);
  EXPECT_EQ((*registry.find("alpha"))->files.size(), 1u);
  DownloadRecord record;
  record.model = "alpha";
  record.outcome = "failed";
  ASSERT_TRUE(registry.end_download(record, ModelStatus::failed));
  EXPECT_EQ(status(registry, "alpha"), ModelStatus::downloaded);
  EXPECT_EQ(registry.downloads()->size(), 1u);
}

TEST_F(RegistryTest, HolderIsToldApartFromAnotherProcessWithItsNumber) {
  EXPECT_TRUE(is_alive(this_holder()));
  EXPECT_FALSE(is_alive(""));
  EXPECT_FALSE(is_alive(std::to_string(getpid()) + " 1 boot"));
  EXPECT_FALSE(is_alive("../../etc 1 boot"));
}

TEST_F(RegistryTest, DamagedDatabaseIsMovedAsideAndANewOneMade) {
  { ASSERT_TRUE(open().put(hub_model("alpha"))); }
  std::ofstream(database_, std::ios::trunc | std::ios::binary) << std::string(8192, 'x');
  Registry registry = open();
  EXPECT_TRUE(registry.models()->empty());
  ASSERT_FALSE(registry.moved_aside().empty());
  EXPECT_TRUE(fs::exists(registry.moved_aside()));
  EXPECT_TRUE(registry.moved_aside().filename().string().starts_with("assay.db.damaged-"));
  ASSERT_TRUE(registry.reconcile({hub_model("alpha")}));
  EXPECT_TRUE(open().moved_aside().empty());
  EXPECT_TRUE(*open().find("alpha"));
}

TEST_F(RegistryTest, DamageInTheMiddleAndLostTablesAreNoticed) {
  {
    Registry registry = open();
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(registry.put(hub_model("model-" + std::to_string(i))));
  }
  {
    std::fstream file(database_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(database_) / 2));
    file << std::string(4096, '\xa5');
  }
  EXPECT_FALSE(open().moved_aside().empty());
  {
    auto database = Database::open(database_, kMigrations);
    ASSERT_TRUE(database && database->run("DROP TABLE settings"));
  }
  EXPECT_FALSE(open().moved_aside().empty());
  EXPECT_TRUE(open().moved_aside().empty());
}

TEST_F(RegistryTest, OneOfSeveralProcessesReplacesADamagedDatabase) {
  fs::create_directories(home_);
  std::ofstream(database_, std::ios::binary) << std::string(8192, 'x');
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      auto own = Registry::open(home_);
      _exit(own && own->put(hub_model("model-" + std::to_string(getpid()))) ? (own->moved_aside().empty() ? 1 : 2) : 3);
    }
    children.push_back(child);
  }
  int movers = 0;
  for (const pid_t child : children) {
    int exit_status = 0;
    waitpid(child, &exit_status, 0);
    ASSERT_TRUE(WIFEXITED(exit_status));
    EXPECT_NE(WEXITSTATUS(exit_status), 3);
    movers += WEXITSTATUS(exit_status) == 2;
  }
  EXPECT_EQ(movers, 1);
  EXPECT_EQ(open().models()->size(), 6u);
}

TEST_F(RegistryTest, EightProcessesWriteAtOnceAndNothingIsLost) {
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      auto own = Registry::open(home_);
      bool is_good = own.has_value();
      for (int j = 0; is_good && j < 10; ++j)
        is_good = own->put(hub_model("model-" + std::to_string(i) + "-" + std::to_string(j))).has_value() &&
                  own->note_use("shared").has_value();
      if (!own) fprintf(stderr, "%s\n", own.error().message().c_str());
      _exit(is_good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int exit_status = 0;
    waitpid(child, &exit_status, 0);
    EXPECT_EQ(exit_status, 0);
  }
  Registry registry = open();
  EXPECT_EQ(registry.models()->size(), 80u);
  ASSERT_TRUE(registry.put(hub_model("shared")));
  EXPECT_EQ((*registry.find("shared"))->uses, 80u);
}

TEST_F(RegistryTest, DatabaseOfTheFirstVersionKeepsItsResults) {
  {
    auto database = Database::open(database_, std::span(kMigrations).first(1));
    ASSERT_TRUE(
        database &&
        database->run(
            "INSERT INTO results "
            "(run_id,tag,time,commit_id,engine,model,model_sha256,test,status,key,host_fingerprint,file,line,record) "
            "VALUES ('','','','','','m','','','','','','f',1,'')"));
  }
  Registry registry = open();
  EXPECT_TRUE(registry.moved_aside().empty());
  ASSERT_TRUE(registry.put(hub_model("alpha")));
  auto database = Database::open(database_, kMigrations);
  int rows = 0;
  ASSERT_TRUE(database->query("SELECT model FROM results", {}, [&](Database::Row) { return ++rows > 0; }));
  EXPECT_EQ(rows, 1);
}

}  // namespace
}  // namespace assay

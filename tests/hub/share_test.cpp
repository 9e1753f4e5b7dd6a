// Caches shared with others: locks, several pulls at a time, offline use, leftovers, damaged and foreign files.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "runtime/core/sha256.h"
#include "runtime/hub/cache_scan.h"
#include "runtime/hub/file_lock.h"
#include "runtime/hub/partial.h"
#include "tests/hub/world.h"

namespace assay {
namespace {

using test::HubStub;
using test::kRepository;
using test::ServerReply;
using test::ServerRequest;
using test::World;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

class Share : public testing::Test {
 protected:
  Share() { world.options.endpoint = stub.endpoint(); }
  Result<PullResult> pull() { return world.pull(std::string(kRepository) + "/weights.bin"); }
  fs::path blob() const { return world.layout().blob(kRepository, hash); }

  const std::string content = test::random_text(20 << 20, 5);
  const std::string hash = sha256_of(std::as_bytes(std::span(content)));
  HubStub stub{
      {{kRepository,
        {.files = {{"config.json", {.content = "{}"}}, {"weights.bin", {.content = content, .is_large = true}}}}}}};
  World world;
};

TEST_F(Share, PullsAtTheSameTimeFetchEveryByteOnce) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) { reply.bytes_per_second = 40 << 20; });
  for (const int count : {2, 8}) {
    std::error_code ignored;
    fs::remove_all(world.options.cache_folder, ignored);
    const std::uint64_t before = stub.files().body_bytes();
    std::vector<World> worlds(static_cast<std::size_t>(count));
    std::vector<std::thread> threads;
    std::atomic<int> good{0}, waited{0};
    for (World& each : worlds) {
      each.options = world.options;
      threads.emplace_back([&] {
        const auto result = each.pull(std::string(kRepository) + "/weights.bin");
        if (result && test::read_text(result->model) == content) ++good;
        if (each.count(PullStep::waiting) > 0) ++waited;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, count);
    EXPECT_GE(waited, 1) << "somebody said that it waits";
    EXPECT_EQ(stub.files().body_bytes() - before, content.size()) << count << " pulls";
  }
}

TEST_F(Share, TheLockOfADeadProcessIsFree) {
  const fs::path lock = world.layout().lock(kRepository, hash);
  const pid_t child = fork();
  if (child == 0) {
    const auto held = FileLock::try_take(lock);
    _exit(held && held->has_value() ? 0 : 1);  // without a destructor
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(world.count(PullStep::waiting), 0u);
}

TEST_F(Share, TheLockOfPythonsFilelockIsRespected) {
  const fs::path lock = world.layout().lock(kRepository, hash);
  fs::create_directories(lock.parent_path());
  const fs::path held = world.folder() / "held", go = world.folder() / "go";
  const std::string script = "import filelock, pathlib, time\nlock = filelock.FileLock('" + lock.string() +
                             "')\nlock.acquire()\npathlib.Path('" + held.string() +
                             "').touch()\nwhile not pathlib.Path('" + go.string() +
                             "').exists(): time.sleep(0.01)\nlock.release()\n";
  std::ofstream(world.folder() / "hold.py") << script;
  const std::string command =
      "/usr/bin/python3 " + (world.folder() / "hold.py").string() + " 2>" + (world.folder() / "python.log").string();
  std::thread python(
      [&] { EXPECT_EQ(std::system(command.c_str()), 0) << test::read_text(world.folder() / "python.log"); });
  for (int i = 0; i < 500 && !fs::exists(held); ++i) std::this_thread::sleep_for(milliseconds(20));
  ASSERT_TRUE(fs::exists(held));
  const std::uint64_t before = stub.files().body_bytes();
  int looks = 0;
  world.stops_at = [&](const PullEvent& event) {
    const bool is_waiting = event.step == PullStep::waiting || event.step == PullStep::progress;
    if (is_waiting && ++looks == 4) {
      EXPECT_EQ(stub.files().body_bytes(), before) << "nothing is fetched while Python holds the lock";
      std::ofstream(go) << "";
    }
    return false;
  };
  const auto result = pull();
  python.join();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(world.count(PullStep::waiting), 1u);
}

TEST_F(Share, WhatAnotherClientDownloadedIsUsed) {
  // As Python leaves it: the blob, the ref and the link.
  const std::string commit = "0123456789abcdef0123456789abcdef01234567";
  fs::create_directories(blob().parent_path());
  std::ofstream(blob(), std::ios::binary) << content;
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(stub.files().request_count(), 0u);
  EXPECT_EQ(fs::read_symlink(world.layout().snapshot(kRepository, commit) / "weights.bin"),
            fs::path("../../blobs") / hash);
}

TEST_F(Share, ABlobOfTheWrongSizeIsReplaced) {
  fs::create_directories(blob().parent_path());
  std::ofstream(blob(), std::ios::binary) << content.substr(0, 1000);
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
}

TEST_F(Share, AnotherClientsUnfinishedFileIsLeftAlone) {
  fs::create_directories(blob().parent_path());
  std::ofstream(blob().string() + ".incomplete", std::ios::binary) << "half";
  ASSERT_TRUE(pull());
  EXPECT_EQ(test::read_text(blob().string() + ".incomplete"), "half");
}

TEST_F(Share, OfflineTheCacheServes) {
  ASSERT_TRUE(pull());
  const std::size_t requests = stub.hub().request_count();
  world.options.is_offline = true;
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
  EXPECT_EQ(stub.hub().request_count(), requests);
  const auto missing = world.pull("org/other");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
}

TEST_F(Share, WithoutANetworkTheCacheServesAndSaysSo) {
  ASSERT_TRUE(pull());
  world.options.endpoint = "http://127.0.0.1:1";
  world.options.retry.tries = 0;
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_NE(world.messages().find("going on with what the cache has"), std::string::npos) << world.messages();
}

TEST_F(Share, WithoutLinksTheFilesThemselvesLieInTheSnapshot) {
  world.options.uses_symlinks = false;
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(result->model)));
  EXPECT_TRUE(test::read_text(result->model) == content);
  // Python moves the blob there: then nothing is fetched again either.
  fs::remove(blob());
  const std::uint64_t sent = stub.files().body_bytes();
  ASSERT_TRUE(pull());
  EXPECT_EQ(stub.files().body_bytes(), sent);
}

TEST_F(Share, ALocalFolderHoldsFilesUnderTheirNamesWithPythonsNotes) {
  world.options.local_folder = world.folder() / "local";
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->model, world.folder() / "local" / "weights.bin");
  EXPECT_TRUE(test::read_text(result->model) == content);
  const std::string note =
      test::read_text(world.folder() / "local" / ".cache" / "huggingface" / "download" / "weights.bin.metadata");
  EXPECT_TRUE(note.starts_with("0123456789abcdef0123456789abcdef01234567\n" + hash + "\n")) << note;
  const std::uint64_t sent = stub.files().body_bytes();
  ASSERT_TRUE(pull());
  EXPECT_EQ(stub.files().body_bytes(), sent);
}

TEST_F(Share, AUsersOwnFileIsNotWrittenOver) {
  world.options.local_folder = world.folder() / "local";
  fs::create_directories(world.options.local_folder);
  std::ofstream(world.options.local_folder / "weights.bin") << "mine";
  const auto result = pull();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_EQ(test::read_text(world.options.local_folder / "weights.bin"), "mine");
  // The same bytes are adopted.
  std::ofstream(world.options.local_folder / "weights.bin", std::ios::binary) << content;
  ASSERT_TRUE(pull());
  EXPECT_EQ(stub.files().request_count(), 0u);
}

TEST_F(Share, ALinkInTheWayIsNotFollowed) {
  HubStub deep({{kRepository, {.files = {{"sub/weights.bin", {.content = content, .is_large = true}}}}}});
  world.options.endpoint = deep.endpoint();
  world.options.local_folder = world.folder() / "local";
  fs::create_directories(world.options.local_folder);
  fs::create_directories(world.folder() / "elsewhere");
  fs::create_symlink(world.folder() / "elsewhere", world.options.local_folder / "sub");
  const auto result = world.pull(std::string(kRepository) + "/sub/weights.bin");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_TRUE(fs::is_empty(world.folder() / "elsewhere"));
}

TEST_F(Share, ANewCommitSharesWhatDidNotChange) {
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  const std::string commit(40, 'b');
  stub.change(kRepository, "config.json", {.content = "{\"new\":1}"}, commit);
  const std::uint64_t sent = stub.files().body_bytes();
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  EXPECT_EQ(stub.files().body_bytes(), sent);
  EXPECT_EQ(test::read_text(world.layout().snapshot(kRepository, commit) / "config.json"), "{\"new\":1}");
  EXPECT_EQ(test::read_text(world.layout().ref(kRepository, "main")), commit);
  EXPECT_EQ(
      test::read_text(world.layout().snapshot(kRepository, "0123456789abcdef0123456789abcdef01234567") / "config.json"),
      "{}");
}

TEST_F(Share, AScanFindsWhatIsLeftOverAndPruneFreesIt) {
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  const fs::path blobs = blob().parent_path();
  std::ofstream(blobs / "0000.incomplete") << "12345";
  std::ofstream(blobs / ("1111" + std::string(kPartialSuffix))) << "1234567";
  std::ofstream(blobs / std::string(64, '2')) << "123";
  const fs::path snapshot = world.layout().snapshot(kRepository, "0123456789abcdef0123456789abcdef01234567");
  fs::create_symlink("../../blobs/nothing", snapshot / "gone.bin");
  const auto held = FileLock::try_take(world.layout().lock(kRepository, "1111"));
  ASSERT_TRUE(held && held->has_value());

  const CacheScan scan = scan_cache(world.options.cache_folder);
  ASSERT_EQ(scan.repositories.size(), 1u);
  EXPECT_EQ(scan.repositories[0].name, kRepository);
  ASSERT_EQ(scan.repositories[0].revisions.size(), 1u);
  EXPECT_EQ(scan.repositories[0].revisions[0].refs, std::vector<std::string>{"main"});
  EXPECT_EQ(scan.repositories[0].revisions[0].bytes, content.size() + 2);
  ASSERT_EQ(scan.leftovers.size(), 4u);
  for (const Leftover& leftover : scan.leftovers) {
    EXPECT_EQ(leftover.is_in_use, leftover.kind == LeftoverKind::partial) << leftover.path;
    const auto removed = remove_leftover(leftover);
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_EQ(*removed, leftover.kind != LeftoverKind::partial);
  }
  EXPECT_EQ(scan_cache(world.options.cache_folder).leftovers.size(), 1u);
  EXPECT_TRUE(test::read_text(snapshot / "weights.bin") == content);
}

TEST_F(Share, DamagedBlobsAreFoundByTheirNames) {
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  EXPECT_TRUE(find_corrupt_blobs(world.options.cache_folder)->empty());
  std::fstream(blob(), std::ios::in | std::ios::out | std::ios::binary).seekp(1000).put('!').put('!');
  const auto corrupt = find_corrupt_blobs(world.options.cache_folder);
  ASSERT_TRUE(corrupt);
  ASSERT_EQ(corrupt->size(), 1u);
  EXPECT_EQ((*corrupt)[0].path, blob());
}

TEST_F(Share, RemovingARevisionKeepsWhatOthersShare) {
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  const std::string commit(40, 'b');
  stub.change(kRepository, "config.json", {.content = "{\"new\":1}"}, commit);
  ASSERT_TRUE(world.pull(kRepository, {.all = true}));
  ASSERT_TRUE(remove_revision(world.options.cache_folder, kRepository, "0123456789abcdef0123456789abcdef01234567"));
  const CacheScan scan = scan_cache(world.options.cache_folder);
  ASSERT_EQ(scan.leftovers.size(), 1u) << "the old configuration";
  EXPECT_EQ(scan.leftovers[0].kind, LeftoverKind::unreferenced);
  EXPECT_EQ(scan.leftovers[0].bytes, 2u);
  EXPECT_TRUE(test::read_text(world.layout().snapshot(kRepository, commit) / "weights.bin") == content);
}

TEST_F(Share, AFullDiskIsSaidBeforeAnythingIsFetched) {
  Hub hub(world.options);
  auto plan = hub.plan(*parse_source(std::string(kRepository) + "/weights.bin"));
  ASSERT_TRUE(plan) << plan.error().message();
  plan->free_bytes = 1000;
  const auto result = hub.pull(*plan);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::space);
  EXPECT_NE(result.error().message().find("--cache-dir"), std::string::npos) << result.error().message();
  EXPECT_EQ(stub.files().request_count(), 0u);
}

TEST_F(Share, AFolderThatCannotBeWrittenIsAClearError) {
  if (::geteuid() == 0) {
    // For root everything can be written: a file where a folder is needed fails the same way.
    std::ofstream(world.options.cache_folder) << "no folder";
    const auto result = pull();
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message().find("folder cannot be made"), std::string::npos) << result.error().message();
    return;
  }
  fs::create_directories(world.options.cache_folder);
  fs::permissions(world.options.cache_folder, fs::perms::owner_read | fs::perms::owner_exec);
  const auto result = pull();
  fs::permissions(world.options.cache_folder, fs::perms::owner_all);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
}

}  // namespace
}  // namespace assay

// Pulls that go well: from a hub into its cache, from a URL, again, in part, and from another commit.
#include <gtest/gtest.h>

#include "runtime/core/sha256.h"
#include "tests/hub/world.h"

namespace assay {
namespace {

using test::HubStub;
using test::kRepository;
using test::StubFile;
using test::World;
namespace fs = std::filesystem;

std::map<std::string, test::StubRepository> one_gguf() {
  return {{kRepository,
           {.files = {{"README.md", {.content = "# A model\n"}},
                      {"config.json", {.content = "{}\n"}},
                      {"nano-Q4_K_M.gguf", test::gguf_file()}}}}};
}

TEST(Pull, PutsAFileIntoTheCacheAsOtherHubClientsKnowIt) {
  HubStub stub(one_gguf());
  World world;
  world.options.endpoint = stub.endpoint();
  const auto result = world.pull(kRepository);
  ASSERT_TRUE(result) << result.error().message();

  const std::string content = test::gguf_file().content, hash = sha256_of(std::as_bytes(std::span(content)));
  const std::string commit = "0123456789abcdef0123456789abcdef01234567";
  const fs::path pointer =
      world.options.cache_folder / "models--org--model" / "snapshots" / commit / "nano-Q4_K_M.gguf";
  EXPECT_EQ(result->model, pointer);
  EXPECT_EQ(fs::read_symlink(pointer), fs::path("../../blobs") / hash);
  EXPECT_EQ(test::read_text(pointer), content);
  EXPECT_EQ(test::read_text(world.options.cache_folder / "models--org--model" / "refs" / "main"), commit);
  EXPECT_TRUE(fs::exists(world.options.cache_folder / ".locks" / "models--org--model" / (hash + ".lock")));
  // The optional configuration came with it, named by git's hash of its text; the rest did not.
  EXPECT_EQ(test::read_text(pointer.parent_path() / "config.json"), "{}\n");
  EXPECT_EQ(fs::read_symlink(pointer.parent_path() / "config.json").filename(),
            "0967ef424bce6791893e9a57bb952f80fd536e93");
  EXPECT_FALSE(fs::exists(pointer.parent_path() / "README.md"));
  EXPECT_TRUE(test::files_named(world.folder(), "partial").empty());
}

// The hash is the hub's, so the bytes are what the repository holds; a model they are not.
TEST(Pull, WhatArrivesWholeButIsNoModelIsRefusedByName) {
  const std::string whole = test::gguf_file().content;
  const std::map<std::string, std::string> contents = {{"file.html", "<!DOCTYPE html><html><title>Log in</title></html>"},
                                                       {"gguf.", whole.substr(0, whole.size() / 2)}};
  for (const auto& [rule, content] : contents) {
    HubStub stub({{kRepository, {.files = {{"nano-Q4_K_M.gguf", {.content = content, .is_large = true}}}}}});
    World world;
    world.options.endpoint = stub.endpoint();
    const auto result = world.pull(kRepository);
    ASSERT_FALSE(result) << rule;
    EXPECT_EQ(result.error().code, Code::malformed);
    EXPECT_NE(result.error().message().find(rule), std::string::npos) << result.error().message();
    EXPECT_NE(result.error().message().find("no valid model"), std::string::npos) << result.error().message();
  }
}

TEST(Pull, TransfersNothingThatIsHereAlready) {
  HubStub stub(one_gguf());
  World world;
  world.options.endpoint = stub.endpoint();
  ASSERT_TRUE(world.pull(kRepository));
  const std::uint64_t sent = stub.files().body_bytes();
  const auto again = world.pull(kRepository);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(stub.files().body_bytes(), sent);
  EXPECT_EQ(again->files.back().transferred_bytes, 0u);
}

TEST(Pull, FetchesALargeFileInSeveralRangesAtATime) {
  const std::string content = test::random_text(40 << 20, 1);
  HubStub stub({{kRepository, {.files = {{"weights.bin", {.content = content, .is_large = true}}}}}});
  World world;
  world.options.endpoint = stub.endpoint();
  const auto result = world.pull(std::string(kRepository) + "/weights.bin");
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(test::read_text(result->model), content);
  EXPECT_EQ(stub.files().body_bytes(), content.size()) << "no byte twice";
  EXPECT_GT(stub.files().request_count(), 3u);
}

TEST(Pull, GoesOnWhereItWasStopped) {
  const std::string content = test::random_text(40 << 20, 2);
  HubStub stub({{kRepository, {.files = {{"weights.bin", {.content = content, .is_large = true}}}}}});
  World world;
  world.options.endpoint = stub.endpoint();
  stub.spoil_files([](const auto&, test::ServerReply& reply) { reply.bytes_per_second = 20 << 20; });
  world.stops_at = [](const PullEvent& event) { return event.step == PullStep::progress && event.done > (16 << 20); };
  const auto stopped = world.pull(std::string(kRepository) + "/weights.bin");
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::interrupted);
  const std::uint64_t before = stub.files().body_bytes();
  EXPECT_LT(before, content.size());

  world.stops_at = nullptr;
  stub.spoil_files(nullptr);
  const auto plan = world.plan(std::string(kRepository) + "/weights.bin");
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->files[0].have_bytes, 15u << 20);
  const auto result = world.pull(std::string(kRepository) + "/weights.bin");
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(test::read_text(result->model), content);
  // What was under way and not yet noted is at most a megabyte for each of the connections, and what the sockets held.
  EXPECT_LT(stub.files().body_bytes(), content.size() + (24 << 20));
  EXPECT_LT(result->files[0].transferred_bytes, content.size() - (15 << 20));
}

TEST(Pull, OfAUrlKeepsTheFileUnderItsHostAndKnowsItAgain) {
  const std::string content = test::gguf_file().content;
  test::TestServer server([&](const test::ServerRequest& request) { return test::serve(request, content, "\"v1\""); });
  World world;
  const auto result = world.pull(server.url("/models/a%20model.gguf?x=1"));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->model,
            world.options.files_folder / ("127.0.0.1_" + std::to_string(server.port())) / "models" / "a model.gguf");
  EXPECT_EQ(test::read_text(result->model), content);
  const std::uint64_t sent = server.body_bytes();
  ASSERT_TRUE(world.pull(server.url("/models/a%20model.gguf?x=1")));
  EXPECT_LE(server.body_bytes(), sent + 1) << "the second time only the question what is there";
}

}  // namespace
}  // namespace assay

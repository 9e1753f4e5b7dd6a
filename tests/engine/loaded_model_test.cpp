// Several models in one process: sessions over one mapping, unloading, loading beside one that works, preloading.
#include "runtime/engine/loaded_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "runtime/core/host.h"
#include "runtime/core/progress.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/synth.h"
#include "tests/support/data.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;  // freed memory is kept to find wrong uses of it
#else
constexpr bool kIsSanitized = false;
#endif

namespace assay {
namespace {

const std::filesystem::path kNano = test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-F16.gguf");
const std::filesystem::path kTiny = test::fixture("models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf");

LoadedModel open(const std::filesystem::path& path, const Loading& loading = {}) {
  auto opened = LoadedModel::open(path, loading);
  EXPECT_TRUE(opened) << opened.error().message();
  return std::move(*opened);
}

Session session_of(const LoadedModel& model, const SessionOptions& options = {}) {
  auto session = Session::open(model.model(), options);
  EXPECT_TRUE(session) << session.error().message();
  return std::move(*session);
}

// The likeliest continuation, token by token.
std::vector<std::int32_t> continue_text(Session& session, std::vector<std::int32_t> tokens, std::size_t count) {
  std::vector<std::int32_t> out;
  while (out.size() < count) {
    const auto logits = session.feed(tokens, LogitsWanted::last);
    EXPECT_TRUE(logits) << logits.error().message();
    out.push_back(most_likely(*logits));
    tokens = {out.back()};
  }
  return out;
}

std::size_t mappings_of(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.ends_with(path.filename().string());
  return count;
}

TEST(LoadedModel, SessionsShareOneMappingAndNothingElse) {
  std::vector<std::int32_t> alone_a, alone_b;
  {
    const LoadedModel model = open(kNano);
    Session a = session_of(model), b = session_of(model);
    alone_a = continue_text(a, {10, 20, 30}, 24);
    alone_b = continue_text(b, {40, 50}, 24);
  }
  ASSERT_NE(alone_a, alone_b);
  const LoadedModel model = open(kNano);
  Session a = session_of(model), b = session_of(model, {.context = 64, .kv = KvType::f16});
  EXPECT_EQ(mappings_of(kNano), 1u);
  std::vector<std::int32_t> next_a = {10, 20, 30}, next_b = {40, 50}, said_a, said_b;
  for (int i = 0; i < 24; ++i) {  // in turns
    next_a = continue_text(a, next_a, 1), next_b = continue_text(b, next_b, 1);
    said_a.push_back(next_a[0]), said_b.push_back(next_b[0]);
  }
  EXPECT_EQ(said_a, alone_a);
  EXPECT_EQ(said_b, alone_b);
}

// A stand-in for a real model: 135 million parameters, about 100 MB.
class LargeModel : public testing::Test {
 protected:
  void SetUp() override {
    const ModelShape* shape = shape_from_name("smollm-135m");
    ASSERT_NE(shape, nullptr);
    const auto made = synthesize(*shape, "Q4_K_M", {}, path(), ignore_progress);
    ASSERT_TRUE(made) << made.error().message();
  }
  std::filesystem::path path() const { return folder_.path() / "large.gguf"; }
  const test::TemporaryFolder folder_;
};

TEST_F(LargeModel, UnloadingGivesTheMemoryBack) {
  if (kIsSanitized) GTEST_SKIP() << "sanitizers keep what is freed";
  {  // threads and their stacks are there from now on
    const LoadedModel model = open(kNano);
    Session session = session_of(model);
    continue_text(session, {1, 2, 3}, 2);
  }
  const std::uint64_t before = read_process_memory().resident_bytes;
  for (const Loading& loading : {Loading{}, Loading{.preload = true}, Loading{.copy = true}, Loading{.copy = true}}) {
    std::uint64_t used = 0;
    {
      const LoadedModel model = open(path(), loading);
      Session first = session_of(model, {.context = 2048}), second = session_of(model, {.context = 1024});
      continue_text(first, std::vector<std::int32_t>(300, 7), 2);
      continue_text(second, std::vector<std::int32_t>(300, 9), 2);
      used = read_process_memory().resident_bytes;
      EXPECT_GT(used, before + (80u << 20)) << "it was in memory";
    }
    const std::uint64_t after = read_process_memory().resident_bytes;
    // The bound: 5 % and 32 MB, what an allocator and libraries may keep.
    EXPECT_LE(after, before + before / 20 + (32u << 20));
    std::cout << "resident: " << format_bytes(before) << " before, " << format_bytes(used) << " with " << (loading.copy ? "a copied" : loading.preload ? "a preloaded" : "a mapped") << " model and two sessions, "
              << format_bytes(after) << " after\n";
  }
}

TEST_F(LargeModel, PreloadingHasThePagesInMemoryBeforeTheFirstToken) {
  const auto file_pages = [] { return read_process_memory().file_bytes; };
  const std::uint64_t size = std::filesystem::file_size(path()), before = file_pages();
  {
    const LoadedModel mapped = open(path());
    EXPECT_LT(file_pages(), before + size / 4) << "opening reads headers only";
  }
  const LoadedModel preloaded = open(path(), {.preload = true});
  EXPECT_GT(file_pages(), before + size / 10 * 9);
}

TEST(LoadedModel, TheNextOneLoadsWhileOneWorks) {
  std::vector<std::int32_t> expected_nano, expected_tiny;
  {
    const LoadedModel nano = open(kNano), tiny = open(kTiny);
    Session a = session_of(nano), b = session_of(tiny);
    expected_nano = continue_text(a, {10, 20, 30}, 200);
    expected_tiny = continue_text(b, {2046, 20, 30}, 50);
  }
  std::vector<std::int32_t> said;
  auto next = [&] {
    const LoadedModel nano = open(kNano);
    Session session = session_of(nano);
    auto loading = load_in_background(kTiny, {.preload = true});
    said = continue_text(session, {10, 20, 30}, 200);
    return loading.get();
  }();
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(said, expected_nano);
  EXPECT_TRUE(next->tokenizer());
  Session session = session_of(*next);
  EXPECT_EQ(continue_text(session, {2046, 20, 30}, 50), expected_tiny);
}

TEST(LoadedModel, WhatCannotBeLoadedSaysSoAndDisturbsNobody) {
  const LoadedModel nano = open(kNano);
  Session session = session_of(nano);
  auto loading = load_in_background(test::fixture("README.md"), {});
  EXPECT_EQ(continue_text(session, {10, 20, 30}, 5).size(), 5u);
  const auto failed = loading.get();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("README.md"), std::string::npos);
}

}  // namespace
}  // namespace assay

// What servers and networks do wrong, and what a pull makes of it: the right bytes, or a clear error and nothing under
// the name.
#include <gtest/gtest.h>

#include "runtime/core/sha256.h"
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

constexpr std::size_t kSize = 20 << 20;

// A repository with one large file whose second host can be spoilt.
class Faults : public testing::Test {
 protected:
  Faults() { world.options.endpoint = stub.endpoint(); }

  Result<PullResult> pull() { return world.pull(std::string(kRepository) + "/weights.bin"); }

  void expect_good(const Result<PullResult>& result) {
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_TRUE(test::read_text(result->model) == content) << "the bytes differ";
    EXPECT_TRUE(test::files_named(world.folder(), "partial").empty());
  }

  // Nothing stands under the name that stands for the right bytes.
  void expect_failure(const Result<PullResult>& result, Code code, std::string_view part) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().message();
    EXPECT_NE(result.error().message().find(part), std::string::npos) << result.error().message();
    const std::string hash = sha256_of(std::as_bytes(std::span(content)));
    EXPECT_FALSE(fs::exists(world.layout().blob(kRepository, hash)));
    EXPECT_TRUE(
        test::files_named(world.options.cache_folder / "models--org--model" / "snapshots", "weights.bin").empty());
  }

  // Before the servers, whose threads may still send it at the end of a test.
  std::string other;
  std::atomic<bool> is_spoilt{false};
  std::atomic<int> answers{0};
  const std::string content = test::random_text(kSize, 7);
  HubStub stub{{{kRepository, {.files = {{"weights.bin", {.content = content, .is_large = true}}}}}}};
  World world;
};

TEST_F(Faults, ConnectionsThatDropAfterSomeBytesAreTakenUpAgain) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) {
    reply.drop_after = std::min<std::uint64_t>(reply.body.size(), 700'000);
  });
  expect_good(pull());
  EXPECT_LT(stub.files().body_bytes(), kSize + (1 << 20)) << "what came before a drop was kept";
}

TEST_F(Faults, ResetConnectionsAreTakenUpAgain) {
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers % 2 == 0) reply.drop_after = reply.body.size() / 2, reply.resets = true;
  });
  expect_good(pull());
}

TEST_F(Faults, StalledConnectionsAreGivenUpAndTakenUpAgain) {
  world.options.http.stall_timeout = milliseconds(150);
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers <= 2) reply.stall_after = 300'000;
  });
  expect_good(pull());
  EXPECT_NE(world.messages().find("stalled"), std::string::npos) << world.messages();
}

TEST_F(Faults, ASlowDripCountsAsAStall) {
  world.options.http.stall_timeout = milliseconds(150);
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers <= 2) reply.bytes_per_second = 500;
  });
  expect_good(pull());
}

TEST_F(Faults, AServerThatStallsForGoodIsGivenUpWithTheBytesKept) {
  world.options.http.stall_timeout = milliseconds(60);
  world.options.retry.tries = 2;
  stub.spoil_files(
      [this](const ServerRequest&, ServerReply& reply) { reply.stall_after = ++answers <= 2 ? 3'000'000 : 0; });
  expect_failure(pull(), Code::network, "stalled");
  const auto plan = world.plan(std::string(kRepository) + "/weights.bin");
  ASSERT_TRUE(plan);
  EXPECT_GE(plan->files[0].have_bytes, 2'000'000u);
  stub.spoil_files(nullptr);
  const std::uint64_t before = stub.files().body_bytes();
  expect_good(pull());
  EXPECT_LE(stub.files().body_bytes() - before, kSize - plan->files[0].have_bytes);
}

TEST_F(Faults, BusyServersAreAskedAgainWhenTheySay) {
  for (const unsigned status : {429u, 503u}) {
    answers = 0;
    std::error_code ignored;
    fs::remove_all(world.options.cache_folder, ignored);
    const auto start = std::chrono::steady_clock::now();
    stub.spoil_files([&](const ServerRequest&, ServerReply& reply) {
      if (++answers <= 3) reply = {.status = status, .headers = {{"Retry-After", "1"}}};
    });
    expect_good(pull());
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(900)) << status;
  }
}

TEST_F(Faults, RateLimitHeadersAreHonoured) {
  const auto start = std::chrono::steady_clock::now();
  stub.spoil_hub([this](const ServerRequest&, ServerReply& reply) {
    if (++answers == 1) reply = {.status = 429, .headers = {{"ratelimit", "\"api\";r=0;t=1"}}};
  });
  expect_good(pull());
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(900));
}

TEST_F(Faults, AServerThatWantsAnHourIsNotWaitedFor) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) {
    reply = {.status = 503, .headers = {{"Retry-After", "3600"}}};
  });
  expect_failure(pull(), Code::network, "come back in 3600 s");
}

TEST_F(Faults, ServerErrorsAreTriedAgainAndThenNamed) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) { reply = {.status = 502}; });
  expect_failure(pull(), Code::network, "answers 502");
  EXPECT_GE(world.count(PullStep::retrying), 3u);
}

TEST_F(Faults, WholeFilesInsteadOfPartsAreTakenWithoutRanges) {
  stub.spoil_files([this](const ServerRequest& request, ServerReply& reply) {
    if (reply.status == 206) reply = {.status = 200, .headers = {{"ETag", "\"x\""}}, .body = content};
    static_cast<void>(request);
  });
  expect_good(pull());
}

TEST_F(Faults, WholeFilesInsteadOfPartsDoNotSpoilWhatIsThere) {
  // First some megabytes by ranges, then a server that has forgotten about ranges and drops once more on the way.
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers <= 4) return void(reply.drop_after = 2'500'000);
    if (reply.status == 206) reply = {.status = 200, .headers = {{"ETag", "\"x\""}}, .body = content};
    if (answers == 8) reply.drop_after = 9'000'000;
  });
  expect_good(pull());
}

TEST_F(Faults, WrongPartsAreNotWritten) {
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers > 3 || reply.status != 206) return;
    for (auto& [name, value] : reply.headers)
      if (name == "Content-Range") value = "bytes 5-1000/" + std::to_string(content.size());
  });
  expect_good(pull());
}

TEST_F(Faults, PartsThatDoNotSayWhichAreNotWritten) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) {
    std::erase_if(reply.headers, [](const auto& header) { return header.first == "Content-Range"; });
  });
  expect_good(pull());  // at last without ranges
}

TEST_F(Faults, TooShortAnAnnouncementIsNoticed) {
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers <= 2) reply.announced = reply.body.size() / 2;
  });
  expect_good(pull());
}

TEST_F(Faults, TooLongAnAnnouncementIsNoticed) {
  world.options.http.stall_timeout = milliseconds(150);
  stub.spoil_files([this](const ServerRequest&, ServerReply& reply) {
    if (++answers <= 2) reply.announced = reply.body.size() + 1000;
  });
  expect_good(pull());
}

TEST_F(Faults, AnotherFileOfAnotherLengthIsNotTaken) {
  other = test::random_text(kSize / 2, 8);
  stub.spoil_files(
      [&](const ServerRequest& request, ServerReply& reply) { reply = test::serve(request, other, "\"other\""); });
  expect_failure(pull(), Code::mismatch, "weights.bin");
}

TEST_F(Faults, AnotherFileOfTheSameLengthIsFoundByItsHash) {
  other = test::random_text(kSize, 8);
  stub.spoil_files(
      [&](const ServerRequest& request, ServerReply& reply) { reply = test::serve(request, other, "\"other\""); });
  expect_failure(pull(), Code::mismatch, "SHA-256");
  EXPECT_EQ(world.count(PullStep::retrying), 2u) << "fetched three times in all";
  stub.spoil_files(nullptr);
  expect_good(pull());
}

TEST_F(Faults, OneWrongByteIsFoundAndTheFileFetchedAgain) {
  other = content;
  other[kSize / 2] = static_cast<char>(other[kSize / 2] ^ 1);
  is_spoilt = true;
  stub.spoil_files([&](const ServerRequest& request, ServerReply& reply) {
    if (is_spoilt && reply.status != 404) reply = test::serve(request, other, "\"cdn\"");
  });
  world.stops_at = [&](const PullEvent& event) {
    if (event.step == PullStep::retrying) is_spoilt = false;
    return false;
  };
  expect_good(pull());
  EXPECT_EQ(world.count(PullStep::retrying), 1u) << world.messages();
}

TEST_F(Faults, AnEtagThatChangesUnderWayMeansLookingAtTheHash) {
  // The second host renames its etag in the middle: the bytes are the same, and the hub's hash vouches for them.
  stub.spoil_files([this](const ServerRequest& request, ServerReply& reply) {
    if (++answers > 2) reply = test::serve(request, content, "\"new\"");
  });
  expect_good(pull());
}

TEST_F(Faults, AddressesThatRunOutAreAskedForAgain) {
  // Every redirect has a signature of its own, which is good for one answer: those that remember it meet its end.
  std::mutex mutex;
  std::map<std::string, int> uses;
  stub.spoil_hub([this](const ServerRequest&, ServerReply& reply) {
    for (auto& [name, value] : reply.headers)
      if (const auto at = value.find("?signature="); name == "Location" && at != std::string::npos)
        value = value.substr(0, at) + "?signature=" + std::to_string(++answers);
  });
  std::atomic<int> refused{0};
  stub.spoil_files([&](const ServerRequest& request, ServerReply& reply) {
    const std::lock_guard lock(mutex);
    if (++uses[request.target] > 1) reply = {.status = 403}, ++refused;
  });
  world.options.connections = 2;  // fewer than pieces: the third one goes to a remembered address
  expect_good(pull());
  EXPECT_GT(refused, 0);
  EXPECT_GT(answers, 1) << "a new address was asked for";
  stub.spoil_files(nullptr);
  stub.spoil_hub(nullptr);
}

TEST_F(Faults, AFreshAddressThatIsRefusedIsADenial) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) { reply = {.status = 403}; });
  expect_failure(pull(), Code::denied, "may not be read");
}

TEST_F(Faults, CompressedAnswersAreNotWritten) {
  stub.spoil_files([this](const ServerRequest& request, ServerReply& reply) {
    if (request.header("Cache-Control") != "no-transform")
      reply.headers.emplace_back("Content-Encoding", "gzip"), ++answers;
  });
  expect_good(pull());
  EXPECT_GT(answers, 0);
  stub.spoil_files(
      [](const ServerRequest&, ServerReply& reply) { reply.headers.emplace_back("Content-Encoding", "gzip"); });
  world.options.downloads_again = true;
  const auto result = pull();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("compressed (gzip)"), std::string::npos) << result.error().message();
}

TEST_F(Faults, EndlessRedirectsEnd) {
  stub.spoil_files([](const ServerRequest& request, ServerReply& reply) {
    reply = {.status = 302, .headers = {{"Location", request.target}}};
  });
  expect_failure(pull(), Code::malformed, "in a circle");
}

TEST_F(Faults, HugeHeadersEnd) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) {
    reply.headers.emplace_back("X-Long", std::string(200'000, 'x'));
  });
  expect_failure(pull(), Code::malformed, "64 kB");
}

TEST_F(Faults, WhatIsNotHttpEnds) {
  stub.spoil_files([](const ServerRequest&, ServerReply& reply) { reply.raw = "SSH-2.0-OpenSSH_9.2\r\n\r\n"; });
  expect_failure(pull(), Code::malformed, "not HTTP");
}

TEST_F(Faults, AnswersThatNeverComeEnd) {
  world.options.http.answer_timeout = milliseconds(60);
  world.options.retry.tries = 1;
  stub.spoil_files([](const ServerRequest&, ServerReply&) { std::this_thread::sleep_for(milliseconds(300)); });
  expect_failure(pull(), Code::network, "no answer in time");
}

TEST_F(Faults, RequestsOnConnectionsThatWereClosedMeanwhileAreRepeated) {
  stub.spoil_hub([](const ServerRequest&, ServerReply& reply) {
    reply.headers.emplace_back("Keep-Alive", "timeout=1"), reply.drop_after = reply.owned.size();
  });
  expect_good(pull());
  EXPECT_EQ(world.count(PullStep::retrying), 0u) << world.messages();
}

TEST_F(Faults, ABadStateFileCostsADownloadAndNoMore) {
  const std::string hash = sha256_of(std::as_bytes(std::span(content)));
  const fs::path data = world.layout().blob(kRepository, hash).string() + kPartialSuffix;
  fs::create_directories(data.parent_path());
  for (const std::string_view journal :
       {"", "{", "[]\n", "{\"schema\":\"assay.partial.v1\",\"etag\":\"other\",\"size\":5}\n{\"written\":[0,5]}\n"}) {
    std::ofstream(data, std::ios::binary) << std::string(content.size(), 'x');
    std::ofstream(data.string() + ".json", std::ios::binary) << journal;
    expect_good(pull());
    fs::remove_all(world.options.cache_folder);
    fs::create_directories(data.parent_path());
  }
}

TEST_F(Faults, AStateFileThatLiesIsFoundByTheHash) {
  const std::string hash = sha256_of(std::as_bytes(std::span(content)));
  const fs::path data = world.layout().blob(kRepository, hash).string() + kPartialSuffix;
  fs::create_directories(data.parent_path());
  std::ofstream(data, std::ios::binary) << std::string(content.size() + 1000, 'x');
  std::ofstream(data.string() + ".json", std::ios::binary)
      << "{\"schema\":\"assay.partial.v1\",\"etag\":\"" << hash << "\",\"size\":" << content.size()
      << ",\"boot\":\"\"}\n{\"synced\":[[0," << content.size() << "]]}\n";
  expect_good(pull());
}

}  // namespace
}  // namespace assay

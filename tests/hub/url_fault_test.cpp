// What goes wrong with plain URLs, where only the server's etag and length vouch for the bytes.
#include <gtest/gtest.h>

#include "runtime/core/sha256.h"
#include "tests/hub/world.h"

namespace assay {
namespace {

using test::ServerReply;
using test::ServerRequest;
using test::World;
namespace fs = std::filesystem;

constexpr std::size_t kSize = 20 << 20;

// Plain URLs have no hash to lean on: the server's etag and length must do.
class UrlFaults : public testing::Test {
 protected:
  Result<PullResult> pull() { return world.pull(server.url("/model.bin")); }
  // Before the server, whose threads may still send it at the end of a test.
  std::string second;
  int answers = 0;
  std::string content = test::random_text(kSize, 9);
  std::string etag = "\"one\"";
  std::function<void(const ServerRequest&, ServerReply&)> spoil;
  std::mutex mutex;
  test::TestServer server{[this](const ServerRequest& request) {
    const std::lock_guard lock(mutex);
    ServerReply reply = test::serve(request, content, etag);
    if (spoil) spoil(request, reply);
    return reply;
  }};
  World world;
};

TEST_F(UrlFaults, AFileThatChangesUnderWayIsFetchedAnewAndNeverMixed) {
  second = test::random_text(kSize, 10);
  spoil = [&](const ServerRequest& request, ServerReply& reply) {
    if (++answers > 3) etag = "\"two\"", reply = test::serve(request, second, etag);
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == second);
  EXPECT_NE(world.messages().find("etag"), std::string::npos) << world.messages();
}

TEST_F(UrlFaults, AFileThatBecameLongerIsFetchedAnew) {
  second = content + "more";
  spoil = [&](const ServerRequest& request, ServerReply& reply) {
    if (++answers > 3) reply = test::serve(request, second, etag);
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == second);
}

TEST_F(UrlFaults, ABodyWithoutALengthThatGoesOnTooLongIsNotCutOff) {
  second = content + "more";
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    if (++answers > 1) reply = {.status = 200, .headers = {{"ETag", etag}}, .body = second, .is_chunked = true};
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == second) << "the new question for its size tells none";
}

TEST_F(UrlFaults, AFileThatBecameShorterIsFetchedAnew) {
  second = content.substr(0, 6 << 20);
  spoil = [&](const ServerRequest& request, ServerReply& reply) {
    if (++answers > 3) reply = test::serve(request, second, etag);
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == second);
}

TEST_F(UrlFaults, ServersWithoutEtagsAndDatesAreNotResumed) {
  etag = "";
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    std::erase_if(reply.headers, [](const auto& header) { return header.first == "ETag"; });
    if (++answers == 2) reply.drop_after = 5'000'000;
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
  EXPECT_GT(server.body_bytes(), kSize + 4'000'000) << "begun anew";
}

TEST_F(UrlFaults, ChunkedBodiesAreTakenToTheirEnd) {
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    reply = {.status = 200, .headers = {{"ETag", etag}}, .body = content, .is_chunked = true};
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
}

TEST_F(UrlFaults, ChunkedBodiesThatBreakOffAreFetchedAgain) {
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    reply = {.status = 200, .headers = {{"ETag", etag}}, .body = content, .is_chunked = true};
    if (++answers <= 3) reply.drop_after = 1'000'000;
  };
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
}

TEST_F(UrlFaults, ABodyWhoseEndNobodyKnowsNeedsAHash) {
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    reply = {.status = 200, .body = content, .has_no_length = true};
  };
  const auto refused = pull();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("--sha256"), std::string::npos) << refused.error().message();
  world.options.sha256 = sha256_of(std::as_bytes(std::span(content)));
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == content);
}

TEST_F(UrlFaults, AWrongHashLeavesNoFile) {
  world.options.sha256 = std::string(64, '0');
  const auto result = pull();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::mismatch);
  EXPECT_TRUE(test::files_named(world.folder(), "model.bin").empty() ||
              !fs::exists(world.options.files_folder / "127.0.0.1" / "model.bin"));
  for (const fs::path& path : test::files_named(world.folder(), "model.bin"))
    EXPECT_NE(path.filename(), "model.bin") << path;
}

TEST_F(UrlFaults, AWebPageIsNoModel) {
  spoil = [&](const ServerRequest&, ServerReply& reply) {
    reply = {.status = 200,
             .headers = {{"Content-Type", "text/html; charset=utf-8"}},
             .owned = "<html>please log in</html>"};
  };
  const auto result = world.pull(server.url("/model.gguf"));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message().find("web page"), std::string::npos) << result.error().message();
}

TEST_F(UrlFaults, AnEmptyFileIsAFile) {
  content.clear();
  const auto result = pull();
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(fs::file_size(result->model), 0u);
}

TEST_F(UrlFaults, ANameThatDoesNotExistAndAPortThatIsClosedAreNetworkErrors) {
  world.options.retry.tries = 0;
  const auto closed = world.pull("http://127.0.0.1:1/x.bin");
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, Code::network);
  const auto unknown = world.pull("http://no-such-host.invalid/x.bin");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::network);
  EXPECT_NE(unknown.error().message().find("looked up"), std::string::npos) << unknown.error().message();
}

}  // namespace
}  // namespace assay

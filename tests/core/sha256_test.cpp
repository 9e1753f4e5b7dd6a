// SHA-256 against the published vectors of FIPS 180-4, in one piece, in many, and from a file.
#include "runtime/core/sha256.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/data.h"

namespace assay {
namespace {

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

TEST(Sha256, MatchesPublishedVectors) {
  EXPECT_EQ(sha256_of({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(bytes_of(std::string(1'000'000, 'a'))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnySizeGiveTheSame) {
  const std::string text(1000, 'a');
  for (const std::size_t piece : {1u, 63u, 64u, 65u, 999u}) {
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += piece) hash.update(bytes_of(std::string_view(text).substr(at, piece)));
    EXPECT_EQ(hash.finish(), sha256_of(bytes_of(text))) << piece;
    EXPECT_EQ(hash.finish(), sha256_of({})) << "starts afresh";
  }
}

TEST(Sha256, HashesAFileAndReportsItsProgress) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "million";
  std::ofstream(path) << std::string(1'000'000, 'a');
  std::uint64_t done = 0, total = 0;
  const auto hash = sha256_of_file(path, [&](const ProgressEvent& event) { return done = event.done, total = event.total, true; });
  ASSERT_TRUE(hash);
  EXPECT_EQ(*hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(done, 1'000'000u);
  EXPECT_EQ(total, 1'000'000u);
}

TEST(Sha256, FileThatCannotBeReadIsNamed) {
  const auto missing = sha256_of_file("no/such/file");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_EQ(missing.error().file, "no/such/file");
  EXPECT_EQ(sha256_of_file("/").error().code, Code::io);
}

TEST(Sha256, StopsOnRequest) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  std::ofstream(path) << "x";
  EXPECT_EQ(sha256_of_file(path, [](const ProgressEvent&) { return false; }).error().code, Code::interrupted);
}

}  // namespace
}  // namespace assay

// The journal of a partial file: what counts after a process died, and what after the machine did.
#include "runtime/hub/partial.h"

#include <gtest/gtest.h>

#include "tests/support/data.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

const PartialIdentity kIdentity{.etag = "etag", .size = 1000, .url = "http://host/file"};

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class Journal : public testing::Test {
 protected:
  // Writes and notes bytes [begin, end) of a file of x's.
  void write(PartialFile& partial, std::uint64_t begin, std::uint64_t end) {
    ASSERT_TRUE(partial.write(begin, bytes_of(std::string(end - begin, 'x'))));
    partial.note({begin, end});
  }
  PartialFile open(const PartialIdentity& identity = kIdentity) {
    auto partial = PartialFile::open(data, identity);
    EXPECT_TRUE(partial) << (partial ? "" : partial.error().message());
    return *std::move(partial);
  }
  // As if the machine had been started again since.
  void reboot() {
    std::string text = test::read_text(journal);
    const std::size_t at = text.find("\"boot\":\"") + 8;
    text.replace(at, text.find('"', at) - at, "another");
    std::ofstream(journal, std::ios::binary) << text;
  }
  TemporaryFolder folder;
  const fs::path data = folder.path() / "blobs" / "etag.assay.partial";
  const fs::path journal = data.string() + ".json";
};

TEST_F(Journal, RemembersWhatWasWrittenWhenTheProcessDies) {
  {
    PartialFile partial = open();
    write(partial, 0, 100);
    write(partial, 500, 600);
  }
  EXPECT_EQ(open().have().list(), (std::vector<Range>{{0, 100}, {500, 600}}));
  EXPECT_EQ(look_at_partial(data)->have_bytes, 200u);
}

TEST_F(Journal, TrustsOnlyWhatWasSyncedWhenTheMachineDied) {
  {
    PartialFile partial = open();
    write(partial, 0, 100);
    ASSERT_TRUE(partial.sync());
    write(partial, 100, 900);
  }
  reboot();
  EXPECT_EQ(open().have().list(), (std::vector<Range>{{0, 100}}));
}

TEST_F(Journal, WhatIsTakenOverAfterAProcessDiedSurvivesTheNextPowerCut) {
  {
    PartialFile partial = open();
    write(partial, 0, 100);
  }
  { PartialFile again = open(); }
  reboot();
  EXPECT_EQ(open().have().bytes(), 100u);
}

TEST_F(Journal, EndsWhereItsTextIsCutOff) {
  {
    PartialFile partial = open();
    write(partial, 0, 100);
    write(partial, 100, 200);
  }
  const std::string text = test::read_text(journal);
  for (std::size_t cut = 1; cut <= std::string_view("{\"written\":[100,200]}\n").size(); ++cut) {
    std::ofstream(journal, std::ios::binary) << text.substr(0, text.size() - cut);
    EXPECT_EQ(look_at_partial(data)->have_bytes, 100u) << cut;
  }
  // Zeros at the end, as some file systems leave them after a power cut.
  std::ofstream(journal, std::ios::binary) << text << std::string(100, '\0') << "\n";
  EXPECT_EQ(look_at_partial(data)->have_bytes, 200u);
}

TEST_F(Journal, ClaimsNothingBeyondTheFile) {
  {
    PartialFile partial = open();
    write(partial, 0, 1000);
  }
  fs::resize_file(data, 300);
  EXPECT_EQ(open().have().list(), (std::vector<Range>{{0, 300}}));
}

TEST_F(Journal, BelongsToOneEtagAndOneSize) {
  {
    PartialFile partial = open();
    write(partial, 0, 100);
  }
  EXPECT_EQ(open({.etag = "other", .size = 1000}).have().bytes(), 0u);
  EXPECT_EQ(fs::file_size(data), 0u) << "bytes of another file are gone";
}

TEST_F(Journal, GivesTheFileItsNameAndExactlyItsLength) {
  PartialFile partial = open();
  write(partial, 0, 1000);
  std::ofstream(data, std::ios::app | std::ios::binary) << "more";
  const fs::path target = folder.path() / "blobs" / "etag";
  EXPECT_FALSE(was_committed(data, kIdentity, target));
  ASSERT_TRUE(partial.commit(target));
  EXPECT_TRUE(was_committed(data, kIdentity, target));
  EXPECT_FALSE(was_committed(data, {.etag = "other", .size = 1000}, target));
  forget_partial(data);
  EXPECT_EQ(test::read_text(folder.path() / "blobs" / "etag"), std::string(1000, 'x'));
  EXPECT_FALSE(fs::exists(data));
  EXPECT_FALSE(fs::exists(journal));
}

TEST_F(Journal, DoesNotWriteThroughALinkOfItsName) {
  fs::create_directories(data.parent_path());
  std::ofstream(folder.path() / "precious") << "mine";
  fs::create_symlink(folder.path() / "precious", data);
  EXPECT_FALSE(PartialFile::open(data, kIdentity));
  EXPECT_EQ(test::read_text(folder.path() / "precious"), "mine");
}

}  // namespace
}  // namespace assay

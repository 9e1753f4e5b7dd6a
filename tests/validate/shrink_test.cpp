// Files that change under an open mapping: an error, and no death by SIGBUS.
#include <unistd.h>

#include "runtime/core/mapped_file.h"
#include "tests/validate/support.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

struct Shrinking : testing::Test {
  Shrinking() : path(folder.path() / "m.gguf") {
    survive_shrinking_files();
    fs::copy_file(test::fixture("models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"), path);
  }
  test::TemporaryFolder folder;
  fs::path path;
};

TEST_F(Shrinking, GivesZerosAndSaysSo) {
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->check_unchanged());
  const std::size_t size = file->bytes().size();
  ASSERT_EQ(::truncate(path.c_str(), 5000), 0);
  unsigned sum = 0;
  for (std::size_t at = 8192; at < size; ++at) sum += static_cast<unsigned>(file->bytes()[at]);
  EXPECT_EQ(sum, 0u);
  const auto changed = file->check_unchanged();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::io);
  EXPECT_NE(changed.error().detail.find("changed while it was open"), std::string::npos);
}

TEST_F(Shrinking, IsToldOfReplacedAndRemovedFiles) {
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  fs::copy_file(path, folder.path() / "other");
  fs::rename(folder.path() / "other", path);
  EXPECT_FALSE(file->check_unchanged());
  fs::remove(path);
  const auto gone = file->check_unchanged();
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().detail.find("gone"), std::string::npos);
}

TEST_F(Shrinking, WhileItIsValidatedIsAFinding) {
  // The first word of progress comes when the file is open and most of it has not been read.
  bool is_cut = false;
  const auto cut = [&](const ProgressEvent&) {
    is_cut = is_cut || ::truncate(path.c_str(), 4096) == 0;
    return true;
  };
  const auto validation = validate(path, {.hash = true, .threads = 1}, cut);
  ASSERT_TRUE(validation);
  EXPECT_TRUE(is_cut);
  EXPECT_NE(test::find(*validation, "file.changed"), nullptr) << test::told(*validation);
  EXPECT_GT(validation->count(Severity::error), 0u);
}

TEST_F(Shrinking, OfAnOpenModelIsAFindingToo) {
  auto model = open_model(path);
  ASSERT_TRUE(model);
  ASSERT_EQ(::truncate(path.c_str(), 100), 0);
  AllFindings sink;
  ASSERT_TRUE(validate(*model, {.threads = 2}, sink));
  const auto found = std::find_if(sink.findings().begin(), sink.findings().end(),
                                  [](const Finding& finding) { return finding.rule == "file.changed"; });
  EXPECT_NE(found, sink.findings().end());
}

}  // namespace
}  // namespace assay

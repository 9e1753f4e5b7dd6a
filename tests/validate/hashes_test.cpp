// Where recorded hashes are found, and what is said when they differ.
#include "runtime/validate/hashes.h"
#include "runtime/core/sha256.h"
#include "tests/validate/support.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
const std::string kWrong(64, '0');

struct OneFile {
  OneFile() : path(folder.path() / "m.gguf") {
    fs::copy_file(test::fixture("corrupt/gguf/ok_tied_embeddings.gguf"), path);
    hash = *sha256_of_file(path);
  }
  void write(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder.path() / name).parent_path());
    std::ofstream(folder.path() / name) << text;
  }
  test::TemporaryFolder folder;
  fs::path path;
  std::string hash;
};

TEST(Hashes, AgreeWithWhatTheCallerSays) {
  const OneFile file;
  EXPECT_EQ(test::find(test::validated(file.path, {.hash = true, .sha256 = file.hash}), "hash.mismatch"), nullptr);
  std::string upper = file.hash;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const Validation good = test::validated(file.path, {.hash = true, .sha256 = upper});
  EXPECT_EQ(good.count(Severity::error), 0u);
  EXPECT_EQ(good.hashes[0].sha256, file.hash);
  const Finding* wrong = test::find(test::validated(file.path, {.hash = true, .sha256 = kWrong}), "hash.mismatch");
  ASSERT_NE(wrong, nullptr);
}

TEST(Hashes, ThatTheCallerKnowsComeBeforeListsBesideTheFile) {
  const OneFile file;
  file.write("SHA256SUMS", kWrong + "  m.gguf\n");
  const Validation good = test::validated(file.path, {.hash = true, .known = {{"m.gguf", file.hash}}});
  EXPECT_EQ(good.count(Severity::error), 0u) << test::told(good);
  EXPECT_EQ(good.hashes[0].source, "the registry");
  const Finding* wrong = test::find(test::validated(file.path, {.hash = true, .known = {{"m.gguf", kWrong}}}), "hash.mismatch");
  ASSERT_NE(wrong, nullptr);
}

TEST(Hashes, AreReadFromAListBesideTheFile) {
  const OneFile file;
  file.write("SHA256SUMS", "# made by hand\n" + file.hash + "  m.gguf\r\n" + kWrong + " *other.gguf\n\n");
  const Validation good = test::validated(file.path, {.hash = true});
  EXPECT_EQ(good.hashes[0].expected, file.hash);
  EXPECT_EQ(good.count(Severity::error), 0u);
  file.write("mine.txt", kWrong + "  folder/m.gguf\n");
  EXPECT_NE(
      test::find(test::validated(file.path, {.hash = true, .sums = file.folder.path() / "mine.txt"}), "hash.mismatch"),
      nullptr);
}

TEST(Hashes, AreTheNamesOfBlobsInTheHubsCache) {
  const OneFile file;
  for (const bool is_right : {true, false}) {
    const fs::path blob = file.folder.path() / "blobs" / (is_right ? file.hash : kWrong);
    fs::create_directories(blob.parent_path());
    fs::copy_file(file.path, blob);
    const fs::path snapshot = file.folder.path() / "snapshots" / (is_right ? "good" : "bad");
    fs::create_directories(snapshot);
    fs::create_symlink("../../blobs/" + blob.filename().string(), snapshot / "m.gguf");
    const Validation validation = test::validated(snapshot / "m.gguf", {.hash = true});
    EXPECT_EQ(test::find(validation, "hash.mismatch") == nullptr, is_right) << test::told(validation);
    EXPECT_EQ(validation.hashes[0].expected, blob.filename().string());
  }
}

TEST(Hashes, AreInTheHubsNoteBesideADownload) {
  const OneFile file;
  file.write(".cache/huggingface/download/m.gguf.metadata", "commit\n" + kWrong + "\n1700000000.0\n");
  EXPECT_NE(test::find(test::validated(file.path, {.hash = true}), "hash.mismatch"), nullptr);
  file.write(".cache/huggingface/download/m.gguf.metadata",
             "commit\n" + std::string(40, 'a') + "\n");  // a small file's etag is no SHA-256
  EXPECT_NE(test::find(test::validated(file.path, {.hash = true}), "hash.unknown"), nullptr);
}

TEST(Hashes, RefuseWhatIsNoHashOrList) {
  const OneFile file;
  const auto no_hash = validate(file.path, {.hash = true, .sha256 = "abc"});
  ASSERT_FALSE(no_hash);
  EXPECT_EQ(no_hash.error().code, Code::usage);
  const auto several = validate(test::fixture("models/nano-frankenstein/hf-sharded"), {.hash = true, .sha256 = kWrong});
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().code, Code::usage);
  file.write("mine.txt", file.hash + "  m.gguf\nnonsense\n");
  const auto no_list = validate(file.path, {.hash = true, .sums = file.folder.path() / "mine.txt"});
  ASSERT_FALSE(no_list);
  EXPECT_NE(no_list.error().message().find("line 2"), std::string::npos) << no_list.error().message();
}

}  // namespace
}  // namespace assay

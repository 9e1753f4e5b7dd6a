// open_model: every fixture opens, and files that only look like models are refused by name.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/formats/files.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using test::fixture;

// Model files and folders below fixtures/models and fixtures/architectures.
std::vector<fs::path> fixture_models() {
  std::vector<fs::path> out;
  for (const char* root : {"models", "architectures"})
    for (const auto& entry : fs::recursive_directory_iterator(fixture(root))) {
      if (entry.path().extension() == ".gguf") out.push_back(entry.path());
      if (entry.path().filename() == "config.json") out.push_back(entry.path().parent_path());
    }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(OpenModel, OpensEveryFixtureWithoutAWord) {
  const auto paths = fixture_models();
  ASSERT_GE(paths.size(), 20u);
  for (const fs::path& path : paths) {
    const auto model = open_model(path);
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_FALSE(model->tensors.empty()) << path;
    EXPECT_EQ(model->config.is_null(), model->kind == FileKind::gguf) << path;
    for (const Finding& finding : test::findings_of(path)) ADD_FAILURE() << finding.to_error().message();
    for (const TensorView& tensor : model->tensors) {
      EXPECT_EQ(model->find(tensor.name), &tensor);
      EXPECT_EQ(tensor.data.data(), model->files[tensor.file].bytes().data() + tensor.offset);
      EXPECT_EQ(tensor.rows() * tensor.row_bytes(), tensor.data.size()) << tensor.name;
    }
  }
}

TEST(OpenModel, GivesTheSameTensorsFromEveryNameOfAFolder) {
  const fs::path folder = fixture("models/nano-frankenstein/hf-sharded");
  const auto whole = open_model(folder);
  ASSERT_TRUE(whole) << whole.error().message();
  EXPECT_EQ(whole->kind, FileKind::sharded_safetensors);
  EXPECT_EQ(whole->files.size(), 3u);
  EXPECT_EQ(whole->folder, folder);
  for (const char* name : {"model.safetensors.index.json", "model-00002-of-00003.safetensors", "config.json"}) {
    const auto model = open_model(folder / name);
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_EQ(model->tensors.size(), whole->tensors.size()) << name;
    EXPECT_EQ(model->path, folder / name);
    EXPECT_FALSE(model->config.is_null());
  }
}

TEST(OpenModel, SurvivesBeingMoved) {
  auto opened = open_model(fixture("models/nano-frankenstein/mlx-4bit"));
  ASSERT_TRUE(opened);
  ModelFile first = std::move(*opened);
  const ModelFile second = std::move(first);
  for (const TensorView& tensor : second.tensors) EXPECT_EQ(second.find(tensor.name), &tensor);
  EXPECT_EQ(second.find("no such tensor"), nullptr);
  EXPECT_EQ(second.file_bytes(), fs::file_size(fixture("models/nano-frankenstein/mlx-4bit/model.safetensors")));
}

TEST(OpenModel, OpensAllOfTheSharedArchitectures) {
  ASSAY_SHARED_OR_SKIP(path, "architectures");
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const bool is_model = entry.path().extension() == ".gguf" || entry.path().filename() == "config.json";
    if (!is_model) continue;
    ++count;
    const auto model = open_model(entry.path());
    EXPECT_TRUE(model) << model.error().message();
    for (const Finding& finding : test::findings_of(entry.path())) ADD_FAILURE() << finding.to_error().message();
  }
  EXPECT_GE(count, 30);
}

TEST(OpenModel, OpensTheSharedVocabularies) {
  ASSAY_SHARED_OR_SKIP(path, "tokenizers");
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto model = open_model(entry.path());
    ASSERT_TRUE(model) << model.error().message();
    const auto tokens = model->metadata.strings("tokenizer.ggml.tokens");
    ASSERT_TRUE(tokens) << tokens.error().message();
    EXPECT_GT(tokens->size(), 1000u);
  }
}

struct Impostor {
  std::string name;
  std::string content;
  std::string says;  // in the message
  std::string advises;
};

class OpenImpostor : public testing::TestWithParam<Impostor> {};

TEST_P(OpenImpostor, IsRefusedByNameWithAdvice) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / GetParam().name;
  test::write_file(path, GetParam().content);
  const auto model = open_model(path);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().file, path.string());
  EXPECT_NE(model.error().detail.find(GetParam().says), std::string::npos) << model.error().message();
  EXPECT_NE(model.error().detail.find(GetParam().advises), std::string::npos) << model.error().message();
}

const std::string kZeros(64, '\0');
const std::string kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4370129216\n";

INSTANTIATE_TEST_SUITE_P(
    Files, OpenImpostor,
    testing::Values(
        Impostor{"a.gguf", "", "is empty", "download it again"},
        Impostor{"b.gguf", kPointer, "Git LFS pointer, not the model (it stands for a file of 4370129216 bytes)",
                 "git lfs pull"},
        Impostor{"c.safetensors", kPointer, "Git LFS pointer", "git lfs pull"},
        Impostor{"d.gguf", "<!DOCTYPE html><html><title>Sign in</title></html>", "web page", "download it again"},
        Impostor{"e.safetensors", "\n  <html>\n", "web page", "token"},
        Impostor{"f.gguf", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "server message",
                 "download it again"},
        Impostor{"g.pte", std::string("\x18\0\0\0", 4) + "ET12" + kZeros, "ExecuTorch program (.pte)",
                 "as GGUF or safetensors"},
        Impostor{"h.bin", "PK\x03\x04" + kZeros, "ZIP archive, as PyTorch saves", "safetensors"},
        Impostor{"i.pt", "\x80\x02}q\x01." + kZeros, "Python pickle", "safetensors"},
        Impostor{"j.bin", "lmgg" + kZeros, "ggml model", "current GGUF"},
        Impostor{"k.bin", "fmgg" + kZeros, "before GGUF", "current GGUF"},
        Impostor{"l.bin", "tjgg" + kZeros, "before GGUF", "current GGUF"},
        Impostor{"m.gguf", "FUGG" + kZeros, "big-endian", "little-endian"},
        Impostor{"n.gguf", std::string("GGUF\0\0\0\3", 8) + kZeros, "big-endian", "little-endian"},
        Impostor{"o.gguf", std::string("GGUF\1\0\0\0", 8) + kZeros, "version 1", "convert"},
        Impostor{"p.gguf", kZeros, "zeros only", "download it again"},
        Impostor{"q.safetensors", kZeros, "zeros only", "download it again"},
        Impostor{"r.gguf", "Entry not found", "first four bytes are \"Entr\"", "no GGUF file"},
        Impostor{"s.txt", "Entry not found", "short text (\"Entry not found\")", "name a .gguf"},
        Impostor{"t.json", "{\"error\":\"Invalid username or password.\"}", "Invalid username or password.",
                 "name a .gguf"},
        Impostor{"u.json", "{\"error\":", "not valid JSON", "download it again"},
        Impostor{"v.dat", std::string("\x01\x02\x03\xff", 4) + kZeros, "no model file Assay knows", "name a .gguf"},
        Impostor{"w.h5", "\x89HDF\r\n\x1a\n" + kZeros, "HDF5", "GGUF or safetensors"},
        Impostor{"x.gguf.gz", "\x1f\x8b\x08" + kZeros, "gzip", "unpack"}),
    [](const testing::TestParamInfo<Impostor>& one) { return one.param.name.substr(0, 1); });

TEST(OpenModel, GoesByContentNotByName) {
  const test::TemporaryFolder folder;
  fs::copy_file(fixture("corrupt/gguf/ok_tied_embeddings.gguf"), folder.path() / "blob");
  fs::copy_file(fixture("corrupt/safetensors/ok_metadata.safetensors"), folder.path() / "wrong.gguf");
  const auto gguf = open_model(folder.path() / "blob");
  ASSERT_TRUE(gguf) << gguf.error().message();
  EXPECT_EQ(gguf->kind, FileKind::gguf);
  const auto safetensors = open_model(folder.path() / "wrong.gguf");
  ASSERT_TRUE(safetensors) << safetensors.error().message();
  EXPECT_EQ(safetensors->kind, FileKind::safetensors);
}

TEST(OpenModel, FollowsLinksAsTheHubCacheHasThem) {
  const test::TemporaryFolder folder;
  fs::create_directories(folder.path() / "blobs");
  fs::create_directories(folder.path() / "snapshots/abc");
  int blob = 0;
  for (const auto& entry : fs::directory_iterator(fixture("models/nano-frankenstein/hf-sharded"))) {
    const std::string name = std::to_string(blob++);
    fs::copy_file(entry.path(), folder.path() / "blobs" / name);
    fs::create_symlink("../../blobs/" + name, folder.path() / "snapshots/abc" / entry.path().filename());
  }
  const auto model = open_model(folder.path() / "snapshots/abc");
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->tensors.size(), 20u);
  EXPECT_TRUE(open_model(folder.path() / "snapshots/abc/model-00001-of-00003.safetensors"));
}

TEST(OpenModel, NamesAPathThatIsNotThere) {
  const auto model = open_model("/no/such/model.gguf");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::not_found);
  EXPECT_EQ(model.error().message(), "/no/such/model.gguf: no such file or folder; check the path");
}

// In a child, which gives up the rights of a superuser, whom no permission stops.
TEST(OpenModel, NamesAFolderThatCannotBeRead) {
  const test::TemporaryFolder folder;
  const fs::path closed = folder.path() / "closed";
  ASSERT_EQ(::mkdir(closed.c_str(), 0), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const auto open_without_rights = [&] {
    constexpr uid_t kNobody = 65534;
    if (::getuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
    const auto model = open_model(closed);
    if (!model) std::fprintf(stderr, "%s", model.error().message().c_str());
    ::_exit(model ? 1 : 0);
  };
  EXPECT_EXIT(open_without_rights(), testing::ExitedWithCode(0), "closed: cannot read the folder: Permission denied; check its permissions");
}

TEST(OpenModel, DoesNotWaitForADevice) {
  const auto model = open_model("/dev/zero");
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().detail.find("neither a file nor a folder"), std::string::npos);
}

}  // namespace
}  // namespace assay

// The writers: what they write opens again equal, and what they cannot write is named.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "runtime/formats/safetensors_writer.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

using test::bytes_of;
using test::pattern;
using test::TemporaryFolder;

std::size_t file_count(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(GgufWriter, WritesWhatOpensWithoutAWord) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "small.gguf";
  test::write_small_gguf(path);
  EXPECT_TRUE(test::findings_of(path).empty());
  const auto model = open_model(path);
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->gguf_version, 3u);
  EXPECT_EQ(model->find("token_embd.weight")->shape, (std::vector<std::uint64_t>{4, 32}));
  EXPECT_EQ(test::text_of(model->find("token_embd.weight")->data), pattern(256, 1));
  EXPECT_EQ(test::text_of(model->find("blk.0.attn_q.weight")->data), pattern(102, 2));
  EXPECT_EQ(test::text_of(model->find("output_norm.weight")->data), pattern(20, 3));
  for (const TensorView& tensor : model->tensors) EXPECT_EQ(tensor.offset % 32, 0u);
  EXPECT_EQ(file_count(folder.path()), 1u);
}

TEST(GgufWriter, CopiesAModelEntryByEntry) {
  const TemporaryFolder folder;
  for (const char* name : {"corrupt/gguf/ok_unknown_keys.gguf", "corrupt/gguf/ok_alignment_4096.gguf",
                           "models/nano-frankenstein/gguf/nano-frankenstein-Q4_K_M.gguf"}) {
    const auto source = open_model(test::fixture(name));
    ASSERT_TRUE(source) << source.error().message();
    GgufWriter writer;
    for (const MetaEntry& entry : source->metadata.entries()) writer.copy(entry);
    for (const TensorView& tensor : source->tensors)
      ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.format, tensor.shape));
    ASSERT_TRUE(writer.begin(folder.path() / "copy.gguf"));
    for (const TensorView& tensor : source->tensors) ASSERT_TRUE(writer.write(tensor.data));
    ASSERT_TRUE(writer.finish());
    EXPECT_EQ(test::read_text(folder.path() / "copy.gguf"), test::read_text(test::fixture(name))) << name;
  }
}

TEST(GgufWriter, TakesDataInPiecesOfAnySize) {
  const TemporaryFolder folder;
  GgufWriter writer;
  ASSERT_TRUE(writer.add_tensor("a", FormatId::F32, {5}));
  ASSERT_TRUE(writer.add_tensor("b", FormatId::F32, {9 << 18}));
  ASSERT_TRUE(writer.begin(folder.path() / "x.gguf"));
  const std::string all = pattern(20 + (9 << 20), 4);
  Bytes rest = bytes_of(all);
  for (std::size_t size = 1; !rest.empty(); size = size * 3 + 1) {
    const Bytes piece = rest.first(std::min(size, rest.size()));
    ASSERT_TRUE(writer.write(piece));
    rest = rest.subspan(piece.size());
  }
  ASSERT_TRUE(writer.finish());
  const auto model = open_model(folder.path() / "x.gguf");
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(test::text_of(model->find("a")->data) + test::text_of(model->find("b")->data), all);
}

TEST(GgufWriter, ReplacesAKeyThatIsSetAgain) {
  const TemporaryFolder folder;
  GgufWriter writer;
  writer.set_u32("a", 1);
  writer.set_string("a", "two");
  ASSERT_TRUE(writer.begin(folder.path() / "x.gguf"));
  ASSERT_TRUE(writer.finish());
  const auto model = open_model(folder.path() / "x.gguf");
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(*model->metadata.string("a"), "two");
}

TEST(GgufWriter, LeavesNothingBehindWhenItIsNotFinished) {
  const TemporaryFolder folder;
  test::write_file(folder.path() / "x.gguf", "before");
  {
    GgufWriter writer;
    ASSERT_TRUE(writer.add_tensor("a", FormatId::F32, {4}));
    ASSERT_TRUE(writer.begin(folder.path() / "x.gguf"));
    ASSERT_TRUE(writer.write(bytes_of("12345678")));
    const auto early = writer.finish();
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().detail, "only 8 of its 16 bytes were written");
  }
  EXPECT_EQ(test::read_text(folder.path() / "x.gguf"), "before");
  EXPECT_EQ(file_count(folder.path()), 1u);
}

TEST(GgufWriter, RefusesWhatAReaderWouldRefuse) {
  GgufWriter writer;
  EXPECT_EQ(writer.add_tensor("", FormatId::F32, {4}).error().code, Code::range);
  EXPECT_EQ(writer.add_tensor(std::string(64, 'n'), FormatId::F32, {4}).error().code, Code::range);
  EXPECT_EQ(writer.add_tensor("a", FormatId::NF4, {4}).error().code, Code::unsupported);
  EXPECT_EQ(writer.add_tensor("a", FormatId::Q4_K, {2, 32}).error().code, Code::shape);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {}).error().code, Code::shape);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {1, 1, 1, 1, 1}).error().code, Code::shape);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {4, 0}).error().code, Code::shape);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {1ull << 62, 4}).error().code, Code::range);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {1ull << 62}).error().code, Code::range);
  EXPECT_TRUE(writer.add_tensor("a", FormatId::F32, {4}));
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {4}).error().code, Code::duplicate);
  EXPECT_EQ(writer.write(bytes_of("x")).error().code, Code::usage);
}

TEST(GgufWriter, RefusesMoreBytesThanDeclared) {
  const TemporaryFolder folder;
  GgufWriter writer;
  ASSERT_TRUE(writer.add_tensor("a", FormatId::F32, {1}));
  ASSERT_TRUE(writer.begin(folder.path() / "x.gguf"));
  EXPECT_EQ(writer.write(bytes_of("12345")).error().code, Code::usage);
}

TEST(GgufWriter, NamesWhyItCannotCreateTheFile) {
  const TemporaryFolder folder;
  const auto refusal = [](const std::filesystem::path& path) {
    GgufWriter writer;
    const auto begun = writer.begin(path);
    return begun ? std::string() : begun.error().message();
  };
  EXPECT_NE(refusal(folder.path() / "none" / "x.gguf").find("create the folder first"), std::string::npos);
  EXPECT_NE(refusal(folder.path()).find("is a folder"), std::string::npos);
}

TEST(GgufWriter, NamesAFullDiskBeforeItWrites) {
  const TemporaryFolder folder;
  GgufWriter writer;
  ASSERT_TRUE(writer.add_tensor("a", FormatId::F32, {1ull << 55}));
  const auto begun = writer.begin(folder.path() / "x.gguf");
  ASSERT_FALSE(begun);
  EXPECT_NE(begun.error().message().find("are free on this disk"), std::string::npos) << begun.error().message();
  EXPECT_EQ(file_count(folder.path()), 0u);
}

// A limit on file sizes stands for a disk that fills up while the data is written.
TEST(GgufWriter, NamesAWriteThatFailsAndRemovesWhatItWrote) {
  const TemporaryFolder folder;
  GgufWriter writer;
  ASSERT_TRUE(writer.add_tensor("a", FormatId::F32, {1 << 20}));
  ASSERT_TRUE(writer.begin(folder.path() / "x.gguf"));
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small{1 << 20, old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto written = writer.write(bytes_of(pattern(4 << 20, 1)));
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_action);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::io);
  EXPECT_NE(written.error().message().find("x.gguf: cannot write the whole file"), std::string::npos)
      << written.error().message();
  writer = GgufWriter();
  EXPECT_EQ(file_count(folder.path()), 0u);
}

TEST(SafetensorsWriter, WritesWhatOpensEqual) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  SafetensorsWriter writer;
  writer.set_metadata("format", "other");
  writer.set_metadata("format", "pt");
  ASSERT_TRUE(writer.add_tensor("a.weight", FormatId::F32, {2, 3}));
  ASSERT_TRUE(writer.add_tensor("<odd> \"name\"", FormatId::BF16, {}));
  ASSERT_TRUE(writer.add_tensor("none", FormatId::U8, {0, 7}));
  ASSERT_TRUE(writer.add_tensor("four", FormatId::F4, {3, 2}));
  ASSERT_TRUE(writer.begin(path));
  ASSERT_TRUE(writer.write(bytes_of(pattern(24 + 2 + 3, 1))));
  ASSERT_TRUE(writer.finish());
  EXPECT_TRUE(test::findings_of(path).empty());
  const auto model = open_model(path);
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->find("a.weight")->shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(test::text_of(model->find("a.weight")->data), pattern(29, 1).substr(0, 24));
  EXPECT_EQ(model->find("<odd> \"name\"")->count(), 1u);
  EXPECT_TRUE(model->find("none")->data.empty());
  EXPECT_EQ(model->tensors[0].offset % 8, 0u);
  EXPECT_EQ(*model->annotations.find("format")->string(), "pt");
}

TEST(SafetensorsWriter, RefusesWhatAReaderWouldRefuse) {
  SafetensorsWriter writer;
  EXPECT_EQ(writer.add_tensor("a", FormatId::Q4_K, {256}).error().code, Code::unsupported);
  EXPECT_EQ(writer.add_tensor("a", FormatId::F4, {3}).error().code, Code::shape);
  EXPECT_EQ(writer.add_tensor("__metadata__", FormatId::F32, {1}).error().code, Code::usage);
  EXPECT_EQ(writer.add_tensor("\xff", FormatId::F32, {1}).error().code, Code::usage);
  EXPECT_TRUE(writer.add_tensor("a", FormatId::F32, {1}));
  EXPECT_EQ(writer.add_tensor("a", FormatId::F32, {1}).error().code, Code::duplicate);
}

TEST(ShardIndex, WrittenBesideItsShardsOpensAsOneModel) {
  const TemporaryFolder folder;
  std::vector<ShardEntry> entries;
  for (int i = 0; i < 2; ++i) {
    const std::string name = "model-0000" + std::to_string(i + 1) + "-of-00002.safetensors";
    SafetensorsWriter writer;
    ASSERT_TRUE(writer.add_tensor("t" + std::to_string(i), FormatId::F16, {4}));
    ASSERT_TRUE(writer.begin(folder.path() / name));
    ASSERT_TRUE(writer.write(bytes_of(pattern(8, static_cast<unsigned>(i)))));
    ASSERT_TRUE(writer.finish());
    entries.push_back({"t" + std::to_string(i), name});
  }
  ASSERT_TRUE(write_shard_index(folder.path() / "model.safetensors.index.json", entries, 16));
  EXPECT_TRUE(test::findings_of(folder.path()).empty());
  const auto model = open_model(folder.path());
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->kind, FileKind::sharded_safetensors);
  EXPECT_EQ(test::text_of(model->find("t1")->data), pattern(8, 1));
}

}  // namespace
}  // namespace assay

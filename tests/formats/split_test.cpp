// Sets of -0000i-of-0000N.gguf files.
#include <gtest/gtest.h>

#include "runtime/formats/shard_name.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

// What one part says about its set.
struct Part {
  std::uint32_t number = 0;  // counted from 0
  std::uint32_t count = 3;
  std::int32_t tensors = 3;
  std::string tensor = "t0";
};

void write_part(const std::filesystem::path& path, const Part& part) {
  GgufWriter writer;
  if (part.number == 0) writer.set_string("general.architecture", "llama");
  writer.set_u32("split.no", part.number);
  writer.set_u32("split.count", part.count);
  writer.set_i32("split.tensors.count", part.tensors);
  ASSERT_TRUE(writer.add_tensor(part.tensor, FormatId::F32, {4}));
  ASSERT_TRUE(writer.begin(path));
  ASSERT_TRUE(writer.write(test::bytes_of(test::pattern(16, part.number))));
  ASSERT_TRUE(writer.finish());
}

class Split : public testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t i = 0; i < 3; ++i) write_part(part(i), {.number = i, .tensor = "t" + std::to_string(i)});
  }
  std::filesystem::path part(std::uint32_t number) const {
    return folder_.path() / ShardName{"m", ".gguf", 1, 3}.part(number + 1);
  }
  std::string refusal() const {
    const auto model = open_model(part(0));
    EXPECT_FALSE(model);
    return model ? "" : model.error().message();
  }

  test::TemporaryFolder folder_;
};

TEST_F(Split, OpensTheSetFromAnyPartOrItsFolder) {
  for (const auto& path : {part(0), part(1), part(2), folder_.path()}) {
    const auto model = open_model(path);
    ASSERT_TRUE(model) << model.error().message();
    ASSERT_EQ(model->tensors.size(), 3u);
    EXPECT_EQ(model->files.size(), 3u);
    EXPECT_EQ(*model->metadata.string("general.architecture"), "llama");
    for (std::uint32_t i = 0; i < 3; ++i) {
      const TensorView* tensor = model->find("t" + std::to_string(i));
      ASSERT_NE(tensor, nullptr);
      EXPECT_EQ(tensor->file, i);
      EXPECT_EQ(test::text_of(tensor->data), test::pattern(16, i));
    }
  }
}

TEST_F(Split, NamesAMissingPart) {
  std::filesystem::remove(part(1));
  EXPECT_NE(refusal().find("m-00002-of-00003.gguf"), std::string::npos) << refusal();
}

TEST_F(Split, RefusesAPartOfAnotherNumber) {
  write_part(part(2), {.number = 1, .tensor = "t2"});
  EXPECT_NE(refusal().find("split.no"), std::string::npos) << refusal();
}

TEST_F(Split, RefusesAPartOfAnotherCount) {
  write_part(part(2), {.number = 2, .count = 4, .tensor = "t2"});
  EXPECT_NE(refusal().find("split.count"), std::string::npos) << refusal();
}

TEST_F(Split, RefusesAnotherNumberOfTensorsThanDeclared) {
  write_part(part(0), {.number = 0, .tensors = 9, .tensor = "t0"});
  EXPECT_NE(refusal().find("split.tensors.count"), std::string::npos) << refusal();
}

TEST_F(Split, RefusesATensorInTwoParts) {
  write_part(part(2), {.number = 2, .tensor = "t0"});
  EXPECT_NE(refusal().find("t0: the tensor is also in m-00001-of-00003.gguf"), std::string::npos) << refusal();
}

TEST_F(Split, RefusesAPartUnderAnotherName) {
  std::filesystem::rename(part(0), folder_.path() / "renamed.gguf");
  const auto model = open_model(folder_.path() / "renamed.gguf");
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message().find("NAME-00001-of-00003.gguf"), std::string::npos) << model.error().message();
}

TEST_F(Split, RefusesADamagedPartByItsOwnName) {
  const std::string good = test::read_text(part(1));
  test::write_file(part(1), good.substr(0, good.size() - 20));
  EXPECT_NE(refusal().find("m-00002-of-00003.gguf"), std::string::npos) << refusal();
}

TEST(ShardName, TakesNamesApartAndPutsThemTogether) {
  const auto name = parse_shard_name("model-00002-of-00003.safetensors");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "model");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 3u);
  EXPECT_EQ(name->part(3), "model-00003-of-00003.safetensors");
  for (const char* other : {"model.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-1-of-3.gguf",
                            "m-00001-of-00003.bin", "m-+0001-of-00003.gguf", "-of-.gguf"})
    EXPECT_FALSE(parse_shard_name(other)) << other;
}

}  // namespace
}  // namespace assay

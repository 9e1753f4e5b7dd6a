// Typed look-ups in GGUF metadata.
#include "runtime/formats/metadata.h"

#include <gtest/gtest.h>

#include "runtime/formats/gguf.h"
#include "tests/formats/files.h"

namespace assay {
namespace {

class MetadataTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = folder_.path() / "small.gguf";
    test::write_small_gguf(path);
    auto opened = open_model(path);
    ASSERT_TRUE(opened) << opened.error().message();
    model_ = std::move(*opened);
  }
  const Metadata& metadata() const { return model_.metadata; }

  test::TemporaryFolder folder_;
  ModelFile model_;
};

TEST_F(MetadataTest, GivesEveryValueBack) {
  EXPECT_EQ(*metadata().string("general.architecture"), "llama");
  EXPECT_EQ(*metadata().unsigned_integer("llama.block_count"), 2u);
  EXPECT_EQ(*metadata().unsigned_integer("x.wide"), 1ull << 40);
  EXPECT_EQ(*metadata().number("x.negative"), -5.0);
  EXPECT_EQ(static_cast<float>(*metadata().number("x.float")), 1e-5f);
  EXPECT_EQ(*metadata().boolean("x.flag"), true);
  EXPECT_EQ(*metadata().strings("tokenizer.ggml.tokens"), (std::vector<std::string_view>{"a", "", "bc", "\xc3\xa9"}));
  EXPECT_EQ(*metadata().integers("tokenizer.ggml.token_type"), (std::vector<std::int64_t>{1, 2, 3, -4}));
  EXPECT_EQ(*metadata().floats("tokenizer.ggml.scores"), (std::vector<float>{0.5f, -1.0f, 0.0f, 2.0f}));
}

TEST_F(MetadataTest, NamesAnAbsentKey) {
  const auto value = metadata().unsigned_integer("llama.head_count");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Code::missing);
  EXPECT_EQ(value.error().subject, "llama.head_count");
}

TEST_F(MetadataTest, NamesBothTypesWhereTheyDiffer) {
  const auto value = metadata().unsigned_integer("general.architecture");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Code::type);
  EXPECT_EQ(value.error().detail, "is of type string, should be an integer");
  const auto array = metadata().string("tokenizer.ggml.tokens");
  ASSERT_FALSE(array);
  EXPECT_EQ(array.error().detail, "is of type array of string, should be a string");
  EXPECT_EQ(metadata().integers("tokenizer.ggml.scores").error().code, Code::type);
  EXPECT_EQ(metadata().floats("tokenizer.ggml.token_type").error().code, Code::type);
  EXPECT_EQ(metadata().strings("tokenizer.ggml.scores").error().code, Code::type);
  EXPECT_EQ(metadata().boolean("llama.block_count").error().code, Code::type);
}

TEST_F(MetadataTest, RefusesANegativeWhereAnUnsignedIsAskedFor) {
  EXPECT_EQ(metadata().unsigned_integer("x.negative").error().code, Code::range);
}

// Every integer width there is, at its extremes.
TEST(Metadata, WidensEveryIntegerType) {
  std::string file = "GGUF" + test::raw<std::uint32_t>(3) + test::raw<std::uint64_t>(0) + test::raw<std::uint64_t>(10);
  const auto add = [&](std::string_view key, MetaType type, const std::string& value) {
    file += test::raw_text(key) + test::raw<std::uint32_t>(static_cast<std::uint32_t>(type)) + value;
  };
  add("u8", MetaType::u8, test::raw<std::uint8_t>(255));
  add("i8", MetaType::i8, test::raw<std::int8_t>(-128));
  add("u16", MetaType::u16, test::raw<std::uint16_t>(65535));
  add("i16", MetaType::i16, test::raw<std::int16_t>(-32768));
  add("u32", MetaType::u32, test::raw<std::uint32_t>(~0u));
  add("u64", MetaType::u64, test::raw<std::uint64_t>(~0ull));
  add("i64", MetaType::i64, test::raw<std::int64_t>(-1));
  add("f64", MetaType::f64, test::raw<double>(0.1));
  add("u64s", MetaType::array,
      test::raw<std::uint32_t>(10) + test::raw<std::uint64_t>(2) + test::raw<std::uint64_t>(1) +
          test::raw<std::uint64_t>(~0ull));
  add("f64s", MetaType::array, test::raw<std::uint32_t>(12) + test::raw<std::uint64_t>(1) + test::raw<double>(0.5));
  FirstError sink;
  const auto contents = parse_gguf(test::bytes_of(file), "x", sink);
  ASSERT_TRUE(contents) << sink.error()->message();
  const Metadata& metadata = contents->metadata;
  EXPECT_EQ(*metadata.unsigned_integer("u8"), 255u);
  EXPECT_EQ(*metadata.number("i8"), -128.0);
  EXPECT_EQ(*metadata.unsigned_integer("u16"), 65535u);
  EXPECT_EQ(*metadata.number("i16"), -32768.0);
  EXPECT_EQ(*metadata.unsigned_integer("u32"), 4294967295u);
  EXPECT_EQ(*metadata.unsigned_integer("u64"), ~0ull);
  EXPECT_EQ(metadata.unsigned_integer("i64").error().code, Code::range);
  EXPECT_EQ(*metadata.number("f64"), 0.1);
  EXPECT_EQ(metadata.integers("u64s").error().code, Code::range);
  EXPECT_EQ(*metadata.floats("f64s"), std::vector<float>{0.5f});
}

}  // namespace
}  // namespace assay
